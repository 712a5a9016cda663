"""What a first boot has found to what is to be done next, and what stands in the way. Pure.

    settle   the seed becomes /etc/edgeagent/edgeagent.toml, where there is none: the daemon can start
    wait     for a clock that is not earlier than the seed
    enrol    a key, a token, a certificate
    join     the settings name the fleet's broker
    erase    the token goes from the boot partition
    done

Rules:
    - Nothing is noted of how far it came: it is seen from what is on the disk. So a power cut at any moment is a start
      in the middle, and nothing can contradict itself.
    - The token is erased only when the identity has been taken into use and the settings name its broker.
    - A file with zeros in it is one whose erasing was cut off, where there is an identity; else the card is damaged.
    - A token that nobody takes any more is erased, too: with it the claim's key goes. One that may be good elsewhere,
      or later, stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgeagent.errors import EdgeAgentError

Step = Literal["settle", "wait", "enrol", "join", "erase", "done"]
Card = Literal["absent", "wiped", "unreadable", "good"]
"""What enrol.toml is found to be."""
Who = Literal["nobody", "expected", "another"]
"""Whether there is an identity; another one is of another fleet, or has run out."""
Code = Literal[
    "unreadable", "damaged", "settings", "other-board", "no-serial", "clock", "no-network", "wrong-ca", "no-answer",
    "refused", "expired", "used", "unsigned", "identity", "not-erased", "disk", "broken",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is."""

    has_settings: bool
    card: Card
    who: Who
    has_joined: bool
    """The settings name the fleet's broker."""
    is_for_this_board: bool
    is_clock_sane: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """What stands in the way. `said` and `remedy` are for the person; `is_final` where only a person can go on."""

    code: Code
    said: str
    remedy: str
    is_final: bool = False
    erases: bool = False


OFFLINE: frozenset[Code] = frozenset({"clock", "no-network", "no-answer"})
"""Nothing is wrong with the device: it listens, and enrols later."""
_ANEW = "Make a new token in the console, and write enrol.toml anew with `edgeagent image customise`."
_ANSWERS: Mapping[str, Trouble] = {
    "expired": Trouble("expired", "the token on the card is too old", _ANEW, is_final=True, erases=True),
    "used": Trouble("used", "the token on the card was used with another key", _ANEW, is_final=True, erases=True),
    "refused": Trouble(
        "refused",
        "the console does not take this token for this device: it is unknown, withdrawn, or for another serial number",
        f"Compare the serial number and the fleet of the token. {_ANEW}",
        is_final=True,
    ),
    "unsigned": Trouble("unsigned", "the console's authority does not sign", "Look at the console's log."),
}
_UNREADABLE = Trouble("unreadable", "enrol.toml cannot be read", "Mend it on the boot partition.", is_final=True)
_DAMAGED = Trouble("damaged", "enrol.toml is empty or was cut off", f"Write the card anew. {_ANEW}", is_final=True)
_OTHER_BOARD = Trouble("other-board", "the token is for another board", "Put the card into that one.", is_final=True)
_NO_TIME = Trouble(
    "clock", "the clock is wrong, and cannot be set", "Let a time server be reached, or: timedatectl set-time."
)


def next_step(facts: Facts) -> Step | Trouble:
    """Return what to do, or why nothing can be done. The first line that fits counts."""
    is_enrolled = facts.who == "expected"
    lines: tuple[tuple[bool, Step | Trouble], ...] = (
        (not facts.has_settings, "settle"),
        (facts.card == "absent", "done"),
        (facts.card == "wiped" and facts.who == "nobody", _DAMAGED),
        (facts.card == "wiped", "erase"),
        (facts.card == "unreadable", _UNREADABLE),
        (is_enrolled and not facts.has_joined, "join"),
        (is_enrolled, "erase"),
        (not facts.is_for_this_board, _OTHER_BOARD),
        (not facts.is_clock_sane, "wait"),
    )
    return next((step for fits, step in lines if fits), "enrol")


def trouble_of(error: EdgeAgentError) -> Trouble:
    """Return what an enrolment that failed means, and whether the token is good for another try."""
    said = str(error)
    if "the console refuses: " in said:
        answer = said.partition("the console refuses: ")[2].partition(":")[0]
        return _ANSWERS.get(answer, Trouble("broken", said, error.remedy))
    kinds: tuple[tuple[tuple[str, ...], Trouble], ...] = (
        (("not yet valid", "counts only from"), Trouble("clock", "the clock is behind", _NO_TIME.remedy)),
        (("has expired", "counts until"), Trouble("clock", "a certificate has run out, or the clock is ahead",
                                                  "Compare the clock (timedatectl); renew the broker's certificate.")),
        (("does not prove", "ertificate verify failed", "CERTIFICATE_VERIFY_FAILED", "mismatch", "self-signed",
          "unable to get local issuer"),
         Trouble("wrong-ca", "the broker's certificate is not from the authority on the card, or for another name",
                 "Compare broker_host and ca in enrol.toml with the broker's; somebody may stand in between.")),
        (("connected, but no answer",), Trouble("no-answer", "the broker is there, the console does not answer",
                                                "See that the console runs and knows this fleet.")),
        (("no connection within", "cannot be reached", "does not answer"),
         Trouble("no-network", "the fleet's broker cannot be reached", "Check the network and broker_host.")),
    )  # fmt: skip
    for words, trouble in kinds:
        if any(word in said for word in words):
            return trouble
    return Trouble("disk" if error.remedy.startswith("Look at the disk") else "identity", said, error.remedy)
