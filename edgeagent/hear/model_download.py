"""A published model to an installed one, by a download that goes on where it was cut.

What was fetched lies in `<name>.zip.part`, and beside it what it is the beginning of. It is thrown away where the
server's file has become another, and is unpacked only when it has the size and the MD5 of the list.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path

from pydantic import ValidationError

from edgeagent.errors import ModelError
from edgeagent.files import write_durably
from edgeagent.hear.model_store import (
    InstalledModel,
    Origin,
    changing,
    digest,
    forget,
    install,
    installed,
    note_of,
    part_of,
    require_room,
)
from edgeagent.hear.published_models import ListedModel
from edgeagent.hear.transfer import (
    OFFLINE,
    PATIENT,
    ChangedError,
    CutError,
    Patience,
    answer_of,
    check_address,
    patiently,
    pieces_of,
)
from edgeagent.hear.unpacking import Progress, opened, untold
from edgeagent.strict import Strict

LONGEST_MARK = 200
"""Characters of an ETag; usual ones have 20."""
_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})")


class _Begun(Strict):
    """What a partly fetched archive is the beginning of."""

    url: str
    size: int
    md5: str
    etag: str | None
    modified: str | None


def fetch(
    models: Path,
    model: ListedModel,
    *,
    words: Iterable[str] = (),
    progress: Progress = untold,
    unpacked: Progress = untold,
    patience: Patience = PATIENT,
) -> InstalledModel:
    """Download, verify and install a model, unless it is there. Raise ModelError if that fails; what came is kept.

    `progress` is told of the download, `unpacked` of the unpacking. A model that knows none of `words` is refused.
    """
    check_address(model.url)
    with changing(models):
        if (there := _there(models, model)) is not None:
            return there
        part = part_of(models, model.name)
        origin = Origin(
            source=model.url,
            bytes=model.size,
            sha256=_archive(model, part, progress, patience),
            md5=model.md5,
            language=model.language,
            short_name=model.short_name,
        )
        with opened(part, model.url) as package:
            made = install(models, package, origin, name=model.name, words=words, progress=unpacked)
        forget(part)
        return made


def _there(models: Path, model: ListedModel) -> InstalledModel | None:
    try:
        found = installed(models, model.name)
    except ModelError:
        return None
    return found if found.record.origin.md5 == model.md5 else None


def _archive(model: ListedModel, part: Path, progress: Progress, patience: Patience) -> str:
    """Download the archive, or the rest of it; return its SHA-256. Raise ModelError if it is not what was listed."""
    was_begun = part.is_file()
    md5 = _downloaded(model, part, progress, patience)
    if md5 != model.md5 and was_begun:  # the beginning may have been spoilt: once more, from the start
        forget(part)
        md5 = _downloaded(model, part, progress, patience)
    if md5 != model.md5:
        forget(part)
        message = f"{model.url}: expected the MD5 {model.md5} of the list, found {md5}"
        raise ModelError(message, remedy="Try later: it was changed on its way, or is newer than the list.")
    return digest(part, "sha256")


def _downloaded(model: ListedModel, part: Path, progress: Progress, patience: Patience) -> str:
    """Download until all bytes are there; return their MD5."""

    def go_on() -> None:
        try:
            _go_on(model, part, progress, patience.timeout_s)
        except ChangedError:
            forget(part)
            raise

    patiently(go_on, model.url, patience, lambda: _length(part))
    return digest(part, "md5")


def _go_on(model: ListedModel, part: Path, progress: Progress, timeout_s: float) -> None:
    """Add to what is there until it is whole. Raise CutError where that ends before."""
    begun = _begun(model, part)
    at = _length(part) if begun else 0
    require_room(part.parent, model.size - at)
    progress(at, model.size)
    if at == model.size:
        return
    with answer_of(model.url, _headers(begun, at), timeout_s) as answer:
        if begun and answer.status == HTTPStatus.PARTIAL_CONTENT:
            _check_same(answer, begun, at)
        else:
            at = 0
            _begin(model, part, answer)
        with part.open("ab") as file:
            for piece in pieces_of(answer, model.size - at, timeout_s):
                file.write(piece)
                file.flush()
                at += len(piece)
                progress(at, model.size)
    if at > model.size:
        forget(part)
        raise _unlike_listed(model, at)
    if at < model.size:
        raise CutError(f"the connection ended after {at} of {model.size} bytes")


def _headers(begun: _Begun | None, at: int) -> dict[str, str]:
    if begun is None or not at:
        return {}
    is_strong = begun.etag is not None and not begun.etag.startswith("W/")  # RFC 9110, 13.1.5
    mark = begun.etag if is_strong else begun.modified
    return {"Range": f"bytes={at}-"} | ({"If-Range": mark} if mark else {})


def _check_same(answer: HTTPResponse, begun: _Begun, at: int) -> None:
    """Raise ChangedError if the answer does not go on where we are, in the file that was begun."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    marks = ((begun.etag, _mark(answer, "ETag")), (begun.modified, _mark(answer, "Last-Modified")))
    differs = any(old and new and old != new for old, new in marks)
    if found is None or int(found[1]) != at or int(found[2]) != begun.size or differs:
        raise ChangedError("the file is another than the one that was begun")


def _begin(model: ListedModel, part: Path, answer: HTTPResponse) -> None:
    """Begin anew. Raise ModelError if the server's file cannot be what was listed."""
    forget(part)
    if answer.status != HTTPStatus.OK:
        raise ModelError(f"{model.url}: HTTP {answer.status}, expected the whole file", remedy=OFFLINE)
    if answer.length not in {None, model.size}:
        raise _unlike_listed(model, answer.length)
    begun = _Begun(
        url=model.url,
        size=model.size,
        md5=model.md5,
        etag=_mark(answer, "ETag"),
        modified=_mark(answer, "Last-Modified"),
    )
    write_durably(note_of(part), begun.model_dump_json().encode(), mode=0o644)


def _mark(answer: HTTPResponse, name: str) -> str | None:
    """Return what marks this version of the file, if it can be sent back."""
    found: str = answer.headers.get(name, "")
    return found if found.isascii() and found.isprintable() and 0 < len(found) <= LONGEST_MARK else None


def _begun(model: ListedModel, part: Path) -> _Begun | None:
    """Return what is known of a part; None if it is of no use: of another file, or longer than that."""
    try:
        found = _Begun.model_validate_json(note_of(part).read_bytes())
    except (OSError, ValidationError):
        return None
    is_same = (found.url, found.size, found.md5) == (model.url, model.size, model.md5)
    return found if is_same and _length(part) <= model.size else None


def _unlike_listed(model: ListedModel, found: int | None) -> ModelError:
    message = f"{model.url}: expected {model.size} bytes as the list says, found {found}"
    return ModelError(message, remedy="Try later, or another list: --list URL.")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
