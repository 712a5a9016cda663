"""The list for Raspberry Pi Imager: the fields that its schema requires, in its types."""

import json
from datetime import date

from edgeagent.provision.os_list import Listed, os_list

REQUIRED = {
    "name": str, "description": str, "icon": str, "url": str, "extract_size": int, "extract_sha256": str,
    "image_download_size": int, "release_date": str,
}  # fmt: skip
"""Of `doc/json-schema/os-list-schema.json` of rpi-imager."""


def test_every_required_field_is_there_in_its_type() -> None:
    one = Listed(
        name="edgeagent, Küche",
        description="Listens",
        url="file:///images/kitchen.img.xz",
        extract_size=2_000_000_000,
        extract_sha256="ab" * 32,
        image_download_size=500_000_000,
        release_date=date(2026, 11, 22),
    )
    listed = json.loads(os_list([one, one]))
    assert list(listed) == ["os_list"]
    for entry in listed["os_list"]:
        assert {name: type(entry[name]) for name in REQUIRED} == REQUIRED
        assert (entry["init_format"], entry["release_date"]) == ("none", "2026-11-22")
        assert "pi3-64bit" in entry["devices"]
        assert "website" not in entry
