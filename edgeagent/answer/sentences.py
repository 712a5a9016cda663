"""Outcomes, questions and rejections to sentences for the person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

from edgeagent.messages import Action, Answer, Capability, Outcome, Question, Rejection, RejectionReason

_WHY: Mapping[RejectionReason, str] = {
    "not-a-command": "I did not understand that.",
    "not-speech-we-know": "",  # the television gets no answer
    "unsure": "I am not sure what you mean.",
    "too-long": "That was too long.",
    "busy": "One moment, I am busy.",
    "offline": "I cannot reach the devices.",
    "nothing-to-confirm": "There is nothing to confirm.",
    "not-by-voice": "That may not be done by voice.",
    "nothing-meant": "",  # said to somebody else, most likely
}
_DETAILED: frozenset[RejectionReason] = frozenset(
    {"no-such-device", "not-able", "not-allowed", "out-of-range", "offline"}
)
"""The reasons whose detail is for the person; that of the others is for the log."""
_PLAYBACK: Mapping[str, str] = {"next": "on to the next", "previous": "back to the previous"}
_STATES: Mapping[Capability, str] = {
    **dict.fromkeys(get_args(Capability), "{}"),
    **dict.fromkeys(("brightness", "position", "speed", "volume"), "at {} percent"),
    **dict.fromkeys(("mode", "option", "text"), "set to {}"),
    "tilt": "tilted to {} percent",
    "color_temperature": "set to {} kelvin",
    "target_temperature": "set to {} degrees",
    "color": "is {}",
    "acknowledge": "acknowledged",
    "activate": "done",
    "reading": "done",
}
MOST_NAMED = 3
"""More devices that did the same are counted, not named."""


def of_outcomes(utterance: str, outcomes: Sequence[Outcome]) -> Answer:
    """Return what came of all actions of a command: what failed first, each with its reason, then what was done."""
    named = Counter(outcome.action.device.name for outcome in outcomes)
    failures: list[str] = []
    done: dict[str, list[str]] = {}
    for outcome in outcomes:
        name = _called(outcome.action, is_unique=named[outcome.action.device.name] == 1)
        if outcome.status == "failed":
            failures.append(f"{name} {outcome.reason}.")
        else:
            done.setdefault(_state(outcome.action), []).append(name)
    successes = [
        f"{', '.join(names) if len(names) <= MOST_NAMED else f'{len(names)} devices'} {state}."
        for state, names in done.items()
    ]
    text = " ".join((*failures, *successes)) or "There was nothing to do."
    return Answer(utterance, text, is_trouble=bool(failures))


def of_question(question: Question) -> Answer:
    """Return the question as it is asked."""
    return Answer(question.utterance, question.prompt)


def of_rejection(rejection: Rejection) -> Answer | None:
    """Return what to say about a refusal; None where nothing is said, because nobody may have spoken to us."""
    text = _WHY.get(rejection.reason, "I cannot do that.")
    if rejection.detail and rejection.reason in _DETAILED:
        text = f"{rejection.detail[:1].upper()}{rejection.detail[1:]}."
    return Answer(rejection.utterance, text, is_trouble=True) if text else None


def _called(action: Action, *, is_unique: bool) -> str:
    area = action.device.area
    return action.device.name if is_unique or area is None else f"{action.device.name} in the {area}"


def _state(action: Action) -> str:
    value = action.value if isinstance(action.value, str) else f"{action.value:.2f}".rstrip("0").rstrip(".")
    match action.capability:
        case "playback":
            return _PLAYBACK.get(value, value)
        case "volume" if value == "0":
            return "muted"
        case "setpoint":
            return f"set to {value} {action.device.units.get('setpoint', '')}".rstrip()
        case capability:
            return _STATES[capability].format(value.replace("_", " "))
