"""`python3 -m edgeagent.install`: the installation where nothing is installed yet but Python itself."""

import argparse
import sys
from pathlib import Path

from edgeagent.errors import EdgeAgentError
from edgeagent.install.debian import package
from edgeagent.install.doing import tell
from edgeagent.install.nouns import Places, Wish
from edgeagent.install.running import install, uninstall


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks for; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.what == "package":
            tell(str(package(asked.bundle, asked.target)))
            return 0
        places = Places(asked.root.absolute(), is_booted=not asked.not_booted)
        if asked.what == "install":
            wish = Wish(starts=not asked.no_start, is_image=asked.image)
            install(places, asked.bundle, asked.python, wish, tell, is_dry=asked.dry_run)
        else:
            uninstall(places, asked.python, tell, is_purge=asked.purge, is_dry=asked.dry_run)
    except EdgeAgentError as error:
        sys.stderr.write(f"edgeagent: {error}\n  try: {error.remedy}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m edgeagent.install", description=__doc__)
    asked = parser.add_subparsers(dest="what", required=True)
    put = asked.add_parser("install", help="put edgeagent on this machine, or upgrade it")
    put.add_argument("--bundle", type=Path, required=True, help="folder of wheels, lock and units")
    put.add_argument("--image", action="store_true", help="the whole image is ours")
    put.add_argument("--no-start", action="store_true", help="do not start it now")
    away = asked.add_parser("uninstall", help="take it away; settings and state stay")
    away.add_argument("--purge", action="store_true", help="settings, identity and state as well")
    made = asked.add_parser("package", help="make a Debian package of a bundle")
    made.add_argument("--bundle", type=Path, required=True, help="folder of wheels, lock and units")
    made.add_argument("--target", type=Path, default=Path(), help="folder to write it into")
    for one in (put, away):
        one.add_argument("--not-booted", action="store_true", help="systemd does not run here: an image is made")
        one.add_argument("--root", type=Path, default=Path("/"), help="another root folder than /")
        one.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter to make it with")
        one.add_argument("--dry-run", action="store_true", help="say what would be done")
    return parser


if __name__ == "__main__":
    sys.exit(main())
