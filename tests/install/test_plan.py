"""What an installation will do, and what it will not do, before anything is done."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from installing import KNOWN, facts

from edgeagent.install.nouns import (
    FILES,
    GROWROOT,
    IMAGE_FILES,
    Bundle,
    InstallError,
    PlaceFile,
    Places,
    Point,
    Prove,
    PutBack,
    Python,
    Relocate,
    Remove,
    Run,
    Wish,
    WriteIfAbsent,
)
from edgeagent.install.plan import (
    device_id,
    first_settings,
    going_back,
    installation,
    name_of,
    removal,
    tidying,
    told,
)
from edgeagent.install.rules import check, check_rights
from edgeagent.settings import parse

BUNDLE = Bundle(Path("/bundle"), "1.2.0", is_whole=True, files=KNOWN)
VENV = Path("/opt/edgeagent/venv")


def test_the_new_environment_shows_that_it_works_before_it_is_in_use_and_the_old_one_goes_last() -> None:
    found = facts(environments=("venv-1.1.0-4",), current="venv-1.1.0-4")
    steps = (*installation(Wish(), BUNDLE, found), *tidying(found))
    proven = steps.index(Prove(Path("/opt/edgeagent/venv-1.2.0-5"), "1.2.0"))
    switched = steps.index(Point(VENV, "venv-1.2.0-5"))
    restarted = next(at for at, step in enumerate(steps) if isinstance(step, Run) and "restart" in step.command)
    assert proven < switched < restarted
    assert steps[-1] == Remove(Path("/opt/edgeagent/venv-1.1.0-4"))
    assert sum(step == steps[-1] for step in steps) == 1


def test_what_a_cut_off_installation_has_left_goes_first() -> None:
    steps = installation(Wish(), BUNDLE, facts(environments=("venv-1.1.0-1", "venv-1.2.0-2"), current="venv-1.1.0-1"))
    assert steps[1] == Remove(Path("/opt/edgeagent/venv-1.2.0-2"))


def test_settings_are_written_where_there_are_none_and_state_is_not_touched() -> None:
    steps = installation(Wish(), BUNDLE, facts())
    written = [step for step in steps if "edgeagent.toml" in told(step)]
    assert [type(step) for step in written] == [WriteIfAbsent]
    assert not [step for step in steps if isinstance(step, Remove)]


def test_where_the_first_boot_makes_the_settings_it_goes_first() -> None:
    steps = [told(step) for step in installation(Wish(), BUNDLE, facts(has_seed=True))]
    assert not [line for line in steps if "edgeagent.toml" in line]
    assert steps.index("run systemctl start edgeagent-firstboot.service") < steps.index(
        "run systemctl restart edgeagent.service"
    )
    others = [told(step) for step in installation(Wish(), BUNDLE, facts())]
    assert not [line for line in others if "start edgeagent-firstboot.service" in line]


def test_the_environment_of_an_image_goes_once_the_new_one_is_in_use() -> None:
    assert tidying(facts(is_folder=True)) == (Remove(Path("/opt/edgeagent/venv-image-0")),)


def test_going_back_has_the_old_units_before_the_old_program_starts_and_the_new_one_goes_last() -> None:
    unit = Path("/usr/local/lib/systemd/system/edgeagent.service")
    found = facts(environments=("venv-1.1.0-4",), current="venv-1.1.0-4", files=((unit, b"old"),))
    steps = going_back(Wish(), BUNDLE, found)
    told_of = [told(step) for step in steps]
    assert steps[:2] == (Point(VENV, "venv-1.1.0-4"), PutBack(unit, b"old"))
    assert told_of.index("run systemctl daemon-reload") < told_of.index("run systemctl restart edgeagent.service")
    assert steps[-1] == Remove(Path("/opt/edgeagent/venv-1.2.0-5"))
    assert going_back(Wish(), BUNDLE, facts()) == ()
    assert "restart" not in " ".join(map(told, going_back(Wish(starts=False), BUNDLE, found)))


def test_a_daemon_that_gave_up_is_not_refused_and_one_that_is_to_enrol_later_is_tried_again() -> None:
    steps = [told(step) for step in installation(Wish(), BUNDLE, facts())]
    restarted = steps.index("run systemctl restart edgeagent.service")
    assert steps.index("run systemctl reset-failed edgeagent.service") < restarted
    assert steps.index("run systemctl start edgeagent-firstboot.timer") < restarted


def test_units_are_not_where_an_owner_puts_his_own() -> None:
    targets = [step.target for step in installation(Wish(), BUNDLE, facts()) if isinstance(step, PlaceFile)]
    assert len(targets) == len(FILES)
    assert not [target for target in targets if target.is_relative_to("/etc")]


def test_only_an_image_of_ours_grows_its_root_and_keeps_its_journal_in_memory() -> None:
    whole = replace(BUNDLE, files=KNOWN | {*IMAGE_FILES, GROWROOT})
    ours = [told(step) for step in installation(Wish(is_image=True), whole, facts())]
    others = [told(step) for step in installation(Wish(), whole, facts())]
    assert [line for line in ours if "enable" in line and "growroot" in line]
    assert [line for line in ours if "journald" in line]
    assert not [line for line in others if ("enable" in line and "growroot" in line) or "journald" in line]


def test_another_root_is_told_nothing_that_concerns_this_machine() -> None:
    steps = installation(Wish(), BUNDLE, facts(places=Places(Path("/mnt/pi"))))
    assert Relocate(Path("/mnt/pi/opt/edgeagent/venv-1.2.0-1"), Path("/mnt/pi")) in steps
    for step in steps:
        if isinstance(step, Run):
            assert "--root=/mnt/pi" in step.command, step
        if isinstance(step, Remove | PlaceFile | WriteIfAbsent):
            assert "/mnt/pi" in told(step), step


def test_in_a_chroot_nothing_is_started_and_paths_are_as_they_are() -> None:
    steps = installation(Wish(), BUNDLE, facts(places=Places(is_booted=False)))
    assert not [step for step in steps if isinstance(step, Relocate)]
    for step in steps:
        if isinstance(step, Run):
            assert "--root=/" in step.command, step
    with pytest.raises(InstallError, match="needs root"):
        check_rights(facts(is_root=False, places=Places(is_booted=False)))


def test_nothing_is_started_against_the_owners_wish() -> None:
    assert "restart" in " ".join(told(step) for step in installation(Wish(), BUNDLE, facts()))
    assert "restart" not in " ".join(told(step) for step in installation(Wish(starts=False), BUNDLE, facts()))


def test_a_bundle_without_a_unit_is_none() -> None:
    with pytest.raises(InstallError, match=r"lacks systemd/edgeagent\.service"):
        installation(Wish(), replace(BUNDLE, files=KNOWN - {"systemd/edgeagent.service"}), facts())


def test_taking_away_keeps_settings_and_state_unless_asked() -> None:
    found = facts(environments=("venv-1.1.0-4",), current="venv-1.1.0-4")
    kept = {step.path for step in removal(found, is_purge=False) if isinstance(step, Remove)}
    purged = {step.path for step in removal(found, is_purge=True) if isinstance(step, Remove)}
    mine = {Path("/etc/edgeagent/edgeagent.toml"), Path("/var/lib/edgeagent")}
    assert not kept & mine
    assert purged - kept == mine | {Path("/etc/systemd/system/edgeagent.service.d/10-board.conf")}
    assert {Path("/opt/edgeagent/venv-1.1.0-4"), VENV, Path("/usr/local/bin/edgeagent")} <= kept


@pytest.mark.parametrize(
    ("environments", "name"),
    [((), "venv-1.0-1"), (("venv-0.9-9", "venv-1.0-10"), "venv-1.0-11"), (("venv-odd", "venv-1.0-x"), "venv-1.0-1")],
)
def test_an_environment_has_a_name_that_none_had(environments: tuple[str, ...], name: str) -> None:
    assert name_of("1.0", environments) == name


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("kitchen", "kitchen"),
        ("Kitchen_Pi.local", "kitchen-pi"),
        ("Küche", "k-che"),
        ("", "edgeagent"),
        ("日本", "edgeagent"),
    ],
)
def test_the_first_settings_are_settings_whatever_the_machine_is_called(hostname: str, name: str) -> None:
    settings = parse(first_settings(hostname)).device
    assert (settings.id, settings.state_dir) == (name, Path("/var/lib/edgeagent"))
    assert device_id("x" * 200) == "x" * 64


def python(**changes: Any) -> Python:
    return replace(facts().python, **changes)


@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        ({"is_root": False}, "needs root", "sudo"),
        ({"machine": "armv7l"}, "this is armv7l", "64-bit"),
        ({"python": python(is_64_bit=False)}, "aarch64 with 32-bit programs", "64-bit"),
        ({"systemd": None}, "no systemd runs", "edgeagent run"),
        ({"systemd": None, "places": Places(Path("/mnt"))}, "/mnt: has no systemd", "Debian"),
        ({"systemd": 247}, "systemd 247 is too old", "bookworm"),
        ({"python": python(version=(3, 10))}, r"Python 3\.10", "apt-get install python3"),
        ({"python": python(version=(3, 14))}, r"Python 3\.14", "--python"),
        ({"python": python(has_venv=False)}, "cannot make environments", "apt-get install python3-venv"),
        ({"python": python(path=Path("/home/pi/.pyenv/bin/python3"))}, "hidden from the daemon", "/usr/bin/python3"),
        ({"free_bytes": 100 << 20}, "100 MB are free", "apt-get clean"),
        ({"in_the_way": Path("/usr/local/bin/edgeagent")}, "is not ours", "mv /usr/local/bin/edgeagent"),
    ],
)
def test_a_machine_that_does_not_fit_is_told_what_to_type(
    changes: dict[str, object], problem: str, remedy: str
) -> None:
    check(facts(), BUNDLE)
    with pytest.raises(InstallError, match=problem) as caught:
        check(facts(**changes), BUNDLE)
    assert remedy in caught.value.remedy


def test_another_root_needs_no_rights_over_this_machine() -> None:
    check_rights(facts(is_root=False, places=Places(Path("/mnt"))))
    check(facts(is_root=False, places=Places(Path("/mnt")), python=python(path=Path("/root/python"))), BUNDLE)


def test_every_unit_of_a_device_is_placed() -> None:
    folder = Path(__file__).parents[2] / "systemd"
    publisher = {"edgeagent-refresh-timestamp.service", "edgeagent-refresh-timestamp.timer"}
    here = {path.name for path in folder.iterdir() if path.is_file()} - publisher
    assert {Path(source).name for source in FILES if source.count("/") == 1} == here
    for source in (*FILES, *IMAGE_FILES):
        assert (folder.parent / source).is_file()
