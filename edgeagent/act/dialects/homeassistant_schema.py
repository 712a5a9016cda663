"""Home Assistant's announcements: abbreviations, `~`, and the fields that all components share."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from edgeagent.act.dialects.channels import Channels, words_reader, words_writer
from edgeagent.act.dialects.dialect import Reader, Writer
from edgeagent.act.dialects.schema import CheckedTemplate, Config, Name, Payload, Text, Topic, printable, thing_of
from edgeagent.errors import PayloadError

_ABBREVIATIONS = """
act_stat_t activity_state_topic; act_val_tpl activity_value_template; avty availability; avty_mode availability_mode;
avty_t availability_topic; avty_tpl availability_template; b_tpl blue_template; bri_cmd_t brightness_command_topic;
bri_cmd_tpl brightness_command_template; bri_scl brightness_scale; bri_stat_t brightness_state_topic; bri_tpl
brightness_template; bri_val_tpl brightness_value_template; clr_temp_cmd_t color_temp_command_topic; clr_temp_cmd_tpl
color_temp_command_template; clr_temp_k color_temp_kelvin; clr_temp_stat_t color_temp_state_topic; clr_temp_tpl
color_temp_template; clr_temp_val_tpl color_temp_value_template; clrm color_mode; clrm_stat_t color_mode_state_topic;
clrm_val_tpl color_mode_value_template; cmd_off_tpl command_off_template; cmd_on_tpl command_on_template; cmd_t
command_topic; cmd_tpl command_template; cmps components; cod_arm_req code_arm_required; cod_dis_req
code_disarm_required; curr_hum_t current_humidity_topic; curr_hum_tpl current_humidity_template; curr_temp_t
current_temperature_topic; curr_temp_tpl current_temperature_template; dev device; dev_cla device_class; dock_cmd_t
dock_command_topic; dock_cmd_tpl dock_command_template; en enabled_by_default; ent_cat entity_category; evt_typ
event_types; g_tpl green_template; hs_cmd_t hs_command_topic; hs_cmd_tpl hs_command_template; hs_stat_t
hs_state_topic; hs_val_tpl hs_value_template; hum_cmd_t target_humidity_command_topic; hum_cmd_tpl
target_humidity_command_template; hum_stat_t target_humidity_state_topic; hum_state_tpl
target_humidity_state_template; max_hum max_humidity; max_k max_kelvin; max_mirs max_mireds; max_temp max_temp;
min_hum min_humidity; min_k min_kelvin; min_mirs min_mireds; min_temp min_temp; mode_cmd_t mode_command_topic;
mode_cmd_tpl mode_command_template; mode_stat_t mode_state_topic; mode_stat_tpl mode_state_template; o origin; obj_id
object_id; on_cmd_type on_command_type; ops options; opt optimistic; p platform; pause_cmd_t pause_command_topic;
pause_mw_cmd_tpl pause_command_template; pct_cmd_t percentage_command_topic; pct_cmd_tpl percentage_command_template;
pct_stat_t percentage_state_topic; pct_val_tpl percentage_value_template; pl_arm_away payload_arm_away; pl_arm_home
payload_arm_home; pl_arm_nite payload_arm_night; pl_avail payload_available; pl_cls payload_close; pl_disarm
payload_disarm; pl_lock payload_lock; pl_not_avail payload_not_available; pl_off payload_off; pl_on payload_on;
pl_open payload_open; pl_prs payload_press; pl_ret payload_return_to_base; pl_stop payload_stop; pl_strt
payload_start; pl_unlk payload_unlock; pos reports_position; pos_clsd position_closed; pos_open position_open; pos_t
position_topic; pos_tpl position_template; pow_cmd_t power_command_topic; pow_cmd_tpl power_command_template; ptrn
pattern; r_tpl red_template; rgb_cmd_t rgb_command_topic; rgb_cmd_tpl rgb_command_template; rgb_stat_t
rgb_state_topic; rgb_val_tpl rgb_value_template; rgbw_cmd_t rgbw_command_topic; rgbw_cmd_tpl rgbw_command_template;
rgbw_stat_t rgbw_state_topic; rgbw_val_tpl rgbw_value_template; rgbww_cmd_t rgbww_command_topic; rgbww_cmd_tpl
rgbww_command_template; rgbww_stat_t rgbww_state_topic; rgbww_val_tpl rgbww_value_template; set_pos_t
set_position_topic; set_pos_tpl set_position_template; spd_rng_max speed_range_max; spd_rng_min speed_range_min;
stat_cla state_class; stat_closing state_closing; stat_clsd state_closed; stat_jam state_jammed; stat_locked
state_locked; stat_locking state_locking; stat_off state_off; stat_on state_on; stat_open state_open; stat_opening
state_opening; stat_stopped state_stopped; stat_t state_topic; stat_tpl state_template; stat_unlocked state_unlocked;
stat_unlocking state_unlocking; stat_val_tpl state_value_template; strt_mw_cmd_t start_mowing_command_topic;
strt_mw_cmd_tpl start_mowing_command_template; sup_clrm supported_color_modes; sup_feat supported_features; t topic;
temp_cmd_t temperature_command_topic; temp_cmd_tpl temperature_command_template; temp_stat_t temperature_state_topic;
temp_stat_tpl temperature_state_template; temp_unit temperature_unit; tilt_clsd_val tilt_closed_value; tilt_cmd_t
tilt_command_topic; tilt_cmd_tpl tilt_command_template; tilt_opnd_val tilt_opened_value; tilt_opt tilt_optimistic;
tilt_status_t tilt_status_topic; tilt_status_tpl tilt_status_template; uniq_id unique_id; unit_of_meas
unit_of_measurement; val_tpl value_template; xy_cmd_t xy_command_topic; xy_cmd_tpl xy_command_template; xy_stat_t
xy_state_topic; xy_val_tpl xy_value_template
"""
"""Those of Home Assistant's list (components/mqtt/abbreviations.py) whose fields are read here."""
_DEVICE_ABBREVIATIONS = "cns connections; ids identifiers; sa suggested_area"


def _table(text: str) -> dict[str, str]:
    return dict(pair.split() for pair in text.split(";"))


ABBREVIATIONS = _table(_ABBREVIATIONS)
DEVICE_ABBREVIATIONS = _table(_DEVICE_ABBREVIATIONS)


def expand(config: dict[str, Any], base: str | None = None) -> dict[str, Any]:
    """Return the announcement with long keys and with `~` at the start or end of topics replaced by the base topic."""
    long = _lengthen(config, ABBREVIATIONS)
    if isinstance(long.get("device"), dict):
        long["device"] = _lengthen(long["device"], DEVICE_ABBREVIATIONS)
    given = long.get("availability")
    for_all = given if isinstance(given, list) else [given]
    if given is not None:
        long["availability"] = [_lengthen(one, ABBREVIATIONS) if isinstance(one, dict) else one for one in for_all]
    base = long.get("~", base)
    if isinstance(base, str):
        long = _based(long, base)
        if given is not None:
            long["availability"] = [_based(one, base) if isinstance(one, dict) else one for one in long["availability"]]
        long["~"] = base
    return long


def _lengthen(config: dict[str, Any], table: dict[str, str]) -> dict[str, Any]:
    long = {table.get(key, key): value for key, value in config.items()}
    if len(long) != len(config):
        raise PayloadError("a field stands twice, once by its short name")
    return long


def _based(config: dict[str, Any], base: str) -> dict[str, Any]:
    based = dict(config)
    for key, value in config.items():
        if key.endswith("topic") and isinstance(value, str):
            start = base + value[1:] if value.startswith("~") else value
            based[key] = start[:-1] + base if start.endswith("~") else start
    return based


class AvailabilityConfig(Config):
    """A topic that tells whether the device is there."""

    topic: Topic
    payload_available: Payload = "online"
    payload_not_available: Payload = "offline"
    value_template: CheckedTemplate | None = None


class DeviceConfig(Config):
    """The apparatus that a component is part of."""

    name: Name = None
    suggested_area: Name = None
    identifiers: Any = None
    connections: Any = None

    @property
    def thing(self) -> str | None:
        """Return the hardware address that its identifiers or connections hold; what is none is nobody's."""
        listed = [self.identifiers] if isinstance(self.identifiers, str) else self.identifiers
        told = [one for one in listed if isinstance(one, str)][:16] if isinstance(listed, list) else []
        for pair in self.connections[:16] if isinstance(self.connections, list) else ():
            if isinstance(pair, list) and len(pair) == 2 and pair[0] == "mac" and isinstance(pair[1], str):  # noqa: PLR2004 - a pair
                told.append(pair[1])
        return next((found for one in told if (found := thing_of(one)) is not None), None)


class ComponentConfig(Config):
    """What every component announces. `edgeagent_kind` is ours: Home Assistant has no word for machines and alarms."""

    name: Name = None
    unique_id: Text | None = None
    device: DeviceConfig = DeviceConfig()
    device_class: Text | None = None
    entity_category: Text | None = None
    enabled_by_default: bool = True
    optimistic: bool = False
    availability: Annotated[tuple[AvailabilityConfig, ...], Field(max_length=16)] = ()
    availability_mode: Literal["all", "any", "latest"] = "latest"
    availability_topic: Topic | None = None
    availability_template: CheckedTemplate | None = None
    payload_available: Payload = "online"
    payload_not_available: Payload = "offline"
    unit_of_measurement: Annotated[str, Field(max_length=32), AfterValidator(printable)] | None = None
    state_topic: Topic | None = None
    command_topic: Topic | None = None
    command_template: CheckedTemplate | None = None
    value_template: CheckedTemplate | None = None
    edgeagent_kind: Literal["machine", "alarm"] | None = None

    def channels(self) -> Channels:
        """Return how the component is read and written. Raise PayloadError if its fields do not fit together."""
        raise NotImplementedError


class SwitchedConfig(ComponentConfig):
    """What is switched on and off by two words."""

    command_topic: Topic
    payload_on: Payload = "ON"
    payload_off: Payload = "OFF"
    state_on: Payload | None = None
    state_off: Payload | None = None
    state_value_template: CheckedTemplate | None = None

    @property
    def states(self) -> Mapping[str, str]:
        """Return what its words mean: on or off."""
        return {self.state_on or self.payload_on: "on", self.state_off or self.payload_off: "off"}

    def power_readers(self) -> tuple[Reader, ...]:
        """Return how power is read."""
        return words_reader(self.state_topic, self.state_value_template or self.value_template, "power", self.states)

    def power_writers(self) -> tuple[Writer, ...]:
        """Return how power is written."""
        payloads = {"on": self.payload_on, "off": self.payload_off}
        return words_writer(self.command_topic, self.command_template, "power", payloads)
