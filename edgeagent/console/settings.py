"""One TOML file to the console's frozen settings, read with the same care as a device's (`edgeagent.settings`)."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from edgeagent.console.external_authority import AuthoritySettings
from edgeagent.fleet.wire import LARGEST_BYTES
from edgeagent.settings import BrokerSettings, FilePath, Settings, parse_as, read

FleetName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
Days = Annotated[float, Field(gt=0, le=36_500)]

OUTBOX = 10_000
"""Messages to devices that wait while the broker is away; what does not fit is found in the database and sent later."""
INBOX = 20_000
"""Messages from devices that wait. What asks for an acknowledgement is never dropped: the broker holds it back."""
RECEIVE_MAXIMUM = 2_000
"""Messages that the broker sends before it waits for acknowledgements: several batches."""


class ConsoleSection(Settings):
    """Who this console is, and whom it serves."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] = "1"
    """Name of this console; several consoles on one database have different ones."""
    data_dir: FilePath = Path("~/.local/state/edgeagent-console")
    """Folder for the database, the authority's keys and what else must survive a restart."""
    fleets: Annotated[tuple[FleetName, ...], Field(min_length=1, max_length=1_000)] = ("home",)
    """Fleets that there are at least; others can be made on the pages."""
    adopt: bool = False
    """Take in every device that announces itself: for a broker at home, without certificates."""
    shared: bool = False
    """Share the stream of job results, events and samples with the other consoles on the same database."""
    repositories: tuple[FilePath, ...] = ()
    """Folders of signed releases, as `edgeagent release` makes them: what rollouts can bring."""


def _address(url: SecretStr) -> SecretStr:
    try:
        make_url(url.get_secret_value())
    except ArgumentError:
        raise ValueError("it should be sqlite:///path or postgresql+psycopg://user@host/name") from None
    return url


class DatabaseSection(Settings):
    """Where everything is kept."""

    url: Annotated[SecretStr, AfterValidator(_address)] | None = None
    """sqlite:///path or postgresql+psycopg://user:password@host/name; when absent, console.db in the data folder."""


class WebSection(Settings):
    """The pages and the API."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address on which the pages are served; 0.0.0.0 for all of this machine."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8321
    """Port of the pages; 0 picks a free one."""
    origin: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")] | None = None
    """How browsers call this console, as https://fleet.example; when absent, by host and port."""
    certificate: FilePath | None = None
    """PEM file with the certificate of the pages; when absent, they are not encrypted."""
    key: FilePath | None = None
    """PEM file with the key of that certificate."""
    proxies: tuple[str, ...] = ()
    """Addresses of proxies in front of it, whose word on who asks is taken."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> "WebSection":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class KeepSection(Settings):
    """How long things are kept."""

    health_days: Days = 30.0
    """What devices counted, by the hour."""
    event_days: Days = 30.0
    """What devices told."""
    result_days: Days = 90.0
    """What came of jobs, and the jobs themselves where no rollout needs them."""
    audit_days: Days = 365.0
    """Who did what."""


class ConsoleSettings(Settings):
    """All settings of a console."""

    console: ConsoleSection = ConsoleSection()
    """Who this console is, and whom it serves."""
    broker: BrokerSettings = BrokerSettings(host="127.0.0.1")
    """The MQTT broker that the devices are on."""
    database: DatabaseSection = DatabaseSection()
    """Where everything is kept."""
    authority: AuthoritySettings | None = None
    """Who signs devices, and how the broker learns of revocations; when absent, this console enrols nobody."""
    web: WebSection = WebSection()
    """The pages and the API."""
    keep: KeepSection = KeepSection()
    """How long things are kept."""

    @property
    def database_url(self) -> str:
        """Return where the database is. It may hold a password."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{self.console.data_dir / 'console.db'}"

    @property
    def origin(self) -> str:
        """Return how browsers call this console."""
        if self.web.origin is not None:
            return self.web.origin
        scheme = "https" if self.web.certificate else "http"
        host = "localhost" if self.web.host in {"0.0.0.0", "::"} else self.web.host  # noqa: S104  # only compared
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.web.port}"

    @property
    def link(self) -> BrokerSettings:
        """Return the broker's settings with a console's queues: it hears many, and must not lose what they tell."""
        queues = {
            "inbox": INBOX,
            "outbox": OUTBOX,
            "receive_maximum": RECEIVE_MAXIMUM,
            "largest_payload": LARGEST_BYTES + (8 << 10),
        }
        return self.broker.model_copy(update={"host": self.broker.host or "127.0.0.1"} | queues)


def load(path: Path) -> ConsoleSettings:
    """Read a settings file. Raise SettingsError naming file, line, key and what was expected if it is wrong."""
    return parse(read(path), str(path))


def parse(text: str, name: str = "settings") -> ConsoleSettings:
    """Make settings of a TOML text; `name` is the file's name in messages."""
    return parse_as(
        ConsoleSettings, text, name, remedy="`edgeagent console settings` lists every setting with its meaning."
    )
