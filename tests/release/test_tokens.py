"""Keys in a hardware token, by PKCS#11: SoftHSM stands for the token, everything else is real."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.errors import UpdateError

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((path for path in MODULES if Path(path).exists()), None)
PIN = "123456"

pytestmark = pytest.mark.skipif(
    "EDGEAGENT_CI" not in os.environ and (MODULE is None or shutil.which("softhsm2-util") is None),
    reason="softhsm2 is not installed",
)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a token with one key, and return its URI."""
    assert MODULE is not None, "apt-get install softhsm2"
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    monkeypatch.setenv("PYKCS11LIB", MODULE)
    monkeypatch.setenv("EDGEAGENT_PASSPHRASE", "for files")
    monkeypatch.setenv("EDGEAGENT_PASSPHRASE_PIN", PIN)
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for step in (
        ["--init-token", "--free", "--label", "holder", "--so-pin", "87654321", "--pin", PIN],
        ["--import", tmp_path / "key.pem", "--token", "holder", "--label", "key", "--id", "02", "--pin", PIN],
    ):
        subprocess.run(["softhsm2-util", *map(str, step)], check=True, capture_output=True)
    return "hsm:2?label=holder"


def ran(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["release", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_a_root_key_moves_into_a_token_and_signs_there(token: str, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    ran("init", "command-en", "--shop", shop)
    assert "root" in ran("rotate", "root-1", token, "--name", "root-1-token", "--shop", shop)
    for key in ("root-2", "root-1-token", "command-en"):
        assert "signed:" in ran("sign", "--key", key, "--shop", shop)
    ran("publish", tmp_path / "out", "--shop", shop)
    assert (tmp_path / "out" / "metadata" / "1.root.json").is_file()


def test_a_token_that_is_not_there_or_has_no_such_key_is_an_error_that_says_what_to_look_at(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran("init", "command-en", "--shop", tmp_path / "shop")
    for uri in ("hsm:7?label=holder", "hsm:2?label=nobody", "hsm:two"):
        with pytest.raises(UpdateError) as caught:
            ran("rotate", "root-1", uri, "--name", "x", "--shop", tmp_path / "shop")
        assert (caught.value.code, "PYKCS11LIB" in caught.value.remedy) == ("key-file", True)
    ran("rotate", "root-1", token, "--name", "x", "--shop", tmp_path / "shop")
    monkeypatch.setenv("EDGEAGENT_PASSPHRASE_PIN", "000000")
    with pytest.raises(UpdateError):
        ran("sign", "--key", "x", "--shop", tmp_path / "shop")
