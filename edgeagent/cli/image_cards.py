"""The commands of `edgeagent image` that put onto a card what a device is to be: one, many, or a Jetson's root."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeagent.cli import image_options as given
from edgeagent.cli.image_options import ENROLMENT_PORT, HOUSE_PORT, TokenWanted, Wanted, Way
from edgeagent.cli.image_shown import bar, checked_text, print_json, say
from edgeagent.cli.options import Json
from edgeagent.errors import SettingsError
from edgeagent.files import read_text, write_durably

if TYPE_CHECKING:
    from edgeagent.provision.batch import Enrolment, Made, Token
    from edgeagent.provision.batch_rows import Row
    from edgeagent.provision.customise import Report
    from edgeagent.provision.enrol_file import EnrolFile, Seed
    from edgeagent.provision.wifi import Wifi
    from edgeagent.provision.wishes import Format, Wishes

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415, PLR0913, PLR0917

SSH_KEYS_REMEDY = "a public SSH key, as ~/.ssh/id_ed25519.pub"


def customise(
    image: Annotated[Path, typer.Argument(help="Image file, or a card; a packed one needs --output.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Leave IMAGE as it is, and write this.")] = None,
    name: given.Name = None,
    fleet: given.Fleet = None,
    area: given.Area = None,
    board: given.Board = None,
    hat: given.Hat = None,
    microphone: given.Microphone = None,
    house_broker: given.House = None,
    broker: given.Broker = None,
    ca: given.Ca = None,
    claim: given.Claim = None,
    claim_key: given.ClaimKey = None,
    enrolment_port: given.EnrolmentPort = ENROLMENT_PORT,
    token_file: given.TokenFile = None,
    serial: given.Serial = None,
    days: given.Days = 7,
    update_url: given.UpdateUrl = None,
    update_root: given.UpdateRoot = None,
    bundle: given.Bundle = None,
    hostname: Annotated[str | None, typer.Option(help="Name of the host; else that of the device.")] = None,
    user: Annotated[str | None, typer.Option(help="Who may log in.")] = None,
    ssh_key: Annotated[list[Path] | None, typer.Option(help="File with public keys of that user; repeat it.")] = None,
    password_hash_file: given.PasswordHash = None,
    wifi: Annotated[str | None, typer.Option(help="Name of the Wi-Fi network.")] = None,
    wifi_password_file: given.WifiPassword = None,
    wifi_country: Annotated[str | None, typer.Option(help="Where the radio is, as DE.")] = None,
    locale: Annotated[str | None, typer.Option(help="As en_GB.UTF-8.")] = None,
    keyboard: Annotated[str | None, typer.Option(help="Layout, as gb.")] = None,
    timezone: Annotated[str | None, typer.Option(help="As Europe/London.")] = None,
    format_: Annotated[str, typer.Option("--format", help="How it takes first settings; auto looks at it.")] = "auto",
    *,
    any_board: given.AnyBoard = False,
    wifi_hidden: Annotated[bool, typer.Option("--wifi-hidden", help="The network does not tell its name.")] = False,
    wifi_open: Annotated[bool, typer.Option("--wifi-open", help="The network has no passphrase.")] = False,
    booted_too: Annotated[bool, typer.Option("--booted-too", help="Also if a board has run from it.")] = False,
    json: Json = False,
) -> None:
    """Put name, network, keys and the agent onto an image, without root and without mounting it."""
    from edgeagent.provision.wishes import Wishes, ssh_keys

    seed, enrol = given.device_of(
        Wanted(name, fleet, area, board, hat, microphone, house_broker, update_url, update_root),
        Way(broker, enrolment_port, ca, claim, claim_key),
        TokenWanted(token_file, serial, any_board, days),
    )
    wishes = Wishes(
        hostname=hostname,
        user=user,
        ssh_keys=tuple(key for one in ssh_key or () for key in ssh_keys(checked_text(one, SSH_KEYS_REMEDY))),
        password_hash=checked_text(password_hash_file, "the hash").strip() if password_hash_file else None,
        wifi=_wifi(wifi, wifi_password_file, wifi_country, is_hidden=wifi_hidden, is_open=wifi_open),
        locale=locale,
        keyboard=keyboard,
        timezone=timezone,
        seed=seed,
        enrol=enrol,
        bundle=bundle,
        format=_format(format_),
    )
    if wishes == Wishes(format=wishes.format):
        raise SettingsError("nothing was wished", remedy="See --help. To look: `edgeagent image inspect`.")
    report = _put(image, output, wishes, booted_too=booted_too)
    if json:
        print_json(asdict(report) | {"image": output or image})
        return
    say(f"{output or image}: {report.system}, by {report.format}")
    for line in (*(f"written: {one}" for one in report.changed), *(f"note: {one}" for one in report.notes)):
        say(f"  {line}")


def batch(
    devices: Annotated[Path, typer.Argument(help="CSV file: name, serial, fleet, area, board, hat, microphone, tags.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder to make it in.")],
    image: Annotated[Path | None, typer.Option(help="Make an image of this for each; else a folder for each.")] = None,
    fleet: Annotated[str, typer.Option(help="Name of the fleet, where the table does not say.")] = "home",
    house_broker: given.House = None,
    broker: given.Broker = None,
    ca: given.Ca = None,
    claim: given.Claim = None,
    claim_key: given.ClaimKey = None,
    enrolment_port: given.EnrolmentPort = ENROLMENT_PORT,
    console: Annotated[str | None, typer.Option(help="Console that makes the tokens; else those of the table.")] = None,
    api_token_file: Annotated[Path | None, typer.Option(help="File with the console's API token.")] = None,
    console_ca: Annotated[Path | None, typer.Option(help="PEM file of who has signed the console.")] = None,
    days: given.Days = 7,
    update_url: given.UpdateUrl = None,
    update_root: given.UpdateRoot = None,
    bundle: given.Bundle = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look at the table.")] = False,
    json: Json = False,
) -> None:
    """Make what goes onto the cards of many devices, and a sheet with their tokens as QR codes."""
    from edgeagent.board.profiles import boards, hats
    from edgeagent.provision import batch as work
    from edgeagent.provision.batch_rows import Known, read_rows
    from edgeagent.provision.batch_sheet import sheet
    from edgeagent.provision.copies import room_at, room_needed

    host, port = given.where(house_broker, HOUSE_PORT) if house_broker else (None, HOUSE_PORT)
    shared = given.updates(update_url, update_root)
    known = Known(frozenset(boards()), frozenset(hats()), given.now(), fleet, host, port, shared)
    rows = read_rows(read_text(devices, "Name the table, saved as CSV UTF-8."), str(devices), known)
    enrolment = given.enrolment_of(Way(broker, enrolment_port, ca, claim, claim_key))
    sheet([])  # before a token is made, it is seen that they can be printed
    work.check_free(out, rows)
    if image is None and bundle is not None:
        raise SettingsError("--bundle goes onto images alone", remedy="Name the image: --image.")
    if image is not None:
        work.check_room(out, rows, room_needed(image), room_at(out))
    if dry_run:
        if json:
            print_json([row.seed.name for row in rows])
        else:
            say(f"{devices}: {_devices(len(rows))}, all right")
        return
    tokens = work.tokens_in(rows)
    if console is not None:
        tokens |= _asked(rows, tokens, console, api_token_file, console_ca, days)
    made = _made(out, rows, tokens, enrolment, image, bundle)
    write_durably(out / work.SHEET, sheet(made).encode())
    if json:
        print_json([{"name": one.row.seed.name, "path": one.path, "has_token": one.token is not None} for one in made])
        return
    say(f"{out}: {_devices(len(made))}, {sum(one.token is not None for one in made)} with a token")
    say(f"  to print: {out / work.SHEET}, which holds secrets")
    if tokens and enrolment is None:
        say("  the tokens are on the sheet alone: for enrol.toml give --broker, --ca, --claim and --claim-key")


def jetson_overlay(
    rootfs: Annotated[Path, typer.Argument(help="Unpacked root, as Linux_for_Tegra/rootfs.")],
    bundle: Annotated[Path, typer.Option(help="The agent: a folder, or what `edgeagent image bundle` makes.")],
    name: given.Name = None,
    fleet: given.Fleet = None,
    area: given.Area = None,
    board: given.Board = None,
    hat: given.Hat = None,
    microphone: given.Microphone = None,
    house_broker: given.House = None,
    broker: given.Broker = None,
    ca: given.Ca = None,
    claim: given.Claim = None,
    claim_key: given.ClaimKey = None,
    enrolment_port: given.EnrolmentPort = ENROLMENT_PORT,
    token_file: given.TokenFile = None,
    serial: given.Serial = None,
    days: given.Days = 7,
    update_url: given.UpdateUrl = None,
    update_root: given.UpdateRoot = None,
    *,
    any_board: given.AnyBoard = False,
    json: Json = False,
) -> None:
    """Put the agent into an unpacked root of Jetson Linux, and say how NVIDIA's tools flash it. Nothing is flashed."""
    from edgeagent.provision.jetson import Overlay, apply

    seed, enrol = given.device_of(
        Wanted(name, fleet, area, board, hat, microphone, house_broker, update_url, update_root),
        Way(broker, enrolment_port, ca, claim, claim_key),
        TokenWanted(token_file, serial, any_board, days),
    )
    done = apply(rootfs, Overlay(bundle, seed, enrol))
    if json:
        print_json(asdict(done))
        return
    say(f"{rootfs}: Jetson Linux {done.release}, {len(done.changed)} files changed; nothing was flashed")
    for one in done.remarks:
        say(f"  {one}")
    say("To flash it:")
    for command in done.commands:
        say(f"  {command}")


def _devices(number: int) -> str:
    return f"{number} device{'' if number == 1 else 's'}"


def _format(name: str) -> "Format":
    from edgeagent.provision.wishes import FORMATS

    for one in FORMATS:
        if one == name:
            return one
    raise SettingsError(f"--format {name!r:.40}", remedy=f"One of: {', '.join(FORMATS)}")


def _put(image: Path, output: Path | None, wishes: "Wishes", *, booted_too: bool) -> "Report":
    """Change the image, or a copy of it."""
    from edgeagent.provision.copies import customised_copy
    from edgeagent.provision.customise import customise as put

    if output is None:
        return put(image, wishes, booted_too=booted_too)
    with bar() as told:
        return customised_copy(image, output, wishes, booted_too=booted_too, told=told)


def _wifi(name: str | None, file: Path | None, country: str | None, *, is_hidden: bool, is_open: bool) -> "Wifi | None":
    from edgeagent.provision.wifi import wifi

    if name is None:
        if file is not None or country is not None or is_hidden or is_open:
            raise SettingsError("which Wi-Fi network?", remedy="Name it: --wifi NAME")
        return None
    if country is None:
        raise SettingsError("a radio may not send before it knows where it is", remedy="As: --wifi-country DE")
    if is_open:
        return wifi(name, country=country, is_hidden=is_hidden)
    if file is not None:
        passphrase = checked_text(file, "the passphrase")
    else:
        passphrase = typer.prompt(f"Passphrase of {name}", hide_input=True, err=True)
    if not passphrase.strip("\r\n"):
        raise SettingsError("the passphrase is empty", remedy="For a network without one: --wifi-open")
    return wifi(name, passphrase, country=country, is_hidden=is_hidden)


def _asked(
    rows: "Sequence[Row]",
    known: "dict[str, Token]",
    console: str,
    token_file: Path | None,
    ca: Path | None,
    days: int,
) -> "dict[str, Token]":
    """Have the console make the tokens that the table does not give."""
    from edgeagent.cli.fleet_calls import calls
    from edgeagent.provision.batch import tokens_of

    wanted = [row for row in rows if row.seed.name not in known]
    return tokens_of(wanted, calls(console, token_file, ca).post, days)


def _made(
    out: Path,
    rows: "Sequence[Row]",
    tokens: "dict[str, Token]",
    enrolment: "Enrolment | None",
    image: Path | None,
    bundle: Path | None,
) -> "list[Made]":
    from edgeagent.provision.batch import check_room, write_folders, write_images
    from edgeagent.provision.copies import customised_copy, room_at, room_needed, unpacked
    from edgeagent.provision.wishes import Wishes

    if image is None:
        return write_folders(out, rows, tokens, enrolment)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    with unpacked(image, out) as whole:  # once, and not for each device
        check_room(out, rows, room_needed(whole), room_at(out))  # not every archive says how large it is
        numbers = count(1)

        def make(path: Path, seed: "Seed", enrol: "EnrolFile | None") -> None:
            typer.echo(f"{next(numbers)} of {len(rows)}: {path.name} …", err=True)
            customised_copy(whole, path, Wishes(seed=seed, enrol=enrol, bundle=bundle))

        return write_images(out, rows, tokens, enrolment, make)
