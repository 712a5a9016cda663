"""What makes a plain Debian root a device of ours: units, users, name, network, and what must not be shared.

Rules:
    - What two devices must not share is not in an image: identity of the machine, keys of SSH, seeds of randomness.
    - The units are those of `systemd/`, as they are: what is tested here is what is installed.
"""

from collections.abc import Mapping
from pathlib import Path

from edgeagent.install.nouns import ENABLED, FILES, GROWROOT, IMAGE_FILES, IN_IMAGES
from edgeagent.provision.build.plan import BOOT_LABEL, ROOT_LABEL, Plan
from edgeagent.provision.build.programs import run
from edgeagent.provision.errors import ImageError

_TEXTS: Mapping[str, str] = {
    "etc/hostname": "edgeagent\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 edgeagent\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/locale.conf": "LANG=C.UTF-8\n",
    "etc/machine-id": "",  # the first boot draws one
    "etc/fstab": (
        f"LABEL={ROOT_LABEL} / ext4 noatime,errors=remount-ro 0 1\n"
        f"LABEL={BOOT_LABEL} /boot/firmware vfat umask=0077,nofail 0 2\n"
    ),
    "etc/systemd/network/80-edgeagent.network": (
        "[Match]\nType=ether wlan\n\n[Network]\nDHCP=yes\nMulticastDNS=yes\n\n[DHCPv4]\nUseNTP=yes\n"
    ),
    "etc/systemd/system/ssh.service.d/10-edgeagent.conf": (
        "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"
    ),
}
_NOT_SHARED = ("etc/ssh/ssh_host_*", "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret",
               "var/lib/dbus/machine-id", "etc/machine-id")  # fmt: skip


def lay_over(plan: Plan, checkout: Path, root: Path) -> None:
    """Put everything of ours but the wheels into the root. Raise ImageError if the checkout has no units."""
    for pattern in _NOT_SHARED:
        for path in root.glob(pattern):
            path.unlink()
    for source, place in {**FILES, **IMAGE_FILES}.items():
        path = checkout / source
        if not path.is_file():
            raise ImageError(f"{path}: is not there", remedy="Build from a whole checkout.")
        _write(root / place, path.read_text())
    for name, text in _TEXTS.items():
        _write(root / name, text)
    _growing(checkout, root)
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    run("systemd-sysusers", f"--root={root}")
    run("systemctl", f"--root={root}", "enable", *ENABLED, *IN_IMAGES)
    if plan.variant == "test":  # nobody has a key or a password for it
        run("systemctl", f"--root={root}", "mask", "ssh.service", "ssh.socket")


def _growing(checkout: Path, root: Path) -> None:
    path = checkout / "provisioning/first-boot" / Path(GROWROOT).name
    if path.is_file():
        _write(root / "opt/edgeagent" / GROWROOT, path.read_text(), mode=0o755)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
