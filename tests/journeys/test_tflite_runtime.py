"""The older tflite-runtime, in an environment of its own: it needs numpy 1 and Python 3.11 at most, edgeagent numpy 2.

A board that has nothing newer decides the golden sentences as everybody else does.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from edgeagent.shipped import built_in_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NEEDED = ("tflite-runtime==2.14.0", "numpy<2", "pydantic>=2.12,<3")
JUDGE = """
import json, sys
from importlib.metadata import version
from pathlib import Path
from edgeagent.understand.model.bundle import open_bundle
from edgeagent.understand.model.litert_segments import LitertSegments
from edgeagent.understand.model.self_test import disagreements

bundle = open_bundle(Path(sys.argv[1]))
judged, different = disagreements(bundle, LitertSegments(bundle))
loaded = sorted({"tflite_runtime", "ai_edge_litert"} & {name.split(".")[0] for name in sys.modules})
print(json.dumps({"judged": judged, "different": different, "loaded": loaded, "numpy": version("numpy")}))
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheels for Python 3.12 and later")
@pytest.mark.timeout(600)
def test_the_golden_sentences_are_decided_alike_by_the_older_runtime(tmp_path: Path) -> None:
    home = tmp_path / "older"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDED]
    subprocess.run(pip, check=True, timeout=500)

    told = subprocess.run(
        [str(python), "-c", JUDGE, str(built_in_model())],
        check=True, capture_output=True, text=True, timeout=100, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    found = json.loads(told.stdout)
    assert found["loaded"] == ["tflite_runtime"]
    assert found["numpy"].startswith("1.")
    assert found["judged"] >= 50
    assert found["different"] == []
