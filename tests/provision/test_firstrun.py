"""The first-run script: sound for every shell, run for real on a scratch root, and safe against what it is given."""

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from provision_wishes import BOOT, FULL, HASH, KEY

from edgeagent.provision.cmdline import edited
from edgeagent.provision.formats.firstrun import firstrun
from edgeagent.provision.wifi import wifi
from edgeagent.provision.wishes import Wishes

CMDLINE = b"console=serial0,115200 root=PARTUUID=1 rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n"
ACCOUNTS = "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/ada:/bin/bash\n"
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def run_once(root: Path, wishes: Wishes) -> Path:
    """Lay out a root like Raspberry Pi OS's, put the script on its boot partition, run it, and return the partition."""
    boot = root / BOOT.lstrip("/")
    boot.mkdir(parents=True)
    for folder in ("etc/NetworkManager", "home/ada", "var/lib/systemd/rfkill"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(ACCOUNTS)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1\traspberrypi\n")
    (root / "var/lib/systemd/rfkill/platform:wlan").write_text("1\n")
    edits = firstrun(wishes, BOOT)
    script = boot / "firstrun.sh"
    script.write_bytes(edits.files["firstrun.sh"])
    (boot / "cmdline.txt").write_bytes(edited(CMDLINE, words=edits.words, dropped=edits.dropped))
    subprocess.run(["sh", script], env={**os.environ, "EDGEAGENT_ROOT": str(root)}, check=True, capture_output=True)
    return boot


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_every_shell_takes_the_script(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "firstrun.sh"
    script.write_bytes(firstrun(replace(FULL, password_hash=HASH), BOOT).files["firstrun.sh"])
    subprocess.run([shell, "-n", script], check=True)


@pytest.mark.skipif(not IS_ROOT, reason="gives files to user 1000: run as root")
def test_the_script_puts_all_in_place_and_then_itself_away(tmp_path: Path) -> None:
    boot = run_once(tmp_path, FULL)
    etc = tmp_path / "etc"
    assert (etc / "hostname").read_text() == "kitchen\n"
    assert (etc / "hosts").read_text() == "127.0.0.1 localhost\n127.0.1.1\tkitchen\n"
    assert (etc / "timezone").read_text() == "Europe/Berlin\n"
    assert (etc / "localtime").readlink() == Path("/usr/share/zoneinfo/Europe/Berlin")
    assert 'XKBLAYOUT="de"' in (etc / "default/keyboard").read_text()
    assert (etc / "default/locale").read_text() == "LANG=de_DE.UTF-8\n"
    keys = tmp_path / "home/ada/.ssh/authorized_keys"
    assert keys.read_text() == f"{KEY}\n"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert keys.stat().st_uid == 1000
    assert (etc / "ssh/sshd_config.d/10-edgeagent.conf").read_text() == "PasswordAuthentication no\n"
    assert (boot / "userconf.txt").read_text() == "ada:!\n"
    wireless = etc / "NetworkManager/system-connections/edgeagent-wifi.nmconnection"
    assert FULL.wifi
    assert wireless.read_text() == FULL.wifi.connection()
    assert stat.S_IMODE(wireless.stat().st_mode) == 0o600
    assert (tmp_path / "var/lib/systemd/rfkill/platform:wlan").read_text() == "0\n"
    assert not (boot / "firstrun.sh").exists()
    assert (boot / "cmdline.txt").read_bytes() == CMDLINE.rstrip() + b" cfg80211.ieee80211_regdom=DE\n"


def test_the_agent_is_installed_at_the_next_boot_and_again_until_it_is(tmp_path: Path) -> None:
    run_once(tmp_path, Wishes(bundle=Path("bundle.tar")))
    units = tmp_path / "etc/systemd/system"
    link = units / "multi-user.target.wants/edgeagent-install.service"
    assert link.resolve() == (units / "edgeagent-install.service").resolve()
    text = link.read_text()
    assert "ExecStart=/bin/sh /boot/firmware/edgeagent/install.sh\n" in text
    itself = "/etc/systemd/system/multi-user.target.wants/edgeagent-install.service"
    assert f"ExecStartPost=/bin/rm -f {itself} /etc/systemd/system/edgeagent-install.service\n" in text


@pytest.mark.parametrize("name", [b"'; touch /tmp/owned; '", b"$(reboot)", b"`id`", b'caf\xe9\n"\\', "カフェ".encode()])
def test_no_name_is_a_command_to_the_shell(tmp_path: Path, name: bytes) -> None:
    wishes = Wishes(wifi=wifi(name, "12345678", country="DE"))
    run_once(tmp_path, wishes)
    found = (tmp_path / "etc/NetworkManager/system-connections/edgeagent-wifi.nmconnection").read_text()
    assert wishes.wifi
    assert found == wishes.wifi.connection()


def test_where_there_is_no_networkmanager_wpa_supplicant_is_told(tmp_path: Path) -> None:
    wishes = Wishes(wifi=wifi(b"caf\xe9", "12345678", country="FR", is_hidden=True))
    edits = firstrun(wishes, "/boot")
    assert wishes.wifi
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/cmdline.txt").write_bytes(CMDLINE)
    (tmp_path / "boot/firstrun.sh").write_bytes(edits.files["firstrun.sh"])
    environment = {**os.environ, "EDGEAGENT_ROOT": str(tmp_path)}
    subprocess.run(["sh", tmp_path / "boot/firstrun.sh"], env=environment, check=True, capture_output=True)
    found = (tmp_path / "etc/wpa_supplicant/wpa_supplicant.conf").read_text()
    assert f"\tssid=636166e9\n\tscan_ssid=1\n\tpsk={wishes.wifi.key}\n" in found
    assert edits.words[1] == "systemd.run=/boot/firstrun.sh"


def test_bookworms_own_first_boot_has_no_reason_to_turn_networkmanager_off() -> None:
    script = firstrun(Wishes(wifi=wifi("home", "12345678", country="DE")), BOOT).files["firstrun.sh"]
    assert b"wpa_supplicant.conf" not in script  # what fix_wpa in raspberrypi-sys-mods looks for


def test_the_wifi_key_is_overwritten_before_the_script_is_deleted(tmp_path: Path) -> None:
    wishes = Wishes(wifi=wifi("home", "correct horse", country="DE"))
    kept = tmp_path / "kept"
    boot = tmp_path / "boot/firmware"
    boot.mkdir(parents=True)
    (boot / "cmdline.txt").write_bytes(CMDLINE)
    (boot / "firstrun.sh").write_bytes(firstrun(wishes, BOOT).files["firstrun.sh"])
    os.link(boot / "firstrun.sh", kept)  # another name for the same bytes
    environment = {**os.environ, "EDGEAGENT_ROOT": str(tmp_path)}
    subprocess.run(["sh", boot / "firstrun.sh"], env=environment, check=True, capture_output=True)
    assert not kept.read_bytes().strip(b"\0")
