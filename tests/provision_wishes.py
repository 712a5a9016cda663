"""Wishes for tests."""

from pathlib import Path

from edgeagent.provision.wifi import wifi
from edgeagent.provision.wishes import Wishes

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxvbmcgZW5vdWdoIHRvIGJlIGEga2V5IG9mIHNzaA it's me"
HASH = "$6$saltsalt$abcdefghijklmnopqrstuvwxyz0123456789./ABCDEFG"
FULL = Wishes(
    hostname="kitchen",
    user="ada",
    ssh_keys=(KEY,),
    wifi=wifi("Zuhause", "correct horse", country="DE"),
    locale="de_DE.UTF-8",
    keyboard="de",
    timezone="Europe/Berlin",
    bundle=Path("bundle.tar"),
)
BOOT = "/boot/firmware"
