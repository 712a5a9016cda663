"""The first boot at a real broker, with the console's own enrolment: what is made, what is refused, what is erased."""

import asyncio
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, free_port
from console.hardened_broker import HardenedBroker, answering_console, database, hardened_broker, token
from provision.first_boots import SERIAL, NewDevice, TurnedClock, card_for, files_below, put

from edgeagent.console.authority import Authority
from edgeagent.console.database import Database
from edgeagent.console.enrolment import new_token
from edgeagent.fleet import identity
from edgeagent.fleet.identity_keys import request
from edgeagent.fleet.identity_store import Identities
from edgeagent.provision.enrol_file import EnrolFile
from edgeagent.provision.first_boot_enrolling import Enrolling, enrol_beside
from edgeagent.settings import load
from edgeagent.topics import Address

NOBODY = 65_534
pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardenedBroker]:
    with hardened_broker(tmp_path_factory.mktemp("broker") / "b") as running:
        yield running


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    kept = database(tmp_path)
    yield kept
    kept.close()


@pytest.fixture
def device(tmp_path: Path) -> NewDevice:
    return NewDevice(tmp_path / "root")


def boots(device: NewDevice, broker: HardenedBroker, made: Database, enrolling: Enrolling | None = None) -> int:
    """Let the device boot while the console answers."""

    async def meanwhile() -> int:
        async with answering_console(broker, made):
            return await asyncio.to_thread(device.boots, enrolling)

    return asyncio.run(meanwhile())


def test_a_card_makes_a_device_and_the_token_is_gone(device: NewDevice, broker: HardenedBroker, made: Database) -> None:
    secret = token(made, serial=SERIAL)
    card = card_for(broker, secret)
    put(device, card)
    assert boots(device, broker, made) == 0, device.said
    found = identity.current(device.state)
    assert found is not None
    assert (found.fleet, found.device) == ("home", "kitchen")
    settings = load(device.settings)
    assert (settings.device.id, settings.device.fleet, settings.device.area) == ("kitchen", "home", "kitchen")
    assert (settings.device.state_dir, settings.device.board) == (device.state, "pi-4b")
    assert settings.fleet.broker is not None
    assert settings.fleet.broker.tls is not None
    assert settings.fleet.broker.tls.certificate == device.state / "identity/current/certificate.pem"
    assert settings.fleet.broker.tls.certificate.exists()
    assert stat.S_IMODE(device.settings.stat().st_mode) == 0o640
    assert not device.enrol_toml.exists()
    claim_key = card.claim_key.get_secret_value().encode()
    for path, content in files_below(device.root):
        assert secret.encode() not in content, path
        assert claim_key not in content, path
    assert device.restarts == 1
    assert device.lamp.shown[-1] == "done"
    assert (device.root / "etc/hostname").read_text() == "new-1\n"


def test_the_second_boot_changes_nothing(device: NewDevice, broker: HardenedBroker, made: Database) -> None:
    put(device, card_for(broker, token(made, serial=SERIAL)))
    assert boots(device, broker, made) == 0, device.said
    before = dict(files_below(device.root))
    assert device.boots() == 0
    assert dict(files_below(device.root)) == before
    assert device.lines == ["ready"]
    assert device.restarts == 1


def test_the_daemon_may_start_before_anything_is_asked(device: NewDevice, broker: HardenedBroker) -> None:
    put(device, card_for(broker, "AAAA-BBBB-CCCC-DDDD-EEEE"))
    device.wait_s = 0.5
    assert device.boots() == 0
    assert device.ready_before == ["writing the settings of new-1"]


def test_without_a_network_it_listens_and_enrols_later(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    card = card_for(broker, token(made, serial=SERIAL))
    put(device, card.model_copy(update={"enrolment_port": free_port()}))
    device.wait_s = 0.5
    assert device.boots() == 0
    assert "the fleet's broker cannot be reached" in device.said
    assert device.lines[-1] == "offline, will enrol later"
    assert device.lamp.shown[-1] == "offline"
    assert load(device.settings).fleet.broker is None
    assert "cannot be reached" in (device.card / "problem.txt").read_text()
    put(device, card)
    device.wait_s = 20.0
    assert boots(device, broker, made) == 0, device.said
    assert not (device.card / "problem.txt").exists()
    assert not device.enrol_toml.exists()


def test_a_console_that_does_not_answer_is_told_from_a_broker_that_does_not(
    device: NewDevice, broker: HardenedBroker
) -> None:
    put(device, card_for(broker, "AAAA-BBBB-CCCC-DDDD-EEEE"))
    device.wait_s = 1.0
    assert device.boots() == 0
    assert "the console does not answer" in device.said


def expired(made: Database) -> str:
    now = time.time() - 7_200
    with made.session() as session:
        return new_token(
            session, fleet="home", serial=SERIAL, device="kitchen", tags={}, by="tests", now=now, lasts_s=3_600
        )[1]


def test_a63_an_expired_token_is_said_and_goes_with_its_claim(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    put(device, card_for(broker, expired(made)))
    assert boots(device, broker, made) == 1
    assert "the token on the card is too old" in device.said
    assert "Make a new token" in (device.card / "problem.txt").read_text()
    assert not device.enrol_toml.exists()
    assert device.lamp.shown[-1] == "failed"
    assert load(device.settings).device.id == "new-1", "it listens nevertheless"


def test_a63_a_used_token_is_said_and_goes(
    device: NewDevice, broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    card = card_for(broker, token(made, serial=SERIAL))
    first = NewDevice(tmp_path / "first")
    put(first, card)
    assert boots(first, broker, made) == 0, first.said
    put(device, card)
    assert boots(device, broker, made) == 1
    assert "used with another key" in device.said
    assert not device.enrol_toml.exists()
    assert identity.current(device.state) is None


def test_a63_a_token_for_another_board_is_not_even_shown_to_the_console(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    card = card_for(broker, token(made, serial="10000000ffffffff"), serial="10000000ffffffff")
    put(device, card)
    assert device.boots() == 1
    assert "the token is for another board" in device.said
    assert device.enrol_toml.exists(), "in the right board it is still good"
    assert "enrolling" not in device.said


def test_a63_a_token_of_another_serial_number_is_refused_by_the_console_and_kept(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    put(device, card_for(broker, token(made, serial="10000000ffffffff")))
    assert boots(device, broker, made) == 1
    assert "does not take this token for this device" in device.said
    assert device.enrol_toml.exists()


def test_a_card_for_any_board_tells_its_own_number(device: NewDevice, broker: HardenedBroker, made: Database) -> None:
    put(device, card_for(broker, token(made, serial="card-0001"), serial="card-0001", any_board=True))
    assert boots(device, broker, made) == 0, device.said
    assert not device.enrol_toml.exists()


def test_a_board_without_a_serial_number_in_the_card_tells_its_own(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    put(device, card_for(broker, token(made, serial=SERIAL), serial=None))
    assert boots(device, broker, made) == 0, device.said


def test_a_broker_of_another_authority_gets_no_token(
    device: NewDevice, broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    other = Authority.init(tmp_path / "other", "other", time.time())
    put(device, card_for(broker, token(made, serial=SERIAL), ca=other.trusted))
    device.wait_s = 1.0
    assert boots(device, broker, made) == 0
    assert "not from the authority on the card" in device.said
    assert device.enrol_toml.exists()
    put(device, card_for(broker, token(made, serial=SERIAL)))
    device.wait_s = 20.0
    assert boots(device, broker, made) == 0, device.said
    assert not device.enrol_toml.exists()


def test_a14_a_clock_at_1970_is_set_to_the_card_s_before_a_certificate_is_judged(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    card = card_for(broker, token(made, serial=SERIAL))
    put(device, card)
    device.clock = TurnedClock(shows=0.0, synchronized_after_s=None)
    assert boots(device, broker, made) == 0, device.said
    assert device.clock.waited_s == device.wait_s
    assert device.clock.shows > 1_700_000_000
    assert "waiting for the time from the network" in device.lines


def test_a14_with_a_clock_that_cannot_be_set_nothing_is_asked(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    put(device, card_for(broker, token(made, serial=SERIAL)))
    device.clock = TurnedClock(shows=0.0, synchronized_after_s=None, may_be_set=False)
    assert device.boots() == 0
    assert "the clock is behind" in device.said
    assert "enrolling" not in device.said
    assert device.enrol_toml.exists()


def test_a_time_server_that_answers_late_is_waited_for(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    put(device, card_for(broker, token(made, serial=SERIAL)))
    device.clock = TurnedClock(shows=0.0, synchronized_after_s=3.0)
    assert boots(device, broker, made) == 0, device.said
    assert device.clock.waited_s == 3.0


def test_an_identity_that_ran_out_is_replaced_by_a_new_card(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    identities = Identities(device.state)
    key = identities.next_key("file")
    issued = broker.authority.sign_device(request(key, "x"), "home", "kitchen", time.time() - 95 * 86_400)
    identities.add(key, issued.pem, broker.authority.trusted, Address("home", "kitchen"))
    old = identities.adopt()
    put(device, card_for(broker, token(made, serial=SERIAL)))
    assert boots(device, broker, made) == 0, device.said
    new = identity.current(device.state)
    assert new is not None
    assert new.serial != old.serial
    assert not new.is_expired(time.time())


def test_settings_that_the_owner_wrote_are_kept_and_only_added_to(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    own = f'# mine\n[device]\nid = "cellar"\nstate_dir = "{device.root}/elsewhere"\n[fleet]\nshare_words = true\n'
    device.settings.parent.mkdir()
    device.settings.write_bytes(b"\xef\xbb\xbf" + own.replace("\n", "\r\n").encode())
    put(device, card_for(broker, token(made, serial=SERIAL)))
    assert boots(device, broker, made) == 0, device.said
    settings = load(device.settings)
    assert (settings.device.id, settings.fleet.share_words) == ("cellar", True)
    assert settings.fleet.broker is not None
    assert identity.current(device.root / "elsewhere") is not None
    assert not device.state.exists()


def test_settings_that_name_another_broker_stay_and_the_token_goes(
    device: NewDevice, broker: HardenedBroker, made: Database
) -> None:
    own = f'[device]\nstate_dir = "{device.state}"\n[fleet.broker]\nhost = "mine.home"\n'
    device.settings.parent.mkdir()
    device.settings.write_text(own)
    put(device, card_for(broker, token(made, serial=SERIAL)))
    assert boots(device, broker, made) == 0, device.said
    assert device.settings.read_text() == own
    assert not device.enrol_toml.exists()


def test_a_card_edited_elsewhere_has_a_mark_and_crlf(device: NewDevice, broker: HardenedBroker, made: Database) -> None:
    put(device, card_for(broker, token(made, serial=SERIAL)))
    for path in (device.enrol_toml, device.card / "seed.toml"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert boots(device, broker, made) == 0, device.said
    assert not device.enrol_toml.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_state_folder_of_another_user_is_written_by_that_user_alone(
    device: NewDevice, broker: HardenedBroker, made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(device, card_for(broker, token(made, serial=SERIAL)))
    device.state.mkdir(parents=True, mode=0o700)
    os.chown(device.state, NOBODY, NOBODY)
    reach(device.state.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    assert boots(device, broker, made, partial(enrol_beside, python=for_anybody())) == 0, device.said
    made_there = list(device.state.rglob("*"))
    assert made_there
    assert {path.lstat().st_uid for path in made_there} == {NOBODY}


def for_anybody() -> str:
    """Return an interpreter of this version that other users can start."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            subprocess.run([python, "-c", "import edgeagent, pydantic"], user=NOBODY, cwd="/", check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("no other user can start this Python, or read this checkout")


def reach(folder: Path) -> None:
    """Let anybody pass through the folders above."""
    for one in (folder, *folder.parents):
        if one != Path("/"):
            one.chmod(one.stat().st_mode | 0o711)


def test_the_file_that_is_asked_for_is_checked_before_the_network(device: NewDevice, broker: HardenedBroker) -> None:
    card: EnrolFile = card_for(broker, "AAAA-BBBB-CCCC-DDDD-EEEE")
    put(device, card)
    device.enrol_toml.write_bytes(device.enrol_toml.read_bytes().replace(b'fleet = "home"', b"fleet = home"))
    assert device.boots() == 1
    assert "enrol.toml:2: " in device.said
    assert device.enrol_toml.exists()
