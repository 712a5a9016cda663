"""A first boot that loses its power, or is killed, at every change of the disk: the next start goes on to the end.

The whole run is recorded by strace, applied call by call to a disk that forgets what was not synced, and begun anew on
what that leaves, at the same broker, and with the console's database as it was at that moment.
"""

import asyncio
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO
from console.hardened_broker import HardenedBroker, answering_console, database, hardened_broker, token
from provision.first_boots import SERIAL, NewDevice, card_for, files_below, put
from update.forgetful_disk import CHANGING, Call, ForgetfulDisk, Policy, calls_of

from edgeagent.console.database import Database
from edgeagent.errors import EdgeAgentError
from edgeagent.fleet import identity
from edgeagent.provision.enrol_file import EnrolFile
from edgeagent.provision.first_boot_enrolling import enrolled
from edgeagent.settings import load

pytestmark = [
    pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]
POLICIES: tuple[Policy, ...] = ("synced", "names", "some")
TRACED = f"trace={','.join(CHANGING)}"


def enrol_here(card: EnrolFile, state_dir: Path, serial: str, deadline_s: float) -> tuple[str, str]:
    """The same as beside, without starting Python once more."""
    return asyncio.run(enrolled(card, state_dir, serial, deadline_s))


@dataclass
class Recorded:
    """A first boot from its beginning to its end."""

    broker: HardenedBroker
    work: Path
    calls: list[Call]
    asked_at: int
    secret: str
    claim_key: str

    def console(self, *, is_asked: bool) -> Database:
        """The console's database as it was before, or after the token was used."""
        scratch = self.work / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(self.work / ("after" if is_asked else "before"), scratch)
        return Database(f"sqlite:///{scratch}/console.db")

    def fresh(self, name: str) -> NewDevice:
        shutil.rmtree(self.work / name, ignore_errors=True)
        shutil.copytree(self.work / "prepared", self.work / name)
        return device_at(self.work / name)


def device_at(root: Path) -> NewDevice:
    """A device that is there already."""
    found = NewDevice.__new__(NewDevice)
    blank = NewDevice(root.parent / "blank")
    shutil.rmtree(blank.root)
    found.__dict__.update(vars(blank) | {"root": root})
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    work = tmp_path_factory.mktemp("cuts")
    with hardened_broker(work / "broker") as broker:
        (work / "after").mkdir()
        made = database(work / "after")
        secret = token(made, serial=SERIAL)
        made.close()
        shutil.copytree(work / "after", work / "before")
        card = card_for(broker, secret)
        put(NewDevice(work / "prepared"), card)
        shutil.copytree(work / "prepared", work / "recorded")
        log = work / "log"
        options = ("-y", "-xx", "-s", "100000", "-o", str(log), "-e", TRACED)
        made = Database(f"sqlite:///{work}/after/console.db")
        ended = asyncio.run(meanwhile(broker, made, device_at(work / "recorded"), *options))
        made.close()
        assert ended == 0
        calls = calls_of(log.read_text())
        asked_at = next(i for i, call in enumerate(calls) if call.name == "mkdir" and b".new" in text(call))
        yield Recorded(broker, work, calls, asked_at, secret, card.claim_key.get_secret_value())


async def meanwhile(broker: HardenedBroker, made: Database, device: NewDevice, *strace: str) -> int:
    """Run the program while the console answers."""
    async with answering_console(broker, made):
        ended = await asyncio.to_thread(lambda: device.command(*strace, wait_s=20.0))
    return ended.returncode


async def again(broker: HardenedBroker, made: Database, device: NewDevice) -> int:
    async with answering_console(broker, made):
        return await asyncio.to_thread(device.boots, enrol_here)


def text(call: Call) -> bytes:
    return b"".join(bytes.fromhex(one.strip('"').replace("\\x", "")) for one in call.arguments if one[:3] == '"\\x')


def problem(recorded: Recorded, left: Path, *, is_asked: bool) -> str:
    """Return what is wrong with what a cut has left, or with what comes of it."""
    device = device_at(left)
    for key in left.rglob("key.pem"):
        key.chmod(0o600)  # the model has no modes; mkstemp makes no others
    if device.settings.exists():
        try:
            load(device.settings)
        except EdgeAgentError as error:
            return f"the daemon could not start: {error}"
    is_gone = not device.enrol_toml.exists() or recorded.secret.encode() not in device.enrol_toml.read_bytes()
    has_identity = (device.state / "identity/current").is_symlink()
    if is_gone and not has_identity:
        return "the token is gone, and there is no identity"
    has_key = any((device.state / "identity").rglob("key.pem"))
    made = recorded.console(is_asked=is_asked or has_key)
    try:
        code = asyncio.run(again(recorded.broker, made, device))
    finally:
        made.close()
    return _ended(recorded, device, code)


def _ended(recorded: Recorded, device: NewDevice, code: int) -> str:
    if code:
        return f"ended with {code}: {device.said}"
    found = identity.current(device.state)
    settings = load(device.settings)
    if found is None or settings.fleet.broker is None or settings.device.id != "kitchen":
        return f"not enrolled: {found}, {device.said}"
    if (device.root / "etc/hostname").read_text() != "new-1\n":
        return "the host has no name"
    secrets = recorded.secret.encode(), recorded.claim_key.encode()
    kept = [path for path, content in files_below(device.root) if any(one in content for one in secrets)]
    return f"secrets in {kept}" if kept or device.enrol_toml.exists() else ""


def cuts(recorded: Recorded, every: int) -> Iterator[tuple[str, Path, bool]]:
    """Yield each place and policy with what a power cut there leaves, and whether the console had been asked."""
    draw = random.Random(8)  # noqa: S311  # which of the lots
    disk = ForgetfulDisk(recorded.fresh("recorded").root)
    changes = 0
    for place, call in enumerate(recorded.calls):
        if not disk.apply(call):
            continue
        changes += 1
        for number, policy in enumerate(POLICIES):
            if (changes + number) % every:
                continue
            left = recorded.work / "recorded"  # the settings name their folders whole
            shutil.rmtree(left, ignore_errors=True)
            disk.leave(left, policy, draw)
            yield f"{policy} after {place} {call.name}", left, place >= recorded.asked_at


def test_a_power_cut_at_some_changes_is_a_start_in_the_middle(recorded: Recorded) -> None:
    found = [(name, problem(recorded, left, is_asked=asked)) for name, left, asked in cuts(recorded, 9)]
    assert len(found) > 15
    assert [one for one in found if one[1]] == []


@pytest.mark.slow
def test_a_power_cut_at_any_change_is_a_start_in_the_middle(recorded: Recorded) -> None:
    found = [(name, problem(recorded, left, is_asked=asked)) for name, left, asked in cuts(recorded, 1)]
    print(f"points={len(found)} bad={sum(bool(one[1]) for one in found)}")  # noqa: T201  # the score
    assert [one for one in found if one[1]] == []


KILLS = (
    *(("fsync", nth) for nth in range(1, 16, 2)),
    *(("rename", nth) for nth in range(1, 10, 2)),
    *(("unlink", nth) for nth in range(1, 4)),
    *(("mkdir", nth) for nth in range(1, 8, 2)),
)
"""System calls and which of them, counted in each process: the first boot's, and that of the one who enrols."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_process_that_is_killed_at_any_of_its_steps_is_begun_anew(recorded: Recorded) -> None:
    found, killed = [], 0
    for name, nth in KILLS:
        device = recorded.fresh("recorded")
        made = recorded.console(is_asked=False)
        inject = ("-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={nth}")
        try:
            code = asyncio.run(meanwhile(recorded.broker, made, device, *inject))
            killed += code != 0 or device.enrol_toml.exists()
            ended = asyncio.run(again(recorded.broker, made, device))
        finally:
            made.close()
        found.append((f"{name} {nth}", _ended(recorded, device, ended)))
    assert killed > len(KILLS) // 2
    assert [one for one in found if one[1]] == []
