"""`edgeagent image` as a person at a terminal meets it."""

import gzip
import hashlib
import json
import lzma
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from provision.media import MIB, card_image, loop
from provision_cards import TRIXIE, made
from provision_images import get, needs_fat_tools
from provision_wishes import BUILT, KEY, TOKEN, small_bundle
from typer.testing import CliRunner, Result

from edgeagent.cli.image import image_app
from edgeagent.cli.image_shown import for_a_while, rate_said
from edgeagent.console.authority import Authority
from edgeagent.errors import EdgeAgentError, SettingsError
from edgeagent.install.nouns import InstallError
from edgeagent.provision.devices import HEAD_BYTES, UNFINISHED
from edgeagent.provision.enrol_file import read_enrol_file, read_seed
from edgeagent.provision.errors import ImageError
from edgeagent.provision.flash_progress import Progress
from edgeagent.update.places import EMBEDDED
from edgeagent.update.roots import facts_of

IMAGE = card_image()
HERE = ("--output", "out")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("card.img").write_bytes(IMAGE)


@pytest.fixture
def claim(tmp_path: Path) -> tuple[str, ...]:
    """Write what devices enrol with, and return the options that name it."""
    authority = Authority.init(tmp_path / "authority", "acme", BUILT.timestamp())
    made_ = authority.claim_certificate("one", BUILT.timestamp())
    for name, content in (
        ("ca.pem", authority.trusted.encode()),
        ("claim.pem", made_.certificate),
        ("claim.key", made_.key),
    ):
        Path(name).write_bytes(content)
    return ("--broker", "broker.home", "--ca", "ca.pem", "--claim", "claim.pem", "--claim-key", "claim.key")


def typed(*words: str | Path, said: str | None = None) -> Result:
    return CliRunner().invoke(image_app, [*map(str, words)], input=said)


def done(*words: str | Path, said: str | None = None) -> str:
    result = typed(*words, said=said)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def answered(*words: str | Path) -> Any:
    return json.loads(done(*words, "--json"))


def complaint(*words: str | Path, said: str | None = None) -> str:
    """Return what is complained of, and what to do."""
    error = typed(*words, said=said).exception
    assert isinstance(error, EdgeAgentError), error
    assert error.remedy
    return f"{error} -> {error.remedy}"


def head(path: str | Path) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(HEAD_BYTES)


def test_an_image_is_flashed_and_what_was_done_is_told() -> None:
    told = done("flash", "card.img", "card", "--to-file", "--yes")
    assert told.startswith(f"card: {len(IMAGE)} bytes written in ")
    assert f"  sha256 {hashlib.sha256(IMAGE).hexdigest()}\n" in told
    assert Path("card").read_bytes() == IMAGE
    told_ = answered("flash", "card.img", "another", "--to-file", "--yes")
    assert (told_["size_bytes"], told_["medium"]) == (len(IMAGE), "another")


def test_who_says_no_or_nothing_writes_nothing() -> None:
    for said in ("n\n", ""):
        result = typed("flash", "card.img", "card", "--to-file", said=said)
        assert result.exit_code == 1
        assert "What is on it is lost" in result.stderr
        assert not Path("card").exists()
    done("flash", "card.img", "card", "--to-file", said="y\n")
    assert Path("card").read_bytes() == IMAGE


def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    Path("card").write_bytes(bytes(64 * MIB))
    told = done("flash", "card.img", "card", "--to-file", "--dry-run")
    assert told == "would write card.img onto card (file, 67.1 MB)\n"
    found = answered("flash", "card.img", "card", "--to-file", "--dry-run")
    assert found["medium"]["against"] == []
    assert (found["packing"], found["size_bytes"]) == ("raw", len(IMAGE))
    assert not any(Path("card").read_bytes())


def test_a_medium_with_something_on_it_is_written_to_by_its_name_alone() -> None:
    Path("card").write_bytes(card_image(24 * MIB, seed=9))
    told = complaint("flash", "card.img", "card", "--to-file", "--yes")
    assert "there is something on it: a partition table" in told
    assert f"--force {24 * MIB}" in told
    assert "--force names '7'" in complaint("flash", "card.img", "card", "--to-file", "--yes", "--force", "7")
    done("flash", "card.img", "card", "--to-file", "--yes", "--force", str(24 * MIB))
    assert Path("card").read_bytes()[: len(IMAGE)] == IMAGE


def test_a_disk_with_data_is_refused_and_one_that_is_too_small(tmp_path: Path) -> None:
    for size, words in ((32 * MIB, "there is something on it"), (8 * MIB, "it has 8.4 MB, the image 22.0 MB")):
        backing = tmp_path / f"disk-{size}"
        backing.write_bytes(card_image(size, seed=9))
        before = backing.read_bytes()
        with loop(backing) as device:
            assert words in complaint("flash", "card.img", device, "--yes")
            assert "is no file" in complaint("flash", "card.img", device, "--yes", "--to-file")
        assert backing.read_bytes() == before


def test_what_is_no_disk_needs_a_word_to_be_written_to() -> None:
    assert "say --to-file" in complaint("flash", "card.img", "card.img", "--yes")
    assert "No such file" in complaint("flash", "card.img", "/dev/none", "--yes")
    assert "is no disk" in complaint("flash", "card.img", "/dev/null", "--yes")


@pytest.mark.skipif(not Path("/sys/block").is_dir(), reason="disks are shown where the kernel tells of them: Linux")
def test_without_a_device_the_disks_are_shown() -> None:
    told = done("flash", "card.img")
    found = answered("flash", "card.img")
    assert len(told.splitlines()) == max(len(found), 1)
    assert all(one["size_bytes"] and "against" in one for one in found)


def test_what_is_no_image_is_said_before_anything_else() -> None:
    Path("page.img").write_text("<html>" * 500)
    assert "no partition table" in complaint("flash", "page.img", "/dev/none")
    assert "No such file" in complaint("flash", "none.img", "/dev/none")
    whole = lzma.compress(IMAGE, preset=0)
    for kept, is_begun in ((200_000, False), (len(whole) - 100_000, True)):
        Path("cut.img.xz").write_bytes(whole[:kept])
        assert f"is cut off at byte {kept}" in complaint("flash", "cut.img.xz", "card", "--to-file", "--yes")
        assert Path("card").exists() == is_begun
    assert head("card").startswith(UNFINISHED)


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else() -> None:
    assert typed("flash", "card.img", "quiet", "--to-file", "--yes").stderr == ""
    ours, theirs = pty.openpty()
    program = "from edgeagent.cli.image import image_app; image_app()"
    command = [sys.executable, "-c", program, "flash", "card.img", "card", "--to-file", "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}) as child:
        os.close(theirs)
        drawn = b""
        try:
            while piece := os.read(ours, 4096):
                drawn += piece
        except OSError:  # the terminal is gone with its last writer
            pass
        assert child.wait() == 0
        assert child.stdout
        assert b"read back" in child.stdout.read()
    os.close(ours)
    assert b"write" in drawn
    assert b"MB/s" in drawn


def test_progress_is_told_in_words() -> None:
    assert rate_said(Progress("write", 1_200_000_000, 2_900_000_000, 0.4, 21.3e6, 80.0)) == (
        "1.2 GB of 2.9 GB, 21.3 MB/s, 1:20 left"
    )
    assert rate_said(Progress("check", 5_000, None, 0.4, 0.0, None)) == "5.0 kB, 0 B/s"
    assert [for_a_while(one) for one in (1.25, 119.0, 180.0)] == ["1.2 s", "119.0 s", "3 min"]


@needs_fat_tools
def test_an_image_is_customised_and_looked_into(tmp_path: Path, claim: tuple[str, ...]) -> None:
    image = made(tmp_path / "pi.img", TRIXIE)
    Path("token").write_text(f"{TOKEN}\n")
    Path("key.pub").write_text(f"{KEY}\n")
    bundle = small_bundle(tmp_path, "3.13")
    told = done(
        *("customise", str(image), "--name", "kitchen-1", "--area", "Küche", "--board", "rpi-zero-2-w", *claim),
        *(
            "--token-file",
            "token",
            "--serial",
            "10000000abcdef01",
            "--bundle",
            str(bundle),
            "--house-broker",
            "mqtt:1884",
        ),
        *("--user", "ada", "--ssh-key", "key.pub", "--wifi", "Zuhause", "--wifi-country", "DE"),
        said="correct horse\n",
    )
    assert "  written: edgeagent/seed.toml\n" in told
    assert "  written: user-data\n" in told
    seed = read_seed(get(image, "edgeagent/seed.toml"))
    assert (seed.name, seed.area, seed.board, seed.broker_host, seed.broker_port) == (
        *("kitchen-1", "Küche", "rpi-zero-2-w", "mqtt", 1884),
    )
    enrol = read_enrol_file(get(image, "edgeagent/enrol.toml"))
    assert (enrol.token.get_secret_value(), enrol.serial, enrol.broker_port) == (TOKEN, "10000000abcdef01", 8883)
    assert (enrol.expires - seed.built).days == 7

    shown = done("inspect", image)
    assert "takes its settings by cloudinit" in shown
    assert "seed: name kitchen-1, fleet home, area Küche, board rpi-zero-2-w" in shown
    assert "token: there, for serial number 10000000abcdef01, until " in shown
    assert "for Python 3.13" in shown
    facts = answered("inspect", image)
    assert facts["has_token"]
    assert facts["seed"]["name"] == "kitchen-1"
    assert facts["bundle"]["python"] == "3.13"
    for secret in (TOKEN, "PRIVATE KEY", "correct horse"):
        assert secret not in f"{told}{shown}{facts}"
    assert done("verify", image) == f"{image}: all right\n"
    assert answered("verify", image) == []


@needs_fat_tools
def test_a_packed_image_is_customised_in_a_copy(tmp_path: Path) -> None:
    image = made(tmp_path / "pi.img", TRIXIE)
    packed = Path("pi.img.xz")
    packed.write_bytes(lzma.compress(image.read_bytes(), preset=0))
    found = answered("customise", packed, "--output", "hall.img", "--name", "hall")
    assert found["image"] == "hall.img"
    assert "edgeagent/seed.toml" in found["changed"]
    assert read_seed(get(Path("hall.img"), "edgeagent/seed.toml")).name == "hall"
    assert "something already" in complaint("customise", packed, "--output", "hall.img", "--name", "hall")
    assert "nothing" not in complaint("customise", packed, "--name", "hall")
    small = ("customise", packed, "--output", "none.img", "--name", "hall", "--bundle", "none.tar")
    assert "none.tar" in complaint(*small)
    assert not Path("none.img").exists()


@needs_fat_tools
def test_every_problem_of_an_image_is_told_and_the_exit_code_says_so(tmp_path: Path) -> None:
    image = made(tmp_path / "pi.img", TRIXIE | {"edgeagent/seed.toml": b"version = 9\n"})
    result = typed("verify", image)
    assert result.exit_code == 1
    assert "seed.toml:1: version" in result.stdout
    assert "  try: " in result.stdout
    assert typed("verify", image, "--json").exit_code == 1
    assert "the boot partition" not in done("inspect", image)
    assert typed("verify", "none.img").exit_code == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing was wished"),
        (("--format", "cloudinit"), "nothing was wished"),
        (("--name", "Küche"), "--name 'Küche': expected 1 to 63 small letters"),
        (("--area", "a\nb"), "--area 'a\\nb': expected one line"),
        (("--board", "rpi-9"), "--board 'rpi-9': no profile is called so"),
        (("--hat", "none"), "--hat 'none': no profile is called so"),
        (("--house-broker", "a:b"), "expected HOST or HOST:PORT"),
        (("--house-broker", ":1883"), "expected HOST or HOST:PORT"),
        (("--format", "kickstart"), "--format 'kickstart' -> One of: auto"),
        (("--broker", "b"), "to enrol takes four things"),
        (("--token-file", "token"), "a token alone enrols nobody"),
        (("--wifi", "x"), "--wifi-country"),
        (("--wifi-country", "DE"), "which Wi-Fi network?"),
        (("--ssh-key", "none.pub"), "none.pub: cannot be read"),
        (("--user", "ada"), "could never log in"),
        (("--password-hash-file", "token"), "expected the hash of a password"),
    ],
)
def test_options_that_do_not_go_together_are_told_and_the_image_stays(words: tuple[str, ...], told: str) -> None:
    Path("token").write_text("secret")
    assert told in complaint("customise", "card.img", *words)
    assert Path("card.img").read_bytes() == IMAGE


def test_to_enrol_takes_a_token_that_is_one(claim: tuple[str, ...]) -> None:
    assert "to enrol takes a token" in complaint("customise", "card.img", *claim)
    told = complaint("customise", "card.img", *claim, "--token-file", "-", said="short\n")
    assert "token" in told
    assert "short" not in told


TABLE = "name;serial;area;tags;token;expires\nhall;s1;Hall;floor=2;{token};2099-01-01\nkitchen;;Küche;;;\n"


def test_a_table_becomes_folders_and_a_sheet(claim: tuple[str, ...]) -> None:
    Path("devices.csv").write_bytes(b"\xef\xbb\xbf" + TABLE.format(token=TOKEN).replace("\n", "\r\n").encode())
    assert done("batch", "devices.csv", *HERE, "--dry-run") == "devices.csv: 2 devices, all right\n"
    assert not Path("out").exists()
    told = done("batch", "devices.csv", *HERE, *claim, "--house-broker", "mqtt.home")
    assert told.splitlines() == [
        "out: 2 devices, 1 with a token",
        "  to print: out/sheet.html, which holds secrets",
    ]
    assert read_enrol_file(Path("out/hall/edgeagent/enrol.toml").read_bytes()).serial == "s1"
    assert read_seed(Path("out/kitchen/edgeagent/seed.toml").read_bytes()).broker_host == "mqtt.home"
    sheet = Path("out/sheet.html")
    assert TOKEN in sheet.read_text()
    assert sheet.stat().st_mode & 0o777 == 0o600
    assert "hall, kitchen, sheet.html are there already" in complaint("batch", "devices.csv", *HERE, *claim)


def test_tokens_without_a_claim_are_on_the_sheet_alone() -> None:
    Path("devices.csv").write_text(TABLE.format(token=TOKEN))
    assert "the tokens are on the sheet alone" in done("batch", "devices.csv", *HERE)
    assert not Path("out/hall/edgeagent/enrol.toml").exists()
    assert answered("batch", "devices.csv", "--output", "second")[0] == {
        "name": "hall",
        "path": "second/hall",
        "has_token": True,
    }


def test_of_a_table_with_a_mistake_nothing_is_made() -> None:
    Path("devices.csv").write_text("name,board\nhall,rpi-9\nhall,\nBad,\n")
    told = complaint("batch", "devices.csv", *HERE)
    assert "devices.csv:2: board 'rpi-9': no profile is called so" in told
    assert "devices.csv:3" not in told, "the line that it repeats is wrong itself"
    assert "devices.csv:4: name 'Bad'" in told
    assert not Path("out").exists()
    Path("devices.csv").write_bytes(b"name\n\xff\xfe")
    assert "not UTF-8 at byte 5 -> Name the table, saved as CSV UTF-8." in complaint("batch", "devices.csv", *HERE)


@needs_fat_tools
def test_a_table_becomes_images_where_one_is_named(tmp_path: Path, claim: tuple[str, ...]) -> None:
    image = tmp_path / "pi.img.gz"  # how large it is this archive does not say
    image.write_bytes(gzip.compress(made(tmp_path / "pi.img", TRIXIE).read_bytes(), 1))
    Path("devices.csv").write_text(TABLE.format(token=TOKEN))
    assert "--bundle goes onto images alone" in complaint("batch", "devices.csv", *HERE, "--bundle", "bundle.tar")
    said = typed("batch", "devices.csv", *HERE, "--image", image, *claim)
    assert said.exit_code == 0
    assert said.stderr.splitlines() == ["1 of 2: hall.img …", "2 of 2: kitchen.img …"]
    assert sorted(one.name for one in Path("out").iterdir()) == ["hall.img", "kitchen.img", "sheet.html"]
    assert {one.stat().st_mode & 0o777 for one in Path("out").iterdir()} == {0o600}
    assert read_seed(get(Path("out/kitchen.img"), "edgeagent/seed.toml")).name == "kitchen"
    assert read_enrol_file(get(Path("out/hall.img"), "edgeagent/enrol.toml")).serial == "s1"
    assert "seed" not in done("inspect", tmp_path / "pi.img")


def test_images_are_listed_for_the_imager() -> None:
    Path("pi os.img.gz").write_bytes(gzip.compress(IMAGE))
    options = ("--url", "https://example.org/images/", "--released", "2026-11-22")
    told = json.loads(done("manifest", "pi os.img.gz", "card.img", *options))
    first, second = told["os_list"]
    assert first["name"] == "pi os"
    assert first["url"] == "https://example.org/images/pi%20os.img.gz"
    assert first["extract_size"] == second["extract_size"] == len(IMAGE)
    assert first["extract_sha256"] == second["extract_sha256"] == hashlib.sha256(IMAGE).hexdigest()
    assert first["image_download_size"] == Path("pi os.img.gz").stat().st_size
    assert first["release_date"] == "2026-11-22"
    assert done("manifest", "card.img", "--output", "list.json") == "list.json: 1 image\n"
    (only,) = json.loads(Path("list.json").read_text())["os_list"]
    assert only["url"] == Path("card.img").absolute().as_uri()
    assert "expected a day" in complaint("manifest", "card.img", "--released", "soon")


def test_a_root_of_jetson_linux_is_prepared(tmp_path: Path) -> None:
    root = tmp_path / "Linux_for_Tegra" / "rootfs"
    (root / "etc").mkdir(parents=True)
    assert "no root of Jetson Linux" in complaint("jetson-overlay", root, "--bundle", "none")
    (root / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3\n")
    error = typed("jetson-overlay", root, "--bundle", tmp_path).exception
    assert isinstance(error, InstallError)
    bundle = tmp_path / "bundle"
    (bundle / "wheels").mkdir(parents=True)
    wheel = bundle / "wheels" / "edgeagent-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    (bundle / "requirements.lock").write_text(f"edgeagent==1.0 --hash=sha256:{hashlib.sha256(b'').hexdigest()}\n")
    told = done("jetson-overlay", root, "--bundle", bundle, "--name", "workshop", "--board", "jetson-orin-nano")
    assert "Jetson Linux 36.4.3, 6 files changed; nothing was flashed" in told
    assert "None of this was tried on a Jetson." in told
    assert "l4t_initrd_flash.sh" in told
    assert read_seed((root / "boot/edgeagent/seed.toml").read_bytes()).name == "workshop"


def test_building_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "expected bookworm or trixie" in complaint("build", "new.img", "--suite", "sid", "--cache", "cache")
    assert "expected test or ship" in complaint("build", "new.img", "--variant", "large")
    assert "expected bookworm or trixie" in complaint("bundle", "new.tar", "--suite", "sid", "--cache", "cache")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert "SOURCE_DATE_EPOCH" in complaint("build", "new.img")
    assert not Path("new.img").exists()


def test_help_is_there_for_every_command() -> None:
    told = done("--help")
    for command in (
        "build",
        "bundle",
        "customise",
        "flash",
        "inspect",
        "verify",
        "batch",
        "manifest",
        "jetson-overlay",
    ):
        assert command in told
        assert typed(command, "--help").exit_code == 0
    assert issubclass(ImageError, EdgeAgentError)
    assert issubclass(SettingsError, EdgeAgentError)


def test_a_card_gets_a_root_of_trust_that_is_signed_by_its_own_keys_and_no_other(tmp_path: Path) -> None:
    image = made(tmp_path / "pi.img", TRIXIE)
    where = ("--update-url", "https://updates.example/fleet/")
    done("customise", str(image), "--name", "one", *where, "--update-root", str(EMBEDDED))
    seed = read_seed(get(image, "edgeagent/seed.toml"))
    assert seed.update_url == where[1]
    assert facts_of((seed.update_root or "").encode(), "seed") == facts_of(EMBEDDED.read_bytes(), "package")
    Path("wrong.json").write_text(EMBEDDED.read_text().replace('"threshold": 2', '"threshold": 1'))
    before = image.read_bytes()
    told = complaint("customise", str(image), "--name", "one", "--update-root", "wrong.json")
    assert "not signed by its own keys -> Name the file N.root.json" in told
    assert image.read_bytes() == before
    assert "--update-url 'ftp://x': " in complaint("customise", str(image), "--name", "one", "--update-url", "ftp://x")
    Path("devices.csv").write_text("name,serial\nhall,10000000abcdef01\n")
    done("batch", "devices.csv", *HERE, *where, "--update-root", str(EMBEDDED))
    shared = read_seed((Path(HERE[1]) / "hall/edgeagent/seed.toml").read_bytes())
    assert (shared.update_url, shared.update_root) == (seed.update_url, seed.update_root)
