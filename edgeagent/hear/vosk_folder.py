"""A folder to what Vosk would find in it: whether it can be opened, which words it knows, what it lacks.

The rules are those of libvosk 0.3.45 (src/model.cc), which ends the process where some of them are broken:

- Files lie in `am/`, `conf/` and `graph/`; in the old layout they lie side by side, and the options are built in.
- A graph is `HCLG.fst`, or `HCLr.fst` with `Gr.fst` and `disambig_tid.int`; only the latter takes grammars.
- Words are the output symbols of `HCLG.fst` or `Gr.fst`; `words.txt` is read only where there are none.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgeagent.errors import ModelError

REMEDY = "Get it anew: edgeagent model fetch vosk-small-en, or a zip from https://alphacephei.com/vosk/models."
LARGEST_OPTIONS_BYTES = 64 << 10
"""An options file has ten lines."""
LARGEST_WORDS_BYTES = 256 << 20
"""The text of words.txt; the largest published one has some 10 MB."""
LONGEST_WORD_BYTES = 4096
"""A longer symbol is no word but damage."""

_KALDI_BINARY = b"\0B"
_FST = struct.pack("<i", 2125659606)
_SYMBOLS = struct.pack("<i", 2125658996)
_HAS_INPUT_SYMBOLS, _HAS_OUTPUT_SYMBOLS = 1, 2
_SILENCE_PHONES = "--endpoint.silence-phones"
_SUBSAMPLING = "--frame-subsampling-factor"
_PHONES = re.compile(r"\d+(:\d+)*")
_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "ivector": (
        *("ivector/final.ie", "ivector/final.mat", "ivector/final.dubm"),
        *("ivector/global_cmvn.stats", "ivector/online_cmvn.conf", "ivector/splice.conf"),
    ),
    "rescore/G.carpa": ("rescore/G.fst",),
    "rnnlm/final.raw": ("rnnlm/feat_embedding.final.mat", "rnnlm/special_symbol_opts.conf", "rnnlm/word_feats.txt"),
}
"""What is there for a model of more parts, and the files that it then needs."""
_MAY_BE_EMPTY = {"ivector/online_cmvn.conf"}
"""Options that are often left as they are."""


@dataclass(frozen=True, slots=True)
class VoskFolder:
    """A folder that Vosk can open. `remarks` say in words what it lacks but can do without."""

    where: str
    words: frozenset[str]
    remarks: tuple[str, ...]

    def missing(self, words: Iterable[str]) -> tuple[str, ...]:
        """Return those of the words that it does not know, each once.

        Raise ModelError if it knows none at all: then it is of another language. Some missing prove nothing: names
        are missing in any model, and a model made for one machine knows its words alone.
        """
        wanted = tuple(dict.fromkeys(words))
        unknown = tuple(word for word in wanted if word not in self.words)
        if wanted and unknown == wanted:
            some = ", ".join(sorted(wanted)[:5])
            message = f"{self.where}: expected a model of the language of the commands, but it knows none of {some}"
            raise ModelError(message, remedy="Take one of that language: edgeagent model fetch vosk-small-en.")
        return unknown


@dataclass(frozen=True, slots=True)
class _Layout:
    acoustic: str
    options: str | None
    features: str
    graph: str
    boundaries: str


_NEW = _Layout("am/final.mdl", "conf/model.conf", "conf/", "graph/", "graph/phones/word_boundary.int")
_OLD = _Layout("final.mdl", None, "", "", "word_boundary.int")


def check(folder: Path, where: str = "") -> VoskFolder:
    """Look at a folder before Vosk does; `where` is what messages call it, when not by its path.

    Raise ModelError if it is no model, half unpacked, or would make libvosk end the process.
    """
    try:
        return _looked_at(folder, where or str(folder))
    except OSError as error:
        raise ModelError(f"{error.filename or where or folder}: {error.strerror}", remedy=REMEDY) from error


def _looked_at(folder: Path, where: str) -> VoskFolder:
    layout = _layout(folder, where)
    missing = [
        name for name in _needed(folder, layout) if not _is_filled(folder / name, or_empty=name in _MAY_BE_EMPTY)
    ]
    if missing:
        raise ModelError(f"{where}: no whole Vosk model: missing or empty: {', '.join(missing)}", remedy=REMEDY)
    _check_beginning(folder, layout.acoustic, _KALDI_BINARY, where)
    graphs = _graphs(folder, layout)
    for name in graphs:
        _check_beginning(folder, name, _FST, where)
    remarks = [] if layout.options is None else _check_options(folder / layout.options, f"{where}: {layout.options}")
    if not _is_filled(folder / layout.boundaries):
        remarks.append(f"{layout.boundaries} is missing: where words begin is told less well")
    if len(graphs) == 1:
        remarks.append(f"{graphs[0]} fixes what can be heard: the grammar cannot guide the recognizer")
    return VoskFolder(where, _words(folder, layout, where), tuple(remarks))


def _layout(folder: Path, where: str) -> _Layout:
    if any((folder / name).is_dir() for name in ("am", "conf", "graph")):
        return _NEW
    if (folder / _OLD.acoustic).is_file():
        return _OLD
    raise ModelError(f"{where}: no Vosk model: expected {_NEW.acoustic}, or {_OLD.acoustic} as of old", remedy=REMEDY)


def _needed(folder: Path, layout: _Layout) -> Iterator[str]:
    yield layout.acoustic
    if layout.options is not None:
        yield layout.options
    has_filter_banks = (
        layout is _NEW and (folder / "conf/fbank.conf").exists() and not (folder / "conf/mfcc.conf").exists()
    )
    yield f"{layout.features}{'fbank' if has_filter_banks else 'mfcc'}.conf"
    graphs = _graphs(folder, layout)
    yield from graphs
    if len(graphs) > 1:
        yield f"{layout.graph}disambig_tid.int"
    for part, files in _TOGETHER.items():
        if (folder / part).exists():
            yield from files


def _graphs(folder: Path, layout: _Layout) -> tuple[str, ...]:
    whole = f"{layout.graph}HCLG.fst"
    return (whole,) if (folder / whole).exists() else (f"{layout.graph}HCLr.fst", f"{layout.graph}Gr.fst")


def _is_filled(path: Path, *, or_empty: bool = False) -> bool:
    return path.is_file() and (or_empty or path.stat().st_size > 0)


def _check_beginning(folder: Path, name: str, mark: bytes, where: str) -> None:
    with (folder / name).open("rb") as file:
        found = file.read(len(mark))
    if found != mark:
        message = f"{where}: {name}: damaged, or of another program: it begins with {found!r}, expected {mark!r}"
        raise ModelError(message, remedy=REMEDY)


def _check_options(path: Path, where: str) -> list[str]:
    """Return remarks on the options. Raise ModelError if libvosk would end the process over them."""
    found = dict(_options(path))
    phones = found.get(_SILENCE_PHONES, "")
    if not _PHONES.fullmatch(phones):
        said = f"found {phones!r:.60}" if phones else "found none"
        message = f"{where}: expected {_SILENCE_PHONES} with numbers and ':' between them, {said}; Vosk would crash"
        raise ModelError(message, remedy=REMEDY)
    if found.get(_SUBSAMPLING) != "3":
        return [f"{_SUBSAMPLING} is not 3: the times of words will be wrong"]
    return []


def _options(path: Path) -> Iterator[tuple[str, str]]:
    """Yield names and values as Kaldi reads them: any case, '_' for '-', '#' begins a comment."""
    with path.open("rb") as file:
        text = file.read(LARGEST_OPTIONS_BYTES).decode(errors="replace")
    for line in text.splitlines():
        name, _, value = line.partition("#")[0].strip().partition("=")
        yield name.lower().replace("_", "-"), value.strip()


def _words(folder: Path, layout: _Layout, where: str) -> frozenset[str]:
    graph = _graphs(folder, layout)[-1]
    try:
        with (folder / graph).open("rb") as file:
            found = _output_symbols(file)
    except (struct.error, ValueError) as error:
        raise ModelError(f"{where}: {graph}: damaged: its symbols cannot be read", remedy=REMEDY) from error
    listed = f"{layout.graph}words.txt"
    if found is None and _is_filled(folder / listed):
        with (folder / listed).open("rb") as file:
            lines = file.read(LARGEST_WORDS_BYTES).decode(errors="replace").split("\n")
        found = frozenset(line.split(maxsplit=1)[0] for line in lines if line.strip())
    if not found:
        raise ModelError(f"{where}: it has no words: expected {listed}, or symbols in {graph}", remedy=REMEDY)
    return found


def _output_symbols(file: IO[bytes]) -> frozenset[str] | None:
    """Return the output symbols in an OpenFst file, None if it has none (fst/fst.cc, FstHeader::Read)."""
    file.seek(len(_FST))
    _text(file)  # the type of automaton
    _text(file)  # the type of arc
    (flags,) = _unpacked(file, "<4xi32x")
    if flags & _HAS_INPUT_SYMBOLS:
        _symbols(file)
    return _symbols(file) if flags & _HAS_OUTPUT_SYMBOLS else None


def _symbols(file: IO[bytes]) -> frozenset[str]:
    """Return the symbols of a table that begins here (fst/symbol-table.cc, SymbolTableImpl::Read)."""
    if file.read(len(_SYMBOLS)) != _SYMBOLS:
        raise ValueError("no symbol table")
    _text(file)  # its name
    (count,) = _unpacked(file, "<8xq")
    return frozenset(_symbol(file) for _ in range(count))


def _symbol(file: IO[bytes]) -> str:
    symbol = _text(file)
    _unpacked(file, "<q")  # its number
    return symbol


def _text(file: IO[bytes]) -> str:
    (length,) = _unpacked(file, "<i")
    if not 0 <= length <= LONGEST_WORD_BYTES:
        raise ValueError(f"a text of {length} bytes")
    data = file.read(length)
    if len(data) != length:
        raise ValueError("the file ends in a text")
    return data.decode(errors="replace")


def _unpacked(file: IO[bytes], form: str) -> tuple[int, ...]:
    found: tuple[int, ...] = struct.unpack(form, file.read(struct.calcsize(form)))
    return found
