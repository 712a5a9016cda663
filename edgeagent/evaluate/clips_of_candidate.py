"""The owner's clips played to a command model that is a candidate: what it understands worse than the current one."""

from pathlib import Path

from edgeagent.evaluate.clips import evaluate_clips
from edgeagent.onlooking import house_without_names
from edgeagent.settings import AgentSettings


def play(candidate: Path, settings: str) -> tuple[int, tuple[str, ...]]:
    """Return how many clips were played, and the names of those that only the candidate understands worse.

    `settings` are the agent's, as JSON. Where a clip comes out worse than it was kept, the current model is heard too:
    what it does not understand either is not the candidate's fault. Raise EdgeAgentError.
    """
    current = AgentSettings.model_validate_json(settings)
    model = current.understanding.model_copy(update={"model": str(candidate)})
    with_candidate = current.model_copy(update={"understanding": model})
    house = house_without_names("the names are those of the clips")
    found = evaluate_clips(with_candidate, house)
    if found["worse"]:
        found = evaluate_clips(with_candidate, house, current)
    rows = found["rows"]
    return len(rows), tuple(row["name"] for row in rows if row["verdict"] == "worse")
