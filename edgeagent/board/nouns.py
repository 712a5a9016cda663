"""Profiles of boards and of sound hardware: the frozen values of hardware/boards/*.toml and hardware/hats/*.toml."""

from typing import Annotated, Literal

from pydantic import Field

from edgeagent.settings import Settings

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Line = Annotated[int, Field(ge=0, le=511)]
"""Offset of a line on the chip of the header: on a Raspberry Pi the BCM number."""
Words = Annotated[str, Field(min_length=1, max_length=500)]
ConfigLine = Annotated[str, Field(pattern=r"^[a-z0-9_]+=[A-Za-z0-9_,.:=+-]+$", max_length=98)]
"""A line of config.txt; the firmware reads no more than 98 characters of one."""
Status = Literal["tested-qemu", "untested-hardware", "limited"]
"""tested-qemu: booted in an emulator with this board's device tree. untested-hardware: never run. limited: and some
of it cannot work, as its faults say."""


class Fault(Settings):
    """Something that is known not to work, and where that was read."""

    what: Words
    """What happens, and what helps."""
    source: Words
    """Where it was read: an issue, a page, a measurement."""


class Match(Settings):
    """By what a board is known."""

    compatible: Annotated[tuple[Annotated[str, Field(pattern=r"^[!-~]{1,128}$")], ...], Field(max_length=32)] = ()
    """Names in the device tree's `compatible`, each of which means this board alone."""
    architecture: Literal["aarch64", "x86_64"] | None = None
    """For the generic profiles: the machine that an unknown board must be."""


class Limits(Settings):
    """What the agent may take of the board."""

    memory_high_mb: Annotated[int, Field(ge=64, le=1 << 20)]
    """From here on the kernel takes memory back from it; MemoryHigh of its unit."""
    memory_max_mb: Annotated[int, Field(ge=64, le=1 << 20)]
    """From here on it is killed and started anew; MemoryMax of its unit."""
    watchdog_s: Annotated[int, Field(ge=5, le=600)]
    """Seconds without a sign of life after which systemd starts it anew."""
    threads: Annotated[int, Field(ge=1, le=64)]
    """As [understanding] threads."""


class Engines(Settings):
    """What hears and understands well enough on this board, and quickly enough."""

    recognizer: Literal["pocketsphinx", "vosk"] = "pocketsphinx"
    """As [hearing] recognizer."""
    effort: Literal["accurate", "light"]
    """As [hearing] effort."""
    runtime: Literal["onnx", "litert"] = "onnx"
    """As [understanding] runtime."""
    int8: bool
    """Whether models are wanted in their int8 variant."""
    providers: Annotated[tuple[Literal["tensorrt", "cuda", "cpu"], ...], Field(min_length=1, max_length=3)] = ("cpu",)
    """As [understanding] providers."""


class Boot(Settings):
    """What must stand in the boot partition's config.txt; empty where a board has none."""

    config_txt: Annotated[tuple[ConfigLine, ...], Field(max_length=32)] = ()
    """Lines as `dtparam=spi=on`."""
    sections: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9+-]{1,32}$")], ...], Field(max_length=8)] = ()
    """Filters of config.txt that hold for it, as pi400 and pi4; the lines stand under the first."""


class BoardImage(Settings):
    """How an image for this board is made."""

    family: Literal["raspberry-pi-os", "jetson-linux", "debian", "none"]
    """Which system it is; `none`: it is installed on a system that runs already."""
    partition_table: Literal["mbr", "gpt"] | None = None
    """Where the system's image is edited by us: mbr."""
    least_card_gb: Annotated[int, Field(ge=1, le=4096)] | None = None
    """The smallest card or disk that carries system, agent and two releases."""


class BoardProfile(Settings):
    """One board."""

    id: Name
    """Its name, which is [device] board in the settings."""
    title: Words
    """Its name for people."""
    status: Status
    """How far it was tried."""
    match: Match
    """By what it is known."""
    cpu: Words
    """Number and kind of its cores."""
    ram_mb: Annotated[int, Field(ge=256, le=1 << 20)] | None = None
    """Memory of its smallest variant; absent for generic profiles."""
    python: Annotated[tuple[Annotated[str, Field(pattern=r"^3\.\d{1,2}$")], ...], Field(min_length=1, max_length=8)]
    """Versions of Python that its systems bring and that we run on."""
    gpiochip_labels: Annotated[tuple[Words, ...], Field(max_length=4)] = ()
    """Labels of the chip that its header is on, best first; numbers of chips change from kernel to kernel."""
    limits: Limits
    """What the agent may take."""
    engines: Engines
    """What hears and understands."""
    boot: Boot = Boot()
    """What must stand in config.txt."""
    image: BoardImage
    """How an image for it is made."""
    known_faults: Annotated[tuple[Fault, ...], Field(max_length=32)] = ()
    """What does not work."""


class HatMatch(Settings):
    """By what sound hardware is known; one of them is enough."""

    eeprom_products: Annotated[tuple[Words, ...], Field(max_length=8)] = ()
    """Words in small letters, all of which are in vendor and product of its EEPROM."""
    card_names: Annotated[tuple[Words, ...], Field(max_length=16)] = ()
    """Parts of the sound card's id or name as /proc/asound/cards has them, in small letters."""
    card_drivers: Annotated[tuple[Words, ...], Field(max_length=8)] = ()
    """Drivers of the sound card, in small letters: for what nothing else is known of."""
    i2c_addresses: Annotated[tuple[Annotated[int, Field(ge=0x08, le=0x77)], ...], Field(max_length=8)] = ()
    """Addresses at which it answers on the header's I2C bus; asked only when the owner wants it."""


class Overlay(Settings):
    """The device-tree overlay that makes the kernel drive it."""

    line: ConfigLine
    """Its line in config.txt, as `dtoverlay=wm8960-soundcard`."""
    is_in_firmware: bool = True
    """Whether Raspberry Pi OS brings it; else it must be put into overlays/ first, as the faults say."""
    minimum_kernel: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None = None
    """The first kernel that has its driver."""


class MixerSetting(Settings):
    """One control of the sound card and its value, as `amixer sset` takes them."""

    control: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _/+-]{0,60}$")]
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9%,. +-]{0,30}$")]


class HatLight(Settings):
    """Its lights."""

    kind: Literal["apa102", "gpio", "ws2812", "none"] = "none"
    """apa102: by SPI or by two lines. gpio: one lamp on a line. ws2812: by SPI's data line."""
    count: Annotated[int, Field(ge=0, le=256)] = 0
    """How many there are."""
    spi: Annotated[str, Field(pattern=r"^/dev/spidev\d+\.\d+$")] | None = None
    """The SPI device that they hang on."""
    line: Line | None = None
    """For gpio: the line of the lamp."""
    data_line: Line | None = None
    """For apa102 without SPI: the line of the data."""
    clock_line: Line | None = None
    """For apa102 without SPI: the line of the clock."""
    power_line: Line | None = None
    """A line that must be high for the lights to have power."""


class HatLine(Settings):
    """A button or a switch."""

    line: Line
    """The line that it pulls."""
    active_low: bool = True
    """Whether it is pressed when the line is low."""


class HatProfile(Settings):
    """A sound HAT, or a microphone on USB."""

    id: Name
    """Its name."""
    title: Words
    """Its name for people."""
    status: Status
    """How far it was tried."""
    match: HatMatch
    """By what it is known."""
    overlay: Overlay | None = None
    """What makes the kernel drive it; absent for USB."""
    needs: Annotated[tuple[Literal["i2c", "spi", "i2s"], ...], Field(max_length=3)] = ()
    """Buses of the header that must be on."""
    microphone: Words | None = None
    """What [microphone] device should be; when absent, the system's default does."""
    channels: Annotated[int, Field(ge=1, le=16)] = 1
    """Channels that it records; the agent takes the first."""
    rate: Annotated[int, Field(ge=8_000, le=192_000)] = 16_000
    """Samples in a second that it records at best; the system converts."""
    mixer: Annotated[tuple[MixerSetting, ...], Field(max_length=32)] = ()
    """Settings of its mixer with which speech is neither too quiet nor clipped."""
    light: HatLight = HatLight()
    """Its lights."""
    button: HatLine | None = None
    """Its button."""
    mute: HatLine | None = None
    """A switch or line that cuts the microphone."""
    known_faults: Annotated[tuple[Fault, ...], Field(max_length=32)] = ()
    """What does not work."""
