"""A device's identity on its disk: what is read, what is refused, and what a power cut leaves."""

import json
import shutil
import stat
import threading
import time
from pathlib import Path

import pytest
from fleet.identity_cuts import Cuts

from edgeagent.console.authority import Authority
from edgeagent.fleet import identity, identity_checks, identity_serial
from edgeagent.fleet.identity_keys import IdentityError, make_key, public_part, request
from edgeagent.fleet.identity_store import Identities
from edgeagent.fleet.wire import Certified
from edgeagent.topics import Address

NOW = time.time()
DAY = 86_400.0
HERE = Address("home", "kitchen")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("made") / "authority", "tests", NOW)


def added(state: Path, authority: Authority, at: float = NOW) -> Identities:
    identities = Identities(state)
    key = identities.next_key("file")
    issued = authority.sign_device(request(key, "x"), "home", "kitchen", at)
    identities.add(key, issued.pem, authority.trusted, HERE)
    return identities


def enrolled(state: Path, authority: Authority) -> identity.Identity:
    return added(state, authority).adopt()


def test_a_pair_is_a_candidate_until_it_is_adopted(tmp_path: Path, authority: Authority) -> None:
    identities = added(tmp_path, authority)
    assert identities.current() is None
    waiting = identities.candidate()
    assert waiting is not None
    adopted = identities.adopt()
    assert (adopted.serial, adopted.fleet, adopted.device) == (waiting.serial, "home", "kitchen")
    assert identities.candidate() is None
    assert identity.current(tmp_path) == adopted
    assert not (tmp_path / "identity" / "next" / "key.pem").exists()


def test_only_the_owner_can_look_at_keys(tmp_path: Path, authority: Authority) -> None:
    found = enrolled(tmp_path, authority)
    assert stat.S_IMODE(found.key.stat().st_mode) == 0o600
    for folder in (tmp_path / "identity", found.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found.key.chmod(0o640)
    with pytest.raises(IdentityError, match="others can read it") as caught:
        identity.current(tmp_path)
    assert "chmod 600" in caught.value.remedy


def test_the_old_pair_stays_until_the_new_one_is_adopted_and_then_goes(tmp_path: Path, authority: Authority) -> None:
    old = enrolled(tmp_path, authority)
    identities = added(tmp_path, authority)
    assert identity.current(tmp_path) == old
    new = identities.adopt()
    assert new.serial != old.serial
    assert not old.folder.exists()
    assert identity.current(tmp_path) == new


def test_a_candidate_that_is_dropped_leaves_what_was_in_use(tmp_path: Path, authority: Authority) -> None:
    old = enrolled(tmp_path, authority)
    identities = added(tmp_path, authority)
    identities.drop_candidate()
    assert (identity.current(tmp_path), identities.candidate()) == (old, None)
    assert added(tmp_path, authority).adopt().folder.name == "2"


def test_a_key_that_was_asked_for_is_asked_for_again(tmp_path: Path) -> None:
    one = Identities(tmp_path).next_key("file")
    assert Identities(tmp_path).next_key("file") == one
    Identities(tmp_path).forget_next_key()
    assert Identities(tmp_path).next_key("file") != one


def test_renewal_is_due_at_two_thirds(tmp_path: Path, authority: Authority) -> None:
    found = enrolled(tmp_path, authority)
    due = found.not_before + 2 * (found.not_after - found.not_before) / 3
    assert not found.is_due_for_renewal(due - 1)
    assert found.is_due_for_renewal(due + 1)
    assert 59 * DAY < found.renewal_due - NOW < 61 * DAY
    assert not found.is_expired(found.not_after - 1)
    assert found.is_expired(found.not_after)


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "ca.pem", "names.json"])
@pytest.mark.parametrize("how", ["missing", "empty", "garbage", "half", "endless", "a link"])
def test_a_damaged_identity_says_which_file_and_what_to_do(
    tmp_path: Path, authority: Authority, name: str, how: str
) -> None:
    found = enrolled(tmp_path, authority)
    path = found.folder / name
    content = path.read_bytes()
    path.unlink()
    match how:
        case "missing":
            pass
        case "a link":
            path.symlink_to("/etc/hostname")
        case _:
            broken = {"empty": b"", "garbage": b"\xff\x00" * 40, "half": content[: len(content) // 2]}
            path.write_bytes(broken.get(how, b"x" * (1 << 20)))
            path.chmod(0o600)
    if name == "ca.pem" and how in {"empty", "garbage", "half"}:
        assert identity.current(tmp_path) == found  # the link finds that, and says so
        return
    with pytest.raises(IdentityError) as caught:
        identity.current(tmp_path)
    assert str(found.folder) in str(caught.value) or how in {"garbage", "half", "empty"}
    assert "edgeagent enrol" in caught.value.remedy or "Enrol anew" in caught.value.remedy


def test_a_certificate_for_another_key_or_name_is_no_identity(tmp_path: Path, authority: Authority) -> None:
    found = enrolled(tmp_path, authority)
    other = authority.sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)
    found.certificate.write_text(other.pem)
    with pytest.raises(IdentityError, match=r"is not for key\.pem"):
        identity.current(tmp_path)
    found.certificate.write_text(authority.sign_device(request(make_key("file"), "x"), "home", "hall", NOW).pem)
    with pytest.raises(IdentityError, match="'hall'"):
        identity.current(tmp_path)


def test_a_link_that_leads_elsewhere_is_refused(tmp_path: Path, authority: Authority) -> None:
    enrolled(tmp_path, authority)
    link = tmp_path / "identity" / "current"
    link.unlink()
    link.symlink_to("../../elsewhere")
    with pytest.raises(IdentityError, match="expected a link to a number"):
        identity.current(tmp_path)
    link.unlink()
    link.mkdir()
    with pytest.raises(IdentityError, match="cannot be read"):
        identity.current(tmp_path)


def test_who_reads_while_pairs_are_replaced_finds_the_old_one_or_the_new_one(
    tmp_path: Path, authority: Authority
) -> None:
    enrolled(tmp_path, authority)
    done = threading.Event()
    found: list[str] = []
    problems: list[IdentityError] = []

    def read_all_the_time() -> None:
        while not done.is_set():
            try:
                now = identity.current(tmp_path)
            except IdentityError as error:
                problems.append(error)
            else:
                assert now is not None
                found.append(now.serial)

    reading = threading.Thread(target=read_all_the_time)
    reading.start()
    for _ in range(30):
        enrolled(tmp_path, authority)
    done.set()
    reading.join()
    assert problems == []
    assert len(set(found)) > 1


def test_names_with_wildcards_are_no_names(tmp_path: Path, authority: Authority) -> None:
    found = enrolled(tmp_path, authority)
    (found.folder / "names.json").write_text(json.dumps({"fleet": "home/+", "device": "kitchen"}))
    with pytest.raises(IdentityError, match="names of fleet and device"):
        identity.current(tmp_path)


def test_a_device_that_was_never_enrolled_has_no_identity(tmp_path: Path) -> None:
    assert identity.current(tmp_path) is None
    assert identity.candidate(tmp_path) is None


def answer(authority: Authority, key: bytes, at: float = NOW, device: str = "kitchen") -> Certified:
    pem = authority.sign_device(request(key, "x"), "home", device, at).pem
    return Certified(nonce="n", certificate=pem, ca=authority.trusted, fleet="home", device=device)


def test_an_answer_is_believed_only_as_far_as_it_can_be_seen(tmp_path: Path, authority: Authority) -> None:
    key = make_key("file")
    good = answer(authority, key)
    ours = {"key": public_part(key), "trusted": authority.trusted.encode(), "now": NOW}
    assert identity_checks.fitting(good, **ours) == HERE  # type: ignore[arg-type]  # by name
    other = Authority.init(tmp_path / "other", "other", NOW)
    cases = {
        "another key": answer(authority, make_key("file")),
        "not hall": good.model_copy(update={"device": "hall"}),
        "names no device": good.model_copy(update={"fleet": "+"}),
        "other authorities": answer(other, key),
        "was not signed by": answer(other, key).model_copy(update={"ca": authority.trusted}),
        "no certificate in PEM": good.model_copy(update={"certificate": "x"}),
        "only from": answer(authority, key, NOW + 3 * DAY),
        "until": answer(authority, key, NOW - 100 * DAY),
    }
    for said, wrong in cases.items():
        with pytest.raises(IdentityError, match=said) as caught:
            identity_checks.fitting(wrong, **ours)  # type: ignore[arg-type]  # by name
        assert caught.value.remedy


def test_roots_are_replaced_by_overlap(tmp_path: Path, authority: Authority) -> None:
    key = make_key("file")
    new = Authority.init(tmp_path / "new", "new", NOW)
    both = answer(new, key).model_copy(update={"ca": authority.trusted + new.trusted})
    found = identity_checks.fitting(both, key=public_part(key), trusted=authority.trusted.encode(), now=NOW)
    assert found == HERE


def test_a_board_is_named_by_its_maker_or_by_its_system(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    with pytest.raises(IdentityError, match="no serial number"):
        identity_serial.serial_of(tmp_path)
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    by_system = identity_serial.serial_of(tmp_path)
    assert by_system.startswith("m-")
    assert "0123456789abcdef" not in by_system
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nSerial\t\t: 0000000000000000\n")
    assert identity_serial.serial_of(tmp_path) == by_system
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nSerial\t\t: 10000000abcdef01\nModel : Pi\n")
    assert identity_serial.serial_of(tmp_path) == "10000000abcdef01"
    (tmp_path / "proc/device-tree/serial-number").write_bytes(b"BOARD-7\0")
    assert identity_serial.serial_of(tmp_path) == "BOARD-7"


@pytest.fixture
def cuts(tmp_path: Path, authority: Authority) -> Cuts:
    old = enrolled(tmp_path / "state", authority)
    given = tmp_path / "given"
    given.mkdir()
    key = make_key("file")
    issued = authority.sign_device(request(key, "x"), "home", "kitchen", NOW)
    for name, content in (("key.pem", key.decode()), ("certificate.pem", issued.pem), ("ca.pem", authority.trusted)):
        (given / name).write_text(content)
    return Cuts(tmp_path / "state", given, old.serial, issued.serial)


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@needs_strace
def test_a64_a_power_cut_at_any_step_leaves_the_old_pair_or_the_new_one(cuts: Cuts, tmp_path: Path) -> None:
    calls = cuts.record()
    bad, points = [], 0
    for point, left in cuts.power_cuts(calls, tmp_path / "recorded"):
        points += 1
        if problem := cuts.problem(left):
            bad.append(f"{point}: {problem}")
    assert points > 100
    assert bad == []


@needs_strace
@pytest.mark.slow
def test_a64_a_kill_at_any_step_leaves_the_old_pair_or_the_new_one(cuts: Cuts) -> None:
    calls = cuts.record()
    bad, points = [], 0
    for point, left in cuts.kills(calls):
        points += 1
        if problem := cuts.problem(left):
            bad.append(f"{point}: {problem}")
    assert points > 30
    assert bad == []
