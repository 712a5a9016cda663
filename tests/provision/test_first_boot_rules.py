"""What is to be done next, for everything that can be found: the rules hold whatever the power cut has left."""

from dataclasses import replace
from itertools import product

import pytest

from edgeagent.errors import BusError, EdgeAgentError
from edgeagent.fleet.identity_keys import IdentityError
from edgeagent.provision.first_boot_rules import OFFLINE, Facts, Trouble, next_step, trouble_of

EVERYTHING = [
    Facts(has_settings, card, who, has_joined, is_ours, is_sane)  # type: ignore[arg-type]  # from the tuples below
    for has_settings, card, who, has_joined, is_ours, is_sane in product(
        (False, True),
        ("absent", "wiped", "unreadable", "good"),
        ("nobody", "expected", "another"),
        (False, True),
        (False, True),
        (False, True),
    )
]


def test_whatever_is_found_the_rules_hold() -> None:
    for facts in EVERYTHING:
        hold(facts)


def hold(facts: Facts) -> None:
    step = next_step(facts)
    if not facts.has_settings:
        assert step == "settle", "the daemon starts before anything else"
    if step == "erase":
        assert facts.who != "nobody"
        assert facts.card in {"wiped", "good"}
        assert facts.card == "wiped" or (facts.who == "expected" and facts.has_joined)
    if step == "enrol":
        assert (facts.is_clock_sane, facts.is_for_this_board, facts.card) == (True, True, "good")
        assert facts.who != "expected"
    if step == "done":
        assert facts.card == "absent"
    if isinstance(step, Trouble):
        assert step.is_final
        assert step.remedy


def test_every_start_comes_to_an_end() -> None:
    for facts in EVERYTHING:
        assert ends(facts), facts


def ends(facts: Facts) -> bool:
    """Let each step change what it changes, and see whether there is an end."""
    after: dict[str, dict[str, object]] = {
        "settle": {"has_settings": True},
        "wait": {"is_clock_sane": True},
        "enrol": {"who": "expected"},
        "join": {"has_joined": True},
        "erase": {"card": "absent"},
    }
    for _ in range(8):
        step = next_step(facts)
        if isinstance(step, Trouble) or step == "done":
            return True
        facts = replace(facts, **after[step])  # type: ignore[arg-type]  # one field each
    return False


@pytest.mark.parametrize(
    ("error", "code", "is_final", "erases"),
    [
        (IdentityError("the console refuses: expired: this token is too old"), "expired", True, True),
        (IdentityError("the console refuses: used: this token has been used already"), "used", True, True),
        (IdentityError("the console refuses: refused: this token is not for this device"), "refused", True, False),
        (IdentityError("the console refuses: unsigned: the authority does not sign"), "unsigned", False, False),
        (IdentityError("the console refuses: a new answer"), "broken", False, False),
        (BusError("b:8884: connected, but no answer within 30 s"), "no-answer", False, False),
        (BusError("b:8884: no connection within 30 s: refused"), "no-network", False, False),
        (BusError("b:8884: no connection within 30 s: certificate is not yet valid"), "clock", False, False),
        (BusError("b:8884: certificate has expired"), "clock", False, False),
        (BusError("b: no connection: self-signed certificate in certificate chain"), "wrong-ca", False, False),
        (BusError("b:8883 does not prove to be b: Hostname mismatch"), "wrong-ca", False, False),
        (IdentityError("/x: No space left", remedy="Look at the disk and at who owns it."), "disk", False, False),
        (IdentityError("the certificate is for another key", remedy="?"), "identity", False, False),
    ],
)
def test_every_failure_has_words_and_says_whether_the_token_is_still_good(
    error: EdgeAgentError, code: str, *, is_final: bool, erases: bool
) -> None:
    found = trouble_of(error)
    assert (found.code, found.is_final, found.erases) == (code, is_final, erases)
    assert found.said
    assert not (found.code in OFFLINE and found.erases)
