"""`edgeagent image`: images are built, customised without mounting them, written onto cards, and looked into."""

import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeagent.cli.image_cards import batch, customise, jetson_overlay
from edgeagent.cli.image_shown import (
    bar,
    for_a_while,
    inspection_facts,
    medium_facts,
    print_json,
    say,
    show_inspection,
    show_media,
)
from edgeagent.cli.options import Json
from edgeagent.errors import SettingsError

if TYPE_CHECKING:
    from edgeagent.provision.devices import Medium
    from edgeagent.provision.flash import Previewed

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415

REFUSED = 1
"""Exit code where an image or a medium is not as it should be."""
HERE = Path(__file__).parents[2]

image_app = typer.Typer(no_args_is_help=True, help="Make images, and put them on cards.")
for _name, _command in (("customise", customise), ("batch", batch), ("jetson-overlay", jetson_overlay)):
    image_app.command(_name)(_command)

Image = Annotated[Path, typer.Argument(help="Image file.")]
Checkout = Annotated[Path, typer.Option(help="Checkout of edgeagent that goes onto it.")]
Cache = Annotated[Path | None, typer.Option(help="Where downloads are kept; else EDGEAGENT_CACHE.")]
Suite = Annotated[str, typer.Option(help="Release of Debian: bookworm or trixie.")]


@image_app.command("build")
def build(
    image: Annotated[Path, typer.Argument(help="Image file to write.")],
    suite: Suite = "trixie",
    variant: Annotated[str, typer.Option(help="test boots in QEMU; ship is configured, and takes long.")] = "test",
    checkout: Checkout = HERE,
    cache: Cache = None,
    mirror: Annotated[str | None, typer.Option(help="Where Debian's packages come from.")] = None,
    *,
    json: Json = False,
) -> None:
    """Build a bootable image of Debian for arm64, the same bytes every time. SOURCE_DATE_EPOCH is heeded."""
    from edgeagent.provision.build.image import build as made
    from edgeagent.provision.build.image import default_cache
    from edgeagent.provision.build.plan import Wishes

    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not epoch.isdecimal():
        raise SettingsError(f"SOURCE_DATE_EPOCH is {epoch!r:.40}", remedy="Give it as seconds since 1970.")
    if variant not in {"test", "ship"}:
        raise SettingsError(f"--variant {variant!r:.40}: expected test or ship", remedy="Take test for QEMU.")
    wishes = Wishes(
        image=image,
        checkout=checkout,
        cache=cache or default_cache(),
        suite=suite,
        variant="ship" if variant == "ship" else "test",
        epoch=int(epoch),
        mirror=mirror,
    )
    done = made(wishes, lambda step: typer.echo(f"{step} …", err=True))
    if json:
        print_json({name: getattr(done, name) for name in done.__slots__})
        return
    say(f"{done.image}: built in {for_a_while(sum(done.took_s.values()))}")
    say(f"  what is in it: {done.manifest}, {done.sbom}")


@image_app.command("bundle")
def bundle(
    target: Annotated[Path, typer.Argument(help="File to write, as bundle.tar.")],
    suite: Suite = "trixie",
    checkout: Checkout = HERE,
    cache: Cache = None,
    deb: Annotated[list[Path] | None, typer.Option(help="Debian package to put in; repeat it.")] = None,
    *,
    json: Json = False,
) -> None:
    """Make the bundle by which a board gets the agent without a network."""
    from edgeagent.provision.build.image import default_cache
    from edgeagent.provision.bundle import bundle as made

    found = made(checkout, target, cache or default_cache(), suite=suite, packages=deb or None)
    if json:
        print_json(found.model_dump(mode="json") | {"path": target})
        return
    say(f"{target}: edgeagent {found.agent} for Python {found.python}, {len(found.files)} files")


@image_app.command("flash")
def flash(
    image: Image,
    device: Annotated[Path | None, typer.Argument(help="The card, as /dev/sdX; without it, disks are shown.")] = None,
    force: Annotated[str | None, typer.Option(metavar="SERIAL", help="Serial number of a disk that is meant.")] = None,
    *,
    to_file: Annotated[
        bool, typer.Option("--to-file", help="DEVICE is a file, for tests and virtual machines.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Write an image onto a card, packed or not, and read it back. Exit code 1 if the card is refused."""
    from edgeagent.provision.flash import flash as written
    from edgeagent.provision.flash import preview

    looked = preview(image)
    if device is None:
        _show_disks(is_json=json)
        return
    medium = _medium(device, is_file=to_file)
    _refuse(medium, looked.size_bytes, force)
    if dry_run:
        _preview(image, looked, medium, is_json=json)
        return
    if not yes:
        typer.confirm(f"Write {image} onto {medium}? What is on it is lost", abort=True, err=True)
    try:
        with bar() as told:
            done = written(image, medium, told)
    except KeyboardInterrupt:
        typer.echo(f"{medium.path}: stopped; nothing boots from it until it is flashed again", err=True)
        raise
    if json:
        print_json({name: getattr(done, name) for name in done.__slots__} | {"medium": medium.path})
        return
    rate = f"{done.size_bytes / max(done.wrote_s, 0.001) / 1e6:.1f} MB/s"
    say(f"{medium.path}: {done.size_bytes} bytes written in {for_a_while(done.wrote_s)} ({rate}), and read back")
    say(f"  sha256 {done.sha256}")


@image_app.command("inspect")
def inspect(image: Image, *, json: Json = False) -> None:
    """Show what is on an image: system, settings, bundle. No secret is shown."""
    from edgeagent.provision.inspect import inspect as found_on

    found = found_on(image)
    if json:
        print_json(inspection_facts(found))
        return
    show_inspection(found)


@image_app.command("verify")
def verify(image: Image, *, json: Json = False) -> None:
    """See whether a board can start from an image; exit code 1, and every problem, if not."""
    from edgeagent.provision.inspect import verify as problems_of

    problems = problems_of(image)
    if json:
        print_json([{"what": one.what, "remedy": one.remedy} for one in problems])
    else:
        for one in problems:
            say(f"{image}: {one.what}")
            say(f"  try: {one.remedy}")
        if not problems:
            say(f"{image}: all right")
    raise typer.Exit(REFUSED if problems else 0)


@image_app.command("manifest")
def manifest(
    images: Annotated[list[Path], typer.Argument(help="Image files, packed or not.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file to write; else it is printed.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where the images will lie, as https://example.org/images/.")] = None,
    description: Annotated[str, typer.Option(help="What stands below the name.")] = "A device that listens, offline.",
    released: Annotated[str | None, typer.Option(help="Day of the release, as 2026-11-22; else the file's.")] = None,
) -> None:
    """Make a list of images for Raspberry Pi Imager: rpi-imager --repo FILE."""
    from edgeagent.files import write_durably
    from edgeagent.provision.listing import listed
    from edgeagent.provision.os_list import os_list

    try:
        day = date.fromisoformat(released) if released else None
    except ValueError as error:
        raise SettingsError(f"--released {released!r:.40}: expected a day", remedy="As: 2026-11-22") from error
    made = os_list([listed(one, url, description, day) for one in images])
    if output is None:
        sys.stdout.write(made.decode())
        return
    write_durably(output, made, mode=0o644)
    say(f"{output}: {len(images)} image{'' if len(images) == 1 else 's'}")


def _medium(device: Path, *, is_file: bool) -> "Medium":
    from edgeagent.provision.flash_target import file_medium

    if is_file:
        return file_medium(device)
    if sys.platform == "darwin":
        from edgeagent.provision.devices_elsewhere import medium_on_macos

        return medium_on_macos(device)
    if sys.platform == "win32":
        from edgeagent.provision.devices_elsewhere import medium_on_windows

        return medium_on_windows(device)
    from edgeagent.provision.devices_linux import medium_at

    return medium_at(device)


def _refuse(medium: "Medium", needed: int | None, forced: str | None) -> None:
    """Raise ImageError with all that speaks against a medium."""
    from edgeagent.provision.devices import refusals
    from edgeagent.provision.errors import ImageError

    if against := refusals(medium, needed, forced):
        reasons = "; ".join(one.reason for one in against)
        raise ImageError(f"{medium}: {reasons}", remedy=against[0].remedy)


def _preview(image: Path, looked: "Previewed", medium: "Medium", *, is_json: bool) -> None:
    if is_json:
        print_json(
            {
                "image": image,
                "packing": looked.packing,
                "size_bytes": looked.size_bytes,
                "dry_run": True,
                "medium": medium_facts(medium),
            }
        )
    else:
        say(f"would write {image} onto {medium}")


def _show_disks(*, is_json: bool) -> None:
    from edgeagent.provision.devices_linux import media

    if not sys.platform.startswith("linux"):
        raise SettingsError("which disk?", remedy="Name it; `diskutil list` or Get-Disk shows them.")
    found = list(media())
    if is_json:
        print_json([medium_facts(one) for one in found])
    else:
        show_media(found)
