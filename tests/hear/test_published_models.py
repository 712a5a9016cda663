import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import Authority
from voskmodels import NAME, entry
from webserver import WebServer, web_server

from edgeagent.errors import ModelError
from edgeagent.hear.model_download import fetch
from edgeagent.hear.published_models import LIST_URL, ListedModel, choose, model_list
from edgeagent.hear.transfer import Patience

QUICK = Patience(timeout_s=5.0, pauses_s=(0.0, 0.0))


def listed(**changes: Any) -> ListedModel:
    return ListedModel.model_validate(entry(**changes))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with web_server() as server:
        yield server


def test_the_list_is_read_and_what_is_no_speech_model_is_left_out(web: WebServer) -> None:
    voices = [entry(type="spk", name="vosk-model-spk-0.4"), entry(type="tts"), entry(md5="?"), entry(size=0), 5, None]
    new = entry(newly_published="x", url="mirror.zip")
    web.files["/models/list.json"] = json.dumps([*voices, new]).encode()
    (found,) = model_list(web.url("/models/list.json"), QUICK)
    assert (found.name, found.short_name, found.obsolete) == (NAME, "vosk-small-en-us", False)
    assert found.url == web.url("/models/mirror.zip")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<html>Sign in to the hotel's network", "no list of models: not JSON"),
        (b"\xff\xfe", "no list of models: not UTF-8"),
        (b"{}", "expected objects with name, lang, type, url"),
        (b"[]", "expected objects with name, lang, type, url"),
        (b"[" * 100_000, "no list of models: nested deeper"),
        (b"[" + b" " * (5 << 20) + b"]", "no list of models: .* expected at most"),
    ],
)
def test_a_list_that_is_none_is_told(web: WebServer, content: bytes, complaint: str) -> None:
    web.files["/list"] = content
    with pytest.raises(ModelError, match=complaint) as raised:
        model_list(web.url("/list"), QUICK)
    assert web.url("/list") in str(raised.value)
    assert "--list URL" in raised.value.remedy


def test_a_list_that_is_not_there_is_told_at_once(web: WebServer) -> None:
    with pytest.raises(ModelError, match="/nowhere: HTTP 404 Not Found"):
        model_list(web.url("/nowhere"), QUICK)
    assert len(web.asked) == 1


def test_a_list_that_was_cut_is_asked_for_again(web: WebServer) -> None:
    web.files["/list"] = json.dumps([entry()]).encode()
    web.cuts = [10]
    assert model_list(web.url("/list"), QUICK)
    assert len(web.asked) == 2


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:,[]",
        "/etc/passwd",
        "http://",
        "http://[x/",
        "http://h/a b",
        "http://h:x/",
    ],
)
def test_an_address_that_is_not_of_the_web_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ModelError, match="expected an address that begins with http") as raised:
        model_list(url)
    assert "edgeagent model import" in raised.value.remedy
    with pytest.raises(ModelError, match="expected an address that begins with http"):
        fetch(tmp_path, listed(url=url))


def test_a_redirection_is_followed_within_the_web_alone(web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([entry()]))
    web.files["/list"] = json.dumps([entry()]).encode()
    web.redirects = {
        "/moved": web.url("/list"),
        "/file": (tmp_path / "list.json").as_uri(),
        "/ftp": "ftp://127.0.0.1/list",
        "/nowhere": "http://[x/",
        "/round": web.url("/round"),
    }
    assert model_list(web.url("/moved"), QUICK)
    for path in ("/file", "/ftp", "/round"):
        with pytest.raises(ModelError, match=f"{path}: HTTP 302 "):
            model_list(web.url(path), QUICK)
    with pytest.raises(ModelError, match="tried 3 times in vain"):
        model_list(web.url("/nowhere"), QUICK)


def test_a_list_comes_by_tls_from_whom_the_system_trusts_alone(
    web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    with web_server(context) as safe:
        safe.files["/list"] = json.dumps([entry()]).encode()
        safe.redirects["/moved"] = web.url("/list")
        with pytest.raises(ModelError, match="its certificate cannot be trusted") as raised:
            model_list(safe.url("/list"), QUICK)
        assert raised.value.remedy.startswith("Is the clock right?")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert model_list(safe.url("/list"), QUICK)
        with pytest.raises(ModelError, match=r"HTTP 302 redirects to http://.*, which is not followed"):
            model_list(safe.url("/moved"), QUICK)
    assert web.asked == []


def test_the_address_of_the_list_is_that_of_vosk() -> None:
    assert LIST_URL == "https://alphacephei.com/vosk/models/model-list.json"


def test_a_short_name_means_the_newest_that_is_not_obsolete() -> None:
    models = [
        listed(name="vosk-model-small-en-us-0.3", version="0.3", obsolete="true"),
        listed(name="vosk-model-small-en-us-0.9", version="0.9"),
        listed(),
        listed(name="vosk-model-small-en-us-9.0", version="9.0", obsolete="true"),
        listed(name="vosk-model-small-en-us-zamia", version="20200905"),
        listed(name="vosk-model-en-us-0.22-lgraph", type="big-lgraph", version="0.22-lgraph"),
        listed(name="vosk-model-small-de-0.15", lang="de"),
    ]
    for wanted, meant in {
        "vosk-small-en": NAME,
        "vosk-small-en-us": NAME,
        "vosk-big-lgraph-en": "vosk-model-en-us-0.22-lgraph",
        "vosk-small-de": "vosk-model-small-de-0.15",
        "vosk-model-small-en-us-0.3": "vosk-model-small-en-us-0.3",
    }.items():
        assert choose(models, wanted).name == meant


def test_a_name_that_is_not_in_the_list_is_told_with_those_that_come_close() -> None:
    models = [listed(), listed(name="vosk-model-small-de-0.15", lang="de")]
    with pytest.raises(ModelError, match=r"'vosk-smal-de' is not in the list; did you mean vosk-small-de or") as raised:
        choose(models, "vosk-smal-de")
    assert raised.value.remedy == "edgeagent model list --available"
    with pytest.raises(ModelError, match=r"there are vosk-model-small-de-0\.15, vosk-model-small-en-us-0\.15"):
        choose(models, "whisper")
