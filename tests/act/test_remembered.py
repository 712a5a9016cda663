import json
from pathlib import Path

import pytest

from edgeagent.act.remembered import LARGEST_FILE_BYTES, MOST_REMEMBERED, RememberedOrders
from edgeagent.errors import SettingsError


def test_an_order_is_new_once_and_over_a_restart_too(tmp_path: Path) -> None:
    path = tmp_path / "state" / "orders.json"
    orders = RememberedOrders(path)
    assert orders.is_new("a")
    assert not orders.is_new("a")
    assert not RememberedOrders(path).is_new("a")
    assert RememberedOrders(path).is_new("b")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"a": 1}', b"\xff\xfe", b"[" * 100_000, b" " * (LARGEST_FILE_BYTES + 1)],
    ids=["empty", "cut", "numbers", "object", "not-utf-8", "deep", "huge"],
)
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "orders.json"
    path.write_bytes(content)
    orders = RememberedOrders(path)
    assert (tmp_path / "orders.damaged").read_bytes() == content
    assert orders.is_new("a")
    assert not RememberedOrders(path).is_new("a")


def test_the_latest_are_remembered_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "orders.json"
    path.write_text(json.dumps([f"o{number}" for number in range(MOST_REMEMBERED)]))
    orders = RememberedOrders(path)
    assert not orders.is_new("o0")
    assert orders.is_new("newest")
    assert len(json.loads(path.read_text())) == MOST_REMEMBERED
    assert not orders.is_new("newest")
    assert not orders.is_new("o1")
    assert orders.is_new("o0")


def test_what_cannot_be_written_down_is_an_error_with_a_remedy_and_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    orders = RememberedOrders(tmp_path / "state" / "orders.json")
    for _ in range(2):
        with pytest.raises(SettingsError, match="orders cannot be remembered") as caught:
            orders.is_new("a")
        assert "state_dir" in caught.value.remedy
    (tmp_path / "state").unlink()
    assert orders.is_new("a")
