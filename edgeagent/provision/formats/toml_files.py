r"""Wishes to the two TOML files of Raspberry Pi OS: `rpi-preseed.toml`, and bookworm's `custom.toml`.

Traps, read in their sources:
    - rpi-preseed's parser knows the escapes of \\ and " alone, and no value of several lines.
    - A Wi-Fi name goes into NetworkManager's key file as it stands: whatever that would take for something else goes
      as `ssid_hex`, or, where there is no such key, as NetworkManager's own list of octets.
    - rpi-preseed's late commands wait for the clock, which without a network never comes: they are told not to.
    - `custom.toml` runs no commands and has no locale: both need a first-run script as well.
"""

from collections.abc import Mapping

from edgeagent.provision.formats.firstrun import beside_custom_toml
from edgeagent.provision.wishes import Edits, Wishes

PRESEED, CUSTOM = "rpi-preseed.toml", "custom.toml"
_Value = str | bool | int | list[str]
_Sections = dict[str, dict[str, _Value]]


def preseed(wishes: Wishes, boot: str) -> Edits:
    """Return `rpi-preseed.toml`; nothing else tells the image that it is there."""
    sections = _common(wishes)
    if wishes.user and not wishes.password_hash:
        sections["user"]["passwordless_sudo"] = True
    if wishes.locale:
        sections.setdefault("locale", {}).update({"locales": [wishes.locale], "lang": wishes.locale})
    if wishes.wifi:
        sections["wlan"]["key_mgmt"] = "wpa-psk" if wishes.wifi.key else "none"
        if wishes.wifi.plain is None:
            del sections["wlan"]["ssid"]
            sections["wlan"]["ssid_hex"] = wishes.wifi.name.hex()
    if wishes.bundle:
        sections["runcmd"] = {
            "late": [f"sh {boot}/edgeagent/install.sh"],
            "late_require_time_sync": False,
            "late_wait_for_apt_lock": False,
            "late_retries": 3,
        }
    return Edits({PRESEED: _toml('"1.0"', sections)})


def custom_toml(wishes: Wishes, boot: str) -> Edits:
    """Return `custom.toml`, and a first-run script where it has no key for something."""
    beside = beside_custom_toml(wishes, boot)
    return Edits({CUSTOM: _toml("1", _common(wishes)), **beside.files}, beside.words, beside.dropped)


def _common(wishes: Wishes) -> _Sections:
    """Return the sections that both know."""
    found: _Sections = {}
    if wishes.host:
        found["system"] = {"hostname": wishes.host}
    if wishes.user:
        found["user"] = {"name": wishes.user}
        if wishes.password_hash:
            found["user"] |= {"password": wishes.password_hash, "password_encrypted": True}
        found["ssh"] = {"enabled": True, "password_authentication": not wishes.ssh_keys}
        if wishes.ssh_keys:
            found["ssh"]["authorized_keys"] = list(wishes.ssh_keys)
    if wishes.wifi:
        found["wlan"] = {"ssid": wishes.wifi.plain or wishes.wifi.numbers}
        if wishes.wifi.key:
            found["wlan"] |= {"password": wishes.wifi.key, "password_encrypted": True}
        found["wlan"] |= {"hidden": wishes.wifi.is_hidden, "country": wishes.wifi.country}
    locale = {"keymap": wishes.keyboard, "timezone": wishes.timezone}
    if any(locale.values()):
        found["locale"] = {key: value for key, value in locale.items() if value}
    return found


def _toml(version: str, sections: Mapping[str, Mapping[str, _Value]]) -> bytes:
    lines = [f"config_version = {version}"]
    for name, section in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in section.items())]
    return ("\n".join(lines) + "\n").encode()


def _value(value: _Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "[" + ", ".join(map(_value, value)) + "]"
