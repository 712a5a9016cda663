"""Command sets that are edited: revisions in the database, tried in a process of their own, packed for a release."""

import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts.service import Conflict
from edgeagent.console.tables import CommandSet
from edgeagent.console.web.refusals import RefusedError

NAMES = "names"
"""The set that is none: what things are called in this fleet's houses, for trying sentences."""
NAME = r"^[a-z0-9][a-z0-9-]{0,63}$"
LARGEST_TEXT = 200_000
MOST_SETS = 100
MOST_REVISIONS = 200
"""Of a set; older ones are removed."""
TRY_WITHIN_S = 25.0
WAIT_S = 8.0
"""For the end of a try whose answer nobody waits for any more."""
AT_ONCE = 2
"""Sentences that are tried at the same time, by different users. Few wait: a thread that waits serves no page."""
FIRST = """# Sentences, in hassil's syntax: (a|b) one of, [a] perhaps, {name} a list, <rule> a rule.
language: en
intents:
  turn_on:
    data:
      - sentences:
          - "let there be light [in the {area}]"
        slots:
          kind: light
"""
FIRST_NAMES = """# What things are called, by kind; only for trying sentences here.
light: [kitchen light, hall lamp]
cover: [bedroom blind]
switch: [coffee machine]
areas: [kitchen, hall, bedroom]
"""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying: what is wrong with the texts, and how a sentence was understood."""

    problems: Sequence[Mapping[str, Any]] = ()
    steps: Sequence[Mapping[str, Any]] = ()
    templates: int = 0


class Turns:
    """Who is trying a sentence now: so many at most, one of a user, who may have one more wait for its turn."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        """Begin with nobody."""
        self._at_once = at_once
        self._users: set[str] = set()
        self._waiting: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, user: str) -> Iterator[None]:
        """Have a turn during the block. Raise RefusedError 503 where there is none.

        Who has a turn already (an answer that nobody waits for any more) waits for its end; few do so at a time.
        """
        with self._changed:
            if user in self._users and user not in self._waiting and len(self._waiting) < self._at_once:
                self._waiting.add(user)
                self._changed.wait_for(lambda: user not in self._users, timeout=WAIT_S)
                self._waiting.discard(user)
            if user in self._users:
                raise RefusedError(503, "you are trying a sentence already", remedy="Wait until that has ended.")
            if len(self._users) >= self._at_once:
                raise RefusedError(503, "others are trying sentences", remedy="Try again in a moment.")
            self._users.add(user)
        try:
            yield
        finally:
            with self._changed:
                self._users.discard(user)
                self._changed.notify_all()


def newest(session: Session, fleet: str, name: str) -> CommandSet | None:
    """Return the newest revision of a set."""
    wanted = select(CommandSet).where(CommandSet.fleet == fleet, CommandSet.name == name)
    return session.scalar(wanted.order_by(CommandSet.revision.desc()).limit(1))


def revision_of(session: Session, fleet: str, name: str, revision: int) -> CommandSet | None:
    """Return a revision of a set."""
    wanted = select(CommandSet).where(CommandSet.fleet == fleet, CommandSet.name == name)
    return session.scalar(wanted.where(CommandSet.revision == revision))


def revisions(session: Session, fleet: str, name: str) -> Sequence[tuple[int, float, str]]:
    """Return a set's revisions, the newest first: number, when, by whom."""
    wanted = select(CommandSet.revision, CommandSet.saved, CommandSet.saved_by).where(
        CommandSet.fleet == fleet, CommandSet.name == name
    )
    rows = session.execute(wanted.order_by(CommandSet.revision.desc()).limit(50))
    return [(revision, saved, by) for revision, saved, by in rows]


def sets_of(session: Session, fleet: str) -> Sequence[CommandSet]:
    """Return the newest revision of every set of a fleet."""
    last = (
        select(CommandSet.name, func.max(CommandSet.revision).label("revision"))
        .where(CommandSet.fleet == fleet, CommandSet.name != NAMES)
        .group_by(CommandSet.name)
        .subquery()
    )
    wanted = select(CommandSet).join(last, (CommandSet.name == last.c.name) & (CommandSet.revision == last.c.revision))
    return session.scalars(wanted.where(CommandSet.fleet == fleet).order_by(CommandSet.name).limit(MOST_SETS)).all()


def save(  # what is kept, and by whom
    session: Session, fleet: str, name: str, text: str, *, seen: int, by: str, now: float
) -> CommandSet:
    """Keep another revision. Raise Conflict if somebody else has kept one since `seen` (A85), ConsoleError."""
    if len(text) > LARGEST_TEXT:
        raise ConsoleError(f"more than {LARGEST_TEXT} letters", remedy="Make several sets.")
    last = newest(session, fleet, name)
    if last is None and len(sets_of(session, fleet)) >= MOST_SETS:
        raise ConsoleError(f"there are {MOST_SETS} sets", remedy="Use one that there is.")
    if (last.revision if last else 0) != seen:
        raise Conflict(
            f"{last.saved_by if last else 'somebody'} has kept revision {last.revision if last else 0} meanwhile",
            remedy="Look at it (under Revisions), and put both together.",
        )
    kept = CommandSet(fleet=fleet, name=name, revision=seen + 1, text=text, saved=now, saved_by=by)
    session.add(kept)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("somebody else was quicker", remedy="Look at what they have kept.") from error
    old = select(CommandSet).where(
        CommandSet.fleet == fleet, CommandSet.name == name, CommandSet.revision <= seen + 1 - MOST_REVISIONS
    )
    for one in session.scalars(old):
        session.delete(one)
    return kept


def tried(texts: Mapping[str, str], names: str, sentence: str, *, with_built_in: bool) -> Tried:
    """Try a sentence on texts as they are. Raise ConsoleError where that takes too much of anything.

    It takes a processor for a while: have a turn (`Turns`) meanwhile.
    """
    question = json.dumps({"texts": texts, "names": names, "sentence": sentence, "with_built_in": with_built_in})
    try:
        done = subprocess.run(  # our own module, its input is data
            [sys.executable, "-P", "-m", "edgeagent.console.web.trying"],
            input=question.encode(),
            capture_output=True,
            timeout=TRY_WITHIN_S,
            check=False,
        )
        found = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise ConsoleError(
            "trying this takes too long, or too much memory", remedy="Use smaller lists and fewer alternatives."
        ) from error
    return Tried(found["problems"], found["steps"], found["templates"])


def bundle(name: str, text: str) -> bytes:
    """Return a set as a zipped folder that `edgeagent release add` takes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}/{name}.yaml", (1980, 1, 1, 0, 0, 0)), text.encode())
    return packed.getvalue()
