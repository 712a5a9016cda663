"""The house rules that a machine can see: which way imports point, and who may import which library."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "edgeagent"
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
STAGES = ("hear", "understand", "act", "answer")
FOUNDATION = {"grammar", "settings", "messages", "errors", "files", "topics", "bus", "threads", "duties"}
OFFLINE = ("evaluate", "demo", "simulate", "train")
SEAMS = {
    "paho": {"edgeagent.bus"},
    "amqtt": {"edgeagent.broker"},
    "sounddevice": {"edgeagent.hear.microphone"},
    "pocketsphinx": {"edgeagent.hear.pocketsphinx"},
    "vosk": {"edgeagent.hear.vosk"},
    "pymicro_wakeword": {"edgeagent.hear.microwakeword"},
    "soundfile": {"edgeagent.hear.files", "edgeagent.hear.clip_files", "edgeagent.demo.make_sounds"},
    "soxr": {"edgeagent.hear.files"},
    "hassil": {
        "edgeagent.grammar.commands",
        "edgeagent.grammar.layout",
        "edgeagent.train.known_values",
        "edgeagent.evaluate.peer",
    },
    "jinja2": {
        "edgeagent.act.dialects.templates",
        "edgeagent.act.dialects.template_functions",
        "edgeagent.console.web.rendering",
    },
    "onnxruntime": {
        "edgeagent.understand.model.onnx_segments",
        "edgeagent.train.export",
    },
    "torch": {"edgeagent.train.network", "edgeagent.train.learn", "edgeagent.train.make", "edgeagent.train.teacher"},
    "transformers": {"edgeagent.train.teacher"},
    "onnx": {"edgeagent.train.export"},
    "ai_edge_litert": {"edgeagent.train.tflite"},
    "tuf": {
        "edgeagent.release.roles",
        "edgeagent.release.shop",
        "edgeagent.update.durable_updater",
        "edgeagent.update.metadata",
        "edgeagent.update.roots",
        "edgeagent.update.trusted_set",
        "edgeagent.update.tuf_fetcher",
    },
    "securesystemslib": {
        "edgeagent.release.keys",
        "edgeagent.release.roles",
        "edgeagent.release.shop",
        "edgeagent.update.trusted_set",
    },
    "cryptography": {
        "edgeagent.console.authority",
        "edgeagent.console.authority_roots",
        "edgeagent.console.certificates",
        "edgeagent.console.external_authority",
        "edgeagent.fleet.identity",
        "edgeagent.fleet.identity_checks",
        "edgeagent.fleet.identity_keys",
        "edgeagent.release.keys",
        "edgeagent.update.trusted_set",
    },
    "argon2": {"edgeagent.console.web.passwords"},
    "prometheus_client": {"edgeagent.console.prometheus"},
    "segno": {"edgeagent.console.web.qr"},
    "uvicorn": {"edgeagent.console.serving"},
    "webauthn": {"edgeagent.console.web.passkeys"},
    "backports": {"edgeagent.provision.compression", "edgeagent.update.deltas"},
    "wyoming": {"edgeagent.bridges.wyoming"},
    "gpiod": {"edgeagent.board.gpio"},
    "google": {"edgeagent.act.dialects.sparkplug_b_pb2", "edgeagent.act.dialects.sparkplug_payload"},
    "flatbuffers": {"edgeagent.train.tflite"},
    "home_assistant_intents": {"edgeagent.evaluate.peer"},
    "matplotlib": {"edgeagent.evaluate.figures", "edgeagent.train.report"},
    "typer": {
        "edgeagent.__main__",
        "edgeagent.cli.board",
        "edgeagent.cli.console",
        "edgeagent.cli.console_broker",
        "edgeagent.cli.daily",
        "edgeagent.cli.enrol",
        "edgeagent.cli.first_boot",
        "edgeagent.cli.fleet",
        "edgeagent.cli.fleet_jobs",
        "edgeagent.cli.fleet_rollouts",
        "edgeagent.cli.fleet_shown",
        "edgeagent.cli.image",
        "edgeagent.cli.image_cards",
        "edgeagent.cli.image_options",
        "edgeagent.cli.install",
        "edgeagent.cli.model",
        "edgeagent.cli.on_demand",
        "edgeagent.cli.simulate_fleet",
        "edgeagent.cli.simulations",
        "edgeagent.cli.owner",
        "edgeagent.cli.release",
        "edgeagent.cli.update",
        "edgeagent.cli.workshop",
        "edgeagent.cli.options",
        "edgeagent.evaluate.learn_sureness",
        "edgeagent.hear.learn_pronunciation",
    },
    "tomllib": {"edgeagent.settings"},
}


@cache
def imports_of(name: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(one for one in found if one in MODULES or not one.startswith("edgeagent."))


def part_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def reachable_from(name: str) -> set[str]:
    seen, waiting = {name}, [name]
    while waiting:
        for one in imports_of(waiting.pop()):
            if one in MODULES and one not in seen:
                seen.add(one)
                waiting.append(one)
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_stage_packages_do_not_import_one_another(stage: str) -> None:
    others = {other for other in STAGES if other != stage}
    for name in MODULES:
        if part_of(name) == stage:
            assert not {one for one in imports_of(name) if part_of(one) in others}, name


def test_the_foundation_knows_nothing_of_what_is_built_on_it() -> None:
    above = {*STAGES, *OFFLINE, "agent", "pipeline", "listening", "cli", "timeline"}
    for name in MODULES:
        if part_of(name) in FOUNDATION:
            assert not {one for one in imports_of(name) if part_of(one) in above}, name


def test_messages_and_errors_rest_on_nothing() -> None:
    assert not {one for one in imports_of("edgeagent.messages") if one.startswith("edgeagent")}
    assert not {one for one in imports_of("edgeagent.errors") if one.startswith("edgeagent")}


def test_settings_rest_on_messages_and_errors_alone() -> None:
    own = {one for one in imports_of("edgeagent.settings") if one.startswith("edgeagent.")}
    assert own <= {"edgeagent.messages", "edgeagent.errors"}


@pytest.mark.parametrize("package", ["hear", "understand", "grammar"])
def test_the_listening_side_never_touches_asyncio(package: str) -> None:
    for name in MODULES:
        if part_of(name) == package:
            assert not {one for one in imports_of(name) if one.split(".")[0] == "asyncio"}, name


def test_the_daemon_never_loads_what_belongs_to_the_workshop() -> None:
    loaded = {part_of(name) for name in reachable_from("edgeagent.cli.run")}
    assert not loaded & {"evaluate", "demo", "simulate", "train", "console"}


@pytest.mark.parametrize("library", sorted(SEAMS))
def test_a_library_with_a_seam_has_one_importer(library: str) -> None:
    importers = {name for name in MODULES if any(one.split(".")[0] == library for one in imports_of(name))}
    assert importers == SEAMS[library]


PLACES = {
    "alembic": ("edgeagent.console.",),
    "fastapi": ("edgeagent.console.web.", "edgeagent.console.running"),
    "sqlalchemy": ("edgeagent.console.", "edgeagent.cli.console"),
}
"""Libraries that many modules of one package use, and nothing else."""


@pytest.mark.parametrize("library", sorted(PLACES))
def test_a_library_stays_in_its_package(library: str) -> None:
    for name in MODULES:
        if any(one.split(".")[0] == library for one in imports_of(name)):
            assert name.startswith(PLACES[library]), name


def test_the_devices_side_knows_nothing_of_the_console() -> None:
    for name in MODULES:
        if part_of(name) == "fleet":
            assert not {one for one in reachable_from(name) if part_of(one) in {"console", "simulate"}}, name


PURE = ("rules", "statistics", "waves", "windows", "nouns")


@pytest.mark.parametrize("module", PURE)
def test_the_rules_of_rollouts_know_no_database(module: str) -> None:
    assert not {one for one in imports_of(f"edgeagent.console.rollouts.{module}") if "sqlalchemy" in one}


def test_nothing_of_the_console_but_its_web_side_knows_pages() -> None:
    for name in MODULES:
        if part_of(name) == "console" and not name.startswith(("edgeagent.console.web", "edgeagent.console.running")):
            assert not {one for one in imports_of(name) if one.startswith("edgeagent.console.web")}, name


def test_nothing_imports_the_command_line() -> None:
    for name in MODULES:
        assert "edgeagent.__main__" not in imports_of(name), name


def test_the_daemon_carries_nothing_with_it_that_only_other_commands_need() -> None:
    """A board of 512 MB pays for every module: our own broker, pictures of sound, other commands, colours."""
    code = "import sys, edgeagent.__main__, edgeagent.cli.daily, edgeagent.cli.run; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"amqtt", "rich", "soundfile", "soxr", "tuf", "sqlalchemy", "fastapi", "onnxruntime", "gpiod"}
    commands = {name.removeprefix("edgeagent.cli.") for name in loaded if name.startswith("edgeagent.cli.")}
    assert commands == {"daily", "ending", "on_demand", "options", "run", "sources"}
