"""Work to an exit code: run to its end or to a signal, whatever threads it has."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from edgeagent import health

INTERRUPTED = 130
START_ANEW = 64
"""Not seen outside: the same program is started again in this process, with the same arguments."""
_MOST_DESCRIPTORS = 4_096


def finish(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end or to a signal; return the exit code."""
    return asyncio.run(_until_signal(work))


def start_anew() -> NoReturn:
    """Start this program again in this process: for who supervises it, it has never ended."""
    health.allow_new_start()
    logging.shutdown()
    sys.stdout.flush()
    os.closerange(3, _MOST_DESCRIPTORS)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "edgeagent", *sys.argv[1:]])  # noqa: S606  # no shell


def leave(code: int) -> NoReturn:
    """End the program; a thread that cannot be ended does not hold it up. Only for who owns the whole process."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Return the work's exit code; SIGTERM ends it in order with 0, Ctrl-C with 130."""
    task = asyncio.ensure_future(work)
    ended_by: list[int] = []

    def end(code: int) -> Callable[[], None]:
        def stop() -> None:
            ended_by.append(code)
            task.cancel()

        return stop

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end(0))
    loop.add_signal_handler(signal.SIGINT, end(INTERRUPTED))
    try:
        code = await task
    except asyncio.CancelledError:
        if not ended_by:
            raise
        return ended_by[0]
    return ended_by[0] if ended_by else code  # the work may have been ending for a reason of its own
