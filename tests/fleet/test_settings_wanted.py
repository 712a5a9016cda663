"""The rules of settings that the fleet wants, as a table: what comes of what."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from edgeagent.errors import SettingsError
from edgeagent.fleet import settings_wanted as rules
from edgeagent.fleet import wire
from edgeagent.fleet.settings_wanted import Kept
from edgeagent.fleet.wire import Desired
from edgeagent.settings import AgentSettings, parse

OWNERS = parse(
    '[device]\nid = "hall-3"\n[broker]\nhost = "broker"\npassword = "s3cret"\n'
    '[fleet]\nmay_set = ["hearing.*", "waking.words", "device.*", "fleet.*", "broker.*", "answering.*", "update.*"]'
)
OLD, NEW, NEWER = {"hearing.vad_mode": 1}, {"hearing.vad_mode": 3}, {"hearing.vad_mode": 0}
APPLIED = Kept(3, "applied", "", OLD, OLD)
WAITING = Kept(4, "waiting", "", NEW, OLD, was_reached=True)
TRIAL = Kept(4, "trial", "", NEW, OLD, starts=1, was_reached=True)
REFUSED = Kept(4, "refused", "no", OLD, OLD)
UNDONE = Kept(4, "undone", "no", OLD, OLD)
STANDINGS = {
    "none": Kept(),
    "applied": APPLIED,
    "waiting": WAITING,
    "trial": TRIAL,
    "refused": REFUSED,
    "undone": UNDONE,
}


def wanted(version: int, settings: dict[str, Any], problem: str = "") -> Any:
    return lambda kept: rules.desired(kept, Desired(version=version, settings=settings), problem, is_reached=True)


@pytest.mark.parametrize(
    ("before", "happens", "after"),
    [
        (Kept(), wanted(1, NEW), Kept(1, "waiting", "", NEW, {}, was_reached=True)),
        (Kept(), wanted(1, {}), Kept(1, "applied")),
        (APPLIED, wanted(4, NEW), WAITING),
        (APPLIED, wanted(4, OLD), Kept(4, "applied", "", OLD, OLD)),
        (APPLIED, wanted(4, NEW, "no"), REFUSED),
        (WAITING, wanted(5, NEWER), Kept(5, "waiting", "", NEWER, OLD, was_reached=True)),
        (WAITING, wanted(5, OLD), Kept(5, "applied", "", OLD, OLD)),
        (WAITING, wanted(5, NEWER, "no"), Kept(5, "refused", "no", OLD, OLD)),
        (TRIAL, wanted(5, NEWER), Kept(5, "waiting", "", NEWER, OLD, was_reached=True)),
        (TRIAL, wanted(5, NEW), Kept(5, "trial", "", NEW, OLD, starts=1, was_reached=True)),
        (UNDONE, wanted(5, NEW), Kept(5, "waiting", "", NEW, OLD, was_reached=True)),
        (WAITING, rules.started, TRIAL),
        (TRIAL, rules.started, Kept(4, "trial", "", NEW, OLD, starts=2, was_reached=True)),
        (Kept(4, "trial", "", NEW, OLD, starts=3), rules.started,
         Kept(4, "undone", "3 starts with them did not last", OLD, OLD)),
        (APPLIED, rules.started, APPLIED),
        (TRIAL, rules.lasted, Kept(4, "trial", "", NEW, OLD, was_reached=True)),
        (APPLIED, rules.lasted, APPLIED),
        (TRIAL, rules.reached, Kept(4, "applied", "", NEW, NEW, was_reached=True)),
        (WAITING, rules.reached, WAITING),
        (TRIAL, lambda kept: rules.undone(kept, "no"), UNDONE),
        (APPLIED, lambda kept: rules.undone(kept, "no"), APPLIED),
        (REFUSED, lambda kept: rules.undone(kept, "what was good"), REFUSED),
    ],
)  # fmt: skip
def test_what_comes_of_what(before: Kept, happens: Any, after: Kept) -> None:
    assert happens(before) == after


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a62_a_version_that_is_not_higher_changes_nothing(standing: str, version: int) -> None:
    kept = STANDINGS[standing]
    if version <= kept.version:
        assert wanted(version, NEWER)(kept) == kept
        assert wanted(version, NEWER, "no")(kept) == kept


def test_a35_only_settings_in_trial_cut_a_device_off_and_only_one_that_was_reached_before() -> None:
    assert rules.is_cut_off(TRIAL, 120.0, 120.0)
    assert not rules.is_cut_off(TRIAL, 119.0, 120.0)
    assert not rules.is_cut_off(Kept(4, "trial", "", NEW, OLD, 1), 1e6, 120.0)
    assert not any(rules.is_cut_off(kept, 1e6, 120.0) for name, kept in STANDINGS.items() if name != "trial")
    assert rules.is_cut_off(Kept(4, "trial", "", NEW, OLD, 1), 120.0, 120.0, is_elsewhere=True)


@pytest.mark.parametrize(
    ("overlay", "before", "on_the_fleets_own", "on_the_houses"),
    [
        (NEW, OLD, False, False),
        ({"fleet.broker.host": "new"}, {}, True, True),
        ({}, {"fleet.broker.port": 1884}, True, True),
        ({"fleet.broker.port": 1884, **NEW}, {"fleet.broker.port": 1884}, False, False),
        ({"broker.host": "new"}, {"broker.host": "old"}, False, True),
        ({"fleet.sample_every_s": 5.0}, {}, False, False),
    ],
)
def test_a35_settings_that_lead_to_the_fleet_are_told_from_others(
    overlay: Any, before: Any, *, on_the_fleets_own: bool, on_the_houses: bool
) -> None:
    kept = Kept(4, "trial", "", overlay, before)
    assert rules.leads_elsewhere(kept, is_apart=True) == on_the_fleets_own
    assert rules.leads_elsewhere(kept, is_apart=False) == on_the_houses


@pytest.mark.parametrize(
    ("kept", "version", "settings", "is_own"),
    [
        (TRIAL, 4, NEW, True),
        (TRIAL, 5, NEW, True),
        (TRIAL, 3, NEW, False),
        (TRIAL, 4, NEWER, False),
        (WAITING, 4, NEW, False),
        (APPLIED, 3, OLD, False),
    ],
)
def test_a35_only_who_wants_what_is_in_trial_is_taken_for_the_fleet(
    kept: Kept, version: int, settings: Any, *, is_own: bool
) -> None:
    assert rules.is_own_wish(kept, Desired(version=version, settings=settings)) == is_own


def test_a_start_proves_settings_after_a_minute_and_sooner_only_where_they_are_undone_sooner() -> None:
    assert [rules.trial_s(undo_after_s) for undo_after_s in (1.0, 20.0, 120.0, 86_400.0)] == [5.0, 10.0, 60.0, 60.0]


def test_whatever_happens_in_whatever_order_what_was_good_is_never_lost_nor_what_was_never_reached_kept() -> None:
    steps: dict[str, Any] = {
        "start": rules.started,
        "last": rules.lasted,
        "reach": rules.reached,
        "undo": lambda kept: rules.undone(kept, "cut off") if kept.standing == "trial" else kept,
        "want": lambda kept: wanted(kept.version + 1, NEW)(kept),
        "want newer": lambda kept: wanted(kept.version + 1, NEWER)(kept),
        "want wrong": lambda kept: wanted(kept.version + 1, NEWER, "no")(kept),
    }
    for names in itertools.product(steps, repeat=5):
        kept, good = APPLIED, OLD
        for name in names:
            before = kept
            kept = steps[name](kept)
            if kept.standing == "applied" and before.standing == "trial":
                assert name == "reach"
                good = dict(kept.overlay)
            assert kept.version >= before.version
            assert kept.starts <= rules.MOST_STARTS
            if kept.standing in {"waiting", "trial"}:
                assert kept.before == good, names
            else:
                assert kept.overlay == good, names
            assert rules.read(rules.written(kept)) == kept


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"acting.deadline_s": 1.0}, "acting.deadline_s: not for the fleet to change"),
        ({"device.id": "other"}, "device.id: not for the fleet"),
        ({"fleet.may_set": ("*",)}, "fleet.may_set: not for the fleet"),
        ({"fleet.share_words": True}, "fleet.share_words: not for the fleet"),
        ({"broker.password": "x"}, "broker.password: not for the fleet"),
        ({"hearing.nothing": 1}, "hearing.nothing: there is no such setting"),
        ({"hearing.vad_mode": 9}, "hearing.vad_mode: it should be less than or equal to 3"),
        ({"hearing.vad_mode": "3"}, "hearing.vad_mode: it should be a valid integer"),
        ({"hearing.vad_mode": 3, "hearing.cap_s": -1.0}, "hearing.cap_s"),
        ({"hearing.pronunciation_files": ("words",)}, "names a file"),
        ({"answering.piper_voice": "voice.onnx"}, "names a file"),
        ({"hearing.model": "/etc"}, "names a file"),
        ({"waking.words": ("../x.json",)}, "names a file"),
        ({"hearing.vad_mode.deep": 3}, "there is no such setting"),
        ({"fleet.broker.port": 1884}, "fleet"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_as_a_whole_with_the_reason(settings: dict[str, Any], problem: str) -> None:
    found = rules.problem_of(OWNERS, settings)
    assert problem in found
    assert "s3cret" not in found
    with pytest.raises(SettingsError):
        rules.in_force(OWNERS, Kept(1, "trial", "", settings, {}))


def test_what_is_allowed_lies_over_the_owners_file_and_passwords_stay() -> None:
    kept = Kept(1, "trial", "", {"hearing.vad_mode": 3, "device.area": "kitchen", "update.window": "02:00-04:00"}, {})
    found = rules.in_force(OWNERS, kept)
    assert (found.hearing.vad_mode, found.device.area, found.update.window) == (3, "kitchen", "02:00-04:00")
    assert found.broker.password == OWNERS.broker.password
    assert found.device.id == "hall-3"
    assert rules.in_force(OWNERS, Kept()) == OWNERS


def test_a_report_has_the_settings_as_they_are_without_passwords_and_within_bounds() -> None:
    told = rules.report(TRIAL, OWNERS)
    assert told.settings["broker.host"] == "broker"
    assert not [key for key in told.settings if "password" in key]
    assert "s3cret" not in told.model_dump_json()
    files = tuple(f"/srv/{'x' * 500}-{number}.yaml" for number in range(500))
    large = OWNERS.model_copy(update={"acting": OWNERS.acting.model_copy(update={"command_files": files})})
    assert len(wire.written(rules.report(TRIAL, large))) <= wire.LARGEST_SMALL_BYTES
    last = rules.report(TRIAL, large).settings
    assert last["fleet.undo_after_s"] == 120.0, "one that is too large hides none of the others"


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u706f", "\U0001f4a1", '"'])
def test_a_report_is_measured_as_it_is_sent_in_any_script(letter: str) -> None:
    files = tuple(Path(f"/srv/{letter * 180}-{number}.yaml") for number in range(30))
    large = OWNERS.model_copy(update={"acting": OWNERS.acting.model_copy(update={"command_files": files})})
    refused = Kept(4, "refused", letter * 400, OLD, OLD)
    payload = wire.written(rules.report(refused, large, letter * 2_000))
    assert len(payload) <= wire.LARGEST_SMALL_BYTES
    assert wire.read(wire.Reported, payload).version == 4


@pytest.mark.parametrize("user", ["kit:hunter2@", "kit:hun@ter2@", "hunter2@", ":hunter2@"])
def test_a61_a_report_has_no_address_with_who_one_is_at_it(user: str) -> None:
    long = "x" * 180
    settings = parse(
        f'[update]\nurl = "https://{user}updates.example/{long}"\n[device]\narea = "https://{long}:{user}"'
    )
    told = rules.report(Kept(4, "undone", f"https://{user}updates.example is away"), settings)
    assert "ter2" not in told.model_dump_json()
    assert str(told.settings["update.url"]).startswith("https://updates.example/x")
    assert "updates.example is away" in told.problem


def test_what_was_kept_and_is_not_in_this_start_is_told_as_undone_with_the_reason() -> None:
    told = rules.report(APPLIED, OWNERS, "the address is taken")
    assert (told.version, told.standing, told.problem) == (3, "undone", "not in this start: the address is taken")
    assert rules.report(APPLIED, OWNERS).standing == "applied"


@pytest.mark.parametrize(
    "found",
    [None, [], {}, {"version": -1}, {**rules.written(TRIAL), "standing": "good"},
     {**rules.written(TRIAL), "overlay": 1}, {**rules.written(TRIAL), "before": {"x": 1}},
     {**rules.written(TRIAL), "version": "4"}],
)  # fmt: skip
def test_what_was_not_put_down_by_us_is_no_standing(found: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        rules.read(found)


def test_the_defaults_let_the_fleet_change_what_is_harmless_and_nothing_else() -> None:
    allowed: dict[str, Any] = {
        "hearing.unsure_below": 0.5,
        "waking.cutoff": 0.9,
        "answering.only_trouble": True,
        "device.area": "hall",
    }
    assert rules.problem_of(AgentSettings(), allowed) == ""
    forbidden: dict[str, Any] = {
        "acting.audit": False, "acting.orders_per_minute": 9_000, "update.url": "http://evil/", "hermes.site": "x",
        "wyoming.uri": "tcp://0.0.0.0:1", "broker.host": "evil", "device.state_dir": "elsewhere", "device.board": "x",
        "sparkplug.host_id": "x", "update.families": ("x",), "fleet.enabled": False, "acting.risks.lock": "free",
        "microphone.gain": 60.0, "understanding.model": "off",
    }  # fmt: skip
    for key, value in forbidden.items():
        assert "not for the fleet" in rules.problem_of(AgentSettings(), {key: value}), key
