"""The board's own lamps, from the power switch to the moment at which the daemon has them."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edgeagent import BUILT
from edgeagent.answer.patterns import Sign
from edgeagent.board.onboard import on_board
from edgeagent.errors import EdgeAgentError
from edgeagent.provision.enrol_file import Seed
from edgeagent.provision.errors import ImageError
from edgeagent.provision.first_boot_board import Board
from edgeagent.settings import AgentSettings, BoardSettings, load

log = logging.getLogger(__name__)


@contextmanager
def lamps(board: Board) -> Iterator[tuple[Sign, ...]]:
    """Have the lamps shine while the block runs; none where there are none, or they cannot be used."""
    settings = _settings(board)
    if not settings.board.is_used:
        yield ()
        return
    with asyncio.Runner() as runner:  # what draws is a thread: the loop is needed to begin and to end
        context = on_board(settings, threading.Event())
        try:
            signs = runner.run(context.__aenter__()).signs
        except EdgeAgentError as error:
            log.warning("no light", extra={"problem": str(error)})
            yield ()
            return
        try:
            yield signs
        finally:
            runner.run(context.__aexit__(None, None, None))


def _settings(board: Board) -> AgentSettings:
    """Return the settings as far as lamps go: the owner's, or what the board is found to be."""
    try:
        if board.settings_file.exists():
            return load(board.settings_file)
        hardware = board.hardware(_seed(board))
    except EdgeAgentError:
        return AgentSettings()
    return AgentSettings(board=BoardSettings(hat=hardware.hat))


def _seed(board: Board) -> Seed:
    try:
        return board.card.seed() or Seed(built=BUILT)
    except ImageError:
        return Seed(built=BUILT)
