"""One thing that several dialects announce is one device: the dialect that knows it best speaks to it. Pure.

A Zigbee lamp is on Zigbee2MQTT's list and in Home Assistant's discovery. Devices of the other dialects are put by, and
come back if the first one goes; an area that only they know is lent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from edgeagent.messages import Device


def chosen(devices: Iterable[Device], dialects: Sequence[str]) -> tuple[tuple[Device, ...], Mapping[str, str]]:
    """Return the devices that are spoken to, and by their ids those put by, with the dialect that speaks instead.

    `dialects` go from the one that is preferred to the one that is not.
    """
    everyone = list(devices)
    rank = {name: number for number, name in enumerate(dialects)}
    best: dict[str, str] = {}
    areas: dict[str, str] = {}
    for device in everyone:
        if device.thing is None:
            continue
        known = best.get(device.thing)
        if known is None or rank.get(device.dialect, len(rank)) < rank.get(known, len(rank)):
            best[device.thing] = device.dialect
        if device.area is not None:
            areas.setdefault(device.thing, device.area)
    spoken: list[Device] = []
    put_by: dict[str, str] = {}
    for device in everyone:
        if device.thing is None:
            spoken.append(device)
        elif best[device.thing] != device.dialect:
            put_by[device.id] = best[device.thing]
        else:
            area = areas.get(device.thing) if device.area is None else device.area
            spoken.append(device if area == device.area else replace(device, area=area))
    return tuple(spoken), put_by
