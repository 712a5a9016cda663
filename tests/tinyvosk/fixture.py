"""The tiny model, built once on this machine; building it takes half a minute."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tinyvosk import espeak

CACHE = "EDGEAGENT_TEST_CACHE"
"""The variable that names another folder than ~/.cache/edgeagent-tests for what tests keep between runs."""
_LONGEST_S = 900.0


def tiny_model() -> Path:
    """Return the folder of the model. Raise EspeakError if espeak-ng is missing, RuntimeError if the build fails.

    It is built aside and renamed when it is whole: a run may be killed, and two may build at once.
    """
    cache = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "edgeagent-tests")
    model = cache / f"tinyvosk-{_identity()}"
    if model.is_dir():
        return model
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{model.name}-unfinished-", dir=cache) as folder:
        built = Path(folder) / "model"
        _build(built)
        try:
            built.rename(model)
        except OSError:
            if not model.is_dir():  # else another run was first, and theirs is as good
                raise
    return model


def _identity() -> str:
    """Return a hash of all that the model is made of."""
    digest = hashlib.sha256(f"{espeak.version()} {np.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path) -> None:
    """Build it in a child process: espeak-ng may crash, and numpy is to use one processor, for the same sums again."""
    command = (sys.executable, "-m", "tinyvosk.build", folder)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    tests = Path(__file__).parent.parent
    done = subprocess.run(
        command, cwd=tests, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST_S
    )
    if done.returncode:
        raise RuntimeError(f"the tiny model was not built ({done.returncode}): {done.stderr[-2000:]}")
