"""Recordings played to a command model that is a candidate: its makers' and the owner's.

A bundle may carry golden clips in a folder `clips`, as `edgeagent record` keeps them: each must be understood as it was
meant. The owner's must not be understood worse than by the current model.
"""

from pathlib import Path

from edgeagent.evaluate.clips import evaluate_clips
from edgeagent.hear.clips import CLIPS
from edgeagent.onlooking import house_without_names
from edgeagent.settings import AgentSettings


def play(candidate: Path, settings: str) -> tuple[int, tuple[str, ...]]:
    """Return how many clips were played, and the names of those that speak against the candidate.

    `settings` are the agent's, as JSON; they name the current model. Where a clip of the owner's comes out worse than
    it was kept, the current model is heard too: what it does not understand either is not the candidate's fault.
    Raise EdgeAgentError.
    """
    current = AgentSettings.model_validate_json(settings)
    model = current.understanding.model_copy(update={"model": str(candidate)})
    with_candidate = current.model_copy(update={"understanding": model})
    house = house_without_names("the names are those of the clips")
    golden = []
    if (candidate / CLIPS).is_dir():
        device = current.device.model_copy(update={"state_dir": candidate})
        golden = evaluate_clips(with_candidate.model_copy(update={"device": device}), house)["rows"]
    found = evaluate_clips(with_candidate, house)
    if found["worse"]:
        found = evaluate_clips(with_candidate, house, current)
    own = found["rows"]
    wrong = [row["name"] for row in golden if not row["is_right"]]
    worse = [row["name"] for row in own if row["verdict"] == "worse"]
    return len(golden) + len(own), (*wrong, *worse)
