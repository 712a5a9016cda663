"""What a guest with a GPIO chip and a SPI bus does first and last: tries lines, presses and lamps on a real kernel.

It is the first program of a system with nothing but Python, this package, and what that needs. Each finding is a line
on the console; `hold` asks whoever runs the guest to press.
"""

import asyncio
import ctypes
import json
import os
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeagent.board.lines import Lines
    from edgeagent.board.showing import Picture
    from edgeagent.settings import LightSettings

LABEL = "9030000.pl061"
"""QEMU's chip on its board `virt`: eight lines, two of which this device tree gives to SPI."""
BUTTON, FREE, TAKEN, BEYOND = 5, 1, 7, 8
NOBODY = 65534
TELLS_WITHIN_S = 150.0
_FINIT_MODULE = 273
"""finit_module(2) on arm64."""
_POWER_OFF = 0x4321FEDC


def tell(what: str, found: object) -> None:
    sys.stdout.write(f"FOUND {json.dumps([what, found])}\n")
    sys.stdout.flush()


def main() -> None:
    libc = ctypes.CDLL("libc.so.6")
    for kind, where in ((b"devtmpfs", b"/dev"), (b"proc", b"/proc"), (b"sysfs", b"/sys")):
        libc.mount(b"none", where, kind, 0, None)
    for name in ("spi-bitbang", "spi-gpio"):
        libc.syscall(_FINIT_MODULE, os.open(f"/modules/{name}.ko", os.O_RDONLY), b"", 0)
    try:
        look()
        tell("end", "reached")
    except BaseException:  # noqa: BLE001  # the last that this system does is to tell it
        tell("end", traceback.format_exc())
    sys.stdout.flush()
    libc.reboot(_POWER_OFF)


def look() -> None:
    from edgeagent.board.apa102 import APA102_HZ, spi  # noqa: PLC0415  # not before /proc is there
    from edgeagent.board.button import positions, presses  # noqa: PLC0415  # as above
    from edgeagent.board.lines import LABELS, Line, header  # noqa: PLC0415  # as above
    from edgeagent.settings import LightSettings  # noqa: PLC0415  # as above

    lines = header((*LABELS, LABEL))
    tell("other labels", refusal(lambda: header(LABELS).input(Line(BUTTON))))
    tell("beyond", refusal(lambda: lines.input(Line(BEYOND))))
    tell("taken by the kernel", refusal(lambda: lines.outputs([Line(TAKEN)])))
    with lines.input(Line(BUTTON)) as line:
        tell("at rest", line.is_active())
        tell("taken by us", refusal(lambda: lines.outputs([Line(FREE), Line(BUTTON)])))
        tell("presses", asyncio.run(first(presses(line), [0.3, 0.5, 0.004, 0.004, 4.0, 0.5, 0.4, 0.3])))
    with lines.input(Line(BUTTON, is_active_low=True)) as line:
        tell("positions", asyncio.run(first(positions(line), [1.0, 0.5])))
    for _ in range(2):
        with lines.outputs([Line(FREE), Line(BUTTON, is_active_low=True)]) as output:
            output.drive([True, True])
    tell("released", "and had again")
    spidev = "/dev/spidev0.0"
    for settings in (
        LightSettings(kind="apa102", count=12, spi=spidev),
        LightSettings(kind="ws2812", count=12, spi=spidev),
        LightSettings(kind="gpio", line=FREE),
        LightSettings(kind="apa102", count=1, data_line=0, clock_line=1, power_line=2),
    ):
        tell("frames", asyncio.run(frames(settings, lines)))
    os.seteuid(NOBODY)
    tell("no group gpio", refusal(lambda: lines.input(Line(BUTTON))))
    tell("no group spi", refusal(lambda: spi(Path(spidev), APA102_HZ)))
    os.seteuid(0)


def refusal(opened: Callable[[], AbstractContextManager[object]]) -> list[str]:
    """Return what is said where lines or a device are refused, and what helps."""
    from edgeagent.board.errors import BoardError  # noqa: PLC0415  # as above

    try:
        with opened():
            return []
    except BoardError as error:
        return [str(error), error.remedy]


async def first(found: AsyncIterator[object], spans_s: list[float]) -> list[object]:
    """Return three findings; the line is held and let go for these spans, once somebody looks at it."""
    asyncio.get_running_loop().call_soon(tell, "hold", spans_s)
    heard: list[object] = []
    async with asyncio.timeout(TELLS_WITHIN_S):
        async for one in found:
            heard.append(one)
            if len(heard) == 3:
                break
    return heard


async def frames(settings: "LightSettings", lines: "Lines") -> int:
    """Return how many pictures lamps were given while they were thinking; at least one came from a motion."""
    from edgeagent.board.lights import Light, Paint, light_of  # noqa: PLC0415  # as above

    kind = light_of(settings, 0.4, lambda: lines)
    assert kind is not None
    lit, opened = kind
    painted, has_moved, loop = [0], asyncio.Event(), asyncio.get_running_loop()

    @contextmanager
    def counted() -> Iterator[Paint]:
        with opened() as paint:

            def count(picture: "Picture") -> None:
                paint(picture)
                painted[0] += 1
                if painted[0] == 4:
                    loop.call_soon_threadsafe(has_moved.set)

            yield count

    light = Light(lit, counted, lambda: "idle")
    async with asyncio.timeout(TELLS_WITHIN_S), light.running():
        light.show("thinking")
        await has_moved.wait()
    return painted[0]


if __name__ == "__main__":
    main()
