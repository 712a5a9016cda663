"""What a program can and cannot do under the daemon's unit, on real systemd: it tries, and writes down the answers."""

import json
import shutil
from pathlib import Path

from nspawn import CHECKOUT, PYTHON, box, marks

from edgeagent.install.nouns import FILES

pytestmark = marks
PROBE = (
    f"#!{PYTHON}\n"
    """
import ctypes, json, mmap, os, pathlib, socket, time

def can(action):
    try:
        action()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "yes"

def writes(path):
    return can(lambda: open(path + "/.probe", "w").close())

def executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)

def unshare():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

state = os.environ["STATE_DIRECTORY"]
made = pathlib.Path(state, "made")
made.touch()
found = {
    "writes": {path: writes(path) for path in (
        state, os.environ["RUNTIME_DIRECTORY"], "/tmp", "/etc", "/etc/edgeagent", "/usr/local", "/opt", "/boot")},
    "mask": oct(made.stat().st_mode & 0o777),
    "others": [pid for pid in os.listdir("/proc") if pid.isdigit() and os.stat("/proc/" + pid).st_uid != os.getuid()],
    "homes": [path for path in ("/root/secret", "/home/secret", "/tmp/secret") if os.path.exists(path)],
    "memory": can(executable_memory),
    "namespace": can(unshare),
    "netlink": can(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "internet": can(lambda: socket.socket(socket.AF_INET)),
    "set-uid": can(lambda: made.chmod(0o4700)),
    "clock": can(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())),
    "log": can(lambda: open("/dev/kmsg").close()),
    "settings": can(lambda: open("/etc/edgeagent/edgeagent.toml").close()),
    "processors": bool(open("/proc/cpuinfo").read()),
    "password": open(os.environ["CREDENTIALS_DIRECTORY"] + "/edgeagent.broker-password").read(),
    "watchdog": os.environ.get("WATCHDOG_USEC"),
}
pathlib.Path(state, "probe.json").write_text(json.dumps(found))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
    out.connect(os.environ["NOTIFY_SOCKET"])
    out.sendall(b"READY=1")
time.sleep(3600)
"""
)


def test_the_daemon_has_its_folders_and_its_password_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "opt/edgeagent/venv/bin/edgeagent": PROBE,
        "etc/edgeagent/edgeagent.toml": "",
        "etc/credstore/edgeagent.broker-password": "geheim",
        **dict.fromkeys(("root/secret", "home/secret"), "not yours"),
    }
    machine = box(tmp_path, files)
    (machine.root / "opt/edgeagent/venv/bin/edgeagent").chmod(0o755)
    (machine.root / "boot").mkdir()
    for source, target in FILES.items():
        placed = machine.root / target.replace("usr/local", "local")
        placed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / source, placed)
    code, said = machine.does(
        "touch /tmp/secret\nsystemctl start edgeagent.service\npid=$(systemctl show -P MainPID edgeagent.service)\n"
        "cat /var/lib/edgeagent/probe.json; echo\ngrep -E '^(Groups|NoNewPrivs|CapEff):' /proc/$pid/status\n"
        "stat -c '%U %a' /var/lib/edgeagent /run/edgeagent\n"
    )
    assert code == 0, said + (machine.shared / "boot.log").read_text(errors="replace")[-2000:]
    first, *outside = said.splitlines()
    found = json.loads(first)
    allowed = {path for path, answer in found.pop("writes").items() if answer == "yes"}
    assert allowed == {"/var/lib/edgeagent", "/run/edgeagent", "/tmp"}  # noqa: S108  # its own
    refused = {name: found.pop(name) for name in ("memory", "namespace", "netlink", "set-uid", "clock", "log")}
    assert "yes" not in refused.values(), refused
    assert found == {
        "mask": "0o600", "others": [], "homes": [], "internet": "yes", "settings": "yes", "processors": True,
        "password": "geheim", "watchdog": str(30_000_000),
    }  # fmt: skip
    assert outside[0].split()[:2] == ["Groups:", "29"], "audio"
    assert sorted(outside[1:3]) == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1"]
    assert outside[3:5] == ["edgeagent 700", "edgeagent 700"]
