"""What holds before anything is opened."""

from pathlib import Path

import pytest

from edgeagent.errors import SettingsError
from edgeagent.lifetimes import alone


def test_a25_two_agents_with_one_state_folder_would_obey_twice_so_the_second_ends(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(SettingsError, match="another edgeagent is running"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_a21_where_nothing_can_be_written_an_agent_starts_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "agent.lock").mkdir()
    with alone(tmp_path):
        assert "cannot be locked" in caplog.text
