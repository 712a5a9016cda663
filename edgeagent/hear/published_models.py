"""Vosk's published list of models to the one that is meant by a name."""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import urljoin

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from edgeagent import bounded_json
from edgeagent.errors import ModelError, PayloadError
from edgeagent.hear.model_store import NAME, short_name
from edgeagent.hear.transfer import Patience, answer_of, check_address, patiently, pieces_of

LIST_URL = "https://alphacephei.com/vosk/models/model-list.json"
LARGEST_LIST_BYTES = 4 << 20
"""The list has some 40 kB."""
LARGEST_ARCHIVE_BYTES = 4 << 30
"""The largest published archive has 2.3 GB."""
HURRIED = Patience(pauses_s=(1.0, 3.0))
"""The list is small, and somebody waits for it."""
_REMEDY = "Is the address right? A list of your own: --list URL."
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class ListedModel(BaseModel):
    """An entry of the list. What we do not know in it is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    kind: Literal["small", "big", "big-lgraph"] = Field(alias="type")
    language: Annotated[str, Field(alias="lang", max_length=20)]
    language_text: Annotated[str, Field(alias="lang_text", max_length=100)] = ""
    version: Annotated[str, Field(max_length=100)] = ""
    obsolete: bool
    url: Annotated[str, Field(max_length=2000)]
    size: Annotated[int, Field(ge=1, le=LARGEST_ARCHIVE_BYTES)]
    md5: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{32}$")]

    @property
    def short_name(self) -> str:
        """Return what it shares with its newer and older versions: vosk-small-en-us."""
        return f"vosk-{self.kind}-{self.language}"


def model_list(url: str = LIST_URL, patience: Patience = HURRIED) -> tuple[ListedModel, ...]:
    """Return the speech models of a list. Raise ModelError if it cannot be had, or is none."""
    check_address(url)
    text = patiently(lambda: _text(url, patience.timeout_s), url, patience)
    try:
        entries = bounded_json.parse(text, largest=LARGEST_LIST_BYTES)
    except PayloadError as error:
        raise ModelError(f"{url}: no list of models: {error}", remedy=_REMEDY) from error
    found = [model for entry in entries if (model := _listed(entry, url))] if isinstance(entries, list) else []
    if not found:
        raise ModelError(f"{url}: no list of models: expected objects with name, lang, type, url", remedy=_REMEDY)
    return tuple(found)


def choose(models: Iterable[ListedModel], wanted: str) -> ListedModel:
    """Return a model by its name, or by its short name (vosk-small-en) the newest that is not obsolete.

    Raise ModelError with the names that come close if there is none.
    """
    known = {model.name: model for model in models}
    if wanted in known:
        return known[wanted]
    current = [model for model in known.values() if not model.obsolete]
    same = [model for model in current if model.short_name == short_name(wanted)]
    if same:
        return max(same, key=lambda model: _age(model.version))
    names = sorted({name for model in current for name in (model.short_name, model.name)})
    close = difflib.get_close_matches(wanted, names, n=4, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names[:4])} and others"
    raise ModelError(f"{wanted!r:.100} is not in the list; {hint}", remedy="edgeagent model list --available")


def _text(url: str, timeout_s: float) -> bytes:
    with answer_of(url, {}, timeout_s) as answer:
        return b"".join(pieces_of(answer, LARGEST_LIST_BYTES, timeout_s))


def _listed(entry: Any, url: str) -> ListedModel | None:
    """Return an entry with its whole address; None for what is no speech model, such as voices and speakers."""
    try:
        model = ListedModel.model_validate(entry)
        return model.model_copy(update={"url": urljoin(url, model.url)})
    except ValueError:
        return None


def _age(version: str) -> tuple[int, ...]:
    """Return what orders versions; one that is no number with dots, such as a date or a name, counts as older."""
    found = _VERSION.match(version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
