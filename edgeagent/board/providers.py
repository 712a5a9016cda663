"""What computes a model: the providers that are wanted and there, and what to do when one does not start.

Rules:
- those that are wanted are tried in their order, and the CPU last, which is always there;
- one that does not start is left out, and the next is tried: a library that is missing is no reason to be deaf;
- what was chosen instead of what was wanted is told once, in one line.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

log = logging.getLogger(__name__)

NAMES = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""What onnxruntime calls them."""
CPU = NAMES["cpu"]

Session = TypeVar("Session")


@dataclass(frozen=True, slots=True)
class Computing:
    """By what a model is computed: providers, best first, and threads of the CPU."""

    providers: tuple[str, ...] = ("cpu",)
    threads: int = 1


def chosen(wanted: Sequence[str], available: Collection[str]) -> tuple[str, ...]:
    """Return onnxruntime's names of those that are wanted and available, the CPU last."""
    return (*(NAMES[one] for one in wanted if one != "cpu" and NAMES[one] in available), CPU)


def started(
    wanted: Sequence[str], available: Collection[str], start: Callable[[tuple[str, ...]], Session]
) -> tuple[Session, tuple[str, ...]]:
    """Start a session with the best providers that let it start; return it, and them.

    `start` raises whatever onnxruntime raises. What it raises with the CPU alone is the model's fault, and passed on.
    """
    names = chosen(wanted, available)
    troubles = [
        f"onnxruntime here has no {NAMES[one]}" for one in wanted if one != "cpu" and NAMES[one] not in available
    ]
    while True:
        try:
            session = start(names)
        except Exception as error:  # onnxruntime's fifteen errors share no other base; reported below
            if names == (CPU,):
                raise
            troubles.append(f"{names[0]} does not start: {_first_line(error)}")
            names = names[1:]
        else:
            break
    if troubles:
        log.warning("the model is computed by %s", names[0], extra={"problem": "; ".join(troubles)})
    return session, names


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
