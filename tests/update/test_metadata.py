"""What is trusted, against those who own the server, the disk, the clock, or some of the keys."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from update.hostile import NEW, Repository, Server, endless, in_days, serving, status, trickle

from edgeagent.errors import UpdateError
from edgeagent.update import nouns as seams
from edgeagent.update.durable_updater import Limits
from edgeagent.update.floor import FileShelf, Floor, FloorKeeper, Signed, decode, encode
from edgeagent.update.metadata import TrustedMetadata
from edgeagent.update.nouns import Target
from edgeagent.update.patient_http import Patience
from edgeagent.update.safe_names import is_safe
from edgeagent.update.transports import HttpTransport
from edgeagent.update.trusted_set import FlooredMetadataSet
from edgeagent.update.trusted_time import BoardClock

HASTY = Patience(window_s=0.5, connect_s=2.0)
BUILT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Device:
    """A folder with a root of trust, and a server; `restart` is what a process has after a reboot."""

    folder: Path
    root: bytes | None
    server: Server
    stack: ExitStack
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], tuple[datetime, bool]] = lambda: (datetime.now(UTC), True)
    built: datetime = BUILT

    def restart(self) -> TrustedMetadata:
        transport = HttpTransport(self.server.address, patience=HASTY)
        self.stack.callback(transport.close)
        return TrustedMetadata(
            self.folder / "tuf",
            [transport],
            bootstrap=self.root,
            clock=BoardClock(self.clock, self.built),
            second_floor=FileShelf(self.folder / "state" / "floor.json"),
            limits=self.limits,
        )

    def refreshed(self) -> TrustedMetadata:
        metadata = self.restart()
        metadata.refresh()
        return metadata

    def refusal(self) -> str:
        with pytest.raises(UpdateError) as refused:
            self.restart().refresh()
        return refused.value.code


@contextmanager
def device_of(repository: Repository, folder: Path) -> Iterator[Device]:
    with ExitStack() as stack, serving(repository.files) as server:
        yield Device(folder, repository.first_root, server, stack)


def filled() -> Repository:
    repository = Repository()
    repository.add("wake/1.json", b"{}")
    repository.release("targets")
    return repository


def test_a_target_is_told_with_its_length_hash_and_what_the_signer_adds(tmp_path: Path) -> None:
    repository = Repository()
    repository.add("wake/1.json", b"abc", custom={"abi": 1})
    repository.release("targets")
    with device_of(repository, tmp_path) as device:
        metadata: seams.Repository = device.refreshed()
        assert isinstance(metadata, TrustedMetadata)
        sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert metadata.target("wake/1.json") == Target("wake/1.json", 3, sha, {"abi": 1})
        assert metadata.target("wake/2.json") is None
        assert metadata.path_of(Target("wake/1.json", 3, sha)) == f"targets/wake/{sha}.1.json"
        assert metadata.version == 2
        assert device.restart().version == 2


def test_a_family_has_the_names_that_its_delegations_allow(tmp_path: Path) -> None:
    repository = Repository()
    repository.delegate("rel-wake", ["wake/*", "wake/files/*"])
    repository.delegate("rel-model", ["model/*"])
    for name in ("wake/1.json", "wake/files/ab", "model/9.json"):
        repository.add(name, b"x", "rel-wake")
    repository.add("model/1.json", b"x", "rel-model")
    repository.release("rel-wake", "rel-model", "targets")
    with device_of(repository, tmp_path) as device:
        metadata = device.refreshed()
        assert metadata.names("wake") == ("wake/1.json", "wake/files/ab")
        assert metadata.names("model") == ("model/1.json",)
        assert metadata.names("other") == ()


@pytest.mark.parametrize("root", [None, b""])
def test_a_device_without_a_root_of_trust_refuses(tmp_path: Path, root: bytes | None) -> None:
    with device_of(filled(), tmp_path) as device:
        device.root = root
        assert device.refusal() == "no-root"


def test_nothing_is_a_target_before_a_refresh(tmp_path: Path) -> None:
    with device_of(filled(), tmp_path) as device, pytest.raises(UpdateError, match="before a refresh"):
        device.restart().target("wake/1.json")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_a1_what_nobody_signed_is_refused_and_what_was_trusted_stays(tmp_path: Path, role: str) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        metadata = device.refreshed()
        repository.signers[role] = [NEW()]
        repository.publish("root") if role == "root" else repository.release("targets")
        with pytest.raises(UpdateError) as refused:
            metadata.refresh()
        assert refused.value.code == "unsigned"
        assert metadata.target("wake/1.json") is not None
        assert metadata.version == 2


@pytest.mark.parametrize("kind", ["another id", "another scheme", "other line breaks"])
def test_a2_one_key_under_two_ids_counts_once(tmp_path: Path, kind: str) -> None:
    repository = Repository()
    one = CryptoSigner.generate_rsa()
    told = one.public_key.to_dict()
    if kind == "another scheme":
        told["scheme"] = "rsa-pkcs1v15-sha256"
    if kind == "other line breaks":
        told["keyval"]["public"] = told["keyval"]["public"].strip() + "\n\n"
    again = CryptoSigner(one._private_key, type(one.public_key).from_dict("the-same", told))  # noqa: SLF001
    repository.root.roles["targets"].keyids.clear()
    repository.signers["targets"].clear()
    repository.add_key("targets", one)
    repository.add_key("targets", again)
    repository.root.roles["targets"].threshold = 2
    repository.publish("root")
    repository.release("targets")
    with device_of(repository, tmp_path) as device:
        assert device.refusal() == "unsigned"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a3_what_is_older_is_refused(tmp_path: Path, role: str) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        metadata = device.refreshed()
        repository.signed[role].version = 1
        if role == "timestamp":
            repository.publish("timestamp", bump=False)
        else:
            repository.put(role, repository.sign(role))
            repository.publish(*(["snapshot"] if role == "targets" else []), "timestamp")
        with pytest.raises(UpdateError) as refused:
            metadata.refresh()
        assert refused.value.code == "rollback"


def _zero(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        path.write_bytes(bytes(path.stat().st_size))


def _empty(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        path.write_bytes(b"")


def _lose(folder: Path) -> None:
    shutil.rmtree(folder)


def _restore(folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name(f"{folder.name}.older"), folder)


@pytest.mark.parametrize("damage", [_zero, _lose, _restore])
@pytest.mark.parametrize("where", ["tuf", "state"])
@pytest.mark.parametrize("role", ["timestamp", "targets", "root"])
def test_a4_lost_metadata_never_lowers_the_floor(
    tmp_path: Path, damage: Callable[[Path], None], where: str, role: str
) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        device.refreshed()
        for folder in ("tuf", "state"):
            shutil.copytree(tmp_path / folder, tmp_path / f"{folder}.older")
        older = dict(repository.files)
        version = repository.signed["targets"].version
        if role == "root":
            repository.publish("root")
        repository.release("targets")
        device.refreshed()
        damage(tmp_path / where)
        repository.files.clear()
        repository.files.update(older)
        if role == "targets":  # stolen online keys sign newer ones over what is older
            repository.signed["targets"].version = version
            repository.put("targets", repository.sign("targets"))
            repository.publish("snapshot", "timestamp")
        assert device.refusal() == "rollback"


def test_a4_both_copies_lost_the_metadata_itself_is_the_floor(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        older = dict(repository.files)
        repository.release("targets")
        device.refreshed()
        shutil.rmtree(tmp_path / "tuf" / "floor")
        shutil.rmtree(tmp_path / "state")
        repository.files.clear()
        repository.files.update(older)
        assert device.refusal() == "rollback"


@pytest.mark.parametrize("damage", [_zero, _empty, _lose])
def test_damaged_metadata_is_set_aside_and_fetched_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    with device_of(filled(), tmp_path) as device:
        device.refreshed()
        good = {path: path.read_bytes() for path in (tmp_path / "tuf").glob("*.json")}
        damage(tmp_path / "tuf")
        device.refreshed()
        assert {path: path.read_bytes() for path in (tmp_path / "tuf").glob("*.json")} == good
        if damage is not _lose:
            assert sorted(path.name for path in (tmp_path / "tuf" / "damaged").iterdir()) == [
                "snapshot.json",
                "targets.json",
                "timestamp.json",
            ]


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_a5_expired_metadata_is_refused_and_what_runs_is_left_alone(tmp_path: Path, role: str) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        metadata = device.refreshed()
        repository.signed[role].expires = in_days(-1)
        repository.publish("root") if role == "root" else repository.release("targets")
        with pytest.raises(UpdateError) as refused:
            metadata.refresh()
        assert refused.value.code == "expired"
        assert metadata.target("wake/1.json") is not None


def test_a5_what_expires_while_the_process_lives_is_no_longer_used(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        now = [datetime.now(UTC)]
        device.clock = lambda: (now[0], True)
        metadata = device.refreshed()
        now[0] += timedelta(days=60)
        with pytest.raises(UpdateError) as refused:
            metadata.target("wake/1.json")
        assert refused.value.code == "expired"


def test_a6_mix_and_match_is_refused(tmp_path: Path) -> None:
    repository = Repository(has_hashes=True)
    repository.release("targets")
    with device_of(repository, tmp_path) as device:
        device.refreshed()
        repository.release("targets")
        repository.files["metadata/3.targets.json"] = repository.files["metadata/3.targets.json"][:-1] + b" "
        assert device.refusal() == "mismatch"
        repository.files["metadata/3.targets.json"] = repository.files["metadata/2.targets.json"]
        assert device.refusal() == "mismatch"


def test_a7_after_a_recovery_what_the_old_keys_signed_is_refused(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        repository.signed["timestamp"].version = 99_999
        repository.publish("timestamp")
        device.refreshed()
        forwarded = repository.files["metadata/timestamp.json"]
        repository.rotate("timestamp")
        repository.publish("root")
        repository.signed["timestamp"].version = 1
        repository.publish("timestamp")
        device.refreshed()
        fresh = repository.files["metadata/timestamp.json"]
        repository.files["metadata/timestamp.json"] = forwarded
        assert device.refusal() == "unsigned"
        repository.publish("timestamp")
        device.refreshed()
        _lose(tmp_path / "tuf")
        repository.files["metadata/timestamp.json"] = fresh
        assert device.refusal() == "rollback"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a7_a_version_that_the_floor_could_not_hold_is_refused(tmp_path: Path, role: str) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        device.refreshed()
        repository.signed[role].version = 2**60
        repository.release("targets")
        assert device.refusal() == "bad-metadata"
        assert decode((tmp_path / "state" / "floor.json").read_bytes()).timestamp.versions["timestamp"] < 9


def test_the_newest_root_stays_told_while_the_chain_is_followed_again(tmp_path: Path) -> None:
    repository = filled()
    repository.publish("root")
    with device_of(repository, tmp_path) as device:
        device.refreshed()
        before = (tmp_path / "tuf" / "root.json").stat().st_mtime_ns
        device.refreshed()
        assert (tmp_path / "tuf" / "root.json").stat().st_mtime_ns == before


def test_a7_a_key_that_is_added_does_not_lower_the_floor(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        older = repository.files["metadata/timestamp.json"]
        repository.publish("timestamp")
        device.refreshed()
        repository.add_key("timestamp", NEW())
        repository.publish("root")
        repository.files["metadata/timestamp.json"] = older
        _lose(tmp_path / "tuf")
        assert device.refusal() == "rollback"


@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json", "2.snapshot.json", "2.targets.json"])
def test_a8_endless_metadata_is_left_at_its_bound(tmp_path: Path, name: str) -> None:
    with device_of(filled(), tmp_path) as device:
        device.server.behaviours[f"metadata/{name}"] = endless
        assert device.refusal() == "too-long"


def test_a9_metadata_that_trickles_is_left(tmp_path: Path) -> None:
    with device_of(filled(), tmp_path) as device:
        device.server.behaviours["metadata/timestamp.json"] = trickle
        assert device.refusal() == "too-slow"
        del device.server.behaviours["metadata/timestamp.json"]
        device.refreshed()


def test_a10_a_gap_in_the_chain_of_roots_ends_it(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        repository.publish("root", "root")
        del repository.files["metadata/2.root.json"]
        device.refreshed()
        assert device.server.paths()[0] == "metadata/2.root.json"
        assert json.loads((tmp_path / "tuf" / "root.json").read_bytes())["signed"]["version"] == 1


def test_a10_a_root_that_skips_a_version_is_refused(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        repository.publish("root", "root")
        repository.files["metadata/2.root.json"] = repository.files["metadata/3.root.json"]
        assert device.refusal() == "rollback"


def test_a10_many_rotations_are_followed_a_bounded_number_at_a_time(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        for _ in range(70):
            repository.rotate_root()
        assert device.refusal() == "too-many-roots"
        assert len([path for path in device.server.paths() if path.endswith("root.json")]) == 33
        assert device.refusal() == "too-many-roots"
        device.refreshed()
        device.server.asked.clear()
        device.refreshed()  # 70 roots lie here, more than one refresh may fetch
        assert device.server.paths()[0] == "metadata/72.root.json"


@pytest.mark.parametrize("name", ["../a", "a/../b", "a/%2e%2e/b", "a%2Fb", "/a", "a\\b", "a//b", "", "a/\0", "x" * 999])
def test_a11_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        metadata = device.refreshed()
        for ask in (metadata.target, metadata.names):
            with pytest.raises(UpdateError) as refused:
                ask(name)
            assert refused.value.code == "bad-name"
    assert not is_safe(name)


def test_a11_signed_names_that_lead_out_are_not_listed(tmp_path: Path) -> None:
    repository = Repository()
    for name in ("wake/../../etc/passwd", "wake/%2e%2e/x", "wake/good"):
        repository.add(name, b"x")
    repository.release("targets")
    with device_of(repository, tmp_path) as device:
        assert device.refreshed().names("wake") == ("wake/good",)


def test_a11_delegations_without_end_are_left(tmp_path: Path) -> None:
    repository = Repository()
    for depth in range(60):
        repository.delegate(f"r{depth}", ["*"], f"r{depth - 1}" if depth else "targets")
    repository.add("deep", b"x", "r59")
    repository.release(*(f"r{depth}" for depth in range(60)), "targets")
    with device_of(repository, tmp_path) as device:
        metadata = device.refreshed()
        assert metadata.target("deep") is None
        assert len([path for path in device.server.paths() if "/1.r" in path]) <= 33


def test_a11_four_billion_bins_are_not_visited(tmp_path: Path) -> None:
    repository = Repository()
    repository.delegate_bins("bin", 1)
    delegations = repository.targets().delegations
    assert delegations is not None
    assert delegations.succinct_roles is not None
    delegations.succinct_roles.bit_length = 32
    delegations.succinct_roles.number_of_bins = 2**32
    delegations.succinct_roles.suffix_len = 8
    repository.release("targets")
    with device_of(repository, tmp_path) as device, pytest.raises(UpdateError) as refused:
        device.refreshed().names("wake")
    assert refused.value.code == "bad-metadata"


def test_a12_a_role_that_another_delegates_to_is_verified_again(tmp_path: Path) -> None:
    repository = Repository()
    repository.delegate("A", ["a/*"])
    repository.delegate("B", ["b/*"])
    repository.delegate("shared", ["a/*"], "A")
    honest = list(repository.signers["shared"])
    repository.delegate("shared", ["b/*"], "B")  # with another key, which does not sign
    repository.signers["shared"] = honest
    for name in ("a/file", "b/file"):
        repository.add(name, b"x", "shared")
    repository.release("shared", "A", "B", "targets")
    with device_of(repository, tmp_path) as device:
        metadata = device.refreshed()
        assert metadata.target("a/file") is not None
        with pytest.raises(UpdateError) as refused:
            metadata.target("b/file")
        assert refused.value.code == "unsigned"


@pytest.mark.parametrize("year", [1970, 2099])
def test_a14_a_wrong_clock_neither_bricks_nor_accepts_what_is_expired(tmp_path: Path, year: int) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        device.built = datetime.now(UTC) - timedelta(days=10)
        device.clock = lambda: (datetime(year, 1, 1, tzinfo=UTC), False)
        metadata = device.refreshed()
        assert not metadata.is_clock_trusted
        assert metadata.target("wake/1.json") is not None
        repository.signed["timestamp"].expires = in_days(-11)
        repository.publish("timestamp")
        assert device.refusal() == "expired"


def test_a14_the_last_good_time_outlives_a_clock_that_falls_back(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        assert device.refreshed().is_clock_trusted
        _lose(tmp_path / "tuf")
        device.clock = lambda: (datetime(2026, 2, 1, tzinfo=UTC), True)  # after the build, before the last good time
        repository.signed["timestamp"].expires = in_days(-1)
        repository.publish("timestamp")
        assert device.refusal() == "expired"
        repository.signed["timestamp"].expires = in_days(9)
        repository.publish("timestamp")
        assert not device.refreshed().is_clock_trusted


def test_a14_a_trusted_clock_in_2099_refuses_and_recovers(tmp_path: Path) -> None:
    with device_of(filled(), tmp_path) as device:
        device.clock = lambda: (datetime(2099, 1, 1, tzinfo=UTC), True)
        assert device.refusal() == "expired"
        device.clock = lambda: (datetime.now(UTC), True)
        assert device.refreshed().is_clock_trusted


def test_a15_stolen_online_keys_install_nothing(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        device.refreshed()
        repository.signers["targets"] = [NEW()]
        repository.add("wake/2.json", b"wicked")
        repository.release("targets")
        assert device.refusal() == "unsigned"


def test_a15_a_length_that_stolen_keys_announce_is_no_bound(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        device.limits = Limits(snapshot_bytes=100_000)
        repository.signed["timestamp"].snapshot_meta.length = 10**12
        repository.publish("timestamp")
        device.server.behaviours["metadata/2.snapshot.json"] = endless
        assert device.refusal() == "too-long"


def test_an_empty_server_a_foreign_one_and_none(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device:
        repository.files.clear()
        assert device.refusal() == "absent"
        repository.files.update(Repository().files)
        assert device.refusal() == "unsigned"
        device.server.behaviours["metadata/timestamp.json"] = status(503)
        assert device.refusal() == "unreachable"
        device.server.address = "http://127.0.0.1:9/"
        assert device.refusal() == "unreachable"


def test_a_second_transport_serves_when_the_first_does_not(tmp_path: Path) -> None:
    repository = filled()
    with device_of(repository, tmp_path) as device, serving({}) as empty:
        transports = [HttpTransport("http://127.0.0.1:9/"), HttpTransport(empty.address)]
        transports.append(HttpTransport(device.server.address))
        for transport in transports:
            device.stack.callback(transport.close)
        clock = BoardClock(device.clock, BUILT)
        metadata = TrustedMetadata(tmp_path / "tuf", transports, bootstrap=device.root, clock=clock)
        metadata.refresh()
        assert metadata.version == 2


def test_what_a_power_cut_left_is_swept_and_nothing_is_written_twice(tmp_path: Path) -> None:
    with device_of(filled(), tmp_path) as device:
        device.refreshed()
        left = tmp_path / "tuf" / ".timestamp.json.x1y2z3"
        left.write_bytes(b"half")
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
        device.refreshed()
        assert not left.exists()
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before


# Disks that fail: the kernel's answers are replaced

PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from edgeagent.errors import UpdateError
from edgeagent.update.floor import FileShelf
from edgeagent.update.metadata import TrustedMetadata
from edgeagent.update.transports import FolderTransport
from edgeagent.update.trusted_time import BoardClock
here = Path(sys.argv[1])
clock = BoardClock(lambda: (datetime.now(UTC), True), datetime(2026, 1, 1, tzinfo=UTC))
root, second = (here / "root").read_bytes(), FileShelf(here / "state" / "floor.json")
try:
    stick = [FolderTransport(here / "stick")]
    TrustedMetadata(here / "tuf", stick, bootstrap=root, clock=clock, second_floor=second).refresh()
except UpdateError as error:
    print(error.code)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("fault", ["fsync:error=EIO", "rename:error=EIO", "fsync:error=ENOSPC"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 6, 8])
def test_a19_a20_a_disk_that_fails_ends_the_refresh_and_never_lowers_the_floor(
    tmp_path: Path, fault: str, number: int
) -> None:
    repository = filled()
    older = dict(repository.files)
    with device_of(repository, tmp_path) as device:
        device.refreshed()
        repository.publish("root")
        repository.release("targets")
        (tmp_path / "root").write_bytes(repository.first_root)
        for path, content in repository.files.items():
            (tmp_path / "stick" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "stick" / path).write_bytes(content)
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={fault}:when={number}"]
        program = [*strace, sys.executable, "-c", PROGRAM, str(tmp_path)]
        told = subprocess.run(program, check=True, capture_output=True, text=True).stdout.strip()
        assert told == ("disk-full" if "ENOSPC" in fault else "disk-error")
        assert len(list(tmp_path.rglob(".*.json.*"))) == 0
        device.refreshed()
        repository.files.clear()
        repository.files.update(older)
        assert device.refusal() == "rollback"


# The floor


def test_the_later_of_two_copies_counts_and_the_highest_root(tmp_path: Path) -> None:
    one, two = FileShelf(tmp_path / "one.json"), FileShelf(tmp_path / "two.json")
    signed = Signed({"timestamp": 9}, frozenset({"ab" * 32}))
    one.save(encode(Floor(serial=3, root=2, timestamp=signed)))
    two.save(encode(Floor(serial=2, root=5)))
    keeper = FloorKeeper(one, two)
    assert keeper.floor.root == 5
    assert keeper.floor.timestamp == signed
    keeper.keep(Floor(root=6))
    assert {decode(shelf.load() or b"").serial for shelf in (one, two)} == {4}


def test_a_damaged_copy_is_set_aside(tmp_path: Path) -> None:
    one, two = FileShelf(tmp_path / "one.json"), FileShelf(tmp_path / "two.json")
    one.path.write_bytes(b"{")
    two.save(encode(Floor(serial=1, root=4)))
    assert FloorKeeper(one, two).floor.root == 4
    assert (tmp_path / "damaged" / "one.json").exists()


numbers = st.integers(0, 2**53 - 1)
entries = st.builds(
    Signed,
    st.dictionaries(st.text(max_size=9), numbers, max_size=4),
    st.frozensets(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=3),
)
times = st.integers(0, 2**33).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(st.builds(Floor, numbers, numbers, entries, entries, times))
def test_a_floor_is_read_as_it_was_written(floor: Floor) -> None:
    assert decode(encode(floor)) == floor


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.binary(max_size=300) | values.map(lambda told: json.dumps(told).encode()))
def test_fuzz_a_floor_is_read_or_refused(content: bytes) -> None:
    with pytest.raises(UpdateError):
        decode(content)


@given(st.sampled_from(["serial", "root", "good", "timestamp", "snapshot", "format"]), values)
def test_fuzz_a_floor_with_one_wrong_field(name: str, value: Any) -> None:
    told = json.loads(encode(Floor(serial=1, root=1))) | {name: value}
    try:
        found = decode(json.dumps(told).encode())
    except UpdateError:
        return
    assert isinstance(value, int | dict)
    assert json.loads(encode(found)) == told


# What is parsed before it is trusted

REPOSITORY = filled()
FILES = {
    "root": "metadata/1.root.json",
    "timestamp": "metadata/timestamp.json",
    "snapshot": "metadata/2.snapshot.json",
    "targets": "metadata/2.targets.json",
}


def _set(content: bytes) -> FlooredMetadataSet:
    return FlooredMetadataSet(content, Floor, datetime.now(UTC))


@given(st.binary(max_size=300) | values.map(lambda told: json.dumps(told).encode()))
def test_fuzz_bytes_that_are_no_metadata_are_refused(content: bytes) -> None:
    with pytest.raises(RepositoryError):
        _set(content)
    with pytest.raises(RepositoryError):
        _set(REPOSITORY.first_root).update_timestamp(content)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000, b'{"signed": NaN}'])
def test_bombs_are_refused(content: bytes) -> None:
    with pytest.raises(RepositoryError):
        _set(content)


@given(st.sampled_from(["root", "timestamp", "snapshot", "targets"]), st.data())
def test_fuzz_signed_metadata_with_one_wrong_value_is_refused(role: str, data: st.DataObject) -> None:
    told = json.loads(REPOSITORY.files[FILES[role]])
    part = told["signed"]
    field_name = data.draw(st.sampled_from(sorted(part)))
    value = data.draw(values)
    if value == part[field_name]:
        return
    part[field_name] = value
    files = {one: REPOSITORY.files[FILES[one]] for one in FILES} | {role: json.dumps(told).encode()}
    try:
        trusted = _set(files["root"])
        for one in ("timestamp", "snapshot", "targets"):
            getattr(trusted, f"update_{one}")(files[one])
    except RepositoryError:
        return
    # Accepted only where the library reads the very same thing: it takes a spec_version of null for its own.
    assert trusted[role].to_dict() == json.loads(REPOSITORY.files[FILES[role]])["signed"]
