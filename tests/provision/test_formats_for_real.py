"""What `customise` writes, read by the programs that read it: cloud-init, netplan, NetworkManager, systemd, sshd, apt.

All but Raspberry Pi's own: `debian_systems.py` tells what is not there.
"""

import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from provision.debian_systems import CHECKOUT, Start, System, marks, own_bundle, packages, system
from provision_cards import BOOKWORM, TRIXIE, made
from provision_wishes import BOOT, BUILT, FULL, HASH, SEED, small_bundle

from edgeagent.provision.build.programs import run
from edgeagent.provision.bundle import INSTALLER_SOURCE
from edgeagent.provision.customise import customise
from edgeagent.provision.formats.cloudinit import cloudinit
from edgeagent.provision.formats.firstrun import firstrun
from edgeagent.provision.wifi import Wifi, wifi
from edgeagent.provision.wishes import Wishes

pytestmark = marks
NETWORKS = """
import json, subprocess
NAME, PLACE = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager/Settings"
def call(path, interface, method, *words):
    command = ["busctl", "--json=short", "call", NAME, path, f"{NAME}.{interface}", method, *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["data"][0]
found = {}
for path in call(PLACE, "Settings", "ListConnections"):
    settings = call(path, "Settings.Connection", "GetSettings")
    if "802-11-wireless" not in settings:
        continue
    radio = settings["802-11-wireless"]
    one = {"ssid": bytes(radio["ssid"]["data"]).hex(), "hidden": radio.get("hidden", {}).get("data", False)}
    if "802-11-wireless-security" in settings:
        secrets = call(path, "Settings.Connection", "GetSecrets", "s", "802-11-wireless-security")
        one["psk"] = secrets["802-11-wireless-security"]["psk"]["data"]
    found[settings["connection"]["id"]["data"]] = one
print(json.dumps(found))
"""
"""Prints what NetworkManager takes each of its wireless networks for: octets of the name in hexadecimal, key."""
PRELUDE = """
until_works() { n=0; until "$@"; do n=$((n+1)); [ $n -lt 180 ] || return 1; sleep 1; done; }
settled() { systemctl -q is-active edgeagent.service || [ -e /boot/firmware/edgeagent/problem.txt ]; }
login() { ssh -q -o BatchMode=yes -o StrictHostKeyChecking=no -i /root/key "$1@localhost" "$2"; }
install -m 600 /probe/key /root/key
"""
AGENT = """
until_works settled
/usr/local/bin/edgeagent --help | grep -c doctor
systemctl is-active edgeagent.service
systemctl is-enabled edgeagent.service edgeagent-firstboot.service
dpkg-query -W -f '${Status}\\n' libportaudio2
"""
AGENT_THERE = r"[1-9]\nactive\nenabled\nenabled\ninstall ok installed\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a system is laid out; it has hundreds of megabytes, and goes."""
    yield tmp_path / "system"
    shutil.rmtree(tmp_path / "system")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {suite: own_bundle(folder / f"{suite}.tar", suite) for suite in ("bookworm", "trixie")}


def customised(found: System, folder: Path, files: Mapping[str, bytes], wishes: Wishes) -> None:
    """Put wishes onto an image with these files, and its boot partition into a system."""
    image = made(folder / "card.img", files, bits=32, mib=300)
    customise(image, wishes, now=BUILT)
    found.takes(image)
    image.unlink()


def new_key(found: System) -> str:
    """Make a key of SSH, which the scripts of a system log in with; return its public part."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", found.probe / "key"], check=True)
    return (found.probe / "key.pub").read_text().strip()


def told(found: System, name: str) -> Any:
    return json.loads((found.probe / name).read_text())


def done(start: Start) -> str:
    assert start.code == 0, f"{start.said}\n{start.log[-3000:]}"
    return start.said


def test_cloud_init_makes_of_a_board_what_was_wished_once(
    tmp_path: Path, place: Path, bundles: Mapping[str, Path]
) -> None:
    found = system(place, "trixie")
    (found.root / "etc/locale.gen").write_text("de_DE.UTF-8 UTF-8\n")  # what raspi-config writes there
    (found.probe / "networks").write_text(NETWORKS)
    network = wifi("カフェ", "correct horse", country="DE")
    wishes = replace(FULL, ssh_keys=(new_key(found),), wifi=network, seed=SEED, bundle=bundles["trixie"])
    customised(found, tmp_path, TRIXIE, wishes)
    look = f"""{PRELUDE}
cloud-init status --wait --format json >/probe/status
python3 /probe/networks >/probe/found
hostname
locale -a | grep de_DE
login ada 'id -un; sudo -n id -u'
{AGENT}"""
    said = done(found.starts(look))
    assert re.fullmatch(rf"kitchen\nde_DE.utf8\nada\n0\n{AGENT_THERE}", said)
    status = told(found, "status")
    assert (status["status"], status["errors"], status["recoverable_errors"]) == ("done", [], {})
    assert told(found, "found") == {
        "netplan-wlan0-カフェ": {"ssid": "カフェ".encode().hex(), "hidden": False, "psk": network.key}
    }
    assert "LANG=de_DE.UTF-8" in found.text("etc/default/locale")
    assert 'XKBLAYOUT="de"' in found.text("etc/default/keyboard")
    assert (found.root / "etc/localtime").readlink() == Path("/usr/share/zoneinfo/Europe/Berlin")
    assert "127.0.1.1 kitchen" in found.text("etc/hosts")
    assert 'area = "Küche"' in found.text("etc/edgeagent/edgeagent.toml")
    again = done(found.starts(look))
    assert re.fullmatch(rf"kitchen\nde_DE.utf8\nada\n0\n{AGENT_THERE}", again)
    assert found.text("var/log/cloud-init-output.log").count("edgeagent: installed") == 1


def test_cloud_init_takes_a_password_and_a_network_whose_name_is_no_text(tmp_path: Path, place: Path) -> None:
    found = system(place, "trixie")
    (found.probe / "networks").write_text(NETWORKS)
    network = wifi(b'caf\xe9 "1"', "correct horse", country="FR", is_hidden=True)
    customised(found, tmp_path, TRIXIE, Wishes(user="ada", password_hash=HASH, wifi=network))
    said = done(
        found.starts("""
cloud-init status --wait --format json >/probe/status
python3 /probe/networks >/probe/found
sshd -T | grep ^passwordauthentication
id -nG ada | tr ' ' '\\n' | grep sudo
! runuser -u ada -- sudo -n true 2>/dev/null
""")
    )
    assert said == "passwordauthentication yes\nsudo\n"
    assert told(found, "status")["errors"] == []
    assert told(found, "found") == {"edgeagent-wifi": {"ssid": network.name.hex(), "hidden": True, "psk": network.key}}
    assert f"\nada:{HASH}:" in found.text("etc/shadow")


def test_systemd_runs_the_first_run_script_once_and_the_next_start_installs(
    tmp_path: Path, place: Path, bundles: Mapping[str, Path]
) -> None:
    found = system(place, "bookworm")
    (found.probe / "networks").write_text(NETWORKS)
    network = wifi(b"caf\xe9", "correct horse", country="FR")
    wishes = replace(FULL, ssh_keys=(new_key(found),), wifi=network, seed=SEED, bundle=bundles["bookworm"])
    customised(found, tmp_path, BOOKWORM, wishes)
    runs_first(found)
    said = done(
        found.starts(f"""{PRELUDE}{AGENT}
hostname
login pi 'id -un'
sshd -T | grep ^passwordauthentication
python3 /probe/networks >/probe/found
""")
    )
    assert re.fullmatch(rf"{AGENT_THERE}kitchen\npi\npasswordauthentication no\n", said)
    assert told(found, "found") == {"edgeagent-wifi": {"ssid": "636166e9", "hidden": False, "psk": network.key}}
    assert (found.boot / "userconf.txt").read_text() == "ada:!\n"
    assert not list((found.root / "etc/systemd/system").rglob("edgeagent-install*.service"))


def test_beside_a_custom_toml_the_script_does_only_what_that_has_no_key_for(tmp_path: Path, place: Path) -> None:
    found = system(place, "bookworm")
    customised(found, tmp_path, BOOKWORM, replace(FULL, bundle=small_bundle(tmp_path), format="custom-toml"))
    runs_first(found)
    assert (found.root / "etc/systemd/system/multi-user.target.wants/edgeagent-install.service").is_file()
    assert found.text("etc/default/locale") == "LANG=de_DE.UTF-8\n"
    assert (found.boot / "custom.toml").exists()
    assert found.text("etc/hostname") == "raspberrypi\n"


def runs_first(found: System) -> None:
    """Let systemd run the script, by the words that it finds on its command line; it has to ask for a new start."""
    first = found.starts("true")
    assert first.reboots, first.log[-3000:]
    assert first.code is None, "a target of its own: nothing else was started"
    assert not (found.boot / "firstrun.sh").exists()
    assert not [word for word in found.command_line if word.startswith("systemd.")]


def carded(found: System, suite: str, folder: Path) -> None:
    """Put a bundle of real Debian packages, and of nothing else, onto the boot partition of a system."""
    (folder / "debs").mkdir()
    for path in packages(folder, suite):
        path.rename(folder / "debs" / path.name)
    card = found.root / "boot/firmware/edgeagent"
    card.mkdir()
    run("tar", "-C", folder, "-cf", card / "bundle.tar", "debs")
    digest = hashlib.sha256((card / "bundle.tar").read_bytes()).hexdigest()
    (card / "bundle.sha256").write_text(f"{digest}  bundle.tar\n")
    shutil.copy(CHECKOUT / INSTALLER_SOURCE, card)


def has_packages_put_in(found: System) -> None:
    """Run the installer as far as that."""
    said = run("chroot", found.root, "sh", "/boot/firmware/edgeagent/install.sh", taken=(1,))
    assert "problem: the bundle holds no wheel of edgeagent" in said, said


def versions(found: System) -> dict[str, str]:
    said = run("chroot", found.root, "dpkg-query", "-W", "-f", "${Package} ${db:Status-Status} ${Version}\n")
    return {name: version for name, state, version in map(str.split, said.splitlines()) if state == "installed"}


def pretend(found: System, version: str, *names: str) -> None:
    """Have a system believe that the versions of some of its packages are other ones."""
    status = found.root / "var/lib/dpkg/status"
    text = status.read_text()
    for name in names:
        text, times = re.subn(rf"(\nPackage: {name}\n(?:.+\n)*?Version: ).*", rf"\g<1>{version}", text)
        assert times == 1, name
    status.write_text(text)


def test_the_packages_of_a_bundle_fit_a_system_that_has_some_of_them_newer_and_some_older(
    tmp_path: Path, place: Path
) -> None:
    found = system(place, "trixie")
    carded(found, "trixie", tmp_path)
    (found.root / "debs").mkdir()
    for path in packages(tmp_path, "trixie"):
        if path.name.startswith(("libx11-6_", "libx11-data_", "libxcb1_", "libxau6_", "libxdmcp6_", "libogg0_")):
            path.rename(found.root / "debs" / path.name)
    run("chroot", found.root, "sh", "-c", "dpkg -i /debs/*.deb")
    pretend(found, "99", "libogg0")
    pretend(found, "0", "libx11-6", "libx11-data")  # libx11-xcb1 is of one version with libx11-6
    has_packages_put_in(found)
    after = versions(found)
    assert after["libogg0"] == "99"
    assert after["libx11-6"] == after["libx11-xcb1"]
    assert {"espeak-ng", "libportaudio2"} <= set(after)


def test_an_installation_that_was_cut_off_among_the_packages_goes_on(tmp_path: Path, place: Path) -> None:
    found = system(place, "trixie")
    carded(found, "trixie", tmp_path)
    (found.root / "debs").mkdir()
    data = next(path for path in packages(tmp_path, "trixie") if path.name.startswith("espeak-ng-data_"))
    data.rename(found.root / "debs" / data.name)
    run("chroot", found.root, "sh", "-c", "dpkg --unpack /debs/*.deb")
    (found.root / "var/lib/dpkg/updates/0000").write_text("")  # what dpkg leaves there for as long as it is at work
    assert "dpkg was interrupted" in run("chroot", found.root, "apt-get", "-y", "install", "bash", taken=(100,))
    has_packages_put_in(found)
    assert {"espeak-ng", "espeak-ng-data", "libportaudio2"} <= set(versions(found))


PLAIN = [
    "カフェ",
    "Кафе 7",
    "بيت",
    "naïve_net-2.4",
    "a" * 32,
    "null",
    "no",
    "7",
    "0x10",
    "1e3",
    "2026-11-22",
    "😀",
]
"""Names that are text everywhere, and what some reader of YAML takes for something else than text."""
OCTETS = [b"caf\xe9", b"65;66;", b"\xff" * 32, b" edge ", b"tab\there", "a\u200db".encode(), "\u3000x".encode()]
SIGNS = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum()]
NAMED = """
cloud-init devel net-convert -p /probe/network-config -k yaml -d / -D debian -O netplan >/dev/null 2>&1
netplan generate 2>/dev/null
for file in /probe/*.nmconnection; do
  n=$((n+1))
  sed "s/^id=.*/id=$n/;/^uuid=/d" "$file" | install -m 600 /dev/stdin "/etc/NetworkManager/system-connections/$n"
done
nmcli connection reload
python3 /probe/networks >/probe/found
wpa_supplicant -B -D wired -i lo -C /run/wpa -c /probe/wpa_supplicant.conf >/dev/null
wpa_cli -p /run/wpa -i lo list_networks | sed 1d | cut -f 2
"""


def test_every_name_of_a_network_is_the_same_octets_to_all_who_read_it(place: Path) -> None:
    found = system(place, "trixie")
    (found.boot / "cmdline.txt").write_text("quiet\n")
    (found.root / "etc/cloud/cloud-init.disabled").touch()
    (found.probe / "networks").write_text(NETWORKS)
    texts = [*PLAIN, *SIGNS, *(f"a{sign}b" for sign in SIGNS), *(f"{sign} b" for sign in SIGNS)]
    names: list[str | bytes] = [*texts, *OCTETS]
    networks = [wifi(name, "correct horse", country="DE") for name in names]
    for number, network in enumerate(networks):
        (found.probe / f"{number}-octets.nmconnection").write_text(network.connection())
        if network.plain is not None:  # as `set_wlan` in raspberrypi-sys-mods and `apply_wlan` in rpi-preseed write it
            text = network.connection().replace(network.numbers, network.plain)
            (found.probe / f"{number}-text.nmconnection").write_text(text)
    (found.probe / "network-config").write_text(netplan([one for one in networks if one.plain is not None]))
    (found.probe / "wpa_supplicant.conf").write_text("".join(map(supplicant, networks)))
    said = done(found.starts(NAMED))
    read = Counter((one["ssid"], one["psk"]) for one in told(found, "found").values())
    assert read == {(one.name.hex(), one.key): 1 if one.plain is None else 3 for one in networks}
    assert [line.encode().decode("unicode_escape").encode("latin-1") for line in said.splitlines()] == [
        one.name for one in networks
    ]


def netplan(networks: list[Wifi]) -> str:
    """Return one file with the access points of the files for each of them."""
    files = [cloudinit(Wishes(wifi=one), BOOT).files["network-config"].decode() for one in networks]
    head, mark, _ = files[0].partition("access-points:\n")
    return head + mark + "".join(text.partition(mark)[2] for text in files)


def supplicant(network: Wifi) -> str:
    """Return the file that the script for bullseye writes."""
    script = firstrun(Wishes(wifi=network), "/boot").files["firstrun.sh"].decode()
    return script.partition("printf '%s' '")[2].partition("'")[0]


def test_cloud_inits_own_schema_has_nothing_against_what_is_written(place: Path) -> None:
    found = system(place, "trixie")
    several = [
        FULL,
        replace(FULL, password_hash=HASH),
        replace(FULL, ssh_keys=(), password_hash=HASH, wifi=wifi(b"caf\xe9", country="FR", is_hidden=True)),
        Wishes(hostname="7"),
        Wishes(wifi=wifi("no", "12345678", country="NO")),
    ]
    kinds = {"user-data": "cloud-config", "network-config": "network-config"}
    for wishes in several:
        files = cloudinit(wishes, BOOT).files
        for name in kinds.keys() & files:
            (found.root / name).write_bytes(files[name])
            words = ("--schema-type", kinds[name], "--config-file", f"/{name}")
            assert run("chroot", found.root, "cloud-init", "schema", *words) == f"Valid schema /{name}\n"
