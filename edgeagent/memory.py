"""Memory back to the system, where something large was made and dropped: the C library keeps it otherwise."""

import ctypes
import gc


def give_back() -> None:
    """Collect what refers to itself alone, and have glibc give back what nobody uses (malloc_trim(3)).

    Some hundredths of a second of work; Python itself looks at what has lived long only when much has been added.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
