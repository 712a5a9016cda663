"""Downloads: whole and verified, or not there; resumed, switched, poisoned, cut, and on disks that fail."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from update.hostile import Server, cut_after, endless, marked, serving, status, trickle, without_ranges

from edgeagent.errors import UpdateError
from edgeagent.update.download import Downloads, Watch
from edgeagent.update.nouns import Target, Transport
from edgeagent.update.partial import CHECKPOINT_BYTES
from edgeagent.update.patient_http import Patience
from edgeagent.update.transports import FolderTransport, HttpTransport

CONTENT = os.urandom(1 << 20) * 9
"""More than two checkpoints."""
TARGET = Target("file", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
HASTY = Patience(window_s=0.4, connect_s=2.0)


class Bench:
    """A folder with staging and store, and a server that has the file."""

    def __init__(self, folder: Path, server: Server, stack: ExitStack) -> None:
        self.staging, self.store, self.server, self.stack = folder / "staging", folder / "store", server, stack
        self.stick = folder / "stick"
        self.stick.mkdir()
        (self.stick / "file").write_bytes(CONTENT)
        self.progress: list[tuple[int, int]] = []

    def http(self) -> HttpTransport:
        return self.stack.enter_context(_closing(HttpTransport(self.server.address, patience=HASTY)))

    def downloads(self, *transports: Transport, until: int = 1 << 60) -> Downloads:
        def progress(done: int, total: int) -> None:
            self.progress.append((done, total))

        def is_cancelled() -> bool:
            return self.progress[-1][0] >= until

        chosen = transports or (self.http(),)
        return Downloads(self.staging, chosen, lambda target: target.name, Watch(progress, is_cancelled))

    def fetch(self, *transports: Transport) -> Path:
        return self.downloads(*transports).fetch(TARGET, self.store)

    def refusal(self, *transports: Transport, target: Target = TARGET, until: int = 1 << 60) -> str:
        with pytest.raises(UpdateError) as refused:
            self.downloads(*transports, until=until).fetch(target, self.store)
        assert not list(self.store.glob("*"))
        return refused.value.code

    def left(self) -> list[str]:
        return sorted(path.name.rpartition(".")[2] for path in self.staging.iterdir())


class _closing:  # noqa: N801  # as contextlib's, but typed for the stack
    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport

    def __enter__(self) -> HttpTransport:
        return self.transport

    def __exit__(self, *_: object) -> None:
        self.transport.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack, serving({"file": CONTENT}) as server:
        yield Bench(tmp_path, server, stack)


def test_a_file_is_fetched_verified_and_named_by_its_hash(bench: Bench) -> None:
    path = bench.fetch()
    assert path == bench.store / TARGET.sha256
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    assert bench.left() == []
    assert bench.progress[-1] == (TARGET.length, TARGET.length)
    assert [done for done, _ in bench.progress] == sorted(done for done, _ in bench.progress)


def test_what_is_there_is_not_fetched_again(bench: Bench) -> None:
    bench.fetch()
    bench.fetch()
    assert len(bench.server.asked) == 1


def test_a_file_of_the_right_name_with_another_content_is_replaced(bench: Bench) -> None:
    bench.store.mkdir()
    (bench.store / TARGET.sha256).write_bytes(b"wicked")
    assert bench.fetch().read_bytes() == CONTENT


def test_an_empty_file_needs_no_transport(bench: Bench) -> None:
    target = Target("empty", 0, hashlib.sha256(b"").hexdigest())
    assert bench.downloads().fetch(target, bench.store).read_bytes() == b""
    assert bench.server.asked == []


def test_a_cut_download_goes_on_where_it_was_left(bench: Bench) -> None:
    bench.server.behaviours["file"] = cut_after(5_000_000)
    assert bench.fetch().read_bytes() == CONTENT
    assert [asked for _, asked, _ in bench.server.asked] == [None, f"bytes=5000000-{TARGET.length - 1}"]


def test_a_cancelled_download_goes_on_in_the_next_process(bench: Bench) -> None:
    assert bench.refusal(until=6_000_000) == "cancelled"
    assert bench.left() == ["at", "part"]
    done = bench.progress[-1][0]
    assert bench.fetch().read_bytes() == CONTENT
    assert bench.server.asked[-1][1] == f"bytes={done}-{TARGET.length - 1}"


def test_after_a_kill_it_goes_on_at_the_last_checkpoint(bench: Bench, tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from edgeagent.update.download import Downloads, Watch
from edgeagent.update.nouns import Target
from edgeagent.update.transports import FolderTransport
def die(done, total):
    if done > 6_000_000:
        os.kill(os.getpid(), signal.SIGKILL)
here = Path({str(tmp_path)!r})
target = Target("file", {TARGET.length}, {TARGET.sha256!r})
downloads = Downloads(here / "staging", [FolderTransport(here / "stick")], lambda one: one.name, Watch(die))
downloads.fetch(target, here / "store")
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert bench.fetch().read_bytes() == CONTENT
    begin = int((bench.server.asked[0][1] or "").removeprefix("bytes=").split("-")[0])
    assert CHECKPOINT_BYTES <= begin <= 6_000_000


def test_transports_are_switched_in_the_middle_of_a_file(bench: Bench) -> None:
    bench.server.behaviours["file"] = cut_after(3_000_000, then=status(503))
    assert bench.fetch(bench.http(), FolderTransport(bench.stick)).read_bytes() == CONTENT
    assert bench.progress[-1] == (TARGET.length, TARGET.length)
    assert sum(1 for done, _ in bench.progress if done <= 3_000_000) > 1


def test_the_next_transport_serves_when_the_first_is_away(bench: Bench) -> None:
    away, nothing = HttpTransport("http://127.0.0.1:9/"), FolderTransport(bench.stick / "none")
    assert bench.fetch(away, nothing, FolderTransport(bench.stick)).read_bytes() == CONTENT
    assert bench.server.asked == []


def test_a_file_that_nobody_has(bench: Bench) -> None:
    del bench.server.files["file"]
    assert bench.refusal() == "absent"
    assert bench.refusal(HttpTransport("http://127.0.0.1:9/")) == "unreachable"


def test_a8_endless_data_stops_at_the_announced_length(bench: Bench) -> None:
    bench.server.behaviours["file"] = endless
    assert bench.fetch().read_bytes() == CONTENT
    bench.server.files["file"] = CONTENT[:-1] + b"!"
    shutil.rmtree(bench.store)
    assert bench.refusal() == "wrong-content"
    assert max(done for done, _ in bench.progress) == TARGET.length


def test_a9_a_trickle_is_left_and_resumed_later(bench: Bench) -> None:
    assert bench.refusal(until=5_000_000) == "cancelled"
    bench.server.behaviours["file"] = trickle
    assert bench.refusal() == "too-slow"
    bench.server.behaviours.clear()
    assert bench.fetch().read_bytes() == CONTENT
    assert (bench.server.asked[-1][1] or "").startswith("bytes=5")


def test_a16_another_file_of_the_same_length_is_refused_and_removed(bench: Bench) -> None:
    bench.server.files["file"] = bytes(len(CONTENT))
    assert bench.refusal() == "wrong-content"
    assert bench.left() == []
    assert len(bench.server.asked) == 2  # and once from the beginning, no more


def test_a28_what_is_shorter_than_announced_is_refused(bench: Bench) -> None:
    bench.server.files["file"] = CONTENT[:1000]
    assert bench.refusal() == "cut"


def test_a29_a_poisoned_partial_is_discarded_and_started_again_once(bench: Bench) -> None:
    bench.server.files["file"] = bytes(len(CONTENT))
    assert bench.refusal(until=5_000_000) == "cancelled"
    bench.server.files["file"] = CONTENT
    assert bench.fetch().read_bytes() == CONTENT
    assert [asked is None for _, asked, _ in bench.server.asked] == [True, False, True]


def test_a29_whoever_poisons_comes_last_in_the_second_try(bench: Bench) -> None:
    bench.server.files["file"] = bytes(len(CONTENT))
    assert bench.fetch(bench.http(), FolderTransport(bench.stick)).read_bytes() == CONTENT
    assert len(bench.server.asked) == 1


def test_a29_a_file_that_has_changed_on_the_server_is_started_again(bench: Bench) -> None:
    transport = bench.http()
    bench.server.behaviours["file"] = marked('"one"')
    assert bench.refusal(transport, until=5_000_000) == "cancelled"
    bench.server.behaviours["file"] = marked('"two"')
    assert bench.fetch(transport).read_bytes() == CONTENT


def test_a_server_without_ranges_serves_what_is_resumed(bench: Bench) -> None:
    bench.server.behaviours["file"] = without_ranges
    assert bench.refusal(until=5_000_000) == "cancelled"
    assert bench.fetch().read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["part", "at"])
def test_a26_a_link_planted_in_staging_is_refused(bench: Bench, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    bench.staging.mkdir()
    (bench.staging / f"{TARGET.sha256}.{name}").symlink_to(victim)
    assert bench.refusal() == "planted"
    assert victim.read_bytes() == b"precious"
    assert bench.fetch().read_bytes() == CONTENT


def test_a26_a_hard_link_or_fifo_planted_in_staging_is_refused(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    bench.staging.mkdir()
    os.link(victim, bench.staging / f"{TARGET.sha256}.part")
    assert bench.refusal() == "planted"
    os.mkfifo(bench.staging / f"{TARGET.sha256}.part")
    assert bench.refusal() == "planted"
    assert victim.read_bytes() == b"precious"


def test_a26_staging_that_is_a_link_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    bench.staging.symlink_to(tmp_path / "elsewhere")
    assert bench.refusal() == "planted"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a26_a_link_under_the_final_name_is_replaced_not_followed(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(CONTENT)
    bench.store.mkdir()
    (bench.store / TARGET.sha256).symlink_to(victim)
    assert not bench.fetch().is_symlink()
    assert len(bench.server.asked) == 1


@pytest.mark.parametrize("sha", ["../../etc/passwd", "", "AB" * 32, "ab" * 31])
def test_a_target_without_a_hash_is_refused(bench: Bench, sha: str) -> None:
    assert bench.refusal(target=Target("file", 1, sha)) == "bad-metadata"


def test_what_is_unfinished_can_be_given_back(bench: Bench) -> None:
    assert bench.refusal(until=5_000_000) == "cancelled"
    bench.downloads().forget()
    assert bench.left() == []


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40) | st.integers(0, 10**20).map(lambda n: b"%d\n" % n))
def test_fuzz_an_offset_that_is_wrong_costs_a_download_not_a_file(tmp_path: Path, told: bytes) -> None:
    content = b"content " * 1000
    target = Target("small", len(content), hashlib.sha256(content).hexdigest())
    (tmp_path / "stick").mkdir(exist_ok=True)
    (tmp_path / "stick" / "small").write_bytes(content)
    (tmp_path / "staging").mkdir(exist_ok=True)
    (tmp_path / "staging" / f"{target.sha256}.part").write_bytes(b"garbage")
    (tmp_path / "staging" / f"{target.sha256}.at").write_bytes(told)
    downloads = Downloads(tmp_path / "staging", [FolderTransport(tmp_path / "stick")], lambda target: target.name)
    path = downloads.fetch(target, tmp_path / "store")
    assert path.read_bytes() == content
    path.unlink()


# Disks that fail: the kernel's answers are replaced

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

PROGRAM = """
import sys
from pathlib import Path
from edgeagent.errors import UpdateError
from edgeagent.update.download import Downloads
from edgeagent.update.nouns import Target
from edgeagent.update.transports import FolderTransport
here, length, sha = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
downloads = Downloads(here / "staging", [FolderTransport(here / "stick")], lambda target: target.name)
try:
    downloads.fetch(Target("file", length, sha), here / "store")
except UpdateError as error:
    print(error.code)
"""


def faulty(folder: Path, fault: str) -> str:
    """Fetch in a process whose system calls fail as told; return the code that it gave."""
    program = [sys.executable, "-c", PROGRAM, str(folder), str(TARGET.length), TARGET.sha256]
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={fault}"]
    return subprocess.run([*strace, *program], check=True, capture_output=True, text=True).stdout.strip()


@needs_strace
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("fallocate:error=ENOSPC", "disk-full"),
        ("pwrite64:error=ENOSPC:when=1", "disk-full"),
        ("pwrite64:error=ENOSPC:when=30", "disk-full"),
        ("pwrite64:error=EIO:when=2", "disk-error"),
        *((f"fsync:error=EIO:when={number}", "disk-error") for number in range(1, 12)),
        *((f"renameat,renameat2:error=EIO:when={number}", "disk-error") for number in range(1, 5)),
    ],
)
def test_a19_a20_a_disk_that_fails_leaves_nothing_and_gives_the_space_back(
    bench: Bench, tmp_path: Path, fault: str, code: str
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "staging").mkdir()
    assert faulty(tmp_path, fault) == code
    assert list((tmp_path / "store").iterdir()) == []
    assert bench.left() == []
    assert bench.fetch().read_bytes() == CONTENT
