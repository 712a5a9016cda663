"""The layer for Raspberry Pi's own program for images: what it does to a root, done. The program itself is not run."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from edgeagent.provision.build.plan import AGENT

PLACE = Path(__file__).parents[2] / "provisioning/rpi-image-gen"
LAYER = (PLACE / "layer/edgeagent.yaml").read_text()
ENABLE = '#!/bin/sh\nroot=$1; shift\nexec systemctl --root="$root" enable "$@"\n'
"""What the program's own hook of this name does, for one that is no chroot."""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "a bundle"
    folder.mkdir()
    for name in ("bundle.tar", "bundle.sha256"):
        (folder / name).write_text(name)
    (folder / "install.sh").write_text((PLACE.parent / "first-boot/install.sh").read_text())
    return folder


def hooked(root: Path, bundle: Path | None) -> subprocess.CompletedProcess[str]:
    """Run the layer's hooks on a root, each by a shell with the root as its first argument, as mmdebstrap does."""
    hooks = root.parent / "hooks"
    hooks.mkdir()
    (hooks / "enable-units").write_text(ENABLE)
    (hooks / "enable-units").chmod(0o755)
    (root / "etc/systemd/system").mkdir(parents=True)
    told = {"BDEBSTRAP_HOOKS": str(hooks)} | ({} if bundle is None else {"IGconf_edgeagent_bundle": str(bundle)})
    script = "set -e\n" + "\n".join(
        f"sh -c {_quoted(one)} hook {_quoted(str(root))}"
        for one in yaml.safe_load(LAYER)["mmdebstrap"]["customize-hooks"]
    )
    call = ["sh", "-c", script]
    return subprocess.run(call, env={**os.environ, **told}, capture_output=True, text=True, check=False)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_an_image_of_the_layer_installs_the_bundle_at_its_first_boot(tmp_path: Path, bundle: Path) -> None:
    root = tmp_path / "root"
    done = hooked(root, bundle)
    assert done.returncode == 0, done.stderr
    there = root / "opt/edgeagent/bundle"
    assert {one.name for one in there.iterdir()} == {"bundle.tar", "bundle.sha256", "install.sh"}
    unit = root / "etc/systemd/system/edgeagent-install.service"
    assert (root / "etc/systemd/system/multi-user.target.wants" / unit.name).is_symlink()
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert unit.name not in said.stderr, said.stderr
    start = re.search(r"^ExecStart=/bin/sh (\S+) (\S+)$", unit.read_text(), re.MULTILINE)
    assert start is not None
    assert (root / start[1].lstrip("/")).is_file()
    assert (root / start[2].lstrip("/")).is_dir()


def test_without_a_bundle_no_image_is_made(tmp_path: Path) -> None:
    assert hooked(tmp_path / "root", None).returncode != 0


def test_what_the_layer_asks_for_is_what_the_image_of_our_own_has() -> None:
    assert set(yaml.safe_load(LAYER)["mmdebstrap"]["packages"]) == set(AGENT)


def test_each_variable_that_is_described_is_used_and_each_that_is_used_is_described() -> None:
    prefix = re.search(r"^# X-Env-VarPrefix: (\w+)$", LAYER, re.MULTILINE)
    assert prefix is not None
    described = {f"IGconf_{prefix[1]}_{name}" for name in re.findall(r"^# X-Env-Var-(\w+):", LAYER, re.MULTILINE)}
    assert set(re.findall(r"IGconf_\w+", LAYER)) == described
    assert yaml.safe_load((PLACE / "config/edgeagent.yaml").read_text())["layer"]["app"] == prefix[1]
