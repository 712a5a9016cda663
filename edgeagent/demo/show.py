"""Plays the scenes to a virtual house on an embedded broker, shows what happens, and judges it."""

import asyncio
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from edgeagent.agent import Agent, Parts
from edgeagent.demo.scenes import SCENES, Scene
from edgeagent.hear import files
from edgeagent.lifetimes import opened, reachable_broker
from edgeagent.listening import Listening
from edgeagent.messages import Frame, Step
from edgeagent.reports import Reports
from edgeagent.settings import AgentSettings, BrokerSettings, DeviceSettings
from edgeagent.simulate.house import House, small_house
from edgeagent.simulate.live import live
from edgeagent.timeline import JsonTimeline, as_row
from edgeagent.timeline_printed import PrintedTimeline

SOUNDS = Path(__file__).parent / "sounds"
PICTURE_WIDTH = 132
_SVG_FORMAT = re.sub(r"@font-face \{\{.*?\n    \}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Rich's picture without fonts from other hosts: any monospaced one will do."""
_DECISIVE = {"done", "failed", "question", "rejected", "answered"}
_NOTHING_DONE = {"question", "rejected"}


async def show(*, is_json: bool, is_fast: bool, house: House | None = None, picture: Path | None = None) -> int:
    """Play all scenes, in the usual house or in another; return 0 only if everything came out as it should.

    `picture` is an SVG file to be written of the printed timeline.
    """
    console = Console(highlight=False, record=picture is not None, width=PICTURE_WIDTH if picture else None)
    stage = _Stage(house or small_house(), JsonTimeline() if is_json else PrintedTimeline(console), is_fast=is_fast)
    with tempfile.TemporaryDirectory() as state:
        settings = AgentSettings(
            device=DeviceSettings(id="demo", state_dir=Path(state)), broker=BrokerSettings(embedded_port=0)
        )
        async with reachable_broker(settings) as reachable, asyncio.TaskGroup() as tasks:
            neighbours = tasks.create_task(live(stage.house, reachable.broker), name="house")
            async with opened(reachable, Parts(stage.note), Reports(settings.device)) as agent:
                await agent.settle()
                listening = await asyncio.to_thread(Listening, settings, lambda: agent.interpreter)
                stage.opening(agent)
                failures = [scene.name for scene in SCENES if not await stage.play(scene, agent, listening)]
            neighbours.cancel()
    stage.curtain(failures)
    if picture is not None:
        console.save_svg(str(picture), title="edgeagent demo", code_format=_SVG_FORMAT)
    return 1 if failures else 0


class _Stage:
    """Where the scenes are played: the house, and what is shown of them."""

    def __init__(self, house: House, timeline: JsonTimeline | PrintedTimeline, *, is_fast: bool) -> None:
        self.house = house
        self._timeline = timeline
        self._is_fast = is_fast
        self._rows: list[dict[str, Any]] = []

    def note(self, step: Step) -> None:
        """Show a step, and keep it for the verdict."""
        self._timeline(step)
        self._rows.append(as_row(step))

    def opening(self, agent: Agent) -> None:
        """Say who is there."""
        names = [f"{device.name} ({device.area})" for device in agent.devices.all_devices()]
        self._announce(
            {"step": "opening", "devices": names}, f"A house of {len(names)}: {', '.join(names)}.", "", "bold"
        )

    async def play(self, scene: Scene, agent: Agent, listening: Listening) -> bool:
        """Play one scene to its end; return whether everything came out as it should."""
        self._rows.clear()
        remark = f"   {scene.remark}" if scene.remark else ""
        row: dict[str, Any] = {"step": "scene", "file": f"{scene.name}.flac", "said": scene.said}
        self._announce(row, f"\n♪ {scene.said}", remark)
        await agent.hear(listening, lambda stop: self._sound(scene, stop))
        complaint = self._complaint(scene)
        verdict = "as it should be" if complaint is None else f"NOT as it should be: {complaint}"
        mark = "✔" if complaint is None else "✘"
        row |= {"step": "verdict", "right": complaint is None, "complaint": complaint}
        self._announce(row, f"  {mark} {verdict}", "", "green" if complaint is None else "bold red")
        return complaint is None

    def curtain(self, failures: list[str]) -> None:
        """Sum up."""
        right = len(SCENES) - len(failures)
        text = f"\n{right} of {len(SCENES)} sentences came out as they should."
        row = {"step": "summary", "scenes": len(SCENES), "right": right, "failures": failures}
        self._announce(row, text, "", "bold red" if failures else "bold green")

    def _sound(self, scene: Scene, stop: threading.Event) -> Iterator[Frame]:
        frames = files.frames_of(SOUNDS / f"{scene.name}.flac")
        for frame in frames if self._is_fast else files.paced(frames):
            if stop.is_set():
                return
            yield frame

    def _complaint(self, scene: Scene) -> str | None:
        """Return what is wrong: the last step, an order that nobody gave, or what the things really are."""
        steps = [row["step"] for row in self._rows if row["step"] in _DECISIVE]
        decisive = [step for step in steps if step != "answered"] or steps
        if not decisive or decisive[-1] != scene.result or "failed" in steps:
            return f"expected {scene.result}, got {', '.join(decisive) or 'nothing'}"
        if scene.result in _NOTHING_DONE and any(row["step"] == "published" for row in self._rows):
            return "something was published"
        for key, wanted in scene.house.items():
            is_now = self.house.state(key)
            wrong = {name: is_now.get(name) for name, value in wanted.items() if is_now.get(name) != value}
            if wrong:
                return f"{key} is {wrong}"
        return None

    def _announce(self, row: dict[str, Any], text: str, remark: str, style: str = "bold") -> None:
        if isinstance(self._timeline, JsonTimeline):
            self._timeline.note(row)
        else:
            self._timeline.console.print(Text.assemble((text, style), (remark, "dim italic")))
