"""The board underneath, all that is known of it: profile, sound hardware, heat."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeagent.board.detection import (
    TREE,
    FoundBoard,
    FoundHat,
    Probe,
    Seen,
    board_of,
    hats_of,
    look,
    named_hat,
    nothing_probed,
)
from edgeagent.board.errors import BoardError
from edgeagent.board.profiles import OWN, boards, hats
from edgeagent.board.thermal import Throttling, temperatures, throttling


@dataclass(frozen=True, slots=True)
class Here:
    """What the board is, what is on it, how warm it is. `throttling` is None where nothing tells."""

    seen: Seen
    board: FoundBoard
    hats: tuple[FoundHat, ...] = ()
    temperatures: dict[str, float] = field(default_factory=dict)
    throttling: Throttling | None = None

    @property
    def line(self) -> str:
        """Return it in one line."""
        profile = self.board.profile
        on_it = "".join(f", with {one.profile.title}" for one in self.hats[:2])
        hottest = max(self.temperatures.values(), default=None)
        return f"{profile.title} ({profile.id}){on_it}" + (f", {hottest:.0f} °C" if hottest is not None else "")


@dataclass(frozen=True, slots=True)
class Named:
    """What the owner names in place of what would be found."""

    board: str | None = None
    hats: Sequence[str] = ()


def here(
    root: Path = Path("/"), *, named: Named | None = None, machine: str = "", probe: Probe = nothing_probed
) -> Here:
    """Look at the board below `root`; `machine` is as `uname -m` says it, by default here.

    Raise BoardError if it cannot run this, a name is none, or a folder that is no running system does not tell which
    board it is for; SettingsError if a profile is wrong.
    """
    wanted = named or Named()
    own = root / OWN.relative_to("/")
    all_boards, all_hats = boards(own), hats(own)
    if wanted.board is not None and wanted.board not in all_boards:
        raise BoardError(f"no board {wanted.board!r}", remedy=f"Choose one of {', '.join(sorted(all_boards))}.")
    if wanted.board is None and root != Path("/") and not (root / TREE).is_dir():
        raise BoardError(
            f"{root}: is no running system, and does not tell which board it is for",
            remedy=f"Name it with --board: {', '.join(sorted(all_boards))}.",
        )
    addresses = sorted({address for hat in all_hats.values() for address in hat.match.i2c_addresses})
    seen = look(root, machine=machine or _machine_of(wanted, root), addresses=addresses, probe=probe)
    board = board_of(seen, all_boards) if wanted.board is None else FoundBoard(all_boards[wanted.board])
    found = tuple(named_hat(name, seen, all_hats) for name in wanted.hats) or hats_of(seen, all_hats)
    return Here(seen, board, found, temperatures(root), throttling(root))


def _machine_of(wanted: Named, root: Path) -> str:
    """Return nothing for this machine; a folder for a board that is named may be for another machine than this."""
    return "aarch64" if root != Path("/") and wanted.board is not None else ""
