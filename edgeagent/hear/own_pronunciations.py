"""The owner's pronunciations: a file in the form of the recognizer's dictionary, and where each way of a word is from.

A word that the owner has corrected is said in the owner's ways first, then in those of the dictionary and of our own
list; what would be guessed is then no longer tried.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeagent.errors import SettingsError
from edgeagent.files import write_durably
from edgeagent.grammar.spoken import spell_out
from edgeagent.hear import letters
from edgeagent.hear.letters import Phones
from edgeagent.hear.pronounce import LONGEST_WORD, MODEL, MOST_WAYS, OWN_WORDS, Pronunciations, entries

PRONUNCIATIONS = "pronunciations.txt"
"""The file's name in the state folder."""
MOST_ENTRIES = 1_000
MOST_PHONES = 60
"""Of one way: a word of 40 letters has fewer."""
LARGEST_FILE_BYTES = 1 << 20

_VOWELS = """
AA A: AE a AH V AO O: AW aU AY aI EH E ER 3: EY eI IH I IY i: OW oU OY OI UH U UW u:
"""
_CONSONANTS = """
B b CH tS D d DH D F f G g HH h JH dZ K k L l M m N n NG N P p R r S s SH S T t TH T V v W w Y j Z z ZH Z
"""
_PAIRS = (_VOWELS + _CONSONANTS).split()
ESPEAK: Mapping[str, str] = dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True))
"""The phones of the CMU dictionary in espeak-ng's mnemonics for American English (its docs/phonemes.md)."""
_STRESSABLE = frozenset(_VOWELS.split()[::2])
_STRESSED, _APART = "'", "|"

Origin = Literal["yours", "dictionary", "our list", "guess", "rule"]
Owned = Mapping[str, tuple[Phones, ...]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which the recognizer expects a word, and where it has it from."""

    phones: Phones
    origin: Origin


def version_of(path: Path) -> int:
    """Return what changes when a pronunciation is added or taken back."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def load(path: Path) -> dict[str, tuple[Phones, ...]]:
    """Return the owner's ways by word; none without a file. Raise SettingsError naming the line that is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
        text = content.decode()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}", remedy=f"Mend the file, or remove {path}.") from error
    owned: dict[str, tuple[Phones, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if number > MOST_ENTRIES or len(content) > LARGEST_FILE_BYTES:
            raise SettingsError(f"{path}: more than {MOST_ENTRIES} lines", remedy=f"Shorten it, or remove {path}.")
        if line.strip():
            head, *phones = line.split()
            word = _checked(head.split("(")[0], f"{path}:{number}")
            owned[word] = (*owned.get(word, ()), phones_of(" ".join(phones), f"{path}:{number}: "))
    return owned


def add(path: Path, word: str, phones: Phones) -> None:
    """Put a way before the others of a word. Raise SettingsError if it has too many, or the disk refuses."""
    owned = load(path)
    ways = tuple(dict.fromkeys((phones, *owned.get(_checked(word, "the name"), ()))))
    if len(ways) > MOST_WAYS:
        raise SettingsError(
            f"{word!r} has {MOST_WAYS} pronunciations of yours already",
            remedy=f"Take them back first: edgeagent pronounce {word} --undo.",
        )
    if sum(map(len, (owned | {word: ways}).values())) > MOST_ENTRIES:
        raise SettingsError(
            f"{path}: holds {MOST_ENTRIES} pronunciations, and more are not kept",
            remedy="Take some back: edgeagent pronounce NAME --undo.",
        )
    _write(path, owned | {word: ways})


def remove(path: Path, word: str) -> tuple[Phones, ...]:
    """Take the owner's ways of a word back, and return them. Raise SettingsError if there are none."""
    owned = load(path)
    if word not in owned:
        raise SettingsError(
            f"{word!r} has no pronunciation of yours", remedy="edgeagent pronounce --list shows those that there are."
        )
    _write(path, {other: ways for other, ways in owned.items() if other != word})
    return owned[word]


def phones_of(text: str, where: str = "") -> Phones:
    """Return phones as typed, "AH0 n iy" as AH N IY. Raise SettingsError naming the one that is wrong."""
    phones = tuple(phone.upper().rstrip("012") for phone in text.split())
    wrong = next((phone for phone in phones if phone not in ESPEAK), None)
    if wrong is not None:
        raise SettingsError(f"{where}there is no phone {wrong!r:.20}", remedy=f"The phones are {', '.join(ESPEAK)}.")
    if not 0 < len(phones) <= MOST_PHONES:
        raise SettingsError(
            f"{where}expected 1 to {MOST_PHONES} phones, found {len(phones)}", remedy="For example: K IH CH AH N."
        )
    return phones


def ways_of(word: str, owned: Owned, pronounce: Pronunciations) -> tuple[Way, ...]:
    """Return the ways in which the recognizer expects a word, the owner's first; none if it has no letters."""
    sources: Mapping[Origin, Iterable[Phones]] = {
        "yours": owned.get(word, ()),
        "dictionary": pronounce.known(word),
        "our list": (phones for other, phones in entries(OWN_WORDS) if other == word),
    }
    listed: dict[Phones, Way] = {}
    for origin, ways in sources.items():
        for phones in ways:
            listed.setdefault(phones, Way(phones, origin))
    if listed:
        return tuple(listed.values())[:MOST_WAYS]
    found = pronounce(word)
    guesses = {guess.phones for guess in letters.load(MODEL).guess(word, 2)} if found else set()
    return tuple(Way(phones, "guess" if phones in guesses else "rule") for phones in found)


def like(text: str, owned: Owned, pronounce: Pronunciations) -> Phones:
    """Return the phones of other words, one after the other. Raise SettingsError if there are none or too many."""
    ways = [ways_of(word, owned, pronounce) for word in spell_out(text)]
    return phones_of(" ".join(phone for found in ways for phone in found[0].phones), f"{text!r:.60}: ")


def espeak_input(phones: Sequence[str]) -> str:
    """Return phones as espeak-ng reads them aloud; the dictionary has no stress, so it is on the first vowel."""
    stressed = next((number for number, phone in enumerate(phones) if phone in _STRESSABLE), None)
    marked = ((_STRESSED if number == stressed else "") + ESPEAK[phone] for number, phone in enumerate(phones))
    return f"[[{_APART.join(marked)}]]"


def _checked(word: str, where: str) -> str:
    if spell_out(word) != (word,) or len(word) > LONGEST_WORD:
        raise SettingsError(
            f"{where}: {word!r:.60} is not one word in small letters",
            remedy="Numbers and signs are pronounced as they are spelled out: give the word alone.",
        )
    return word


def _write(path: Path, owned: Owned) -> None:
    lines = (
        f"{word if number == 1 else f'{word}({number})'} {' '.join(phones)}\n"
        for word, ways in sorted(owned.items())
        for number, phones in enumerate(ways, start=1)
    )
    try:
        write_durably(path, "".join(lines).encode())
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be written: {error.strerror or error}",
            remedy="Make room, or name a folder that can be written to: [device] state_dir.",
        ) from error
