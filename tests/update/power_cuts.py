"""The power-cut score: `python -m tests.update.power_cuts [--sample N]`, or `make power-cuts`.

A whole update is cut at every system call that changes something: by SIGKILL, by EIO at every fsync, by ENOSPC at
every write, and by the loss of whatever was not synced. After each, a restart must find the old release or the new
one, whole, with the floor kept, and finish the update or roll it back. The last line is the score.
"""

import argparse
import logging
import sys
from pathlib import Path


def main() -> int:
    """Print what is wrong at which point, and the score; return 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="try every N-th point")
    parser.add_argument("--only", default="", metavar="WORDS", help='points whose name begins so, such as "power cut"')
    options = parser.parse_args()
    logging.disable()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from update.cutting import score  # noqa: PLC0415  # the tests' own modules are found from here on

    found = score(sample=options.sample, only=options.only)
    for point, problem in found.bad:
        sys.stdout.write(f"{point}: {problem}\n")
    sys.stdout.write(f"{found}\n")
    return int(bool(found.bad))


if __name__ == "__main__":
    sys.exit(main())
