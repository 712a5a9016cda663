"""What leaves the device for the fleet to what may: no keys, passwords, tokens, sound, nor words that were said. Pure.

Rules:
    - What is known to be secret is replaced wherever it stands; what looks like a key, a password or a token as well.
    - Long runs of letters without a space are sound or keys, not something to read.
    - Words that were said are replaced wherever they stand, unless the owner shares them.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from edgeagent.messages import Answer, Command, Question, Rejection, Step, Transcript

REDACTED = "[redacted]"
WORDS = "[words]"
LEAST_SECRET = 4
"""A password of three letters would blank every text that is told."""
LEAST_WORDS = 5
"""Characters; what is shorter could be any part of a word."""
MOST_SAID = 300
"""Sentences that are remembered, to be found in texts: more than the lines of the log go back."""
_VALUE = r"""(["'\\]*\s*[:=]\s*["'\\]*)[^\s"',}\]]+"""
_USER = r"""(://)[^/\s?#"'<>]*@"""
"""Who one is, in an address: a name, a name and a password, or a token; up to the last @ before its path."""
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), put)
    for pattern, put in (
        (r"-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|\Z)", REDACTED),
        (_USER, rf"\1{REDACTED}@"),
        (r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", rf"\1 {REDACTED}"),
        (
            r"(pass(?:word|wd|phrase)|secret|token|(?:api|private)[_-]?key|authorization|credential)s?" + _VALUE,
            rf"\1\2{REDACTED}",
        ),
        (r"[A-Za-z0-9+/_=-]{120,}", REDACTED),
        (r"(?:\\x[0-9a-f]{2}){16,}", REDACTED),
    )
)
_SECRET_KEYS = re.compile(r"pass(word|wd|phrase)|secret|token|private|credential|api_?key", re.IGNORECASE)


def without_user(text: str) -> str:
    """Return a text whose addresses do not say who one is."""
    return re.sub(_USER, r"\1", text)


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Yield the passwords in settings."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from secrets_of(value)


class Said:
    """The last things that were said, asked and answered. May be told and asked from any thread."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._sentences: deque[str] = deque(maxlen=MOST_SAID)

    def note(self, step: Step) -> None:
        """Remember the words of a step."""
        match step:
            case Transcript() | Command() | Rejection() | Answer():
                text = step.text
            case Question():
                text = step.prompt
            case _:
                return
        if len(text) >= LEAST_WORDS and text not in self._sentences:
            self._sentences.append(text)

    def sentences(self) -> tuple[str, ...]:
        """Return them, the longest first, so that none is left in part."""
        return tuple(sorted(self._sentences.copy(), key=len, reverse=True))


class Redactor:
    """Takes out of texts what must not leave the device."""

    def __init__(self, secrets: Iterable[str], words: Iterable[str]) -> None:
        """Know what is secret, and which words were said; both in any case of letters."""
        found = sorted({one for one in secrets if len(one) >= LEAST_SECRET}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, found))) if found else None
        said = [r"\W+".join(map(re.escape, one.split())) for one in words if one.split()]
        self._words = re.compile("|".join(said), re.IGNORECASE) if said else None

    def text(self, text: str) -> str:
        """Return a text without them."""
        if self._secrets is not None:
            text = self._secrets.sub(REDACTED, text)
        for pattern, put in _PATTERNS:
            text = pattern.sub(put, text)
        return text if self._words is None else self._words.sub(WORDS, text)

    def value(self, value: Any) -> Any:
        """Return any JSON value without them, the keys of tables as they are."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {
                    str(key): REDACTED if _SECRET_KEYS.search(str(key)) and isinstance(one, str) else self.value(one)
                    for key, one in value.items()
                }
            case list() | tuple():
                return [self.value(one) for one in value]
            case bool() | int() | float() | None:
                return value
            case _:
                return self.text(str(value))
