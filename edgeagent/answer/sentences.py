"""Outcomes, questions and rejections to sentences for the person."""

from collections.abc import Mapping, Sequence

from edgeagent.messages import Action, Answer, Outcome, Question, Rejection, RejectionReason

_WHY: Mapping[RejectionReason, str] = {
    "not-a-command": "I did not understand that.",
    "not-speech-we-know": "",  # the television gets no answer
    "unsure": "I am not sure what you mean.",
    "too-long": "That was too long.",
    "busy": "One moment, I am busy.",
    "offline": "I cannot reach the devices.",
    "nothing-to-confirm": "There is nothing to confirm.",
    "not-by-voice": "That may not be done by voice.",
}


def of_outcomes(utterance: str, outcomes: Sequence[Outcome]) -> Answer:
    """Return one sentence about all actions of a command; what failed comes first."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        text = " ".join(f"{outcome.action.device.name}: {outcome.reason}." for outcome in failed)
        return Answer(utterance, text, is_trouble=True)
    if len(outcomes) > 3:  # noqa: PLR2004  # more names than one listens to
        return Answer(utterance, f"{len(outcomes)} devices {_state(outcomes[0].action)}.")
    names = ", ".join(outcome.action.device.name for outcome in outcomes)
    return Answer(utterance, f"{names} {_state(outcomes[0].action)}.")


def of_question(question: Question) -> Answer:
    """Return the question as it is asked."""
    return Answer(question.utterance, question.prompt)


def of_rejection(rejection: Rejection) -> Answer | None:
    """Return what to say about a refusal; None where nothing is said, because nobody may have spoken to us."""
    text = _WHY.get(rejection.reason)
    if text is None:
        text = f"{rejection.detail[:1].upper()}{rejection.detail[1:]}." if rejection.detail else "I cannot do that."
    return Answer(rejection.utterance, text, is_trouble=True) if text else None


def _state(action: Action) -> str:
    value = f"{action.value:g}" if isinstance(action.value, float) else action.value
    match action.capability:
        case "power" | "opening" | "lock" | "run" | "playback" | "cleaning" | "mode":
            return str(value)
        case "brightness" | "position" | "speed" | "volume":
            return f"at {value} percent"
        case "target_temperature":
            return f"set to {value} degrees"
        case "color":
            return f"is {value}"
        case "setpoint":
            return f"set to {value} {action.device.units.get('setpoint', '')}".rstrip()
        case "activate" | "acknowledge" | "reading":
            return "done"
