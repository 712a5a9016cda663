"""What was measured, printed as it comes, and all of it in one line at the end."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Figures:
    """Figures by name; every name says its unit."""

    devices: int
    values: dict[str, float | int | str] = field(default_factory=dict)

    def note(self, name: str, value: float | str, how: str = "") -> None:
        """Keep a figure, and print it."""
        self.values[name] = value
        shown = value if isinstance(value, str) else f"{value:,.{0 if isinstance(value, int) or value >= 100 else 2}f}"
        sys.stdout.write(f"{name:<32}{shown:>14}   {how}\n")
        sys.stdout.flush()

    def note_times(self, name: str, times_ms: Sequence[float], how: str) -> None:
        """Keep the median and the 99th percentile."""
        cuts = statistics.quantiles(times_ms, n=100)
        self.note(f"{name}_p50_ms", cuts[49], how)
        self.note(f"{name}_p99_ms", cuts[98], "the same")

    def last_line(self) -> str:
        """Return everything as key=value."""
        shown = {key: value if isinstance(value, str) else f"{value:.4g}" for key, value in self.values.items()}
        return " ".join(f"{key}={value}" for key, value in ({"devices": str(self.devices)} | shown).items())
