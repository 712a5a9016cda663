"""What understands, put together: the grammar with the names of a house, and the command model where there is one."""

import logging
import random
from collections.abc import Collection
from pathlib import Path

from edgeagent.act.plan import INTENTS
from edgeagent.act.vocabulary import Lists
from edgeagent.board.providers import Computing
from edgeagent.grammar.automaton import compile_commands
from edgeagent.grammar.commands import CommandSet, merge
from edgeagent.grammar.narrowing import only_kinds
from edgeagent.grammar.spoken import Phrase
from edgeagent.messages import Kind
from edgeagent.settings import UnderstandingSettings
from edgeagent.shipped import built_in_model
from edgeagent.understand.head import learn_head
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.model.bundle import Bundle, open_bundle
from edgeagent.understand.model.gazetteer import Gazetteer
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.model.segments import Segments
from edgeagent.understand.model.values import Values
from edgeagent.understand.readings import Tolerance
from edgeagent.understand.taught import Taught

log = logging.getLogger(__name__)

SENTENCES_OF_A_LESSON = 40
NOTHING = Taught()
_PLAIN = Computing()


def load_model(settings: UnderstandingSettings) -> CommandModel | None:
    """Return the model that the settings name; None where they want none.

    What it knows and this agent cannot do counts as no command, and is told in the log. Raise ModelError if the model
    is missing, damaged, or of a form that this agent does not read.
    """
    if settings.model == "off":
        return None
    bundle, strange = open_bundle(model_folder(settings)).of_intents(INTENTS)
    if strange:
        log.warning(
            "the model %s knows %s, which this agent cannot do: update edgeagent",
            bundle.manifest.name, ", ".join(strange[:5]),
        )  # fmt: skip
    return CommandModel(bundle, segments_of(bundle, settings.runtime, Computing(settings.providers, settings.threads)))


def model_folder(settings: UnderstandingSettings) -> Path:
    """Return the folder of the model that the settings name. Raise ModelError if the one that ships is not there."""
    return built_in_model() if settings.model == "built-in" else Path(settings.model).expanduser()


def segments_of(bundle: Bundle, runtime: str, computing: Computing = _PLAIN) -> Segments:
    """Return the bundle's segments in a runtime; LiteRT computes by one thread of the CPU.

    Raise ModelError if the runtime is not installed or does not take them.
    """
    if runtime == "litert":
        from edgeagent.understand.model.litert_segments import LitertSegments

        return LitertSegments(bundle)
    from edgeagent.understand.model.onnx_segments import OnnxSegments

    return OnnxSegments(bundle, computing)


def interpreter_of(
    commands: CommandSet,
    lists: Lists,
    kinds: Collection[Kind],
    model: CommandModel | None,
    *,
    unsure_below: float,
    taught: Taught = NOTHING,
    unique_names: Collection[str] = (),
) -> Interpreter:
    """Return what understands the commands, and what was taught, in a house with these names and kinds of devices.

    `unique_names` are those of which each belongs to one device.
    """
    everything = merge([only_kinds(commands.with_names(lists), kinds), taught.commands])
    automaton = compile_commands(everything)
    if model is None:
        return Interpreter(automaton, unsure_below=unsure_below, taught=taught, unique_names=unique_names)
    gazetteer = Gazetteer(lists)
    head = learn_head(sentences_of(taught), model, gazetteer) if taught.lessons else None
    values = Values(model.manifest.values, model.manifest.ranges, lists)
    names = {place: tuple(said for said, _ in entries) for place, entries in lists.items()}
    tolerance = Tolerance(model, gazetteer, values, model.possible_labels(automaton.intents), head, names)
    return Interpreter(
        automaton, unsure_below=unsure_below, tolerance=tolerance, taught=taught, unique_names=unique_names
    )


def sentences_of(taught: Taught) -> list[list[Phrase]]:
    """Return sentences of each lesson, drawn from its templates."""
    found = []
    for lesson in taught.lessons:
        one = Taught((lesson,))
        automaton = compile_commands(one.commands)
        draw = random.Random(1)  # noqa: S311  # a sample
        found.append(list(dict.fromkeys(automaton.generate(draw) for _ in range(SENTENCES_OF_A_LESSON))))
    return found
