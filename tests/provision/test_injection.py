"""Nothing that somebody wishes becomes a command, a key or a tag: what is written is read by the real readers."""

import os
import subprocess
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import yaml
from provision_wishes import BOOT, BUILT, HASH, KEY
from pydantic import ValidationError

from edgeagent.provision.enrol_file import Seed, written
from edgeagent.provision.errors import ImageError
from edgeagent.provision.first_boot_settings import Hardware, first_settings
from edgeagent.provision.formats.cloudinit import cloudinit
from edgeagent.provision.formats.firstrun import firstrun
from edgeagent.provision.formats.toml_files import custom_toml, preseed
from edgeagent.provision.wishes import Wishes
from edgeagent.settings import parse

NASTY = (
    "$(touch owned)", "`touch owned`", "'; touch owned; '", '"; touch owned; "', "a && touch owned", "a | sh", "-rf",
    "~", "a: b", "- a", "*a", "&a", "!!python/object/apply:os.system [id]", "{a: b}", "[a]", "# a", "a # b", "null",
    "1e3", "y", "\\", "a\\", '"""', "'''", '"\n[user]\nname = "eve', "a = 1", "%s", "%n", "{host}", "{0}",
    "../../etc/passwd", "/etc", "\u2028a", "\u202ea", "\ufeffa", "a\x1b[31m", "a\tb", "ä", "😀", " ", "a ",
)  # fmt: skip
STRICT = ("hostname", "user", "password_hash", "locale", "keyboard", "timezone")
BASE = Wishes(user="ada", password_hash=HASH)


@pytest.mark.parametrize("name", STRICT)
def test_what_has_a_form_is_held_to_it(name: str) -> None:
    for nasty, form in product(NASTY, ("{}", "a{}", f"{HASH}{{}}", "Europe/{}", "{}\n")):
        text = form.replace("{}", nasty)
        try:
            wishes = replace(BASE, **{name: text})  # type: ignore[arg-type]  # each of them is a text
        except ImageError:
            continue
        assert text.isascii()
        assert not set(text) & set("\\\"'`|&;<>()*?[]{}~#!% \t\n")
        assert read_by_all(wishes, name, text)


def read_by_all(wishes: Wishes, name: str, text: str) -> bool:
    """Tell whether YAML's and TOML's readers find a text where it belongs."""
    found = yaml.safe_load(cloudinit(wishes, BOOT).files["user-data"])
    told = tomllib.loads(preseed(wishes, BOOT).files["rpi-preseed.toml"].decode())
    places = {
        "hostname": (found.get("hostname"), told.get("system", {}).get("hostname")),
        "user": (found["user"]["name"], told["user"]["name"]),
        "password_hash": (found["user"].get("passwd"), told["user"].get("password")),
        "locale": (found.get("locale"), told.get("locale", {}).get("lang")),
        "keyboard": (found.get("keyboard", {}).get("layout"), told.get("locale", {}).get("keymap")),
        "timezone": (found.get("timezone"), told.get("locale", {}).get("timezone")),
    }
    return places[name] == (text, text)


@pytest.mark.parametrize("nasty", NASTY)
def test_the_comment_of_a_key_stays_one(tmp_path: Path, nasty: str) -> None:
    key = f"{KEY} {nasty}"
    try:
        wishes = Wishes(user="ada", ssh_keys=(key,))
    except ImageError:
        assert set(nasty) & set("\n\t\x1b")
        return
    assert yaml.safe_load(cloudinit(wishes, BOOT).files["user-data"])["user"]["ssh_authorized_keys"] == [key]
    for made in (preseed(wishes, BOOT).files["rpi-preseed.toml"], custom_toml(wishes, BOOT).files["custom.toml"]):
        found = tomllib.loads(made.decode())
        assert (found["ssh"]["authorized_keys"], found["user"]["name"]) == ([key], "ada")
    assert ran(tmp_path, firstrun(wishes, BOOT).files["firstrun.sh"]) == key


def ran(root: Path, script: bytes) -> str:
    """Run a first-run script on a scratch root, see that it has done nothing else, and return the keys it has put."""
    boot, home = root / BOOT.lstrip("/"), root / "home/ada"
    for folder in (boot, home, root / "etc"):
        folder.mkdir(parents=True)
    owner = os.getuid()
    (root / "etc/passwd").write_text(f"ada:x:1000:{owner}:,,,:/home/ada:/bin/bash\n")
    (boot / "cmdline.txt").write_bytes(b"root=x\n")
    (boot / "firstrun.sh").write_bytes(script)
    environment = {**os.environ, "EDGEAGENT_ROOT": str(root)}
    subprocess.run(["sh", boot / "firstrun.sh"], env=environment, cwd=root, check=True, capture_output=True)
    assert not [one for one in root.rglob("*") if "owned" in one.name]
    return (home / ".ssh/authorized_keys").read_text().removesuffix("\n")


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("name", ["area", "microphone", "broker_host"])
def test_a_text_of_the_seed_is_a_text_in_its_file_and_in_the_settings(name: str, nasty: str) -> None:
    try:
        seed = Seed.model_validate({"built": BUILT, name: nasty})
    except ValidationError:
        assert set(nasty) & set("\n\x1b")
        return
    found = tomllib.loads(written(seed).decode())
    assert found[name] == nasty
    assert found.keys() <= {"version", "name", "fleet", name, "broker_port", "built"}
    settings = parse(first_settings(seed, Hardware("generic-arm64"), Path("/var/lib/edgeagent")))
    places = {
        "area": settings.device.area,
        "microphone": settings.microphone.device,
        "broker_host": settings.broker.host,
    }
    assert places[name] == nasty


def test_what_is_a_path_or_no_name_names_no_device() -> None:
    for nasty in {*NASTY, "..", ".", "a/b", "", "Kitchen", "-a"} - {"null", "1e3", "y"}:
        for name in ("name", "board", "hat"):
            with pytest.raises(ValidationError):
                Seed.model_validate({"built": BUILT, name: nasty})
