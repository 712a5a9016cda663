"""Home Assistant's covers with slats: `tilt` in percent open."""

from edgeagent.act.dialects.channels import PERCENT, Channels, number_reader, say
from edgeagent.act.dialects.dialect import Reader, Writer
from edgeagent.act.dialects.homeassistant_movers import CoverConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Number, Topic
from edgeagent.errors import PayloadError
from edgeagent.messages import Message, Value


class SlatsConfig(CoverConfig):
    """A cover that may have slats.

    They are open at `tilt_opened_value` and closed at `tilt_closed_value`; without these, at `tilt_max` and `tilt_min`.
    """

    tilt_command_topic: Topic | None = None
    tilt_command_template: CheckedTemplate | None = None
    tilt_status_topic: Topic | None = None
    tilt_status_template: CheckedTemplate | None = None
    tilt_optimistic: bool = False
    tilt_min: Number = 0
    tilt_max: Number = 100
    tilt_opened_value: Number | None = None
    tilt_closed_value: Number | None = None

    def channels(self) -> Channels:
        """Map opening, position and tilt."""
        whole = super().channels()
        if self.tilt_command_topic is None:
            return whole
        if self._open == self._closed:
            raise PayloadError("tilt_opened_value: the same as tilt_closed_value")
        writer = Writer("tilt", self._turn, settle=lambda percent: self._percent_tilted(self._turned(percent)))
        return Channels(
            "cover",
            (*whole.readers, *self._tilt_readers()),
            (*whole.writers, writer),
            {**whole.ranges, "tilt": PERCENT},
            {**whole.units, "tilt": "%"},
        )

    def _tilt_readers(self) -> tuple[Reader, ...]:
        if self.tilt_optimistic:
            return ()
        return number_reader(self.tilt_status_topic, self.tilt_status_template, "tilt", self._percent_tilted)

    @property
    def _open(self) -> float:
        return self.tilt_max if self.tilt_opened_value is None else self.tilt_opened_value

    @property
    def _closed(self) -> float:
        return self.tilt_min if self.tilt_closed_value is None else self.tilt_closed_value

    def _turned(self, percent: float) -> float:
        return round(self._closed + percent / 100 * (self._open - self._closed))

    def _percent_tilted(self, raw: float) -> float:
        percent = round((raw - self._closed) / (self._open - self._closed) * 100)
        return float(min(max(percent, 0), 100))

    def _turn(self, value: Value) -> tuple[Message, ...]:
        percent = float(value)
        around = {"tilt_position": round(percent), "tilt_min": self.tilt_min, "tilt_max": self.tilt_max}
        return (say(self.tilt_command_topic or "", self.tilt_command_template, self._turned(percent), **around),)
