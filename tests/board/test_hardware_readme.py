"""hardware/README.md says what the profiles say."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from edgeagent.board import nouns
from edgeagent.board.profiles import boards, hats

README = (Path(__file__).parents[2] / "hardware/README.md").read_text()
NOBODYS = Path("/nonexistent")


@pytest.mark.parametrize("name", sorted({*boards(NOBODYS), *(one for one in hats(NOBODYS) if "usb" not in one)}))
def test_every_profile_is_listed(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize(
    "form",
    [
        nouns.BoardProfile, nouns.Match, nouns.Limits, nouns.Engines, nouns.Boot, nouns.BoardImage, nouns.Fault,
        nouns.HatProfile, nouns.HatMatch, nouns.Overlay, nouns.MixerSetting, nouns.HatLight, nouns.HatLine,
    ],
)  # fmt: skip
def test_every_key_is_listed(form: type[BaseModel]) -> None:
    tables = {"match", "limits", "engines", "boot", "image", "overlay", "light", "button", "mute"}
    for key in form.model_fields:
        assert f"`{key}`" in README or (key in tables and f"[{key}]" in README) or f"[[{key}]]" in README, key
