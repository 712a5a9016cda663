"""Voice health of those who have a release, against that of those who have not. Pure."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["worse", "not worse", "too little"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure in both groups; what is higher is worse. `p` is one-sided: that chance alone makes it so much worse.

    `level`: the p below which this look at this measure calls it worse.
    """

    measure: str
    devices_with: int
    devices_without: int
    cases_with: int
    cases_without: int
    rate_with: float
    rate_without: float
    statistic: float
    p: float
    level: float
    verdict: Verdict
    words: str
