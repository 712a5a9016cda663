"""What can be said to a device: examples from what it can. Pure."""

from collections.abc import Mapping

from edgeagent.act.targets import Home
from edgeagent.messages import Answer, Capability, Command, Device, Rejection

MOST_EXAMPLES = 4
_EXAMPLES: Mapping[Capability, str] = {
    "power": "turn the {name} on or off",
    "brightness": "set the {name} to fifty percent",
    "color": "make the {name} blue",
    "color_temperature": "set the {name} to warm white",
    "opening": "open, close or stop the {name}",
    "position": "open the {name} halfway",
    "tilt": "tilt the {name} to fifty percent",
    "lock": "lock or unlock the {name}",
    "target_temperature": "set the {name} to twenty degrees",
    "mode": "set the {name} to auto",
    "speed": "set the {name} to medium",
    "playback": "pause the {name}",
    "volume": "turn the {name} up or down",
    "cleaning": "start or dock the {name}",
    "activate": "activate the {name}",
    "run": "start or stop the {name}",
    "acknowledge": "acknowledge the {name}",
    "setpoint": "set the {name} to a number",
    "option": "set the {name} to one of its options",
    "text": "set the {name} to a text",
    "arming": "arm or disarm the {name}",
    "reading": "what is the {name}",
}


def examples_for(device: Device) -> tuple[str, ...]:
    """Return sentences that the device understands, what is ordered before what is asked."""
    known = [can for can in _EXAMPLES if can in device.capabilities]
    return tuple(_EXAMPLES[can].format(name=device.name.lower()) for can in known[:MOST_EXAMPLES])


def help_for(command: Command, home: Home) -> Answer | Rejection:
    """Answer what can be said to the device that a command names."""
    name = str(command.slot("name") or "")
    found = home.named(name)
    if not found:
        return Rejection(command.utterance, "no-such-device", command.text, f"there is no {name.lower()}")
    examples = list(dict.fromkeys(example for device in found for example in examples_for(device)))[:MOST_EXAMPLES]
    text = f"Say: {'; or: '.join(examples)}." if examples else f"{found[0].name} can neither be ordered nor asked."
    return Answer(command.utterance, text, about=tuple(device.id for device in found))
