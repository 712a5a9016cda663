"""What devices tell, as messages: for tests of the console."""

from typing import Any

from edgeagent.console.ingest import Incoming
from edgeagent.fleet import wire
from edgeagent.messages import Message
from edgeagent.topics import Address


def incoming(message: Message, *, retained: bool = False) -> Incoming:
    return Incoming(message.topic, message.payload, retained)


def birth(device: str, boot: str = "boot-1", *, fleet: str = "home", **more: Any) -> Message:
    born = wire.Birth(boot=boot, version=more.pop("version", "0.6.0"), **more)
    return Message(f"ea/1/{fleet}/d/{device}/up/birth", wire.written(born), qos=1, retain=True)


def state(
    device: str, boot: str = "boot-1", seq: int = 1, *, online: bool = True, fleet: str = "home", **more: Any
) -> Message:
    told = wire.State(online=online, boot=boot, seq=seq, **more)
    return Message(f"ea/1/{fleet}/d/{device}/up/state", wire.written(told), qos=1, retain=True)


def will(device: str, boot: str = "boot-1") -> Message:
    return state(device, boot, 0, online=False, reason="lost")


def event(device: str, kind: str, payload: bytes, fleet: str = "home") -> Message:
    return Message(f"ea/1/{fleet}/d/{device}/up/event/{kind}", payload, qos=1)


def sample(
    device: str,
    uptime_s: float,
    boot: str = "boot-1",
    *,
    at: float = 0.0,
    gauges: dict[str, float] | None = None,
    **counters: int,
) -> Message:
    counted = wire.Sample(boot=boot, at=at, uptime_s=uptime_s, counters=counters, gauges=gauges or {})
    return wire.sample(Address("home", device), counted)


def progress(device: str, job: str, step: int, told: str, **more: Any) -> Message:
    how = wire.Progress(id=f"{job}:{step}", job=job, state=told, at=1.0, **more)
    return wire.progress(Address("home", device), how)
