"""The publisher's commands as people and machines type them."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.errors import EdgeAgentError, UpdateError
from edgeagent.release.inspection import inspect
from edgeagent.shipped import built_in_model


def ran(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["release", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_from_nothing_to_a_published_release_with_passphrases_that_systemd_hands_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.delenv("EDGEAGENT_PASSPHRASE", raising=False)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "passphrase").write_text("for all keys\n")
    (tmp_path / "credentials" / "passphrase-root-1").write_text("for the first one\n")
    shop, out = tmp_path / "shop", tmp_path / "out"
    ran("init", "command-en", "--shop", shop)
    bundle = tmp_path / "bundle"
    shutil.copytree(built_in_model(), bundle)
    assert "golden sentences right" in ran("add", bundle, "--family", "command-en", "--as", "0.2.0", "--shop", shop)
    for key in ("root-1", "root-2", "command-en"):
        ran("sign", "--key", key, "--shop", shop)
    ran("publish", out, "--shop", shop)
    before = json.loads((out / "metadata" / "timestamp.json").read_text())["signed"]["version"]
    ran("refresh-timestamp", out, "--shop", shop)
    assert json.loads((out / "metadata" / "timestamp.json").read_text())["signed"]["version"] == before + 1
    (tmp_path / "credentials" / "passphrase").write_text("another\n")
    with pytest.raises(EdgeAgentError):
        ran("refresh-timestamp", out, "--shop", shop)


def test_without_anybody_to_ask_a_passphrase_is_an_error_that_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEAGENT_PASSPHRASE", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(UpdateError) as caught:
        ran("init", "command-en", "--shop", tmp_path / "shop")
    assert (caught.value.code, "EDGEAGENT_PASSPHRASE" in caught.value.remedy) == ("no-passphrase", True)


def test_a_damaged_bundle_is_not_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEAGENT_PASSPHRASE", "x")
    ran("init", "command-en", "--shop", tmp_path / "shop")
    bundle = tmp_path / "bundle"
    shutil.copytree(built_in_model(), bundle)
    (bundle / "segment1.onnx").write_bytes(b"another")
    with pytest.raises(UpdateError) as caught:
        ran("add", bundle, "--family", "command-en", "--as", "0.2.0", "--shop", tmp_path / "shop")
    assert caught.value.code == "bad-bundle"


def test_what_is_too_large_for_a_board_is_not_released_for_it(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "pronunciations.txt").write_text("edgeagent EH JH\n")
    with (tmp_path / "words" / "more.bin").open("wb") as file:
        file.truncate(100 << 20)
    assert inspect(tmp_path / "words", "pronunciations", ["raspberry-pi-5"]).size_bytes > 100 << 20
    for boards in ((), ("raspberry-pi-5", "raspberry-pi-zero-2-w"), ("one that nobody knows",)):
        with pytest.raises(UpdateError) as caught:
            inspect(tmp_path / "words", "pronunciations", boards)
        assert caught.value.code == "bad-bundle"
