"""Folders and zips with the files of a Vosk model, how they are listed, and work that is killed at its every step."""

import hashlib
import io
import os
import signal
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

NAME = "vosk-model-small-en-us-0.15"
WORDS = ("<eps>", "[unk]", "turn", "on", "off", "the", "light")


def automaton(symbols: Sequence[str] = ()) -> bytes:
    """A file that begins as those of OpenFst do, with output symbols or without any."""
    table = b"".join(_text(word) + struct.pack("<q", number) for number, word in enumerate(symbols))
    head = struct.pack("<i", 2125659606) + _text("vector") + _text("standard")
    head += struct.pack("<iiQqqq", 2, 2 if symbols else 0, 0, 0, 0, 0)
    if symbols:
        head += struct.pack("<i", 2125658996) + _text("words.txt") + struct.pack("<qq", len(symbols), len(symbols))
    return head + table + bytes(1000)


def vosk_files(words: Sequence[str] = WORDS) -> dict[str, bytes]:
    """The files of a small model as it is laid out today, with its words in a file of their own."""
    return {
        "README": b"A model that hears nothing.\n",
        "am/final.mdl": b"\0B<TransitionModel> " + bytes(20_000),
        "conf/mfcc.conf": b"--sample-frequency=16000\n",
        "conf/model.conf": b"--frame-subsampling-factor=3\n--endpoint.silence-phones=1:2:3\n",
        "graph/HCLr.fst": automaton(),
        "graph/Gr.fst": automaton(),
        "graph/disambig_tid.int": b"57\n",
        "graph/words.txt": "".join(f"{word} {number}\n" for number, word in enumerate(words)).encode(),
        "graph/phones/word_boundary.int": b"1 nonword\n",
    }


def old_files() -> dict[str, bytes]:
    """The files of a model as they were laid out at first."""
    new = vosk_files()
    return {
        "final.mdl": new["am/final.mdl"],
        "mfcc.conf": new["conf/mfcc.conf"],
        "HCLG.fst": automaton(),
        "words.txt": new["graph/words.txt"],
        "word_boundary.int": new["graph/phones/word_boundary.int"],
    }


def in_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(files: Mapping[str, bytes], top: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        if top:
            archive.mkdir(top)
        for name, content in files.items():
            archive.writestr(f"{top}/{name}" if top else name, content)
    return packed.getvalue()


def entry(content: bytes = b"x", **changes: Any) -> dict[str, Any]:
    """What Vosk's published list says of its small English model, but for what is in the zip."""
    return {
        "lang": "en-us",
        "lang_text": "US English",
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "name": NAME,
        "obsolete": "false",
        "size": len(content),
        "size_text": "39.3MiB",
        "type": "small",
        "url": f"https://alphacephei.com/vosk/models/{NAME}.zip",
        "version": "0.15",
    } | changes


def kill_at_every_step(work: Callable[[], object], is_well: Callable[[], object]) -> int:
    """Do the work in one process after the other, each killed one step later; return the steps of the whole work.

    A step is what Python tells its audit hooks of files, folders and the C library. `is_well` looks each time at what
    is left, and raises if that is wrong. Not for a process with threads.
    """
    for step in count(1):
        child = os.fork()
        if child == 0:
            try:
                _die_at(step)
                work()
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        is_well()
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return step
    raise AssertionError


def _die_at(step: int) -> None:
    seen = count(1)

    def look(event: str, _arguments: object) -> None:
        is_step = event == "open" or event.startswith(("os.", "shutil.", "fcntl.", "ctypes.", "socket."))
        if is_step and next(seen) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<i", len(data)) + data
