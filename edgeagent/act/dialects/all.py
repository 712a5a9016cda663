"""Every dialect that is spoken, the one that knows its devices best first."""

from edgeagent.act.dialects.dialect import Dialect
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.dialects.homie import Homie
from edgeagent.act.dialects.tasmota import Tasmota
from edgeagent.act.dialects.zigbee2mqtt import Zigbee2MQTT
from edgeagent.settings import AgentSettings


def dialects_of(settings: AgentSettings) -> tuple[Dialect, ...]:
    """Return the dialects for these settings."""
    return (Zigbee2MQTT(), Tasmota(), Homie(), HomeAssistant(settings.broker.discovery_prefix))
