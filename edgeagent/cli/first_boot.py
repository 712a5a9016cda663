"""`edgeagent first-boot`: take in what the boot partition holds for this device, and enrol it."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

# A start that is not the first one loads nothing.
# ruff: noqa: PLC0415

WAIT_S = 60.0
SHOWN_S = 5.0
"""A lamp that goes out at once tells nobody anything."""


def first_boot(
    root: Annotated[Path, typer.Option(help="Root folder of the device.")] = Path("/"),
    boot: Annotated[Path | None, typer.Option(help="Boot partition; else /boot/firmware or /boot.")] = None,
    wait_s: Annotated[float, typer.Option(help="Seconds to wait for the time, and for the broker.")] = WAIT_S,
    *,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not speak.")] = False,
) -> None:
    """Make settings of the boot partition's seed, enrol by its token, and erase that. Safe to be cut off and repeated.

    Exit code 1 where only a person can go on; 0 when it is done, or offline and will be tried again.
    """
    from edgeagent.health import notify
    from edgeagent.provision.first_boot_board import is_nothing_to_do, this_board

    board = this_board(root, boot, wait_s)
    if is_nothing_to_do(root, board.card):
        notify("READY=1\nSTATUS=nothing to do")
        return
    from edgeagent.provision.first_boot import first_boot as go_on
    from edgeagent.provision.first_boot_light import lamps
    from edgeagent.provision.telling import Teller, installed_voices

    with ExitStack() as shining:
        signs = shining.enter_context(lamps(board))

        def ready() -> None:
            shining.close()  # the daemon's, from here on
            notify("READY=1")

        teller = Teller(_line, signs, () if quiet else installed_voices())
        code = go_on(board, teller, ready)
        if code and not board.settings_file.exists() and signs:
            time.sleep(SHOWN_S)  # there will be no daemon to show it
    raise typer.Exit(code)


def _line(text: str) -> None:
    sys.stdout.write(f"edgeagent: {text}\n")
    sys.stdout.flush()
