"""What somebody wants on a card, checked once: whatever a Wishes holds can stand in every format."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgeagent.provision.enrol_file import EnrolFile, Seed
from edgeagent.provision.errors import ImageError
from edgeagent.provision.wifi import Wifi

Format = Literal["auto", "cloudinit", "systemd", "rpi-preseed", "custom-toml", "edgeagent"]
"""How an image takes its first settings; `auto` looks at the image."""
FORMATS: tuple[Format, ...] = ("auto", "cloudinit", "systemd", "rpi-preseed", "custom-toml", "edgeagent")
_KEY_KINDS = r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
_FORMS = {
    "hostname": (r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "small letters, digits and hyphens, 63 at most"),
    "user": (r"[a-z_][a-z0-9_-]{0,31}", "small letters, digits, _ and -, 32 at most"),
    "password_hash": (
        r"\$(?:5|6|y|2[aby])\$[A-Za-z0-9./$=,]{8,200}",
        "the hash of a password, as `openssl passwd -6` prints it, not the password",
    ),
    "locale": (r"[a-z]{2,3}(_[A-Z]{2})?(\.[A-Za-z0-9-]{1,12})?(@[a-z]{1,12})?", "a locale such as de_DE.UTF-8"),
    "keyboard": (r"[a-z]{2,12}", "a keyboard layout such as de"),
    "timezone": (r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}", "a time zone such as Europe/Berlin"),
}
_SSH_KEY = re.compile(
    rf"(?:{_KEY_KINDS}) [A-Za-z0-9+/]{{40,12000}}={{0,3}}(?: [^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,200}})?"
)
_SECRETS = frozenset({"password_hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Everything is optional. Raise ImageError, when made, for what no system would take."""

    hostname: str | None = None
    """Name of the host; when absent, the seed's name."""
    user: str | None = None
    ssh_keys: tuple[str, ...] = ()
    """Lines as in `id_ed25519.pub`."""
    password_hash: str | None = field(default=None, repr=False)
    wifi: Wifi | None = None
    locale: str | None = None
    keyboard: str | None = None
    timezone: str | None = None
    seed: Seed | None = None
    enrol: EnrolFile | None = None
    bundle: Path | None = None
    """The agent's wheels and units, as `bundle` makes them."""
    format: Format = "auto"

    def __post_init__(self) -> None:
        """Check every value."""
        for name, (form, expected) in _FORMS.items():
            found = getattr(self, name)
            if found is not None and not re.fullmatch(form, found):
                shown = "" if name in _SECRETS else f" {found!r:.60}"
                raise ImageError(f"{name}{shown}: expected {expected}", remedy="Correct it.")
        for key in self.ssh_keys:
            if not _SSH_KEY.fullmatch(key):
                raise ImageError(
                    f"no public key of SSH: {key[:30]!r}",
                    remedy="Give the file that ends in .pub, with one key in a line.",
                )
        if self.user is None and (self.ssh_keys or self.password_hash):
            raise ImageError("a key or password without a user", remedy="Say whose it is: --user.")
        if self.user and not (self.ssh_keys or self.password_hash):
            raise ImageError(
                f"user {self.user!r} could never log in", remedy="Give a public key of SSH, or a password."
            )
        if self.enrol and self.seed and self.enrol.fleet != self.seed.fleet:
            raise ImageError(
                f"the token is for the fleet {self.enrol.fleet!r}, the seed says {self.seed.fleet!r}",
                remedy="Make a token for this fleet.",
            )

    @property
    def host(self) -> str | None:
        """The name of the host."""
        return self.hostname or (self.seed.name if self.seed else None)


def ssh_keys(text: str) -> tuple[str, ...]:
    """Return the keys of a file such as `authorized_keys`, without comments, empty lines and line ends of any kind."""
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True, slots=True)
class Edits:
    """What a format makes of wishes: files for the boot partition, and words for the kernel's command line."""

    files: dict[str, bytes] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    """Each replaces the one that begins the same, up to its `=`."""
    dropped: tuple[str, ...] = ()
    """Words that go, by their beginnings."""


Writer = Callable[[Wishes, str], Edits]
"""A format: wishes, and where the boot partition is mounted on the board, to edits."""
