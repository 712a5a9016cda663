"""A17-A20, A24: kills, power cuts and failing disks at every point of an update; and that such a test can fail."""

from collections.abc import Callable
from pathlib import Path

import pytest
from update.cutting import score

SAMPLE = 40
"""Every 40th point is tried in `make test`, all of them in `make power-cuts`."""

Mutation = Callable[[Path], None]


def replaced(name: str, old: str, new: str) -> Mutation:
    """Return what spoils a copy of the package: one passage of one module becomes another."""

    def mutate(package: Path) -> None:
        source = (package / name).read_text()
        assert old in source
        (package / name).write_text(source.replace(old, new))

    return mutate


def test_a_sample_of_all_cuts_leaves_the_old_release_or_the_new_one() -> None:
    found = score(sample=SAMPLE)
    assert found.points > 20
    assert not found.bad


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_no_cut_leaves_anything_but_the_old_release_or_the_new_one() -> None:
    assert not score().bad


@pytest.mark.slow
def test_the_harness_sees_a_link_that_is_removed_before_it_is_made() -> None:
    spoiled = replaced(
        "on_disk.py", "    new.replace(link)\n", "    link.unlink(missing_ok=True)\n    new.replace(link)\n"
    )
    assert score(mutate=spoiled, only="kill at rename").bad


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("on_disk.py", "        os.fsync(descriptor)\n", "        pass\n"),
        ("journal.py", "synchronous=FULL", "synchronous=OFF"),
        ("store.py", "            for one in folders:\n                sync_folder(one)\n", ""),
    ],
)
@pytest.mark.slow
def test_the_harness_sees_a_sync_that_is_left_out(name: str, old: str, new: str) -> None:
    assert score(mutate=replaced(name, old, new), only="power cut (synced)", sample=2).bad
