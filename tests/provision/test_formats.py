"""What each format writes, word for word, and read again by the readers of others."""

import tomllib
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some
from provision_wishes import BOOT, FULL, HASH, KEY

from edgeagent.provision.cmdline import edited
from edgeagent.provision.errors import ImageError
from edgeagent.provision.formats.cloudinit import cloudinit
from edgeagent.provision.formats.toml_files import custom_toml, preseed
from edgeagent.provision.formats.yaml_text import Value, yaml_text
from edgeagent.provision.wifi import wifi
from edgeagent.provision.wishes import Wishes, ssh_keys

USER_DATA = f"""#cloud-config
hostname: "kitchen"
manage_etc_hosts: true
timezone: "Europe/Berlin"
locale: "de_DE.UTF-8"
keyboard:
  model: "pc105"
  layout: "de"
user:
  name: "ada"
  shell: "/bin/bash"
  lock_passwd: true
  sudo: "ALL=(ALL) NOPASSWD:ALL"
  ssh_authorized_keys:
    - "{KEY}"
ssh_pwauth: false
runcmd:
  - - "rfkill"
    - "unblock"
    - "wifi"
  - - "systemctl"
    - "enable"
    - "--now"
    - "ssh"
  - - "sh"
    - "/boot/firmware/edgeagent/install.sh"
"""
NETWORK = """network:
  version: 2
  ethernets:
    eth0:
      dhcp4: true
      optional: true
  wifis:
    wlan0:
      dhcp4: true
      optional: true
      regulatory-domain: "DE"
      access-points:
        Zuhause:
          password: "PSK"
"""
PRESEED = f"""config_version = "1.0"

[system]
hostname = "kitchen"

[user]
name = "ada"
passwordless_sudo = true

[ssh]
enabled = true
password_authentication = false
authorized_keys = ["{KEY}"]

[wlan]
ssid = "Zuhause"
password = "PSK"
password_encrypted = true
hidden = false
country = "DE"
key_mgmt = "wpa-psk"

[locale]
keymap = "de"
timezone = "Europe/Berlin"
locales = ["de_DE.UTF-8"]
lang = "de_DE.UTF-8"

[runcmd]
late = ["sh /boot/firmware/edgeagent/install.sh"]
late_require_time_sync = false
late_wait_for_apt_lock = false
late_retries = 3
"""


def key_of(wishes: Wishes) -> str:
    assert wishes.wifi
    return wishes.wifi.key


def test_cloud_init_is_written_word_for_word() -> None:
    edits = cloudinit(FULL, BOOT)
    assert edits.files["user-data"].decode() == USER_DATA
    assert edits.files["network-config"].decode() == NETWORK.replace("PSK", key_of(FULL))
    instance = yaml.safe_load(edits.files["meta-data"])["instance-id"]
    assert edits.words == (f"ds=nocloud;i={instance}", "cfg80211.ieee80211_regdom=DE")


def test_a_user_with_a_password_has_sudo_written_as_null_and_types_it() -> None:
    user = yaml.safe_load(cloudinit(Wishes(user="ada", password_hash=HASH), BOOT).files["user-data"])
    assert user["user"] == {"name": "ada", "shell": "/bin/bash", "lock_passwd": False, "passwd": HASH, "sudo": None}
    assert user["ssh_pwauth"] is True
    assert "users" not in user


def test_the_instance_is_another_one_when_the_data_are() -> None:
    assert cloudinit(FULL, BOOT) == cloudinit(FULL, BOOT)
    assert cloudinit(FULL, BOOT).words != cloudinit(replace(FULL, hostname="hall"), BOOT).words


def test_without_wifi_the_images_own_network_stays() -> None:
    assert set(cloudinit(replace(FULL, wifi=None), BOOT).files) == {"user-data", "meta-data"}


@pytest.mark.parametrize("name", ["カフェ", "no", "7", "null"])
def test_cloud_init_takes_names_in_other_scripts_and_words_of_yaml(name: str) -> None:
    wishes = Wishes(wifi=wifi(name, "12345678", country="JP", is_hidden=True))
    network = yaml.safe_load(cloudinit(wishes, BOOT).files["network-config"])["network"]
    assert network["wifis"]["wlan0"]["access-points"] == {name: {"password": key_of(wishes), "hidden": True}}
    assert network["ethernets"]["eth0"]["dhcp4"] is True


def test_an_open_network_has_no_null_in_netplan() -> None:
    wishes = Wishes(wifi=wifi("cafe", country="FR"))
    network = yaml.safe_load(cloudinit(wishes, BOOT).files["network-config"])["network"]
    assert network["wifis"]["wlan0"]["access-points"] == {"cafe": {}}


def test_octets_that_are_no_text_go_to_networkmanager_itself() -> None:
    wishes = Wishes(wifi=wifi(b"caf\xe9", "12345678", country="FR"))
    edits = cloudinit(wishes, BOOT)
    found = yaml.safe_load(edits.files["user-data"])
    assert wishes.wifi
    assert found["write_files"][0]["content"] == wishes.wifi.connection()
    assert found["write_files"][0]["permissions"] == "0600"
    assert ["nmcli", "connection", "reload"] in found["runcmd"]
    assert "wifis" not in yaml.safe_load(edits.files["network-config"])["network"]


def test_preseed_is_written_word_for_word() -> None:
    edits = preseed(FULL, BOOT)
    assert edits.files["rpi-preseed.toml"].decode() == PRESEED.replace("PSK", key_of(FULL))
    assert edits.words == ()


def test_preseed_takes_octets_as_hexadecimal() -> None:
    wlan = tomllib.loads(
        preseed(Wishes(wifi=wifi(b'caf\xe9"\\', "12345678", country="FR")), BOOT).files["rpi-preseed.toml"].decode()
    )["wlan"]
    assert wlan["ssid_hex"] == b'caf\xe9"\\'.hex()
    assert "ssid" not in wlan


def test_custom_toml_has_the_agent_installed_by_a_first_run_script() -> None:
    edits = custom_toml(FULL, BOOT)
    found = tomllib.loads(edits.files["custom.toml"].decode())
    assert found["config_version"] == 1
    assert found["wlan"]["ssid"] == "Zuhause"
    assert b"edgeagent-install.service" in edits.files["firstrun.sh"]
    assert b"hostname" not in edits.files["firstrun.sh"]
    assert f"systemd.run={BOOT}/firstrun.sh" in edits.words
    assert set(custom_toml(replace(FULL, bundle=None, locale=None), BOOT).files) == {"custom.toml"}


def test_what_custom_toml_has_no_key_for_stands_in_the_script_beside_it() -> None:
    edits = custom_toml(Wishes(hostname="kitchen", locale="de_DE.UTF-8"), BOOT)
    assert b"language=de_DE.UTF-8\n" in edits.files["firstrun.sh"]
    assert b"edgeagent-install" not in edits.files["firstrun.sh"]
    assert f"systemd.run={BOOT}/firstrun.sh" in edits.words


def test_custom_toml_takes_octets_as_networkmanager_numbers_them() -> None:
    found = tomllib.loads(custom_toml(Wishes(wifi=wifi(b"caf\xe9", country="FR")), BOOT).files["custom.toml"].decode())
    assert found["wlan"]["ssid"] == "99;97;102;233;"


LETTERS = some.text(alphabet=some.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(
    some.recursive(
        LETTERS | some.booleans() | some.none() | some.integers(),
        lambda inner: some.lists(inner, max_size=3) | some.dictionaries(LETTERS, inner, max_size=3),
        max_leaves=8,
    )
)
def test_yaml_is_read_as_what_it_was_written_from(value: Value) -> None:
    text = yaml_text({"top": value})
    assert yaml.safe_load(text) == {"top": value}
    assert "\r" not in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"console=tty1 quiet\n", b"console=tty1 quiet ds=nocloud;i=new\n"),
        (b"\xef\xbb\xbfconsole=tty1 quiet\r\n", b"console=tty1 quiet ds=nocloud;i=new\n"),
        (b"console=tty1 ds=nocloud;i=old  quiet", b"console=tty1 quiet ds=nocloud;i=new\n"),
        (b"console=tty1 systemd.run=/boot/x quiet\nsecond line", b"console=tty1 quiet ds=nocloud;i=new\n"),
        (b"", b"ds=nocloud;i=new\n"),
    ],
)
def test_the_command_line_stays_one_line_without_bom_and_crlf(before: bytes, after: bytes) -> None:
    once = edited(before, words=["ds=nocloud;i=new"], dropped=["systemd.run="])
    assert once == after
    assert edited(once, words=["ds=nocloud;i=new"], dropped=["systemd.run="]) == once


@pytest.mark.parametrize("raw", [b"\xff\xfec\0", b"x" * 2049, b"x" * 2045])
def test_what_is_no_command_line_is_refused(raw: bytes) -> None:
    with pytest.raises(ImageError, match=r"cmdline\.txt"):
        edited(raw, words=["a=b"])


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"hostname": "Küche"}, "small letters, digits and hyphens"),
        ({"hostname": "a\n"}, "small letters"),
        ({"user": "root; rm -rf /", "ssh_keys": (KEY,)}, "user 'root; rm -rf /'"),
        ({"user": "ada"}, "could never log in"),
        ({"ssh_keys": (KEY,)}, "without a user"),
        ({"user": "ada", "password_hash": "hunter2"}, "not the password"),
        ({"user": "ada", "ssh_keys": ("-----BEGIN OPENSSH PRIVATE KEY-----",)}, "no public key"),
        ({"user": "ada", "ssh_keys": (f"{KEY}\ncommand",)}, "no public key"),
        ({"timezone": "../../etc/passwd"}, "a time zone such as"),
        ({"locale": "$(reboot)"}, "a locale such as"),
        ({"keyboard": "de'"}, "a keyboard layout"),
    ],
)
def test_wishes_that_no_system_would_take_are_refused(wrong: dict[str, str], expected: str) -> None:
    with pytest.raises(ImageError, match=expected) as one:
        Wishes(**wrong)  # type: ignore[arg-type]  # wrong on purpose
    assert "hunter2" not in str(one.value)


def test_keys_come_from_files_of_windows_as_well() -> None:
    assert ssh_keys(f"\ufeff# mine\r\n{KEY}\r\n\r\n") == (KEY,)
