"""A publisher's folder: who must sign what, what is published, and that a stock TUF client takes it."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.ngclient import Updater

from edgeagent.errors import UpdateError
from edgeagent.release.keys import make_key
from edgeagent.release.shop import Offer, Shop

NOW = datetime.now(UTC).replace(microsecond=0)


def secret(name: str) -> str:
    return f"{name}'s own words"


def bundle(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def offer(folder: Path, version: str) -> Offer:
    return Offer(folder, "command-en", version, "model", "0.1.0")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path / "shop", secret)
    made.init(["command-en"], NOW)
    return made


def sign_all(shop: Shop, *names: str) -> dict[str, tuple[str, ...]]:
    return {holder.name: shop.sign(holder) for holder in shop.holders() if not names or holder.name in names}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    out = tmp_path / "out"
    out.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(out))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", out
        httpd.shutdown()
        thread.join()


def client(url: str, folder: Path, root: bytes) -> Updater:
    folder.mkdir(exist_ok=True)
    return Updater(str(folder), f"{url}/metadata/", str(folder), f"{url}/targets/", bootstrap=root)


def test_a_release_is_taken_by_a_stock_client_and_the_next_one_as_a_delta(
    shop: Shop, tmp_path: Path, server: tuple[str, Path]
) -> None:
    url, out = server
    old = bytes(range(256)) * 200
    shop.add(offer(bundle(tmp_path / "b1", model=old, words=b"on off"), "1.0.0"), NOW)
    sign_all(shop)
    shop.publish(out, NOW)
    root = (out / "metadata" / "1.root.json").read_bytes()
    updater = client(url, tmp_path / "device", root)
    info = updater.get_targetinfo("command-en/1.0.0.json")
    assert info is not None
    manifest = json.loads(Path(updater.download_target(info)).read_bytes())
    assert [(file["path"], file["length"]) for file in manifest["files"]] == [("model", len(old)), ("words", 6)]
    shop.add(offer(bundle(tmp_path / "b2", model=old[:5000] + b"new" + old[5000:], words=b"on off"), "1.1.0"), NOW)
    sign_all(shop, "command-en")
    shop.publish(out, NOW)
    newer = client(url, tmp_path / "device", root)
    second = newer.get_targetinfo("command-en/1.1.0.json")
    assert second is not None
    model = json.loads(Path(newer.download_target(second)).read_bytes())["files"][0]
    delta = newer.get_targetinfo(f"command-en/deltas/{manifest['files'][0]['sha256']}-{model['sha256']}")
    assert delta is not None
    assert delta.length < 0.1 * len(old)


def test_nothing_is_published_before_enough_have_signed_and_it_is_said_who(shop: Shop, tmp_path: Path) -> None:
    shop.add(offer(bundle(tmp_path / "b", model=b"x"), "1.0.0"), NOW)
    with pytest.raises(UpdateError, match="root 1 lacks 2 signatures") as caught:
        shop.publish(tmp_path / "out", NOW)
    assert caught.value.code == "unsigned"
    assert sign_all(shop, "root-1") == {"root-1": ("root", "targets")}
    assert sign_all(shop, "root-1") == {"root-1": ("root", "targets")}  # the same key twice counts once
    with pytest.raises(UpdateError, match="root 1 lacks 1 signature"):
        shop.publish(tmp_path / "out", NOW)
    sign_all(shop, "root-3")
    with pytest.raises(UpdateError, match="command-en 1 lacks 1 signature"):
        shop.publish(tmp_path / "out", NOW)
    assert not (tmp_path / "out").exists()
    sign_all(shop, "command-en")
    shop.publish(tmp_path / "out", NOW)
    assert {state.state for state in shop.status()} == {"published"}


def test_what_is_changed_after_it_was_signed_must_be_signed_again(shop: Shop, tmp_path: Path) -> None:
    shop.add(offer(bundle(tmp_path / "b1", model=b"x"), "1.0.0"), NOW)
    sign_all(shop)
    shop.add(offer(bundle(tmp_path / "b2", model=b"y"), "1.0.1"), NOW)
    with pytest.raises(UpdateError, match="command-en 1 lacks 1 signature"):
        shop.publish(tmp_path / "out", NOW)


def test_a_version_is_published_once_and_a_family_must_be_known(shop: Shop, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", model=b"x")
    shop.add(offer(folder, "1.0.0"), NOW)
    with pytest.raises(UpdateError, match="is there already"):
        shop.add(offer(folder, "1.0.0"), NOW)
    with pytest.raises(UpdateError, match="there is no family other"):
        shop.add(Offer(folder, "other", "1.0.0", "model", "0.1.0"), NOW)


def test_a_link_or_nothing_is_no_bundle(shop: Shop, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", model=b"x")
    (folder / "link").symlink_to("/etc/hostname")
    for wrong in (folder, bundle(tmp_path / "empty"), tmp_path / "nowhere"):
        with pytest.raises(UpdateError) as caught:
            shop.add(offer(wrong, "1.0.0"), NOW)
        assert caught.value.code == "bad-bundle"


def test_a_root_key_is_replaced_by_old_and_new_holders_and_devices_follow(
    shop: Shop, tmp_path: Path, server: tuple[str, Path]
) -> None:
    url, out = server
    sign_all(shop)
    shop.publish(out, NOW)
    first = (out / "metadata" / "1.root.json").read_bytes()
    new = make_key(shop.folder / "keys" / "root-4.pem", secret("root-4"))
    shop.add_key("root-4", new, "file:keys/root-4.pem")
    assert shop.replace_key("root-1", new, NOW) == ("root", "targets")
    sign_all(shop, "root-4", "root-2")
    with pytest.raises(UpdateError, match="root 2 lacks 1 signature"):
        shop.publish(out, NOW)  # two of the old holders must agree
    sign_all(shop, "root-3")
    shop.publish(out, NOW)
    client(url, tmp_path / "device", first).refresh()


def test_a_key_is_not_taken_away_where_too_few_would_be_left(shop: Shop) -> None:
    with pytest.raises(UpdateError, match="would have too few keys"):
        shop.replace_key("command-en", None, NOW)
    with pytest.raises(UpdateError, match="no role knows"):
        shop.replace_key("stranger", None, NOW)


def test_a_withdrawn_release_is_not_found_any_more(shop: Shop, tmp_path: Path, server: tuple[str, Path]) -> None:
    url, out = server
    shop.add(offer(bundle(tmp_path / "b", model=b"x"), "1.0.0"), NOW)
    sign_all(shop)
    shop.publish(out, NOW)
    shop.withdraw("command-en", "1.0.0", NOW)
    sign_all(shop, "command-en")
    shop.publish(out, NOW)
    root = (out / "metadata" / "1.root.json").read_bytes()
    assert client(url, tmp_path / "device", root).get_targetinfo("command-en/1.0.0.json") is None


def test_what_expires_is_damaged_or_open_to_others_is_found(shop: Shop, tmp_path: Path) -> None:
    name = shop.add(offer(bundle(tmp_path / "b", model=b"x"), "1.0.0"), NOW)
    sign_all(shop)
    shop.publish(tmp_path / "out", NOW)
    assert shop.findings(NOW) == ()
    (shop.folder / "targets" / name).write_bytes(b"other")
    (shop.folder / "keys" / "root-1.pem").chmod(0o644)
    found = {(one.role, one.problem.split()[0]) for one in shop.findings(NOW + timedelta(days=80))}
    assert found >= {
        ("timestamp", "has"),
        ("snapshot", "has"),
        ("targets", "expires"),
        ("command-en", "command-en/1.0.0.json"),
    }
    assert ("root-1.pem", "can") in found
    shop.refresh_timestamp(tmp_path / "out", NOW + timedelta(days=80))
    assert ("timestamp", "has") not in {
        (one.role, one.problem.split()[0]) for one in shop.findings(NOW + timedelta(days=80))
    }


def test_the_snapshot_is_made_anew_with_the_timestamp_before_it_expires(shop: Shop, tmp_path: Path) -> None:
    versions = []
    for days in (0, 3, 6, 9):
        shop.refresh_timestamp(tmp_path / "out", NOW + timedelta(days=days))
        versions.append(
            max(int(path.name.split(".")[0]) for path in (tmp_path / "out" / "metadata").glob("*.snapshot.json"))
        )
        expired = [one.role for one in shop.findings(NOW + timedelta(days=days)) if "expired" in one.problem]
        assert not expired
    assert versions == [1, 1, 2, 2]


def test_private_keys_are_encrypted_for_their_owner_alone_and_never_replaced(shop: Shop) -> None:
    for path in (shop.folder / "keys").glob("*.pem"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"ENCRYPTED" in path.read_bytes()
    with pytest.raises(UpdateError, match="File exists"):
        make_key(shop.folder / "keys" / "root-1.pem", "x")
    wrong = Shop(shop.folder, lambda _: "guessed")
    with pytest.raises(UpdateError, match="cannot be opened"):
        wrong.sign(wrong.holders()[0])
    with pytest.raises(UpdateError, match="is a repository already"):
        shop.init(["command-en"], NOW)
