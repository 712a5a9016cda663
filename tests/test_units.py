"""systemd's own judgement of our units."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[1] / "systemd"
UNITS = sorted(path for path in SYSTEMD.rglob("*.*") if path.suffix in {".service", ".timer", ".path"})
EXPOSED_AT_MOST = {
    "edgeagent-broker.service": 20,  # a broker is on the network
    "edgeagent-firstboot.service": 36,  # root, once: it writes settings, erases the token, and enrols as its user
    "edgeagent-growroot.service": 37,  # root: it writes a table of partitions
}
"""Tenths of systemd's score, 16 for all others, the daemon with sound and network among them."""
PROGRAMS = (
    "opt/edgeagent/bin/edgeagent",
    "opt/edgeagent/venv/bin/edgeagent",
    "opt/edgeagent/libexec/growroot",
    "usr/sbin/mosquitto",
    "bin/kill",
    "bin/systemctl",
)
TARGETS = (
    *("sysinit", "basic", "shutdown", "timers", "time-sync", "time-set", "multi-user", "network", "network-online"),
    *("paths", "sound", "local-fs"),
)
IS_ROOT = os.geteuid() == 0

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "EDGEAGENT_CI" not in os.environ, reason="systemd-analyze is missing"
)


def analyze(*arguments: object) -> tuple[int, str]:
    found = subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    return found.returncode, found.stdout + found.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder that looks like a machine on which we are installed."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for program in PROGRAMS:
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    for unit in UNITS:
        shutil.copy(unit, units)
    for target in TARGETS:
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    return tmp_path


@pytest.mark.parametrize("unit", [path.name for path in UNITS])
def test_a_unit_is_right_and_names_programs_that_are_there(machine: Path, unit: str) -> None:
    code, said = analyze("verify", "--recursive-errors=no", f"--root={machine}", f"/etc/systemd/system/{unit}")
    ours = [line for line in said.splitlines() if "edgeagent" in line]
    assert (code, ours) == (0, []), said


@pytest.mark.parametrize("unit", [path.name for path in UNITS if path.suffix == ".service"])
def test_a_service_can_hardly_do_anything_else(machine: Path, unit: str) -> None:
    path = f"/etc/systemd/system/{unit}"
    most = EXPOSED_AT_MOST.get(unit, 16)
    code, said = analyze("security", "--offline=true", f"--threshold={most}", f"--root={machine}", path)
    assert code == 0, said


def test_a_unit_with_a_mistake_is_seen(machine: Path) -> None:
    unit = machine / "etc/systemd/system/edgeagent-wrong.service"
    unit.write_text("[Service]\nExecStart=/opt/edgeagent/bin/nothing\n")
    code, _ = analyze("verify", f"--root={machine}", "/etc/systemd/system/edgeagent-wrong.service")
    assert code != 0


def changed(machine: Path, old: str, new: str) -> str:
    """Put a mutant of the daemon's unit beside it; return its path in the machine."""
    unit = machine / "etc/systemd/system/edgeagent.service"
    text = unit.read_text()
    assert old in text
    unit.with_name("edgeagent-mutant.service").write_text(text.replace(old, new))
    return "/etc/systemd/system/edgeagent-mutant.service"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ExecStart=/opt/edgeagent/venv/bin/edgeagent", "ExecStart=/opt/edgeagent/venv/bin/edgagent"),
        ("WatchdogSec=30", "WatchdogSec=soon"),
        ("Restart=always", "Restarts=always"),
        ("Type=notify", "Type=notice"),
    ],
)
def test_a_daemons_unit_with_a_mistake_is_seen(machine: Path, old: str, new: str) -> None:
    _, said = analyze("verify", "--recursive-errors=no", f"--root={machine}", changed(machine, old, new))
    assert "edgeagent-mutant" in said


@pytest.mark.parametrize("given_up", ["RestrictNamespaces=yes", "CapabilityBoundingSet=", "SystemCallFilter="])
def test_a_daemon_that_may_do_more_is_seen(machine: Path, given_up: str) -> None:
    unit = changed(machine, f"\n{given_up}", "\n#")
    code, _ = analyze("security", "--offline=true", "--threshold=16", f"--root={machine}", unit)
    assert code != 0


EVERY_SERVICE = {
    *("NoNewPrivileges=yes", "CapabilityBoundingSet=", "UMask=0077", "SystemCallArchitectures=native"),
    *("ProtectSystem=strict", "ProtectHome=yes", "ProtectKernelTunables=yes", "ProtectKernelModules=yes"),
    *("ProtectKernelLogs=yes", "ProtectControlGroups=yes", "ProtectClock=yes", "ProtectHostname=yes"),
    *("ProtectProc=invisible", "PrivateTmp=yes", "PrivateUsers=yes", "RestrictNamespaces=yes", "RestrictRealtime=yes"),
    *("RestrictSUIDSGID=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes"),
}
"""The score has room for one or two of them: each is missed by name."""
OPEN = {
    "edgeagent-firstboot.service": {
        "CapabilityBoundingSet=",  # writes what is root's and the user's, and sets the clock
        *("ProtectClock=yes", "ProtectHostname=yes", "ProtectProc=invisible", "PrivateUsers=yes"),
    },
    "edgeagent-growroot.service": {
        "CapabilityBoundingSet=",  # changes the table of a disk, and a mounted file system
        *("ProtectSystem=strict", "ProtectKernelTunables=yes", "ProtectControlGroups=yes", "ProtectProc=invisible"),
        *("PrivateTmp=yes", "PrivateUsers=yes", "RestrictNamespaces=yes"),
    },
    "edgeagent-refresh-timestamp.service": {"UMask=0077"},  # a web server reads what it publishes
    "edgeagent-broker-reload.service": {"ProtectProc=invisible", "PrivateUsers=yes"},  # asks systemd as root
    "edgeagent-console.service": {"PrivateUsers=yes", "MemoryDenyWriteExecute=yes"},
}
DAEMON = {
    *("Type=notify", "NotifyAccess=main", "Restart=always", "RestartSec=2", "WatchdogSec=30", "TimeoutStartSec=120"),
    *("User=edgeagent", "Group=edgeagent", "SupplementaryGroups=audio", "DevicePolicy=closed"),
    *("DeviceAllow=char-alsa rw", "StateDirectory=edgeagent", "StateDirectoryMode=0700", "RuntimeDirectory=edgeagent"),
    *("RuntimeDirectoryMode=0700", "AmbientCapabilities=", "PrivateMounts=yes", "RemoveIPC=yes", "KeyringMode=private"),
    *("SystemCallFilter=~@privileged", "WantedBy=multi-user.target"),
}
"""What else the daemon's unit says, that nothing else would miss."""


FIRST_BOOT = {
    "Type=notify",
    "NotifyAccess=main",
    "TimeoutStartSec=120",
    "RuntimeMaxSec=900",
    "WantedBy=multi-user.target",
}
"""The daemon starts when it is ready, and does not wait for what hangs."""


@pytest.mark.parametrize("unit", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_a_service_gives_up_what_it_does_not_need_by_name(unit: Path) -> None:
    said = {line.strip() for line in unit.read_text().splitlines()}
    assert EVERY_SERVICE - said == OPEN.get(unit.name, set())
    own = {"edgeagent.service": DAEMON, "edgeagent-firstboot.service": FIRST_BOOT}.get(unit.name, set())
    assert own <= said, own - said


def test_the_daemon_comes_after_the_first_boot_and_that_after_the_root_has_grown() -> None:
    orders = {
        ("edgeagent.service", "After"): {"edgeagent-firstboot.service", "sound.target", "time-set.target"},
        ("edgeagent-firstboot.service", "Before"): {"edgeagent.service"},
        ("edgeagent-firstboot.service", "After"): {"edgeagent-growroot.service", "systemd-tmpfiles-setup.service"},
        ("edgeagent-growroot.service", "Before"): {"edgeagent-firstboot.service", "edgeagent.service"},
    }
    for (unit, key), others in orders.items():
        said = re.findall(rf"^{key}=(.*)$", (SYSTEMD / unit).read_text(), re.MULTILINE)
        assert others <= set(" ".join(said).split()), (unit, key)


def test_units_say_nothing_that_systemd_252_does_not_know() -> None:
    newer = ("RestartSteps", "RestartMaxDelaySec", "ImportCredential", "MemoryZSwapMax", "RestartMode", "PrivatePIDs")
    for unit in UNITS:
        keys = {line.partition("=")[0] for line in unit.read_text().splitlines() if not line.startswith("#")}
        assert not keys & set(newer), unit.name


def test_a_call_that_is_denied_fails_and_kills_nothing() -> None:
    for name in ("edgeagent.service", "edgeagent-update.service", "edgeagent-firstboot.service"):
        assert "SystemCallErrorNumber=EPERM" in (SYSTEMD / name).read_text().splitlines(), name


def test_the_user_and_every_group_that_a_board_may_name_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\naudio:x:29:\n")
    for _ in range(2):
        done = subprocess.run(
            ["systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "sysusers.d/edgeagent.conf"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, IS_ROOT) in {(0, True), (1, False)}, done.stderr
    if not IS_ROOT:
        pytest.skip("users are made by root")
    groups = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert {"edgeagent", "audio", "gpio", "spi", "i2c"} <= set(groups)
    assert groups["audio"][2:] == ["29", "edgeagent"], "one that is there keeps its number"
    user = next(one for one in (tmp_path / "etc/passwd").read_text().splitlines() if one.startswith("edgeagent:"))
    assert user.endswith(":/var/lib/edgeagent:/usr/sbin/nologin")


@pytest.mark.skipif(not IS_ROOT, reason="only root gives files away")
def test_nobody_else_reads_settings_and_state(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "edgeagent").mkdir(parents=True)
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\nedgeagent:x:990:991::/:/bin/false\n")
    (etc / "group").write_text("root:x:0:\nedgeagent:x:991:\n")
    settings = etc / "edgeagent/edgeagent.toml"
    settings.touch(mode=0o644)
    tmpfiles = SYSTEMD / "tmpfiles.d/edgeagent.conf"
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={tmp_path}", tmpfiles], check=True)
    found = {
        path: (f"{path.stat().st_mode & 0o777:o}", path.stat().st_uid, path.stat().st_gid)
        for path in (settings, settings.parent, tmp_path / "var/lib/edgeagent")
    }
    assert list(found.values()) == [("640", 0, 991), ("750", 0, 991), ("700", 990, 991)]


def test_groups_of_rules_are_made_and_rules_have_the_form_of_rules() -> None:
    made = {line.split()[1] for line in (SYSTEMD / "sysusers.d/edgeagent.conf").read_text().splitlines() if line}
    for line in (SYSTEMD / "udev/70-edgeagent.rules").read_text().splitlines():
        if line.startswith("#"):
            continue
        parts = line.split(", ")
        assert all(re.fullmatch(r'[A-Z]+(\{\w+\})?(==|\+?=)"[^"]+"', part) for part in parts), line
        assert {part[7:-1] for part in parts if part.startswith("GROUP=")} <= made


def test_the_broker_runs_what_the_console_writes_and_sees_none_of_its_keys() -> None:
    text = next(path for path in UNITS if path.name == "edgeagent-broker.service").read_text()
    assert "-c /etc/edgeagent-broker/broker/mosquitto.conf" in text
    assert "InaccessiblePaths=-/etc/edgeagent-broker/authority" in text
    watched = next(path for path in UNITS if path.suffix == ".path").read_text()
    assert "PathChanged=/etc/edgeagent-broker/broker/crl.pem" in watched
