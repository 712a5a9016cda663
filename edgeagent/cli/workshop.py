"""The commands of the workshop: judge, time, teach and make models. What they need may be in an extra."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from edgeagent.cli.options import Json, SettingsFile, can_be_written, settings_of
from edgeagent.cli.owner import clips
from edgeagent.cli.shown import Silent, show
from edgeagent.errors import SettingsError
from edgeagent.settings import AgentSettings, UnderstandingSettings
from edgeagent.understand.model.model import CommandModel

Model = Annotated[Path | None, typer.Option("--model", help="Folder of a model; without it, the one that ships.")]
Devices = Annotated[Path | None, typer.Option("--devices", help="YAML list of the devices that are spoken to.")]
Recognizer = Annotated[
    Literal["pocketsphinx", "vosk"] | None, typer.Option(help="In place of the one that the settings name.")
]
_EXTRAS = {"torch": "train", "onnx": "train", "matplotlib": "evaluate", "home_assistant_intents": "evaluate"}

evaluate_app = typer.Typer(no_args_is_help=True, help="Judge how well it hears and understands.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure how fast it is.")
evaluate_app.command("clips")(clips)


@evaluate_app.command("speech")
def evaluate_speech(
    folder: Annotated[Path, typer.Argument(help="Sound files and labels.json.")],
    commands: Annotated[Path | None, typer.Option(help="Command set in place of the built-in one.")] = None,
    devices_file: Devices = None,
    noise: Annotated[Path | None, typer.Option(help="Sound file of noise to mix in.")] = None,
    snr: Annotated[
        str | None, typer.Option(help="With --noise: signal-to-noise ratios in dB, as in 6,9,12; without it, 12.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise's offsets.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw.", callback=can_be_written)] = None,
    recognizer: Recognizer = None,
    settings: SettingsFile = None,
    *,
    json: Json = False,
) -> None:
    """Play a labelled folder of sound files through the whole listening path."""
    from edgeagent.evaluate.command import Order, evaluate

    ratios = _ratios("12" if snr is None else snr)
    if snr is not None and noise is None:
        raise typer.BadParameter("--snr goes with --noise: name a sound file of noise, or leave both out")
    order = Order(folder, commands, devices_file, noise, ratios, seed, plot)
    raise typer.Exit(evaluate(_heard_by(recognizer, settings_of(settings)), order, is_json=json))


@evaluate_app.command("false-actions")
def evaluate_false_actions(
    paths: Annotated[list[Path], typer.Argument(help="Sound files, or folders that are searched for them.")],
    hours: Annotated[float | None, typer.Option(help="Hours to be played; without it, once through.")] = None,
    devices_file: Devices = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order and loudness of what is played again.")] = 1,
    recognizer: Recognizer = None,
    settings: SettingsFile = None,
    *,
    json: Json = False,
) -> None:
    """Play sound that is not addressed to the device, and count what it would do, by the hour."""
    from rich.progress import Progress

    from edgeagent.evaluate.false_actions import MOST_HOURS, Playing, false_actions

    if hours is not None and not 0 < hours <= MOST_HOURS:
        raise typer.BadParameter(f"--hours: expected more than 0 and at most {MOST_HOURS}, found {hours:g}")
    playing = Playing(tuple(paths), hours, seed)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("listening", total=None if hours is None else 3600 * hours)
        found = false_actions(
            _heard_by(recognizer, settings_of(settings)), playing, devices_file, lambda s: progress.advance(bar, s)
        )
    show(found, is_json=json, tables=())


@evaluate_app.command("text")
def evaluate_text(
    data: Annotated[Path, typer.Option(help='JSON lines: {"tokens" | "text", "tags"?, "intent"}.')],
    model: Model = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw.", callback=can_be_written)] = None,
    runtime: Annotated[str, typer.Option(help="onnx or litert.")] = "onnx",
    *,
    json: Json = False,
) -> None:
    """Judge a model on labelled sentences: intents, slots, frames, scope, calibration, exits."""
    from edgeagent.evaluate.text import evaluate_text as judge
    from edgeagent.shipped import built_in_model

    figures, answered = judge(built_in_model() if model is None else model, data, runtime)
    if plot is not None:
        _need("matplotlib")
        from edgeagent.evaluate.figures import draw_text

        draw_text(answered, str(data), plot)
    show(figures, is_json=json, tables=("exits",))


@evaluate_app.command("robustness")
def evaluate_robustness(
    model: Model = None,
    count: Annotated[int, typer.Option("-n", min=1, max=100_000, help="Commands of each place.")] = 300,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    *,
    json: Json = False,
) -> None:
    """Perturb generated commands of a home and a plant, and count what is right, asked, refused and wrong."""
    _need("home_assistant_intents")
    from edgeagent.evaluate.robustness import robustness

    console = Console(stderr=True)
    with console.status("judging") if console.is_terminal else Silent() as status:
        figures = robustness(_model(model), count=count, seed=seed, advance=status.update)
    show(figures, is_json=json, tables=("rows", "guarded", "hassil"))


@evaluate_app.command("scope")
def evaluate_scope(
    file: Annotated[Path, typer.Argument(help="Sentences that are no commands, one a line.")],
    model: Model = None,
    *,
    json: Json = False,
) -> None:
    """Tell which share of sentences would be obeyed, asked about, refused."""
    from edgeagent.evaluate.scope import scope

    show(scope(_model(model), file), is_json=json, tables=())


@evaluate_app.command("understanding")
def evaluate_understanding(
    folder: Annotated[Path, typer.Argument(help="JSON lines: text, place, expect, intent, slots.")],
    model: Model = None,
    *,
    json: Json = False,
) -> None:
    """Judge sentences in a home and a plant: obeyed, asked about, refused, and what is done."""
    from edgeagent.evaluate.understanding import understanding

    show(understanding(_model(model), folder), is_json=json, tables=("rows", "intents"))


@evaluate_app.command("heard")
def evaluate_heard(
    files: Annotated[list[Path], typer.Argument(help="JSON lines: text, place, expect, intent, slots.")],
    settings: SettingsFile = None,
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="Sentences for the home, of each file.")] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    *,
    json: Json = False,
) -> None:
    """Have flite speak sentences, hear them as the daemon does, and tell what is lost on the way."""
    from edgeagent.evaluate.heard import heard

    show(heard(settings_of(settings), files, count, seed), is_json=json, tables=("rows",))


@bench_app.command("text")
def bench_text(
    model: Model = None,
    count: Annotated[int, typer.Option("-n", min=10, max=100_000, help="Sentences.")] = 400,
    *,
    json: Json = False,
) -> None:
    """Time the whole path from text to interpretation, beside hassil, in one run."""
    _need("home_assistant_intents")
    from edgeagent.evaluate.speed import speed

    show(speed(_model(model), count), is_json=json, tables=("rows",))


def train(
    recipe: Annotated[Path | None, typer.Argument(help="Recipe in YAML.")] = None,
    sources: Annotated[Path, typer.Option(help="Folder of the data sets that the recipe names.")] = Path(),
    data: Annotated[Path | None, typer.Option(help="Instead of a recipe: JSON lines to learn from.")] = None,
    valid: Annotated[Path | None, typer.Option(help="With --data: JSON lines to judge by.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the model that is made.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the recipe's.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    *,
    json: Json = False,
) -> None:
    """Make a command model: from a recipe, or from a file of labelled sentences."""
    if (recipe is None) == (data is None) or (data is None) != (valid is None):
        raise typer.BadParameter("give a RECIPE, or --data with --valid")
    for library in ("torch", "onnx"):
        _need(library)
    from edgeagent.train.make import make, recipe_for
    from edgeagent.train.recipe import load_recipe

    if recipe is not None:
        wanted, beside, folder = load_recipe(recipe), recipe.parent, sources
    elif data is not None and valid is not None:
        (wanted, folder), beside = recipe_for(data, valid, "model"), Path()
    if seed is not None:
        wanted = wanted.model_copy(update={"seed": seed})
    if epochs is not None:
        wanted = wanted.model_copy(update={"learning": wanted.learning.model_copy(update={"epochs": epochs})})
    console = Console(stderr=True, highlight=False)
    measured = make(wanted, beside, folder, out or Path("models") / wanted.name, console.print)
    show(measured, is_json=json, tables=("exits",))


def teach(
    file: Annotated[Path | None, typer.Argument(help="YAML file of lessons.")] = None,
    settings: SettingsFile = None,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was taught last.")] = False,
    json: Json = False,
) -> None:
    """Teach own sentences: what is said, and what it means in words that are understood already."""
    if (file is None) != undo:
        raise typer.BadParameter("give a FILE, or --undo")
    from edgeagent.cli.teach import take_lessons_back, teach_lessons

    wanted = settings_of(settings)
    told = take_lessons_back(wanted) if file is None else teach_lessons(wanted, file)
    show(told, is_json=json, tables=("lessons",))


def _model(folder: Path | None) -> CommandModel | None:
    from edgeagent.understanding import load_model

    return load_model(UnderstandingSettings(model="built-in" if folder is None else str(folder)))


def _need(library: str) -> None:
    """Refuse where a library of an extra is not installed."""
    from importlib.util import find_spec

    if find_spec(library) is None:
        extra = _EXTRAS[library]
        raise SettingsError(f"this needs {library}, which is not installed", remedy=f"pip install 'edgeagent[{extra}]'")


def _heard_by(recognizer: str | None, settings: AgentSettings) -> AgentSettings:
    if recognizer is None:
        return settings
    hearing = settings.hearing.model_copy(update={"recognizer": recognizer})
    return settings.model_copy(update={"hearing": hearing})


def _ratios(text: str) -> tuple[float, ...]:
    try:
        ratios = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"--snr: expected numbers as in 6,9,12, found {text!r:.60}") from error
    if len(set(ratios)) < len(ratios):
        raise typer.BadParameter(f"--snr: a ratio is given twice in {text!r:.60}")
    return ratios
