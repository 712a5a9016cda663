"""One thing that several dialects announce is one device: the dialect that knows it best speaks to it. Pure.

A Zigbee lamp is on Zigbee2MQTT's list and in Home Assistant's discovery. What the preferred dialect has of the same
kind is spoken to by it, and the twins are put by; they come back if it goes. What only a twin knows is lent: the area,
its device class (a garage door stays one) and its names (an owner's rules go by them).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from edgeagent.messages import Device, Kind

Part = tuple[str, Kind]
"""A thing, and what of it."""


def chosen(devices: Iterable[Device], dialects: Sequence[str]) -> tuple[tuple[Device, ...], Mapping[str, str]]:
    """Return the devices that are spoken to, and by their ids those put by, with the dialect that speaks instead.

    `dialects` go from the one that is preferred to the one that is not.
    """
    everyone = list(devices)
    rank = {name: number for number, name in enumerate(dialects)}
    parts: dict[Part, list[Device]] = {}
    areas: dict[str, str] = {}
    for device in everyone:
        if device.thing is not None:
            parts.setdefault((device.thing, device.kind), []).append(device)
            if device.area is not None:
                areas.setdefault(device.thing, device.area)
    best = {
        part: min((one.dialect for one in twins), key=lambda name: rank.get(name, len(rank)))
        for part, twins in parts.items()
    }
    spoken: list[Device] = []
    put_by: dict[str, str] = {}
    for device in everyone:
        if device.thing is None:
            spoken.append(device)
        elif (dialect := best[device.thing, device.kind]) != device.dialect:
            put_by[device.id] = dialect
        else:
            spoken.append(_with_what_is_lent(device, parts[device.thing, device.kind], areas.get(device.thing)))
    return tuple(spoken), put_by


def _with_what_is_lent(device: Device, alike: Sequence[Device], area: str | None) -> Device:
    """Return the device with what its twins know of it; whose twin is whose is only known where there is one."""
    twins = [one for one in alike if one.dialect != device.dialect]
    is_only = sum(1 for one in alike if one.dialect == device.dialect) == 1
    twin = twins[0] if is_only and len(twins) == 1 else None
    names = () if twin is None else (twin.name, *twin.aliases)
    return replace(
        device,
        area=device.area if area is None or device.area is not None else area,
        aliases=tuple(dict.fromkeys((*device.aliases, *(name for name in names if name != device.name)))),
        device_class=device.device_class or (None if twin is None else twin.device_class),
    )
