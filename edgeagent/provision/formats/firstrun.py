"""Wishes to the script that Raspberry Pi OS before 2025-11 runs once, by `systemd.run` on the command line.

Rules:
    - Every value stands in single quotes of the shell; nothing in it can be a command.
    - The script does no more than put files in place, so that it cannot hang; the agent is installed at the next boot,
      by a unit that tries again at each boot until it is done.
    - Bookworm's own first boot turns NetworkManager off if the script names wpa_supplicant's file (`fix_wpa` in
      raspberrypi-sys-mods): only the scripts for what is older do.
    - At its end it overwrites and deletes itself, and takes its words off the command line: the Wi-Fi key stays in one
      place, and the next boot is an ordinary one.
"""

import shlex

from edgeagent.provision.wifi import Wifi
from edgeagent.provision.wishes import Edits, Wishes

NAME = "firstrun.sh"
DROPPED = ("systemd.run=", "systemd.run_success_action=", "systemd.unit=kernel-command-line.target")
UNIT = "edgeagent-install.service"
_HEAD = """#!/bin/sh
# Written by edgeagent: runs once, then deletes itself. For a try, EDGEAGENT_ROOT is a folder instead of /.
set +e
root=${EDGEAGENT_ROOT:-}
"""
_HOSTNAME = """
name={host}
printf '%s\\n' "$name" >"$root/etc/hostname"
if grep -q '^127\\.0\\.1\\.1' "$root/etc/hosts" 2>/dev/null; then
  sed -i "s/^127\\.0\\.1\\.1.*/127.0.1.1\\t$name/" "$root/etc/hosts"
else
  printf '127.0.1.1\\t%s\\n' "$name" >>"$root/etc/hosts"
fi
[ -n "$root" ] || hostname "$name"
"""
_USER = """
user={user}
hash={hash}
if [ -x "$root/usr/lib/userconf-pi/userconf" ]; then
  "$root/usr/lib/userconf-pi/userconf" "$user" "$hash"
else
  printf '%s:%s\\n' "$user" "$hash" >"$boot/userconf.txt"
fi
"""
_SSH = """
systemctl ${{root:+"--root=$root"}} enable ssh
home=$(sed -n 's/^[^:]*:[^:]*:1000:[^:]*:[^:]*:\\([^:]*\\):.*/\\1/p' "$root/etc/passwd")
keys={keys}
if [ -n "$keys" ] && [ -n "$home" ]; then
  mkdir -p "$root$home/.ssh"
  printf '%s\\n' "$keys" >"$root$home/.ssh/authorized_keys"
  chmod 700 "$root$home/.ssh"
  chmod 600 "$root$home/.ssh/authorized_keys"
  chown -R 1000:1000 "$root$home/.ssh"
  mkdir -p "$root/etc/ssh/sshd_config.d"
  printf 'PasswordAuthentication no\\n' >"$root/etc/ssh/sshd_config.d/10-edgeagent.conf"
fi
"""
_WIFI = """
country={country}
[ -x "$root/usr/bin/raspi-config" ] && "$root/usr/bin/raspi-config" nonint do_wifi_country "$country"
for state in "$root"/var/lib/systemd/rfkill/*:wlan; do
  [ -e "$state" ] && echo 0 >"$state"
done
"""
_NETWORKMANAGER = """
umask 077
mkdir -p "$root/etc/NetworkManager/system-connections"
printf '%s' {connection} >"$root/etc/NetworkManager/system-connections/edgeagent-wifi.nmconnection"
umask 022
"""
_SUPPLICANT = """
umask 077
mkdir -p "$root/etc/wpa_supplicant"
printf '%s' {supplicant} >"$root/etc/wpa_supplicant/wpa_supplicant.conf"
umask 022
"""
_NO_NETWORKMANAGER = "/boot"
"""Where the systems before bookworm mount the boot partition."""
_TIMEZONE = """
zone={timezone}
ln -sfn "/usr/share/zoneinfo/$zone" "$root/etc/localtime"
printf '%s\\n' "$zone" >"$root/etc/timezone"
"""
_KEYBOARD = """
mkdir -p "$root/etc/default"
printf 'XKBMODEL="pc105"\\nXKBLAYOUT="%s"\\nXKBVARIANT=""\\nXKBOPTIONS=""\\n' {keyboard} >"$root/etc/default/keyboard"
"""
_LOCALE = """
language={locale}
if [ -x "$root/usr/bin/raspi-config" ]; then
  "$root/usr/bin/raspi-config" nonint do_change_locale "$language"
else
  mkdir -p "$root/etc/default"
  printf 'LANG=%s\\n' "$language" >"$root/etc/default/locale"
fi
"""
_AGENT = """
units="$root/etc/systemd/system"
mkdir -p "$units/multi-user.target.wants"
printf '%s' {unit} >"$units/{name}"
ln -sfn "../{name}" "$units/multi-user.target.wants/{name}"
"""
_UNIT = """[Unit]
Description=Install edgeagent from the boot partition
ConditionPathExists={boot}/edgeagent/install.sh
RequiresMountsFor={boot}
After=local-fs.target

[Service]
Type=oneshot
ExecStart=/bin/sh {boot}/edgeagent/install.sh
ExecStartPost=/bin/rm -f /etc/systemd/system/multi-user.target.wants/{name} /etc/systemd/system/{name}
TimeoutStartSec=30min

[Install]
WantedBy=multi-user.target
"""
_TAIL = """
sed -i -e 's/ *systemd\\.run=[^ ]*//' -e 's/ *systemd\\.run_success_action=[^ ]*//' \\
  -e 's/ *systemd\\.unit=kernel-command-line\\.target//' "$boot/cmdline.txt"
{
  dd if=/dev/zero of="$boot/firstrun.sh" bs=1 count="$(wc -c <"$boot/firstrun.sh")" conv=notrunc 2>/dev/null
  sync
  rm -f "$boot/firstrun.sh"
  sync
  exit 0
}
"""


def firstrun(wishes: Wishes, boot: str) -> Edits:
    """Return the script, and the words that have it run."""
    parts = []
    if wishes.host:
        parts.append(_HOSTNAME.format(host=shlex.quote(wishes.host)))
    if wishes.user:
        parts.append(_USER.format(user=shlex.quote(wishes.user), hash=shlex.quote(wishes.password_hash or "!")))
        parts.append(_SSH.format(keys=shlex.quote("\n".join(wishes.ssh_keys))))
    if wishes.timezone:
        parts.append(_TIMEZONE.format(timezone=shlex.quote(wishes.timezone)))
    if wishes.keyboard:
        parts.append(_KEYBOARD.format(keyboard=shlex.quote(wishes.keyboard)))
    if wishes.locale:
        parts.append(_LOCALE.format(locale=shlex.quote(wishes.locale)))
    if wishes.wifi:
        parts += [_WIFI.format(country=shlex.quote(wishes.wifi.country)), _network(wishes.wifi, boot)]
    if wishes.bundle:
        parts.append(_agent(boot))
    words = (f"cfg80211.ieee80211_regdom={wishes.wifi.country}",) if wishes.wifi else ()
    return _script(parts, boot, words)


def beside_custom_toml(wishes: Wishes, boot: str) -> Edits:
    """Return a script for what `custom.toml` has no key for: the locale, and the agent. Without either, nothing."""
    parts = [_LOCALE.format(locale=shlex.quote(wishes.locale))] if wishes.locale else []
    if wishes.bundle:
        parts.append(_agent(boot))
    return _script(parts, boot, ()) if parts else Edits()


def _script(parts: list[str], boot: str, words: tuple[str, ...]) -> Edits:
    text = f"{_HEAD}boot=$root{boot}\n" + "".join(parts) + _TAIL
    run = (f"systemd.run={boot}/{NAME}", "systemd.run_success_action=reboot", "systemd.unit=kernel-command-line.target")
    return Edits({NAME: text.encode()}, (*words, *run), DROPPED)


def _agent(boot: str) -> str:
    return _AGENT.format(unit=shlex.quote(_UNIT.format(boot=boot, name=UNIT)), name=UNIT)


def _network(wifi: Wifi, boot: str) -> str:
    """Return what puts the network in place; the name is octets in both."""
    if boot != _NO_NETWORKMANAGER:
        return _NETWORKMANAGER.format(connection=shlex.quote(wifi.connection()))
    secured = f"psk={wifi.key}" if wifi.key else "key_mgmt=NONE"
    supplicant = (
        f"ctrl_interface=DIR=/var/run/wpa_supplicant GROUP=netdev\nupdate_config=1\ncountry={wifi.country}\n"
        f"network={{\n\tssid={wifi.name.hex()}\n\tscan_ssid={int(wifi.is_hidden)}\n\t{secured}\n}}\n"
    )
    return _SUPPLICANT.format(supplicant=shlex.quote(supplicant))
