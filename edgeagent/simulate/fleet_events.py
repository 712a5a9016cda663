"""What is heard and done in simulated rooms, as the nouns from which events are made."""

from edgeagent.messages import Action, Command, Device, Outcome, Rejection, Slot

_LAMP = Device("simulated-lamp", "lamp", "light", frozenset({"power"}), area="kitchen")


def command(utterance: str) -> Command:
    """Return an order that was understood."""
    return Command(utterance, "turn_on", (Slot("device", "lamp", "lamp"),), "turn on the lamp", exit=0, confidence=0.97)


def rejection(utterance: str) -> Rejection:
    """Return what was not understood."""
    return Rejection(utterance, "unsure")


def outcome(utterance: str, *, is_done: bool) -> Outcome:
    """Return what came of an order."""
    action = Action(f"{utterance}-1", utterance, _LAMP, "power", value=True)
    if is_done:
        return Outcome(action, "done", 0.04)
    return Outcome(action, "failed", 5.0, "the lamp did not answer")
