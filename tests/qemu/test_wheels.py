"""What the agent loads on a board is loaded on each of the boards' processors, emulated."""

import shutil
from pathlib import Path

import pytest
from qemu.images import CHECKOUT, marks

from edgeagent.provision.build import rootfs, wheels
from edgeagent.provision.build.image import default_cache
from edgeagent.provision.build.plan import Plan, Wishes, planned
from edgeagent.provision.build.programs import run

pytestmark = marks
PROCESSORS = ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76")
"""Of Raspberry Pi Zero 2 W and 3, Jetson Nano, Raspberry Pi 4, and 5."""
LIBRARIES = ("numpy", "onnxruntime", "pocketsphinx", "pydantic", "pymicro_wakeword", "cryptography")
"""onnxruntime 1.21.0 ended with an illegal instruction on the first three."""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """Return a root with the agent in it, for chroot: where onnxruntime sees the /sys of another processor, it dies."""
    folder = tmp_path_factory.mktemp("wheels")
    plan = planned(Wishes(folder / "none.img", CHECKOUT, default_cache(), suite=request.param))
    rootfs.unpack(rootfs.made(plan, default_cache()), folder / "root")
    house = wheels.wheelhouse(plan, CHECKOUT, default_cache())
    wheels.install(plan, house.glob("*.whl"), folder / "root")
    shutil.copy(shutil.which(rootfs.EMULATOR) or "", folder / "root/opt/emulator")
    return plan, folder / "root"


@pytest.mark.parametrize("processor", PROCESSORS)
def test_each_library_is_loaded_on_the_processor(root: tuple[Plan, Path], processor: str) -> None:
    plan, folder = root
    program = f"import {', '.join(LIBRARIES)}; print('loaded')"
    interpreter = f"/{wheels.PLACE}/bin/{plan.python}"
    said = run("chroot", folder, "/opt/emulator", "-cpu", processor, interpreter, "-I", "-c", program)
    assert said.strip().endswith("loaded")
