"""Bytes from servers that lie, stall, cut and redirect, and from folders that lead out."""

import contextlib
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from update.hostile import (
    Request,
    Server,
    cut_after,
    endless,
    marked,
    raw,
    redirect,
    serving,
    status,
    trickle,
    without_ranges,
)

from edgeagent.errors import UpdateError
from edgeagent.update.bandwidth import Bandwidth
from edgeagent.update.nouns import Transport
from edgeagent.update.patient_http import Patience
from edgeagent.update.transports import MOST_REDIRECTS, FolderTransport, HttpTransport

CONTENT = bytes(range(256)) * 1000
HASTY = Patience(window_s=0.4, connect_s=2.0)


@contextlib.contextmanager
def served(content: bytes = CONTENT) -> Iterator[tuple[HttpTransport, Server]]:
    with serving({"file": content}) as server, contextlib.closing(HttpTransport(server.address, patience=HASTY)) as one:
        yield one, server


def read(transport: Transport, path: str = "file", start: int = 0, most: int = 1 << 30) -> bytes:
    return b"".join(transport.read(path, start, most=most))


def refusal(transport: Transport, path: str = "file", start: int = 0, most: int = 1 << 30) -> str:
    with pytest.raises(UpdateError) as refused:
        read(transport, path, start, most)
    return refused.value.code


@pytest.mark.parametrize(("start", "most"), [(0, 1 << 30), (0, 10), (7, 1 << 30), (7, 10), (255_999, 9), (3, 0)])
def test_a_piece_is_what_was_asked_for(tmp_path: Path, start: int, most: int) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    with served() as (transport, _):
        for one in (transport, FolderTransport(tmp_path)):
            assert read(one, start=start, most=most) == CONTENT[start : start + most]


def test_a_server_without_ranges_is_read_from_its_beginning() -> None:
    with served() as (transport, server):
        server.behaviours["file"] = without_ranges
        assert read(transport, start=100_000, most=50) == CONTENT[100_000:100_050]


def test_one_connection_serves_several_reads() -> None:
    threads = set()

    def noting(request: Request, content: bytes) -> None:
        threads.add(threading.get_ident())
        without_ranges(request, content)

    with served() as (transport, server):
        server.behaviours["file"] = noting
        for _ in range(3):
            assert read(transport) == CONTENT
            assert refusal(transport, "nothing") == "absent"
        assert len(threads) == 1  # the server has a thread for each connection


def test_a_read_that_is_left_does_not_disturb_the_next() -> None:
    with served() as (transport, _):
        pieces = transport.read("file", most=1 << 30)
        first = next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert CONTENT.startswith(first)
        assert read(transport) == CONTENT


def test_a_connection_that_the_server_has_closed_is_opened_again() -> None:
    def closing(request: Request, content: bytes) -> None:
        without_ranges(request, content)
        request.close_connection = True

    with served() as (transport, server):
        server.behaviours["file"] = closing
        assert read(transport) == CONTENT
        assert read(transport) == CONTENT


def test_an_etag_guards_what_is_resumed() -> None:
    with served() as (transport, server):
        server.behaviours["file"] = marked('"one"')
        assert read(transport, most=10) == CONTENT[:10]
        assert read(transport, start=10, most=10) == CONTENT[10:20]
        assert server.asked[-1] == ("file", "bytes=10-19", '"one"')
        server.behaviours["file"] = marked('"two"')
        assert refusal(transport, start=10) == "changed"


def test_a_file_that_has_become_shorter_has_changed() -> None:
    with served(b"short") as (transport, _):
        assert refusal(transport, start=5) == "changed"


@pytest.mark.parametrize(
    "told", ["bytes 0-9/256000", "bytes 11-20/256000", "bytes 10-4/9", "bytes */9", "pages 10-19/9"]
)
def test_a_range_that_was_not_asked_for_is_refused(told: str) -> None:
    answer = f"HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: {told}\r\n\r\n".encode() + bytes(10)
    with served() as (transport, server):
        server.behaviours["file"] = raw(answer)
        assert refusal(transport, start=10, most=10) == "wrong-range"


def test_a_part_that_nobody_asked_for_is_refused() -> None:
    with served() as (transport, server):
        server.behaviours["file"] = raw(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab")
        assert refusal(transport) == "wrong-range"


@pytest.mark.parametrize(("code", "told"), [(404, "absent"), (403, "absent"), (410, "absent"), (500, "unreachable")])
def test_what_a_server_refuses(code: int, told: str) -> None:
    with served() as (transport, server):
        server.behaviours["file"] = status(code)
        assert refusal(transport) == told


def test_a_cut_connection_is_told_after_what_came() -> None:
    with served() as (transport, server):
        server.behaviours["file"] = cut_after(1000)
        found: list[bytes] = []
        with pytest.raises(UpdateError) as refused:
            found.extend(transport.read("file", most=1 << 30))
        assert refused.value.code == "unreachable"
        assert b"".join(found) == CONTENT[:1000]


def test_a8_endless_data_ends_where_it_was_bounded() -> None:
    with served() as (transport, server):
        server.behaviours["file"] = endless
        assert len(read(transport, most=300_000)) == 300_000


def test_a9_a_trickle_is_left_even_in_the_headers() -> None:
    with served() as (transport, server):
        server.behaviours["file"] = trickle
        assert refusal(transport) == "too-slow"


def _silence(request: Request, _content: bytes) -> None:
    request.wait()


def test_a9_a_server_that_says_nothing_is_left() -> None:
    with served() as (transport, server):
        server.behaviours["file"] = _silence
        assert refusal(transport) == "too-slow"


def test_redirects_are_followed_within_bounds() -> None:
    with served() as (transport, server), serving({"real": CONTENT}) as other:
        server.behaviours["file"] = redirect(f"{other.address}real")
        assert read(transport, start=5, most=9) == CONTENT[5:14]
        server.behaviours["file"] = redirect("/file")
        assert refusal(transport) == "redirect-refused"
        assert len(server.asked) == MOST_REDIRECTS + 2
        for bad in (
            "ftp://127.0.0.1/x",
            "file:///etc/passwd",
            "http://",
            "http://a b/",
            "http://u:p@127.0.0.1/",
            "http://[",
        ):
            server.behaviours["file"] = redirect(bad)
            assert refusal(transport) == "redirect-refused"
        for nobody in ("http://a..b/", f"http://{'a' * 70}.example/"):
            server.behaviours["file"] = redirect(nobody)
            assert refusal(transport) == "unreachable"


@pytest.mark.parametrize("url", ["ftp://a/", "file:///etc", "", "http://", "http://a:0/", "http://ü/", "http://a b/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UpdateError) as refused:
        HttpTransport(url)
    assert refused.value.code == "bad-address"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate of 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", *asked.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_certificates_are_always_checked(certificate: tuple[Path, Path]) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with serving({"file": CONTENT}, lambda sock: tls.wrap_socket(sock, server_side=True)) as server:
        with contextlib.closing(HttpTransport(server.address, ca_file=certificate[0])) as transport:
            assert read(transport) == CONTENT
            assert read(transport, start=9, most=5) == CONTENT[9:14]
            server.behaviours["file"] = redirect("http://127.0.0.1:9/file")
            assert refusal(transport) == "redirect-refused"  # never from https to http
        with contextlib.closing(HttpTransport(server.address)) as transport:
            assert refusal(transport) == "tls"
        by_name = server.address.replace("127.0.0.1", "localhost")
        with contextlib.closing(HttpTransport(by_name, ca_file=certificate[0])) as transport:
            assert refusal(transport) == "tls"


def test_authorities_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(UpdateError) as refused:
        HttpTransport("https://127.0.0.1/", ca_file=tmp_path / "none.pem")
    assert refused.value.code == "tls"


def test_bandwidth_is_limited() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    limit = Bandwidth(10_000, clock=lambda: now[0], sleep=sleep)
    with (
        serving({"file": CONTENT}) as server,
        contextlib.closing(HttpTransport(server.address, bandwidth=limit)) as one,
    ):
        assert read(one) == CONTENT
    assert now[0] == pytest.approx(len(CONTENT) / 10_000 - 1, abs=0.01)  # the bucket was full


def test_a_limit_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Bandwidth(0)


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> FolderTransport:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "stick" / "inner").mkdir(parents=True)
    (tmp_path / "stick" / "inner" / "file").write_bytes(CONTENT)
    return FolderTransport(tmp_path / "stick")


def test_a_folder_is_read(folder: FolderTransport) -> None:
    assert read(folder, "inner/file", 5, 10) == CONTENT[5:15]
    assert refusal(folder, "inner/none") == "absent"
    assert refusal(folder, "none/file") == "absent"


@pytest.mark.parametrize("path", ["../secret", "inner/../../secret", "/etc/passwd", "", "a//b", "a\0b", ".", "a\\b"])
def test_a26_no_path_leads_out_of_a_folder(folder: FolderTransport, path: str) -> None:
    assert refusal(folder, path) == "bad-name"


def test_a26_no_link_leads_out_of_a_folder(folder: FolderTransport, tmp_path: Path) -> None:
    (tmp_path / "stick" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "stick" / "out").symlink_to(tmp_path)
    assert refusal(folder, "link") == "unsafe-file"
    assert refusal(folder, "out/secret") == "unsafe-file"


def test_a26_fifos_devices_and_folders_are_no_files(folder: FolderTransport, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "stick" / "fifo")
    assert refusal(folder, "fifo") == "unsafe-file"
    assert refusal(folder, "inner") == "unsafe-file"
    assert refusal(FolderTransport(Path("/dev")), "zero") == "unsafe-file"


def test_a_stick_that_is_pulled_is_unreachable(folder: FolderTransport, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "stick")
    assert refusal(folder, "inner/file") == "unreachable"


# What a server answers, before anything is trusted


@pytest.fixture(scope="module")
def lasting() -> Iterator[tuple[HttpTransport, Server]]:
    with served() as both:
        yield both


BEGINNINGS = [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 206 X\r\nContent-Range: ", b"HTTP/1.1 302 X\r\nLocation: ftp:"]


@settings(deadline=None, max_examples=60)
@given(begin=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_fuzz_an_answer_is_read_or_refused(lasting: tuple[HttpTransport, Server], begin: bytes, rest: bytes) -> None:
    transport, server = lasting
    server.behaviours["fuzz"] = raw(begin + rest + b"\r\nContent-Length: 4\r\n\r\nabcd")
    for start in (0, 3):
        try:
            found = read(transport, "fuzz", start, most=100)
        except UpdateError:
            continue
        assert len(found) <= 100


@settings(deadline=None, max_examples=60)
@given(path=st.text(max_size=40))
def test_fuzz_a_path_stays_on_its_server(lasting: tuple[HttpTransport, Server], path: str) -> None:
    transport, server = lasting
    before = len(server.asked)
    with contextlib.suppress(UpdateError):
        read(transport, path, most=10)
    assert len(server.asked) <= before + 1
