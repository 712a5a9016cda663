"""`edgeagent pronounce`: how the recognizer expects a name to be said, to be seen, heard and corrected."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from edgeagent.errors import EdgeAgentError, SettingsError
from edgeagent.grammar.spoken import spell_out
from edgeagent.hear import own_pronunciations
from edgeagent.hear.own_pronunciations import PRONUNCIATIONS, Way, espeak_input, like, phones_of, ways_of
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.settings import AgentSettings

SPOKEN_WITHIN_S = 20.0
_VOICE = "en-us"
"""The dictionary is American, and so must be who reads its phones."""
_FROM_NOW_ON = "A daemon that runs hears it like this from the next sentence on."


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to become of a word: other phones, the phones of other words, or what it was before."""

    phones: str | None = None
    like: str | None = None
    is_undone: bool = False

    @property
    def is_any(self) -> bool:
        """Tell whether anything is to be changed."""
        return self.phones is not None or self.like is not None or self.is_undone


def pronounce(settings: AgentSettings, name: str, correction: Correction, *, says: bool, is_json: bool) -> int:
    """Correct a name where that is wanted, then show (and say) its pronunciations; return the exit code.

    Raise SettingsError if the name has no words, or the correction is wrong or cannot be kept.
    """
    words = spell_out(name)
    if not words:
        raise SettingsError(f"{name!r:.60} has no words that can be said", remedy="Give a name in English letters.")
    path = settings.device.state_dir / PRONUNCIATIONS
    known = Pronunciations()
    if correction.is_any:
        _correct(settings, words, correction, known)
    owned = own_pronunciations.load(path)
    shown = {word: ways_of(word, owned, known) for word in words}
    if is_json:
        sys.stdout.write(json.dumps({word: [_row(way) for way in ways] for word, ways in shown.items()}) + "\n")
    else:
        _print(shown, _FROM_NOW_ON if correction.is_any else "", _unused(settings))
    if says:
        _say(shown)
    return 0


def show_own(settings: AgentSettings, *, is_json: bool) -> int:
    """Print the owner's pronunciations; return the exit code."""
    owned = own_pronunciations.load(settings.device.state_dir / PRONUNCIATIONS)
    shown = {word: tuple(Way(phones, "yours") for phones in ways) for word, ways in sorted(owned.items())}
    if is_json:
        sys.stdout.write(json.dumps({word: [_row(way) for way in ways] for word, ways in shown.items()}) + "\n")
    elif shown:
        _print(shown, _unused(settings))
    else:
        sys.stdout.write('No pronunciation is yours. Correct one: edgeagent pronounce NAME --like "other words"\n')
    return 0


def _correct(settings: AgentSettings, words: Sequence[str], correction: Correction, known: Pronunciations) -> None:
    path = settings.device.state_dir / PRONUNCIATIONS
    if len(words) > 1:
        raise SettingsError(
            f"one word is corrected at a time, and this has {len(words)}: {', '.join(words)}",
            remedy="Give the word that is heard wrongly, alone.",
        )
    if correction.is_undone:
        own_pronunciations.remove(path, words[0])
    elif correction.phones is not None:
        own_pronunciations.add(path, words[0], phones_of(correction.phones))
    elif correction.like is not None:
        own_pronunciations.add(path, words[0], like(correction.like, own_pronunciations.load(path), known))


def _row(way: Way) -> dict[str, str]:
    return {"phones": " ".join(way.phones), "from": way.origin}


def _unused(settings: AgentSettings) -> str:
    """Return a remark where the recognizer has words of its own, which nobody can correct."""
    name = settings.hearing.recognizer
    return "" if name == "pocketsphinx" else f"{name}, which the settings name, does not use these: pocketsphinx does."


def _print(shown: Mapping[str, Sequence[Way]], *remarks: str) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("word", "said as", "from"):
        table.add_column(title, overflow="fold")
    for word, ways in shown.items():
        for number, way in enumerate(ways):
            table.add_row("" if number else word, " ".join(way.phones), way.origin)
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    for remark in filter(None, remarks):
        console.print(remark, soft_wrap=True)


def _say(shown: Mapping[str, Sequence[Way]]) -> None:
    """Read every way aloud, one after the other. Raise EdgeAgentError if there is no espeak-ng, or it cannot."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise EdgeAgentError("nothing can speak: there is no espeak-ng", remedy="sudo apt-get install espeak-ng")
    for ways in shown.values():
        for way in ways:
            try:
                subprocess.run(  # noqa: S603  # the program that was found, and our own phonemes
                    [program, "-v", _VOICE, espeak_input(way.phones)],
                    check=True,
                    capture_output=True,
                    timeout=SPOKEN_WITHIN_S,
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise EdgeAgentError(f"espeak-ng cannot speak: {error}", remedy="`edgeagent doctor`") from error
