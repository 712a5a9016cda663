"""The card on its first boot: a token that cannot be erased, a full partition, files that are missing or cut off."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from provision.first_boots import BUILT, SERIAL, NewDevice, put

from edgeagent.console.authority import Authority
from edgeagent.errors import BusError
from edgeagent.fleet.identity_keys import request
from edgeagent.fleet.identity_store import Identities
from edgeagent.install import plan
from edgeagent.provision.enrol_file import EnrolFile
from edgeagent.provision.first_boot_card import BootCard, find_card
from edgeagent.provision.first_boot_rules import Trouble
from edgeagent.settings import load
from edgeagent.topics import Address
from edgeagent.unenrolled import PLACE, Standing, is_left, leave, left

TOKEN = "ABCD-EFGH-JKLM-NPQR-STUV"  # noqa: S105  # of no console


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("made") / "authority", "tests", time.time())


@pytest.fixture
def device(tmp_path: Path) -> NewDevice:
    return NewDevice(tmp_path / "root")


@pytest.fixture
def card(authority: Authority) -> EnrolFile:
    claim = authority.claim_certificate("1", time.time())
    given = {
        "fleet": "home",
        "broker_host": "127.0.0.1",
        "serial": SERIAL,
        "expires": BUILT,
        "token": TOKEN,
        "ca": authority.trusted,
        "claim": claim.certificate.decode(),
        "claim_key": claim.key.decode(),
    }
    return EnrolFile.model_validate(given)


def nobody_there(card: EnrolFile, state_dir: Path, serial: str, deadline_s: float) -> tuple[str, str]:
    """A network that is away."""
    del card, state_dir, serial
    raise BusError(f"127.0.0.1:1: no connection within {deadline_s:g} s: refused")


def enrolled_before(device: NewDevice, authority: Authority) -> None:
    identities = Identities(device.state)
    key = identities.next_key("file")
    issued = authority.sign_device(request(key, "x"), "home", "kitchen", time.time())
    identities.add(key, issued.pem, authority.trusted, Address("home", "kitchen"))
    identities.adopt()


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A small disk of its own at this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(("size=16k", *options)), "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("a disk can be mounted here by nobody, or not by us")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_secret_is_overwritten_where_it_lies(tmp_path: Path) -> None:
    path, seen = tmp_path / "enrol.toml", tmp_path / "seen"
    path.write_bytes(b"secret" * 500)
    seen.hardlink_to(path)
    BootCard(tmp_path).erase()
    assert not path.exists()
    assert seen.read_bytes() == b"\0" * 3_000


def test_nothing_to_erase_is_erased(tmp_path: Path) -> None:
    BootCard(tmp_path).erase()
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_partition_keeps_the_token_which_is_said_and_tried_again(
    device: NewDevice, card: EnrolFile, authority: Authority
) -> None:
    enrolled_before(device, authority)
    with mounted(device.card):
        put(device, card)
        subprocess.run(["mount", "-o", "remount,ro", str(device.card)], check=True)
        assert device.boots(nobody_there) == 0
        assert "the token cannot be erased: Read-only file system" in device.said
        assert "tried again" in device.said
        assert TOKEN.encode() in device.enrol_toml.read_bytes()
        assert load(device.settings).fleet.broker is not None, "the fleet is met nevertheless"
        subprocess.run(["mount", "-o", "remount,rw", str(device.card)], check=True)
        assert device.boots(nobody_there) == 0
        assert not device.enrol_toml.exists()


def test_a_full_partition_is_no_hindrance(device: NewDevice, card: EnrolFile, authority: Authority) -> None:
    with mounted(device.card):
        put(device, card)
        with pytest.raises(OSError, match="No space left"):
            (device.card / "filler").write_bytes(b"x" * 65_536)
        assert device.boots(nobody_there) == 0
        assert "cannot be reached" in device.said
        assert not (device.card / "problem.txt").exists() or not (device.card / "problem.txt").read_bytes()
        enrolled_before(device, authority)
        assert device.boots(nobody_there) == 0
        assert not device.enrol_toml.exists()


def test_a_full_root_is_said_and_left_for_a_computer_and_the_daemon(device: NewDevice) -> None:
    put(device)
    with mounted(device.root / "etc"):
        with pytest.raises(OSError, match="No space left"):
            (device.root / "etc/filler").write_bytes(b"x" * 65_536)
        assert device.boots() == 1, device.said
    assert "No space left on device" in device.said
    assert "has room" in device.said
    assert "No space left" in (device.card / "problem.txt").read_text()
    standing = left(device.root)
    assert standing is not None
    assert "No space left" in standing.said


def test_what_only_a_person_can_mend_is_spoken_once_and_left_until_it_is_mended(
    device: NewDevice, card: EnrolFile, authority: Authority
) -> None:
    put(device, card.model_copy(update={"serial": "10000000ffffffff"}))
    spoken = []
    for _ in range(2):  # the timer has it tried again every few minutes
        assert device.boots() == 1
        assert "the token is for another board" in device.said
        spoken.append([text for text in device.spoken if "Not enrolled" in text])
        device.spoken.clear()
        assert left(device.root) == Standing("the token is for another board", "Put the card into that one.")
    assert spoken == [["Not enrolled: the token is for another board."], []]
    enrolled_before(device, authority)
    put(device, card)
    assert device.boots(nobody_there) == 0, device.said
    assert left(device.root) is None
    assert not is_left(device.root)


def test_what_a_file_for_the_daemon_holds_is_read_within_bounds(tmp_path: Path) -> None:
    for content in (b"", b"[]", b'{"said": 1}', b"\xff", b"x" * 100_000):
        (tmp_path / PLACE).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / PLACE).write_bytes(content)
        assert left(tmp_path) is None
    assert leave(Standing("a", "b"), tmp_path)
    assert (tmp_path / PLACE).stat().st_mode & 0o777 == 0o644, "the daemon is another user"
    assert not leave(Standing("a", "b"), tmp_path)
    assert leave(Standing("c", "b"), tmp_path)


def test_no_card_at_all_gives_a_device_that_listens(device: NewDevice) -> None:
    device.card.rmdir()
    assert device.boots() == 0
    settings = load(device.settings)
    assert (settings.device.id, settings.device.board, settings.broker.host) == ("edgeagent", "pi-4b", None)


def test_a_token_without_a_seed_is_used(device: NewDevice, card: EnrolFile) -> None:
    put(device, card)
    (device.card / "seed.toml").unlink()
    assert device.boots(nobody_there) == 0
    assert f"serial number {SERIAL}" in device.said


def test_a_seed_with_a_mistake_is_said_and_no_settings_are_made_of_it(device: NewDevice) -> None:
    put(device)
    seed = device.card / "seed.toml"
    seed.write_bytes(seed.read_bytes().replace(b'name = "new-1"', b'nam = "new-1"'))
    assert device.boots() == 1
    assert "seed.toml:2: nam: there is no such setting; did you mean name?" in device.said
    assert not device.settings.exists()
    assert "did you mean name?" in (device.card / "problem.txt").read_bytes().decode()


def test_the_seed_s_own_words_go_into_the_settings(device: NewDevice) -> None:
    put(
        device,
        name="hall",
        board="pi-zero-2w",
        microphone='USB "PnP"',
        area="Küche",
        broker_host="mqtt.home",
        hat="aiy",
    )
    assert device.boots() == 0
    settings = load(device.settings)
    assert (settings.device.id, settings.device.board, settings.device.area) == ("hall", "pi-zero-2w", "Küche")
    assert settings.board.hat == "aiy"
    assert (settings.microphone.device, settings.broker.host) == ('USB "PnP"', "mqtt.home")


@pytest.mark.parametrize("content", [b"", b"\0" * 4_096, b"\r\n"])
def test_a_token_that_was_cut_off_is_told_as_damage_and_kept(device: NewDevice, content: bytes) -> None:
    put(device)
    device.enrol_toml.write_bytes(content)
    assert device.boots() == 1
    assert "enrol.toml is empty or was cut off" in device.said
    assert device.enrol_toml.read_bytes() == content


def test_an_erasing_that_was_cut_off_is_ended(device: NewDevice, card: EnrolFile, authority: Authority) -> None:
    enrolled_before(device, authority)
    put(device, card)
    raw = device.enrol_toml.read_bytes()
    device.enrol_toml.write_bytes(b"\0" * 512 + raw[512:])
    assert device.boots(nobody_there) == 0
    assert not device.enrol_toml.exists()


def test_settings_with_a_mistake_are_told_by_their_line(device: NewDevice, card: EnrolFile) -> None:
    device.settings.parent.mkdir()
    device.settings.write_text("[device]\nidd = 1\n")
    put(device, card)
    assert device.boots(nobody_there) == 1
    assert "edgeagent.toml:2: device.idd" in device.said
    assert device.enrol_toml.exists()


def test_settings_that_cannot_be_added_to_are_the_owner_s_to_mend(
    device: NewDevice, card: EnrolFile, authority: Authority
) -> None:
    enrolled_before(device, authority)
    device.settings.parent.mkdir()
    device.settings.write_text(f'fleet = {{ share_words = true }}\n[device]\nstate_dir = "{device.state}"\n')
    put(device, card)
    assert device.boots(nobody_there) == 1
    assert "Add it yourself:\n\n[fleet.broker]" in device.said
    assert device.enrol_toml.exists()


@pytest.mark.parametrize(
    "text",
    [plan.first_settings("raspberrypi"), 'device.state_dir = "/var/lib/edgeagent"\n'],
    ids=["of the installer", "of an image"],
)
def test_settings_that_an_installer_wrote_give_way_to_the_seed(device: NewDevice, text: str) -> None:
    device.settings.parent.mkdir()
    device.settings.write_text(text)
    put(device)
    assert device.boots() == 0
    assert load(device.settings).device.area == "kitchen"
    assert device.restarts == 1, "the daemon may run with the others"
    assert device.boots() == 0
    assert device.restarts == 1


def test_settings_that_an_installer_wrote_stay_where_there_is_no_seed(device: NewDevice) -> None:
    device.settings.parent.mkdir()
    device.settings.write_text(plan.first_settings("attic"))
    assert device.boots() == 0
    assert device.settings.read_text() == plan.first_settings("attic")


def test_a_new_host_name_is_found_without_a_network(device: NewDevice) -> None:
    (device.root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1\traspberrypi\n")
    put(device)
    assert device.boots() == 0
    assert (device.root / "etc/hosts").read_text() == "127.0.0.1 localhost\n127.0.1.1 new-1\n"


def test_a_host_that_has_a_name_keeps_it(device: NewDevice) -> None:
    (device.root / "etc/hostname").write_text("attic\n")
    put(device)
    assert device.boots() == 0
    assert (device.root / "etc/hostname").read_text() == "attic\n"


def test_a_note_is_for_any_editor_and_is_written_once(tmp_path: Path) -> None:
    card, trouble = BootCard(tmp_path), Trouble("expired", "too old", "Make a new one.")
    card.note(trouble)
    note = tmp_path / "problem.txt"
    before = note.stat()
    card.note(trouble)
    assert note.read_bytes() == b"edgeagent is not enrolled.\r\n\r\ntoo old.\r\nMake a new one.\r\n"
    assert note.stat().st_ino == before.st_ino
    card.note(None)
    assert not note.exists()


def test_the_partition_of_an_older_system_is_found(tmp_path: Path) -> None:
    (tmp_path / "boot/edgeagent").mkdir(parents=True)
    assert find_card(tmp_path).folder == tmp_path / "boot/edgeagent"
    (tmp_path / "boot/firmware/edgeagent").mkdir(parents=True)
    assert find_card(tmp_path).folder == tmp_path / "boot/firmware/edgeagent"
