"""What the agent opens at its start: releases of every kind, in the place of what ships or on top of the owner's."""

from pathlib import Path

import pytest
from update.folder_repository import install

from edgeagent.releases import count_start, in_use
from edgeagent.settings import (
    ActingSettings,
    AgentSettings,
    DeviceSettings,
    UnderstandingSettings,
    UpdateSettings,
    WakingSettings,
)
from edgeagent.update.store import Store

COMMANDS = b"language: en\nintents: {}\n"


def settings_in(state: Path, *families: str, **more: object) -> AgentSettings:
    device, update = DeviceSettings(state_dir=state), UpdateSettings(families=families)
    return AgentSettings(device=device, update=update, **more)


def test_without_updates_everything_is_as_the_settings_say_and_nothing_is_made(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "state", "command-en")
    count_start(settings)
    found = in_use(settings)
    assert found.settings == found.given == settings
    assert (found.versions, found.names) == ({}, ("command-en:@0",))
    assert not found.is_out_of_date()
    assert not (tmp_path / "state").exists()


def test_a_model_stands_in_for_the_one_that_ships_but_not_for_the_owners(tmp_path: Path) -> None:
    folder = install(tmp_path, "command-en", {"manifest.json": b"{}"})
    assert in_use(settings_in(tmp_path, "command-en")).settings.understanding.model == str(folder)
    own = UnderstandingSettings(model="/my/model")
    assert in_use(settings_in(tmp_path, "command-en", understanding=own)).settings.understanding.model == "/my/model"


def test_commands_wake_words_and_pronunciations_come_on_top_of_the_owners(tmp_path: Path) -> None:
    commands = install(tmp_path, "workshop", {"workshop.yaml": COMMANDS}, kind="commands")
    wake = install(tmp_path, "wake", {"hey_house.json": b"{}"}, kind="wake")
    said = install(tmp_path, "said", {"pronunciations.txt": b"edgeagent EH JH\n"}, kind="pronunciations")
    found = in_use(
        settings_in(
            tmp_path,
            "workshop", "wake", "said",
            acting=ActingSettings(command_files=(Path("/my/commands.yaml"),)),
            waking=WakingSettings(words=("okay_nabu",)),
        )
    )  # fmt: skip
    assert found.settings.acting.command_files == (Path("/my/commands.yaml"), commands / "workshop.yaml")
    assert found.settings.waking.words == ("okay_nabu", str(wake / "hey_house.json"))
    assert found.settings.hearing.pronunciation_files == (said / "pronunciations.txt",)
    assert found.given.acting.command_files == (Path("/my/commands.yaml"),)
    assert found.versions == {"workshop": "1.0.0", "wake": "1.0.0", "said": "1.0.0"}


def test_a_device_without_wake_words_does_not_get_any_by_an_update(tmp_path: Path) -> None:
    install(tmp_path, "wake", {"hey_house.json": b"{}"}, kind="wake")
    assert in_use(settings_in(tmp_path, "wake")).settings.waking.words == ()


def test_a_family_that_the_settings_do_not_name_is_not_opened(tmp_path: Path) -> None:
    install(tmp_path, "workshop", {"workshop.yaml": COMMANDS}, kind="commands")
    assert in_use(settings_in(tmp_path, "command-en")).settings.acting.command_files == ()


@pytest.mark.parametrize("more", [{"agent_least": "99.0.0"}, {"abi": 7}])
def test_what_is_for_a_newer_agent_is_passed_over_as_after_a_downgrade_of_this_one(
    tmp_path: Path, more: dict[str, object]
) -> None:
    install(tmp_path, "command-en", {"manifest.json": b"{}"}, **more)
    assert in_use(settings_in(tmp_path, "command-en")).settings.understanding.model == "built-in"


def test_a36_a_flipped_bit_in_the_only_release_opens_what_ships(tmp_path: Path) -> None:
    folder = install(tmp_path, "command-en", {"manifest.json": b"{}"})
    (folder / "manifest.json").chmod(0o644)
    (folder / "manifest.json").write_bytes(b"{]")
    assert in_use(settings_in(tmp_path, "command-en")).settings.understanding.model == "built-in"


def test_another_current_release_is_noticed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "command-en")
    before = in_use(settings)
    install(tmp_path, "command-en", {"manifest.json": b"{}"})
    assert before.is_out_of_date()
    assert not in_use(settings).is_out_of_date()


def test_while_another_updater_is_at_work_the_agent_starts_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path, "command-en", {"manifest.json": b"{}"})
    store = Store(tmp_path / "updates")
    (store.root / "journal.db").touch()
    with store.lock():
        count_start(settings_in(tmp_path, "command-en"))
    assert "this start is not counted" in caplog.text
