"""Memory back to the system, where something large was made and dropped: the C library keeps it otherwise."""

import ctypes


def give_back() -> None:
    """Have glibc give back what nobody uses (malloc_trim(3)), some milliseconds of work; elsewhere nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
