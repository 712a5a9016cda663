"""Wishes to cloud-init's NoCloud files: Raspberry Pi OS from the end of 2025 on, and Ubuntu.

Traps, as rpi-imager's authors note them in code:
    - `user` in the singular: `users` would drop the default groups (rpi-imager 1601).
    - `sudo` is written, as null for a user with a password.
    - SSH is enabled by a command: `enable_ssh` is no key of cloud-init's.
    - With Wi-Fi, Ethernet is written again: the file replaces the image's own.
    - The instance is named on the kernel's command line, else the data is taken for new at each boot.
"""

import hashlib

from edgeagent.provision.formats.yaml_text import Value, yaml_text
from edgeagent.provision.wifi import Wifi
from edgeagent.provision.wishes import Edits, Wishes

HEAD = "#cloud-config\n"
"""cloud-init reads no file that begins otherwise."""
CONNECTION = "/etc/NetworkManager/system-connections/edgeagent-wifi.nmconnection"


def cloudinit(wishes: Wishes, boot: str) -> Edits:
    """Return `user-data`, `meta-data`, `network-config` if there is Wi-Fi, and the words that name the instance."""
    user_data = HEAD + yaml_text(_user_data(wishes, boot))
    network = yaml_text({"network": _network(wishes.wifi)}) if wishes.wifi else ""
    instance = f"edgeagent-{hashlib.sha256((user_data + network).encode()).hexdigest()[:16]}"
    files = {"user-data": user_data, "meta-data": yaml_text({"instance-id": instance})}
    if network:
        files["network-config"] = network
    words = [f"ds=nocloud;i={instance}"]
    if wishes.wifi:
        words.append(f"cfg80211.ieee80211_regdom={wishes.wifi.country}")
    return Edits({name: text.encode() for name, text in files.items()}, tuple(words))


def _user_data(wishes: Wishes, boot: str) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if wishes.host:
        found |= {"hostname": wishes.host, "manage_etc_hosts": True}
    if wishes.timezone:
        found["timezone"] = wishes.timezone
    if wishes.locale:
        found["locale"] = wishes.locale
    if wishes.keyboard:
        found["keyboard"] = {"model": "pc105", "layout": wishes.keyboard}
    if wishes.user:
        found["user"] = _user(wishes)
        found["ssh_pwauth"] = not wishes.ssh_keys
    if wishes.wifi and wishes.wifi.plain is None:
        found["write_files"] = [
            {"path": CONNECTION, "permissions": "0600", "owner": "root:root", "content": wishes.wifi.connection()}
        ]
    commands = _commands(wishes, boot)
    if commands:
        found["runcmd"] = commands
    return found


def _user(wishes: Wishes) -> dict[str, Value]:
    found: dict[str, Value] = {"name": wishes.user, "shell": "/bin/bash", "lock_passwd": wishes.password_hash is None}
    if wishes.password_hash:
        found["passwd"] = wishes.password_hash
    found["sudo"] = None if wishes.password_hash else "ALL=(ALL) NOPASSWD:ALL"  # who has no password cannot type one
    if wishes.ssh_keys:
        found["ssh_authorized_keys"] = list(wishes.ssh_keys)
    return found


def _commands(wishes: Wishes, boot: str) -> list[Value]:
    found: list[Value] = []
    if wishes.wifi:
        found.append(["rfkill", "unblock", "wifi"])
        if wishes.wifi.plain is None:
            found.append(["nmcli", "connection", "reload"])
    if wishes.ssh_keys or wishes.password_hash:
        found.append(["systemctl", "enable", "--now", "ssh"])
    if wishes.bundle:
        found.append(["sh", f"{boot}/edgeagent/install.sh"])
    return found


def _network(wifi: Wifi) -> dict[str, Value]:
    """Return a netplan of version 2. A name that YAML cannot hold goes to NetworkManager itself, by `write_files`."""
    found: dict[str, Value] = {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}
    if wifi.plain is None:
        return found
    point: dict[str, Value] = {"password": wifi.key} if wifi.key else {}
    if wifi.is_hidden:
        point["hidden"] = True
    found["wifis"] = {
        "wlan0": {
            "dhcp4": True,
            "optional": True,
            "regulatory-domain": wifi.country,
            "access-points": {wifi.plain: point},
        }
    }
    return found
