"""The cases of the public TUF conformance suite, in our own words, through its command line."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tuf.api.metadata import Metadata, TargetFile
from update.hostile import NEW, SIGNING, Repository, Server, in_days, serving

from edgeagent.update.conformance import main

pytestmark = pytest.mark.slow


@dataclass
class Client:
    """Runs the command line on a folder of its own, some days from now."""

    folder: Path
    server: Server
    days: float = 0

    def begin(self, root: bytes) -> int:
        (self.folder / "first.json").write_bytes(root)
        return self._run("init", str(self.folder / "first.json"))

    def refresh(self) -> int:
        return self._run("--metadata-url", f"{self.server.address}metadata", "refresh")

    def download(self, *names: str) -> int:
        asked = [word for name in names for word in ("--target-name", name)]
        return self._run(
            *("--metadata-url", f"{self.server.address}metadata", *asked),
            *("--target-base-url", f"{self.server.address}targets/", "--target-dir", str(self.folder / "targets")),
            "download",
        )

    def _run(self, *words: str) -> int:
        at = datetime.now(UTC) + timedelta(days=self.days)
        return main(["--metadata-dir", str(self.folder / "metadata"), *words], now=lambda: at)

    def trusted(self) -> dict[str, int]:
        """Return the versions of all that lies in the folder, read as the suite reads it."""
        found = sorted((self.folder / "metadata").glob("*.json"))
        return {path.name.removesuffix(".json"): Metadata[Any].from_file(str(path)).signed.version for path in found}

    def files(self) -> list[bytes]:
        found = [path for path in (self.folder / "targets").rglob("*") if path.is_file()]
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def asked(self, after: str = "metadata/") -> list[str]:
        return [path.removeprefix(after) for path in self.server.paths() if path.startswith(after)]


@contextmanager
def client_of(repository: Repository, folder: Path) -> Iterator[Client]:
    with serving(repository.files) as server:
        client = Client(folder, server)
        assert client.begin(repository.first_root) == 0
        yield client


def everything(**versions: int) -> dict[str, int]:
    return {"root": 1, "snapshot": 1, "targets": 1, "timestamp": 1} | versions


# Basics


def test_the_first_refresh_asks_for_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    with client_of(Repository(), tmp_path) as client:
        assert client.asked() == []
        assert client.refresh() == 0
        assert client.asked() == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
        assert client.trusted() == everything()


def test_a_download_refreshes_first(tmp_path: Path) -> None:
    with client_of(Repository(), tmp_path) as client:
        assert client.download("nobody has this") == 1
        assert client.asked() == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
        assert client.trusted() == everything()


@pytest.mark.parametrize("spoil", ["version", "signature"])
def test_a_wrong_first_root_asks_nobody(tmp_path: Path, spoil: str) -> None:
    repository = Repository()
    told = json.loads(repository.first_root)
    if spoil == "version":
        del told["signed"]["version"]
    else:
        told["signatures"][0]["sig"] = "30450221" * 16
    with serving(repository.files) as server:
        client = Client(tmp_path, server)
        client.begin(json.dumps(told).encode())
        assert client.refresh() == 1
        assert server.asked == []


@pytest.mark.parametrize(
    ("role", "trusted"),
    [
        ("root", {"root": 1}),
        ("timestamp", {"root": 1}),
        ("snapshot", {"root": 1, "timestamp": 2}),
        ("targets", {"root": 1, "snapshot": 2, "timestamp": 2}),
    ],
)
def test_a_role_that_is_not_signed_ends_the_refresh_there(tmp_path: Path, role: str, trusted: dict[str, int]) -> None:
    repository = Repository()
    repository.signers[role] = [NEW()]
    with client_of(repository, tmp_path) as client:
        repository.publish(*(["root"] if role == "root" else ["targets", "snapshot", "timestamp"]))
        assert client.refresh() == 1
        assert client.trusted() == trusted


def test_a_timestamp_of_the_same_version_with_another_content_is_not_kept(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        repository.signed["timestamp"].snapshot_meta.version = 100
        repository.publish("timestamp", bump=False)
        assert client.refresh() == 0
        assert client.asked()[-1] == "timestamp.json"
        kept = Metadata[Any].from_file(str(tmp_path / "metadata" / "timestamp.json"))
        assert kept.signed.snapshot_meta.version == 1


def test_hashes_of_metadata_are_checked(tmp_path: Path) -> None:
    repository = Repository(has_hashes=True)
    with client_of(repository, tmp_path) as client:
        repository.release("targets")
        assert client.refresh() == 0
        repository.publish("targets")
        repository.signed["snapshot"].meta["targets.json"].hashes["sha256"] = "46" * 32
        repository.publish("snapshot", "timestamp")
        assert client.refresh() == 1
        assert client.trusted() == everything(snapshot=3, targets=2, timestamp=3)


def test_targets_that_no_snapshot_tells_of_are_not_fetched(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        repository.publish("targets")
        assert client.refresh() == 0
        assert client.trusted() == everything()
        assert client.asked()[-1] == "timestamp.json"


def test_fields_that_nobody_knows_are_kept_and_signed(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        root = repository.root
        root.unrecognized_fields["custom-field"] = "value"
        root.keys[root.roles["root"].keyids[0]].unrecognized_fields["extra"] = {"a": 1, "b": [2]}
        root.roles["root"].unrecognized_fields["another"] = "value"
        repository.publish("root")
        assert client.refresh() == 0
        assert client.trusted()["root"] == 2


def test_metadata_is_kept_byte_for_byte(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        path = "metadata/1.targets.json"
        repository.files[path] = json.dumps(json.loads(repository.files[path]), indent=7).encode()
        assert client.refresh() == 0
        assert (tmp_path / "metadata" / "targets.json").read_bytes() == repository.files[path]


def test_a_repository_without_versions_in_its_names(tmp_path: Path) -> None:
    repository = Repository(is_consistent=False)
    repository.add("a/file", b"content")
    repository.release("targets")
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        assert client.asked() == ["2.root.json", "timestamp.json", "snapshot.json", "targets.json"]
        assert client.download("a/file") == 0
        assert client.files() == [b"content"]
        assert client.asked("targets/") == ["a/file"]


# Expiry


def test_an_expired_root_is_kept_and_ends_the_refresh(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        repository.root.expires = in_days(-1)
        repository.publish("root")
        repository.release("targets")
        assert client.refresh() == 1
        assert client.trusted() == everything(root=2)
        repository.root.expires = in_days(9)
        repository.publish("root")
        assert client.refresh() == 0
        assert client.trusted() == everything(root=3, snapshot=2, targets=2, timestamp=2)


@pytest.mark.parametrize(
    ("role", "trusted"),
    [
        ("timestamp", everything()),
        ("snapshot", everything(timestamp=2)),
        ("targets", everything(timestamp=2, snapshot=2)),
    ],
)
def test_what_is_expired_is_not_kept(tmp_path: Path, role: str, trusted: dict[str, int]) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        repository.signed[role].expires = in_days(-5)
        repository.release("targets")
        assert client.refresh() == 1
        assert client.trusted() == trusted


def test_what_has_expired_here_still_leads_to_what_is_newer(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        repository.signed["timestamp"].expires = in_days(7)
        repository.publish("timestamp")
        assert client.refresh() == 0
        repository.signed["timestamp"].expires = in_days(21)
        repository.release("targets")
        client.days = 18
        assert client.refresh() == 0
        assert client.trusted() == everything(timestamp=3, snapshot=2, targets=2)
        client.days = 0
        assert client.refresh() == 0  # the suite goes back in time


def test_an_expired_delegate_is_not_used(tmp_path: Path) -> None:
    repository = Repository()
    repository.delegate("late", ["late/*"])
    repository.signed["late"].expires = in_days(-1)
    repository.add("late/file", b"content", "late")
    repository.release("late", "targets")
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        assert client.download("late/file") == 1
        assert client.files() == []
        assert client.trusted() == everything(targets=2, snapshot=2, timestamp=2)


@pytest.mark.parametrize("is_renewed", [False, True])
def test_a_delegate_that_expires_later_is_used_once_it_is_renewed(tmp_path: Path, is_renewed: bool) -> None:  # noqa: FBT001
    repository = Repository()
    repository.delegate("role", ["role/*"])
    repository.signed["role"].expires = in_days(7)
    for name in ("first", "second"):
        repository.add(f"role/{name}", name.encode(), "role")
    repository.release("role", "targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("role/first") == 0
        if is_renewed:
            repository.signed["role"].expires = in_days(21)
            repository.release("role")
        client.days = 18
        assert client.download("role/second") == (0 if is_renewed else 1)
        assert client.files() == ([b"first", b"second"] if is_renewed else [b"first"])


# Downloads


@pytest.mark.parametrize("name", ["file.txt", "path/to/a/file.txt", "without-extension", "a.b.c", "mit ümlaut"])
def test_a_file_is_downloaded_by_its_name(tmp_path: Path, name: str) -> None:
    repository = Repository()
    repository.add(name, b"content")
    repository.release("targets")
    # A name that is no address yet is written as one on the wire.
    path = f"targets/{repository.path(name)}"
    repository.files[quote(path, safe="/")] = repository.files[path]
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        assert client.files() == []
        assert client.download(name) == 0
        assert client.files() == [b"content"]


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    repository = Repository()
    repository.add("file", b"content")
    repository.release("targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("file") == 0
        assert client.download("file") == 0
        assert len(client.asked("targets/")) == 1


def test_a_server_that_swaps_files_is_not_believed(tmp_path: Path) -> None:
    repository = Repository()
    repository.add("one", b"first content")
    repository.add("two", b"second content")
    repository.release("targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("one") == 0
        for name in ("one", "two"):
            repository.files[f"targets/{repository.path(name)}"] = b"wicked content"
        client.download("one")
        assert client.download("two") == 1
        assert client.files() == [b"first content"]


def test_a_file_that_changes_often_is_always_the_signed_one(tmp_path: Path) -> None:
    repository = Repository()
    repository.add("file", b"start")
    repository.release("targets")
    with client_of(repository, tmp_path) as client:
        for number in range(5):
            content = b"content %d" % number
            repository.add("file", content)
            repository.release("targets")
            assert client.download("file") == 0
            assert client.files() == [content]
            repository.files[f"targets/{repository.path('file')}"] = b"wicked  %d" % number
            repository.release("targets")
            client.download("file")
            assert client.files() == [content]


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b + b"!", lambda _: b"", lambda b: b[:-1] + b"!"])
def test_a_file_of_another_length_or_content_is_not_kept(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    repository = Repository()
    repository.add("file", b"content")
    repository.release("targets")
    path = f"targets/{repository.path('file')}"
    content = spoil(repository.files[path])
    repository.files[path] = content
    with client_of(repository, tmp_path) as client:
        # What is beyond the length that was signed is not read (A8).
        is_whole = content.startswith(b"content")
        assert client.download("file") == (0 if is_whole else 1)
        assert client.files() == ([b"content"] if is_whole else [])
        assert not list((tmp_path / "targets").rglob("*.part"))


def test_names_are_fetched_in_order_up_to_the_first_failure(tmp_path: Path) -> None:
    repository = Repository()
    for name in ("one", "two", "three"):
        repository.add(name, name.encode())
    repository.release("targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("two", "nowhere", "three") == 1
        assert client.files() == [b"two"]
        assert client.download("three", "one") == 0
        assert client.files() == [b"two", b"three", b"one"]


def test_every_hash_that_is_signed_counts(tmp_path: Path) -> None:
    repository = Repository()
    repository.add("file", b"content")
    repository.targets().targets["file"].hashes["sha512"] = "00" * 64
    repository.release("targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("file") == 1
        assert client.files() == []


# Keys


@pytest.mark.parametrize("kind", sorted(SIGNING))
def test_keys_of_every_kind_sign_and_wrong_signatures_do_not(tmp_path: Path, kind: str) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        signer = SIGNING[kind]()
        repository.add_key("root", signer)
        repository.root.roles["root"].threshold = 2
        repository.publish("root")
        assert client.refresh() == 0
        assert client.trusted()["root"] == 2
        repository.publish("root")
        told = json.loads(repository.files["metadata/3.root.json"])
        for signature in told["signatures"]:
            if signature["keyid"] == signer.public_key.keyid:
                signature["sig"] = signature["sig"][:-8] + "00000000"
        repository.files["metadata/3.root.json"] = json.dumps(told).encode()
        assert client.refresh() == 1
        assert client.trusted()["root"] == 2


def test_a_threshold_that_keys_alone_would_meet_is_not_met(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        repository.root.roles["snapshot"].threshold = 2
        repository.root.add_key(NEW().public_key, "snapshot")  # its signature never comes
        repository.publish("root", "snapshot", "timestamp")
        assert client.refresh() == 1
        assert client.trusted() == everything(root=2, timestamp=2)
        repository.add_key("snapshot", NEW())
        repository.publish("root", "snapshot", "timestamp")
        assert client.refresh() == 0
        assert client.trusted() == everything(root=3, snapshot=3, timestamp=3)


def test_ids_of_keys_need_not_be_hashes_and_unknown_hash_algorithms_do_not_matter(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        signer = NEW()
        signer.public_key.keyid = "a-key-of-my-own"
        signer.public_key.unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
        repository.root.roles["snapshot"].keyids.clear()
        repository.signers["snapshot"].clear()
        repository.add_key("snapshot", signer)
        repository.publish("root", "snapshot", "timestamp")
        assert client.refresh() == 0
        assert client.trusted() == everything(root=2, snapshot=2, timestamp=2)


# Quoting


@pytest.mark.parametrize(("role", "quoted"), [("?", "%3F"), ("#", "%23"), ("/a", "%2Fa"), ("../a", "..%2Fa")])
def test_unusual_names_of_roles_are_quoted_on_the_wire_and_on_the_disk(tmp_path: Path, role: str, quoted: str) -> None:
    repository = Repository()
    repository.delegate(role)
    repository.release(role, "targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("nowhere") == 1
        assert f"1.{quoted}.json" in client.asked()
        assert client.trusted() == everything(targets=2, snapshot=2, timestamp=2) | {quoted: 1}
        assert sorted(tmp_path.rglob("*a.json")) == sorted((tmp_path / "metadata").glob("*a.json"))


# Rollback


def test_an_older_timestamp_is_refused(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        repository.publish("timestamp")
        assert client.refresh() == 0
        repository.signed["timestamp"].version = 1
        repository.publish("timestamp", bump=False)
        assert client.refresh() == 1
        assert client.trusted()["timestamp"] == 2
        assert client.asked()[-1] == "timestamp.json"


@pytest.mark.parametrize("has_hashes", [False, True])
def test_an_older_snapshot_is_refused(tmp_path: Path, has_hashes: bool) -> None:  # noqa: FBT001
    repository = Repository(has_hashes=has_hashes)
    with client_of(repository, tmp_path) as client:
        repository.release("targets")
        assert client.refresh() == 0
        repository.signed["snapshot"].version = 1
        repository.put("snapshot", repository.sign("snapshot"))
        repository.publish("timestamp")
        assert client.refresh() == 1
        assert client.trusted() == everything(targets=2, snapshot=2, timestamp=2)


@pytest.mark.parametrize("has_hashes", [False, True])
def test_older_targets_are_refused(tmp_path: Path, has_hashes: bool) -> None:  # noqa: FBT001
    repository = Repository(has_hashes=has_hashes)
    with client_of(repository, tmp_path) as client:
        repository.release("targets")
        assert client.refresh() == 0
        repository.signed["targets"].version = 1
        repository.put("targets", repository.sign("targets"))
        repository.publish("snapshot", "timestamp")
        assert client.refresh() == 1
        assert client.trusted()["targets"] == 2


def test_a_snapshot_of_another_version_than_announced_is_refused(tmp_path: Path) -> None:
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        repository.files["metadata/2.snapshot.json"] = repository.files["metadata/1.snapshot.json"]
        repository.signed["timestamp"].snapshot_meta.version = 2
        repository.publish("timestamp")
        assert client.refresh() == 1
        assert client.trusted() == {"root": 1, "timestamp": 2}


def test_fast_forwarded_timestamps_recover_by_new_keys(tmp_path: Path) -> None:  # A7
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        repository.signed["timestamp"].version = 99_999
        repository.publish("timestamp")
        assert client.refresh() == 0
        repository.rotate("timestamp")
        repository.publish("root")
        repository.signed["timestamp"].version = 1
        repository.publish("timestamp", bump=False)
        assert client.refresh() == 0
        assert client.trusted()["timestamp"] == 1


def test_fast_forwarded_snapshots_recover_by_new_keys(tmp_path: Path) -> None:  # A7
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        repository.signed["snapshot"].version = 99_999
        repository.publish("snapshot", "timestamp")
        assert client.refresh() == 0
        repository.rotate("snapshot")
        repository.rotate("timestamp")
        repository.publish("root")
        repository.signed["snapshot"].version = 1
        repository.put("snapshot", repository.sign("snapshot"))
        repository.publish("timestamp")
        assert client.refresh() == 0
        assert client.trusted()["snapshot"] == 1


def test_fast_forwarded_targets_recover_by_a_new_key_of_the_snapshot(tmp_path: Path) -> None:  # A7
    repository = Repository()
    with client_of(repository, tmp_path) as client:
        repository.signed["targets"].version = 99_999
        repository.release("targets")
        assert client.refresh() == 0
        repository.rotate("snapshot")
        repository.publish("root")
        repository.signed["targets"].version = 1
        repository.put("targets", repository.sign("targets"))
        repository.publish("snapshot", "timestamp")
        assert client.refresh() == 0
        assert client.trusted()["targets"] == 1


# Delegations

GRAPHS: dict[str, tuple[list[tuple[str, str, bool, list[str]]], list[str]]] = {
    "one": ([("targets", "A", False, ["*"])], ["A"]),
    "two beside": ([("targets", "A", False, ["*"]), ("targets", "B", False, ["*"])], ["A", "B"]),
    "depth first": (
        [
            ("targets", "A", False, ["*"]),
            ("targets", "B", False, ["*"]),
            ("A", "C", False, ["*"]),
            ("A", "D", False, ["*"]),
        ],
        ["A", "C", "D", "B"],
    ),
    "three deep": (
        [
            ("targets", "A", False, ["*"]),
            ("targets", "B", False, ["*"]),
            ("A", "C", False, ["*"]),
            ("C", "D", False, ["*"]),
        ],
        ["A", "C", "D", "B"],
    ),
    "ends there": (
        [
            ("targets", "A", False, ["*"]),
            ("targets", "B", False, ["*"]),
            ("A", "C", True, ["*"]),
            ("A", "D", False, ["*"]),
        ],
        ["A", "C"],
    ),
    "ends below": (
        [
            ("targets", "A", False, ["*"]),
            ("targets", "B", False, ["*"]),
            ("A", "C", True, ["*"]),
            ("C", "D", False, ["*"]),
        ],
        ["A", "C", "D"],
    ),
    "other paths": (
        [("targets", "A", False, ["*.py"]), ("targets", "B", False, ["*"]), ("A", "C", False, ["*"])],
        ["B"],
    ),
    "a cycle": (
        [
            ("targets", "A", False, ["*"]),
            ("targets", "B", False, ["*"]),
            ("B", "C", False, ["*"]),
            ("C", "D", False, ["*"]),
            ("D", "B", False, ["*"]),
        ],
        ["A", "B", "C", "D"],
    ),
    "two parents": (
        [
            ("targets", "A", False, ["*"]),
            ("targets", "B", False, ["*"]),
            ("B", "C", False, ["*"]),
            ("A", "C", False, ["*"]),
        ],
        ["A", "C", "B"],
    ),
    "two parents, other paths": (
        [
            ("targets", "A", False, ["*"]),
            ("targets", "B", False, ["*"]),
            ("B", "C", False, ["*"]),
            ("A", "C", False, ["*.py"]),
        ],
        ["A", "B", "C"],
    ),
}


@pytest.mark.parametrize("graph", sorted(GRAPHS))
def test_delegations_are_followed_in_their_order(tmp_path: Path, graph: str) -> None:
    edges, order = GRAPHS[graph]
    repository = Repository()
    for parent, role, is_terminating, paths in edges:
        repository.delegate(role, paths, parent, is_terminating=is_terminating)
    repository.release(*sorted({role for _, role, _, _ in edges}), "targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("missing") == 1
        assert client.asked()[4:] == [f"1.{role}.json" for role in order]
        assert set(client.trusted()) == {*everything(), *order}


@pytest.mark.parametrize(
    ("name", "visited"),
    [
        ("targetfile", []),
        ("README.md", ["A"]),
        ("releases/x/x_v1", ["B", "C"]),
        ("releases/y/y_v1.zip", ["B", "D"]),
        ("releases/z/z_v1.zip", None),
    ],
)
def test_a_file_is_looked_for_where_its_path_was_delegated(
    tmp_path: Path, name: str, visited: list[str] | None
) -> None:
    repository = Repository()
    repository.delegate("A", ["*.doc", "*.md"])
    repository.delegate("B", ["releases/*/*"])
    repository.delegate("C", ["releases/x/*"], "B")
    repository.delegate("D", ["releases/y/*.zip"], "B")
    for role, path in (("targets", "targetfile"), ("A", "README.md"), ("C", "releases/x/x_v1")):
        repository.add(path, path.encode(), role)
    for path in ("releases/y/y_v1.zip", "releases/z/z_v1.zip"):
        repository.add(path, path.encode(), "D")
    repository.release("A", "C", "D", "B", "targets")
    with client_of(repository, tmp_path) as client:
        assert client.download(name) == (1 if visited is None else 0)
        assert client.asked()[4:] == [f"1.{role}.json" for role in (["B"] if visited is None else visited)]
        assert client.files() == ([] if visited is None else [name.encode()])


def test_hash_prefixes_delegate(tmp_path: Path) -> None:
    repository = Repository()
    sha = TargetFile.from_data("x", b"file", ["sha256"]).hashes["sha256"]  # of the name "file"
    repository.delegate("wrong", prefixes=["0" if sha[0] != "0" else "1"])
    repository.delegate("right", prefixes=[sha[:2]])
    repository.add("file", b"content", "right")
    repository.release("wrong", "right", "targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("file") == 0
        assert client.asked()[4:] == ["1.right.json"]


def test_hash_bins_delegate(tmp_path: Path) -> None:
    repository = Repository()
    repository.delegate_bins("bin", 3)
    bins = repository.targets().delegations
    assert bins is not None
    assert bins.succinct_roles is not None
    role = bins.succinct_roles.get_role_for_target("a/file")
    repository.add("a/file", b"content", role)
    repository.release(*bins.succinct_roles.get_roles(), "targets")
    with client_of(repository, tmp_path) as client:
        assert client.download("a/file") == 0
        assert client.asked()[4:] == [f"1.{role}.json"]


# Rotation of keys: of each version the keys, the threshold, and who signs

ROOTS: dict[str, tuple[list[tuple[list[int], int, list[int]]], bool]] = {
    "1 of 1": ([([1], 1, [1]), ([2], 1, [2, 1]), ([2], 1, [2])], True),
    "1 of 1, more signatures": ([([1], 1, [3, 1, 4]), ([2], 1, [3, 2, 1, 4]), ([2], 1, [3, 2, 4])], True),
    "3 of 5, others each time": ([([0, 1, 2, 3, 4], 3, one) for one in ([0, 2, 4], [0, 4, 1], [0, 1, 3])], True),
    "3 of 5, one new": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 1])], True),
    "3 of 5, all new": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7])], True),
    "threshold up": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [1, 2])], True),
    "threshold down": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1, 2]), ([1, 2, 3], 1, [1])], True),
    "a key more": ([([1], 1, [1]), ([1, 2], 2, [1, 2])], True),
    "not by the old key": ([([1], 1, [1]), ([2], 1, [2, 3, 4])], False),
    "not by the new key": ([([1], 1, [1]), ([2], 1, [1, 3, 4])], False),
    "not by 3 new keys": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 2, 4])], False),
    "not by 3 old keys": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 5])], False),
    "new threshold not met": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [2])], False),
    "old threshold not met": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1])], False),
}


@pytest.mark.parametrize("case", sorted(ROOTS))
def test_roots_are_followed_as_their_keys_say(tmp_path: Path, case: str) -> None:
    versions, is_good = ROOTS[case]
    signers = [NEW() for _ in range(10)]
    repository = Repository()
    repository.signed["root"].version = 0
    for keys, threshold, signing in versions:
        repository.root.roles["root"].keyids.clear()
        repository.root.roles["root"].threshold = threshold
        for key in keys:
            repository.root.add_key(signers[key].public_key, "root")
        repository.signers["root"] = [signers[key] for key in signing]
        repository.publish("root")
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == (0 if is_good else 1)
        last = len(versions) if is_good else len(versions) - 1
        assert (tmp_path / "metadata" / "root.json").read_bytes() == repository.files[f"metadata/{last}.root.json"]


OTHERS: dict[str, tuple[list[int], int, list[int], bool]] = {
    "1 of 1": ([2], 1, [2], True),
    "more signatures": ([1], 1, [3, 1, 4], True),
    "by others": ([2], 1, [1, 3, 4], False),
    "one of three is another's": ([0, 1, 3, 4, 5], 3, [0, 2, 4], False),
    "one too few": ([0, 1, 3, 4, 5], 3, [0, 4], False),
    "3 of 5": ([0, 1, 2, 3, 4], 3, [4, 0, 1], True),
}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("case", sorted(OTHERS))
def test_other_roles_get_new_keys(tmp_path: Path, case: str, role: str) -> None:
    keys, threshold, signing, is_good = OTHERS[case]
    signers = [NEW() for _ in range(6)]
    repository = Repository()
    repository.root.roles[role].keyids.clear()
    repository.root.roles[role].threshold = threshold
    for key in keys:
        repository.root.add_key(signers[key].public_key, role)
    repository.signers[role] = [signers[key] for key in signing]
    repository.publish("root")
    repository.release("targets")
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == (0 if is_good else 1)
        assert (client.trusted().get(role) == 2) == is_good


# The program itself


def test_the_program_answers_with_exit_codes(tmp_path: Path) -> None:
    repository = Repository()
    repository.add("file", b"content")
    repository.release("targets")
    (tmp_path / "root.json").write_bytes(repository.first_root)
    program = [sys.executable, "-m", "edgeagent.update.conformance", "--metadata-dir", str(tmp_path / "metadata")]
    with serving(repository.files) as server:
        at = ["--metadata-url", f"{server.address}metadata/"]
        download = ["--target-base-url", f"{server.address}targets", "--target-dir", str(tmp_path / "targets")]
        run = [
            [*program, "init", str(tmp_path / "root.json")],
            [*program, *at, "refresh"],
            [*program, *at, "--target-name", "file", *download, "download"],
        ]
        assert [subprocess.run(one, check=False).returncode for one in run] == [0, 0, 0]
        gone = [*program, *at, "--target-name", "nowhere", *download, "download"]
        assert subprocess.run(gone, check=False, capture_output=True).returncode == 1
    assert subprocess.run([*program, *at, "refresh"], check=False, capture_output=True).returncode == 1
    assert [path.read_bytes() for path in (tmp_path / "targets").iterdir()] == [b"content"]
