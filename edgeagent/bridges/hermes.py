"""Rhasspy's control topics (Hermes): steps to messages for the site's other programs, and theirs to wishes. Pure.

Rules:
- who names a site in [hermes] wants it: here, and nowhere else, the words of a command go over the broker, and those of
  a sentence that was not understood after a call. Talk that was for nobody does not, and sound never;
- an intent is told when it is carried out or answered, or when nothing here can do it, which is where other programs
  come in; one that must be confirmed first is told after the yes, and one that its owner has ruled out never;
- a query is understood, and nothing is done for it;
- one session at a time: a call (wake word, button, startListening, startSession) begins it, an answer or a refusal ends
  it, a question keeps it open, and silence ends it after a while. What a session was asked to be limited to
  (intentFilter) is not heeded, because what is said to this device is obeyed as ever;
- a message is for now: it is sent once, not kept, and not sent later; a wish that is retained, too large, not for our
  site or not as Hermes has it is dropped, and the last is counted.
"""

import json
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from edgeagent.bounded_json import parse
from edgeagent.bridges.following import Accepted, Asked, Finished, Following, Happening, Refused
from edgeagent.bridges.hermes_forms import (
    EndForm,
    Form,
    Listen,
    Mute,
    Query,
    QueryForm,
    SayAloud,
    SayForm,
    Session,
    StartForm,
    StopListening,
    Toggle,
    Wish,
    captured,
    understood,
)
from edgeagent.errors import PayloadError
from edgeagent.messages import Command, Interpretation, Message, Step, Transcript, Woken
from edgeagent.settings import AgentSettings

RINGER = "hermes"
"""Who rang, where a program of the site asked for an ear."""
LARGEST_BYTES = 4_096
MOST_HEARD = 16
_FORMS: Mapping[str, type[Form]] = {
    "asr/startListening": Toggle,
    "asr/stopListening": Toggle,
    "hotword/toggleOn": Toggle,
    "hotword/toggleOff": Toggle,
    "nlu/query": QueryForm,
    "tts/say": SayForm,
    "dialogueManager/startSession": StartForm,
    "dialogueManager/endSession": EndForm,
}
_RINGERS = frozenset({RINGER, "bell", "bus", "home assistant"})
"""Who rings, rather than says a wake word."""
_FOR_NOBODY = frozenset({"no-words", "not-speech-we-know"})
_FOR_OTHERS = frozenset({"not-able", "no-such-device"})
"""Refusals of what nothing here can do, and perhaps another program of the site."""
Termination = Literal["nominal", "abortedByUser", "intentNotRecognized", "timeout"]


class InHermes:
    """The site's side of this device."""

    filters = tuple(f"hermes/{name}" for name in _FORMS)
    """What to subscribe to."""

    def __init__(
        self,
        settings: AgentSettings,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Begin with no session."""
        self._site = settings.hermes.site or "default"
        self._lasts_s = settings.waking.wait_s + settings.hearing.cap_s
        self._clock = clock
        self._new_id = new_id
        self._session: Session | None = None
        self._until_s = 0.0
        self._wake_word: str | None = None
        self._heard: dict[str, Transcript] = {}
        self._typed: deque[str] = deque(maxlen=MOST_HEARD)
        self._following = Following()
        self.unread = 0
        """Messages of Hermes that could not be read."""

    def wish(self, topic: str, payload: bytes, *, retained: bool) -> Wish | None:
        """Return what a program of our site wants; None for what is not for us, or is dropped."""
        name = topic.removeprefix("hermes/")
        form = _FORMS.get(name)
        if form is None or retained:
            return None
        try:
            asked = form.model_validate(parse(payload or b"{}", largest=LARGEST_BYTES))
        except (PayloadError, ValidationError):
            self.unread += 1
            return None
        is_for_us = isinstance(asked, EndForm) or (asked.site_id or "default") == self._site
        return self._wish(name, asked) if is_for_us else None

    def _wish(self, name: str, asked: Form) -> Wish | None:
        match asked:
            case QueryForm():
                return Query(asked.input, asked.id, asked.session_id, tuple(asked.intent_filter or ()))
            case SayForm():
                return SayAloud(asked.text, asked.id, Session(asked.session_id))
            case StartForm(init=init):
                session = Session(
                    self._new_id(),
                    is_ours=True,
                    custom=asked.custom_data,
                    tells_unrecognized=init.send_intent_not_recognized,
                )
                if init.type == "action":
                    return Listen(session, init.text or "")
                return SayAloud(init.text, None, session) if init.text else None
            case EndForm():  # by its id alone: clients name the default site there, whichever it is
                is_open = self._session is not None and self._session.id == asked.session_id
                return StopListening(asked.session_id, asked.text or "", is_end=True) if is_open else None
        match name:
            case "asr/startListening":
                return Listen(Session(asked.session_id))
            case "asr/stopListening":
                return StopListening(asked.session_id)
            case _:
                return Mute(on=name == "hotword/toggleOff")

    def begun(self, wish: Listen | SayAloud) -> tuple[Message, ...]:
        """Return what is told when a wish begins to be carried out."""
        if isinstance(wish, SayAloud):
            return (self._of_session("sessionStarted", wish.session),) if wish.session.is_ours else ()
        return self._begin(wish.session)

    def said(self, wish: SayAloud) -> tuple[Message, ...]:
        """Return what is told when a text has been said."""
        finished = self._message("tts/sayFinished", {"id": wish.id}, wish.session)
        return (finished, self._ended(wish.session, "nominal")) if wish.session.is_ours else (finished,)

    def stopped(self, wish: StopListening) -> tuple[Message, ...]:
        """Return what is told when nobody is listened to any more."""
        return self._end("nominal" if wish.is_end else "abortedByUser")

    def answered(self, query: Query, found: Interpretation) -> tuple[Message, ...]:
        """Return what a query is answered with: what was understood, or that nothing was."""
        session = Session(query.session)
        if isinstance(found, Command) and (not query.only or found.intent in query.only):
            fields = {"id": query.id, **understood(found, None)}
            parsed = self._message("nlu/intentParsed", fields, session)
            return parsed, self._message(f"intent/{_level(found.intent)}", fields, session)
        return (self._message("nlu/intentNotRecognized", {"id": query.id, "input": query.text}, session),)

    def late(self) -> tuple[Message, ...]:
        """Return what is told when a session is open in which nothing was said; to be asked now and then."""
        is_late = self._session is not None and self._clock() > self._until_s
        return self._end("timeout") if is_late else ()

    def of_step(self, step: Step) -> tuple[Message, ...]:
        """Return what the site is told of a step. For one thread."""
        match step:
            case Woken(word=word):
                return self._woken(word)
            case Transcript(ended_by="text"):  # an order from the bus belongs to no dialogue, and was never sound
                self._typed.append(step.utterance)
            case Transcript(is_final=True):
                self._heard[step.utterance] = step
                while len(self._heard) > MOST_HEARD:
                    del self._heard[next(iter(self._heard))]
        return tuple(message for happening in self._following(step) for message in self._of(happening))

    def _woken(self, word: str) -> tuple[Message, ...]:
        if word == RINGER:  # whoever asked has begun the session
            return ()
        session = Session(self._new_id(), is_ours=True)
        begun = self._begin(session)
        if word in _RINGERS:
            return begun
        self._wake_word = _level(word)
        fields = {"modelId": word, "modelVersion": "", "modelType": "universal", "currentSensitivity": 1.0}
        return (self._message(f"hotword/{self._wake_word}/detected", fields, session), *begun)

    def _of(self, happening: Happening) -> tuple[Message, ...]:
        match happening:
            case Accepted(command=command):
                return self._told(command)
            case Asked(question=question):
                self._wait()
                return self._captured(question.utterance)
            case Refused():
                return self._refused(happening)
            case Finished(command=command, is_last=True) if self._session_of(command.utterance) is not None:
                return self._end("nominal")
        return ()

    def _told(self, command: Command) -> tuple[Message, ...]:
        self._wait()
        heard = self._heard.get(command.utterance)
        words = self._captured(command.utterance)
        fields = {"id": None, **understood(command, heard), "wakewordId": self._wake_word}
        session = self._session_of(command.utterance)
        return (*words, self._message(f"intent/{_level(command.intent)}", fields, session))

    def _refused(self, refused: Refused) -> tuple[Message, ...]:
        rejection, command = refused.rejection, refused.command
        session = self._session_of(rejection.utterance)
        if rejection.reason in _FOR_NOBODY or (session is None and command is None):
            self._heard.pop(rejection.utterance, None)
            return ()
        is_end = session is not None and refused.is_last
        if command is not None and rejection.reason in _FOR_OTHERS:
            return (*self._told(command), *(self._end("nominal") if is_end else ()))
        fields = {"id": None, "input": rejection.text}
        told = [*self._captured(rejection.utterance), self._message("nlu/intentNotRecognized", fields, session)]
        if session is not None and session.tells_unrecognized:
            told.append(self._of_session("intentNotRecognized", session, input=rejection.text))
        return (*told, *(self._end("intentNotRecognized") if is_end else ()))

    def _captured(self, utterance: str) -> tuple[Message, ...]:
        heard = self._heard.pop(utterance, None)
        if heard is None:
            return ()
        return (self._message("asr/textCaptured", captured(heard) | {"wakewordId": self._wake_word}, self._session),)

    def _begin(self, session: Session) -> tuple[Message, ...]:
        self._wait()
        if self._session is not None and session.id is not None and session.id == self._session.id:
            return ()
        before = self._end("abortedByUser")
        self._session = session
        return (*before, self._of_session("sessionStarted", session)) if session.is_ours else before

    def _end(self, why: Termination) -> tuple[Message, ...]:
        session, self._session, self._wake_word = self._session, None, None
        return (self._ended(session, why),) if session is not None and session.is_ours else ()

    def _wait(self) -> None:
        self._until_s = self._clock() + self._lasts_s

    def _session_of(self, utterance: str) -> Session | None:
        return None if utterance in self._typed else self._session

    def _ended(self, session: Session, why: Termination) -> Message:
        return self._of_session("sessionEnded", session, termination={"reason": why})

    def _of_session(self, name: str, session: Session, **fields: Any) -> Message:
        return self._message(f"dialogueManager/{name}", fields, session)

    def _message(self, name: str, fields: Mapping[str, Any], session: Session | None) -> Message:
        dialogue = {"siteId": self._site, "sessionId": None if session is None else session.id}
        if session is not None and session.custom is not None:
            dialogue["customData"] = session.custom
        payload = json.dumps({**fields, **dialogue}, separators=(",", ":"))
        return Message(f"hermes/{name}", payload.encode("ascii"))


def _level(name: str) -> str:
    """Return a name as one level of a topic."""
    return re.sub(r"[^\w.-]+", "_", name)[:64] or "_"
