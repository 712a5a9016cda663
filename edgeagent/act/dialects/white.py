"""Colour temperatures: kelvin to the mireds or kelvins that a lamp takes, and back to what it will report.

A mired is a millionth of a reciprocal kelvin: the larger, the warmer. Lamps count in whole ones.
"""

import math
from dataclasses import dataclass

from edgeagent.errors import PayloadError

_MILLION = 1_000_000
_ROUND_KELVIN = 10
"""Ends of ranges are rounded outwards to tens: who reads 2200 K on the box of a lamp of 454 mireds may say so."""


@dataclass(frozen=True, slots=True)
class WhiteScale:
    """What a lamp takes: whole mireds, or whole kelvins with `is_kelvin`, from `least` to `most` of them."""

    least: float
    most: float
    is_kelvin: bool = False

    def __post_init__(self) -> None:
        """Raise PayloadError if the ends are no range."""
        if not 0 < self.least < self.most:
            raise PayloadError(f"colour temperature: expected the least first, found {self.least:g} to {self.most:g}")

    @property
    def ends(self) -> tuple[float, float]:
        """Return the least and the greatest value in kelvin."""
        if self.is_kelvin:
            return self.least, self.most
        warmest, coldest = _MILLION / self.most, _MILLION / self.least
        return (
            float(math.floor(warmest / _ROUND_KELVIN) * _ROUND_KELVIN),
            float(math.ceil(coldest / _ROUND_KELVIN) * _ROUND_KELVIN),
        )

    def raw(self, kelvin: float) -> float:
        """Return what the lamp is told, within its range."""
        exact = kelvin if self.is_kelvin else _MILLION / kelvin
        return min(max(round(exact), math.ceil(self.least)), math.floor(self.most))

    def kelvin(self, raw: float) -> float:
        """Return what the lamp means by a value. Raise PayloadError if it is no colour temperature."""
        if raw <= 0:
            raise PayloadError(f"expected a colour temperature above 0, found {raw:g}")
        return float(raw if self.is_kelvin else round(_MILLION / raw))

    def settled(self, kelvin: float) -> float:
        """Return what the lamp will report when it was told so many kelvin."""
        return self.kelvin(self.raw(kelvin))


MIREDS = WhiteScale(153, 500)
"""What lamps take that announce no range: 6536 to 2000 K."""


def mireds_of(kelvin: float) -> int:
    """Return whole mireds."""
    return round(_MILLION / kelvin)
