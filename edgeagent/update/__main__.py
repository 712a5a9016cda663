"""The updater's process: carries out what is under way, as far as it goes now. `python -m edgeagent.update`.

It reads the agent's settings from standard input, as JSON; `--blocks FD` is a socket over which the agent fetches
blocks from the broker. The agent starts it, so that what it needs (TUF, cryptography) is never in the agent's memory;
it gives way to everything else on the machine. Exit status: 0 ended, or nothing to do; 10 the new release is in place,
and the agent is to be started anew; 11 later; 3 an error, told on standard error.
"""

import argparse
import logging
import os
import socket
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from edgeagent import logs
from edgeagent.errors import EdgeAgentError, UpdateError
from edgeagent.settings import AgentSettings
from edgeagent.update.blocks import BlockTransport, Pipe
from edgeagent.update.journal import Journal
from edgeagent.update.places import ENDED, JOURNAL, LATER, SWITCHED, TROUBLE, UPDATES
from edgeagent.update.self_test import peak_memory_mb
from edgeagent.update.store import Store
from edgeagent.update.updater import advance
from edgeagent.update.workplace import Around, site_at

LARGEST_SETTINGS_BYTES = 1 << 20
_NICENESS = 19

log = logging.getLogger(__name__)


def main() -> int:
    """Carry out what is under way; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m edgeagent.update", description=__doc__)
    parser.add_argument("--blocks", type=int)
    asked = parser.parse_args()
    logs.set_up(logging.INFO)
    _give_way()
    settings = AgentSettings.model_validate_json(sys.stdin.buffer.read(LARGEST_SETTINGS_BYTES))
    try:
        with ExitStack() as opened:
            blocks = None
            if asked.blocks is not None:
                pipe = Pipe(opened.enter_context(closing(socket.socket(fileno=asked.blocks))))
                blocks = BlockTransport(pipe, settings.update.bytes_per_second)
            return _carry_on(settings, Around(blocks=blocks))
    except EdgeAgentError as error:
        code = error.code if isinstance(error, UpdateError) else ""
        log.error("update", extra={"code": code, "problem": str(error), "remedy": error.remedy})  # noqa: TRY400
        return TROUBLE


def _carry_on(settings: AgentSettings, around: Around) -> int:
    store = Store(settings.device.state_dir / UPDATES)
    store.prepare()
    with store.lock(), closing(Journal(store.root / JOURNAL)) as journal:
        with site_at(settings, store, journal, around) as site:
            course = advance(site)
        log.info("updater", extra={"state": course.state if course else "", "peak_mb": round(peak_memory_mb())})
    if course is None or course.is_ended:
        return ENDED
    return SWITCHED if course.state == "probation" and not course.starts else LATER


def _give_way() -> None:
    with suppress(OSError, AttributeError):
        os.nice(_NICENESS)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(OSError):  # of the processes of this user, the one that is ended first where memory runs out
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    sys.exit(main())
