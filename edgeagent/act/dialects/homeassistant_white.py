"""Home Assistant's lights that are warm or cold: the fields of their colour temperature."""

from typing import Annotated

from pydantic import Field

from edgeagent.act.dialects.homeassistant_schema import ComponentConfig
from edgeagent.act.dialects.schema import Number
from edgeagent.act.dialects.white import MIREDS, WhiteScale, mireds_of

Mireds = Annotated[Number, Field(ge=10, le=10_000)]
Kelvin = Annotated[Number, Field(ge=100, le=100_000)]
LEAST_KELVIN, MOST_KELVIN = 2000, 6535
"""What Home Assistant takes for the range where none is announced."""


class WhiteConfig(ComponentConfig):
    """A light. It takes mireds unless `color_temp_kelvin` says kelvin; its range may be announced in either."""

    color_temp_kelvin: bool = False
    min_mireds: Mireds | None = None
    max_mireds: Mireds | None = None
    min_kelvin: Kelvin | None = None
    max_kelvin: Kelvin | None = None

    @property
    def white(self) -> WhiteScale:
        """Return what it takes. Raise PayloadError if its range is none; mireds go before kelvin where both stand."""
        if self.color_temp_kelvin:
            least = self.min_kelvin or LEAST_KELVIN if self.max_mireds is None else 1_000_000 // self.max_mireds
            most = self.max_kelvin or MOST_KELVIN if self.min_mireds is None else 1_000_000 // self.min_mireds
            return WhiteScale(least, most, is_kelvin=True)
        coldest = MIREDS.least if self.max_kelvin is None else mireds_of(self.max_kelvin)
        warmest = MIREDS.most if self.min_kelvin is None else mireds_of(self.min_kelvin)
        return WhiteScale(
            coldest if self.min_mireds is None else self.min_mireds,
            warmest if self.max_mireds is None else self.max_mireds,
        )
