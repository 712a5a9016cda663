"""Colour names to hue and saturation, RGB and CIE xy, and back to the nearest name."""

import colorsys
import math
from collections.abc import Mapping
from types import MappingProxyType

PALETTE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "white": (0, 0),
        "warm white": (30, 40),
        "red": (0, 100),
        "orange": (28, 100),
        "yellow": (56, 100),
        "green": (120, 100),
        "turquoise": (176, 90),
        "blue": (240, 100),
        "purple": (275, 90),
        "magenta": (308, 100),
        "pink": (345, 50),
    }
)
"""Hue in degrees and saturation in percent. Far enough apart that a lamp with a narrow gamut still reports its own."""

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "cyan": "turquoise",
        "aqua": "turquoise",
        "teal": "turquoise",
        "violet": "purple",
        "lilac": "purple",
        "amber": "orange",
        "gold": "yellow",
        "rose": "pink",
        "fuchsia": "magenta",
        "lime": "green",
        "lavender": "purple",
        "indigo": "purple",
        "coral": "pink",
        "crimson": "red",
        "cool white": "white",
    }
)
"""Shades that are ordered as their neighbour: lamps cannot be trusted to tell them apart when they report back."""
COLORS: tuple[str, ...] = (*PALETTE, *SYNONYMS)
"""All names that can be ordered."""

# sRGB to CIE 1931 XYZ with the D65 white point, IEC 61966-2-1.
_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_FROM_XYZ = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))


def canonical(name: str) -> str:
    """Return the palette's name of a colour; a name that is none comes back unchanged."""
    return SYNONYMS.get(name, name)


def hs_of(name: str) -> tuple[float, float]:
    """Return hue in degrees and saturation in percent of a name in COLORS."""
    return PALETTE[canonical(name)]


def rgb_of(name: str) -> tuple[int, int, int]:
    """Return red, green and blue, each 0..255, at full brightness."""
    hue, saturation = hs_of(name)
    red, green, blue = colorsys.hsv_to_rgb(hue / 360, saturation / 100, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def xy_of(name: str) -> tuple[float, float]:
    """Return the CIE 1931 chromaticity, rounded to four places."""
    linear = [_linear(part / 255) for part in rgb_of(name)]
    x, y, z = (sum(factor * part for factor, part in zip(row, linear, strict=True)) for row in _TO_XYZ)
    return round(x / (x + y + z), 4), round(y / (x + y + z), 4)


def name_of_hs(hue: float, saturation: float) -> str:
    """Return the nearest name on the disc of hue (angle) and saturation (radius)."""
    here = _on_disc(hue, saturation)
    return min(PALETTE, key=lambda name: math.dist(here, _on_disc(*PALETTE[name])))


def name_of_rgb(red: float, green: float, blue: float) -> str:
    """Return the nearest name, whatever the brightness."""
    hue, saturation, _ = colorsys.rgb_to_hsv(*(min(max(part, 0), 255) / 255 for part in (red, green, blue)))
    return name_of_hs(hue * 360, saturation * 100)


def name_of_xy(x: float, y: float) -> str:
    """Return the nearest name of a CIE 1931 chromaticity; one outside of sRGB counts as its nearest inside."""
    y = max(y, 1e-4)
    xyz = (x / y, 1.0, (1 - x - y) / y)
    linear = [max(0.0, sum(factor * part for factor, part in zip(row, xyz, strict=True))) for row in _FROM_XYZ]
    most = max(*linear, 1e-9)
    return name_of_rgb(*(255 * _gamma(part / most) for part in linear))


def _on_disc(hue: float, saturation: float) -> tuple[float, float]:
    angle = math.radians(hue)
    return saturation * math.cos(angle), saturation * math.sin(angle)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - of the sRGB standard


def _gamma(part: float) -> float:
    return part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055  # noqa: PLR2004 - of the sRGB standard
