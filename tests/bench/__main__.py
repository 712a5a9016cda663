"""Measures what the README promises and prints it as a table: make bench, or python -m tests.bench.

Figures are of this machine, now; medians over several runs. EDGEAGENT_SHARED adds the spoken test sets.
"""

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.plan import Plan, plan
from edgeagent.act.vocabulary import lists_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.messages import Command
from edgeagent.simulate.house import house
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

from .acting import acting

PROGRAM = (sys.executable, "-m", "edgeagent")
RUNS = 5
LISTENED_S = 20.0
SENTENCES = (
    "turn on the kitchen light",
    "set the living room light to 40 percent",
    "could you close the living room blinds please",
    "set the bedroom heater to 21.5 degrees",
    "unlock the front door",
)
Row = tuple[str, str, str]


def main() -> None:
    """Measure everything and print the table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("what", "measured", "how"):
        table.add_column(title)
    console = Console(highlight=False, width=150)
    with tempfile.TemporaryDirectory() as name:
        for measure in (listening, text_to_plan, compiling, acting, spoken):
            for row in measure(Path(name)):
                table.add_row(*row)
    console.print(table)


def listening(folder: Path) -> Iterator[Row]:
    """The daemon with its own broker, hearing a quiet room."""
    ready: list[float] = []
    ended: list[float] = []
    shares: list[float] = []
    residents: list[float] = []
    for _ in range(RUNS):
        with daemon(folder) as (process, ready_s):
            ready.append(ready_s)
            if len(shares) < 2:  # the long part twice is enough
                time.sleep(2)
                before = cpu_s(process.pid)
                time.sleep(LISTENED_S)
                shares.append((cpu_s(process.pid) - before) / LISTENED_S)
                residents.append(resident_mb(process.pid))
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait()
            ended.append(time.monotonic() - asked)
    yield "start to ready", f"{statistics.median(ready):.2f} s", f"{RUNS} starts of `edgeagent run`, own broker"
    yield "SIGTERM to end", f"{statistics.median(ended):.2f} s", f"the same; longest {max(ended):.2f} s"
    yield "listening to a quiet room, CPU", f"{max(shares):.1%} of a core", f"{LISTENED_S:g} s, twice, the larger"
    yield "listening to a quiet room, memory", f"{max(residents):.0f} MB resident", "the same"


def text_to_plan(_: Path) -> Iterator[Row]:
    """A typed sentence to its plan."""
    devices = registry()
    interpreter = Interpreter(automaton_of(devices), unsure_below=0.5)

    def once(text: str) -> None:
        command = interpreter.interpret(typed("u1", text))
        assert isinstance(command, Command), text
        assert isinstance(plan(command, devices, "Kitchen", now), Plan), text

    samples = sorted(timed(partial(once, text)) for _ in range(400) for text in SENTENCES)
    p50, p99 = (samples[int(len(samples) * share)] for share in (0.5, 0.99))
    yield "text to plan", f"p50 {1e6 * p50:.0f} µs, p99 {1e6 * p99:.0f} µs", f"{len(SENTENCES)} sentences, 400 times"


def compiling(_: Path) -> Iterator[Row]:
    """Names that have changed to a grammar that is searched."""
    devices = registry()
    compile_s = statistics.median(timed(lambda: automaton_of(devices).flat()) for _ in range(RUNS))
    automaton = automaton_of(devices)
    how = f"{len(devices.all_devices())} devices, {len(automaton)} states, {len(automaton.flat().arcs)} minimal"
    yield "names to grammar", f"{compile_s:.2f} s", how


def spoken(_: Path) -> Iterator[Row]:
    """The spoken test sets, where they are."""
    if "EDGEAGENT_SHARED" not in os.environ:
        yield "spoken test sets", "not measured", "EDGEAGENT_SHARED is not set"
        return
    sets = Path(os.environ["EDGEAGENT_SHARED"]) / "data" / "speech"
    own = Path(__file__).parents[1] / "data" / "home_devices.yaml"
    for name, options in (
        ("barista", ("--commands", sets / "barista" / "commands.yaml")),
        ("home", ("--devices", own)),
    ):
        done = subprocess.run(
            [*PROGRAM, "evaluate", "speech", str(sets / name), *map(str, options), "--json"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        figures = json.loads(done.stdout.splitlines()[-1])
        times = figures["time_to_decision_ms"]
        yield (
            f"{name}, {figures['n']} files",
            f"{figures['accuracy']:.1%} right, {figures['wrong']} wrong",
            f"decision p50 {times['p50']:.0f} ms, p95 {times['p95']:.0f} ms; real-time factor {figures['rtf']:.3f}",
        )


@contextmanager
def daemon(folder: Path) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """Start the daemon on a minute of a quiet room at real-time pace; give the process and the time until ready."""
    sound = folder / "room.flac"
    if not sound.exists():
        hiss = np.random.default_rng(1).normal(0, 0.0005, 90 * 16_000)
        soundfile.write(sound, hiss, 16_000)
    settings = folder / "bench.toml"
    settings.write_text(f'[device]\nstate_dir = "{folder}/state"\n[broker]\nembedded_port = 0\n')
    began = time.monotonic()
    process = subprocess.Popen(
        [*PROGRAM, "run", "--settings", str(settings), "--wav", str(sound)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "ready" not in (line := process.stderr.readline()):
        assert line, "the daemon ended before it was ready"
    try:
        yield process, time.monotonic() - began
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def registry() -> Devices:
    """Return the devices of the virtual house."""
    devices = Devices([HomeAssistant()])
    for message in house().announcements():
        devices.receive(message.topic, message.payload, 0.0)
    return devices


def automaton_of(devices: Devices) -> Automaton:
    """Return the built-in commands with the devices' names."""
    return compile_commands(commands.built_in(("home", "plant")).with_names(lists_of(devices.names())))


def timed(action: Callable[[], object]) -> float:
    """Return how long an action takes, in seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def now() -> datetime:
    """Return the local time."""
    return datetime.now().astimezone()


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
