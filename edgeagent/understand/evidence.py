"""What speaks for and against what a model takes a sentence for: slots, unexplained words, negation, polarity. Pure.

The rules, any of which refuses:
- a word that denies, supposes or reports ("not", "if", "said"), outside of phrases that are known to be harmless;
- a slot whose words mean nothing, or a slot that is missing without which nothing can be done;
- more than MOST_UNEXPLAINED words that the label's sentences never have.
And any of which makes it a question:
- up to that many such words; a name that was said only nearly right; not sure enough for its risk;
- the opposite of what the label does ("off" in what was taken for "on"), or no word that says which of both is meant.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edgeagent.grammar.spoken import Phrase
from edgeagent.grammar.spoken_numbers import NUMBER_WORDS
from edgeagent.messages import RejectionReason, Slot
from edgeagent.understand.model.bundle import ExitEntry, LabelEntry, Manifest, RiskClass
from edgeagent.understand.model.decode import Span
from edgeagent.understand.model.model import Opinion
from edgeagent.understand.model.values import JOINED, Values
from edgeagent.understand.repair import FILLERS
from edgeagent.understand.wordlists import phrases_in, words_in

MOST_UNEXPLAINED = 3
GUARDED = frozenset({"unlock", "start_machine", "set_point", "emergency_stop"})
"""Intents whose mistakes are dear, whatever the device; what a device guards is asked about later all the same."""
AGAINST = words_in("""
not don't doesn't didn't won't can't couldn't shouldn't wouldn't isn't never nobody without unless if whether
said says told asked should shall might may why who yesterday tomorrow would've was were had did been
""")
_HARMLESS = phrases_in(
    "why don't you|if you can|if you could|if you would|if you don't mind|if you do not mind|if possible|"
    "can't see|cannot see|can't hear|cannot hear|don't need|do not need|don't like this|isn't needed|"
    "not loud enough|not bright enough|not so loud|whether or not"
)
"""Phrases in which a word of AGAINST says nothing against a command."""
_SAYS = {
    intent: frozenset(words.split())
    for intent, words in {
        "turn_on": "on up start activate enable illuminate lighten fire need want give dark power engage boot running "
        "going wake put brighten see",
        "turn_off": "off out down kill cut stop deactivate disable douse extinguish shut lose dark enough done "
        "finished no snuff need",
        "open": "open opened opening up raise raised lift pull draw back let unroll extend crack",
        "close": "close closed closing shut shutting down lower lowered drop draw seal isolate block off out privacy "
        "retract",
        "lock": "lock locked locking secure secured bolt bolted deadbolt latch",
        "unlock": "unlock unlocked unlocking unbolt unlatch release let open",
        "start_machine": "start started starting run running on up go going fire activate resume restart begin launch "
        "engage boot online rolling production spin kick power",
        "stop_machine": "stop stopped stopping halt off down kill pause cut shut idle hold disengage deactivate "
        "offline standstill rest park trip brakes plug",
        "vacuum_start": "start run launch clean vacuum hoover sweep go going send work on",
        "vacuum_dock": "dock park recharge charge send home back stop end quit finish enough base station return done",
        "direction=up": "up brighter lighter louder more increase raise boost crank pump brighten lighten dark dim low "
        "quiet hear see gloomy murky weak higher bump barely hardly soft",
        "direction=down": "down dimmer darker softer quieter lower less decrease reduce dim darken bright loud harsh "
        "glaring soften tone fade high noisy strong blinding hurting blaring quiet eyes",
        "media_play": "play playing resume unpause continue start on music tunes",
        "media_pause": "pause stop halt freeze hold off quit no cut",
    }.items()
}
"""The words of which a sentence of such an intent has one: without it nobody said which of two opposites is meant."""
_OPPOSITE = {
    "turn_on": "off out",
    "turn_off": "on",
    "open": "close closed shut down lower",
    "close": "open up raise lift",
    "lock": "unlock",
    "unlock": "lock locked",
    "start_machine": "stop halt kill off",
    "stop_machine": "start run on",
    "media_play": "pause stop",
    "media_pause": "play resume",
    "vacuum_start": "stop dock",
    "vacuum_dock": "start",
    "direction=up": "down dimmer quieter darker decrease lower reduce less softer",
    "direction=down": "up brighter louder increase raise more",
}
_STRANGERS = {
    "neg_told": "something that is told",
    "neg_denied": "something that is not to be done",
    "neg_supposed": "a supposition",
    "neg_asked": "a question about doing it",
    "neg_quoted": "a quotation",
    "neg_more": "talk about it",
    "neg_metaphor": "another use of these words",
}
_UP_OR_DOWN = {"up": "direction=up", "down": "direction=down"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about an opinion: `refusal` and `doubts` in words; neither means that it can be obeyed."""

    slots: tuple[Slot, ...]
    refusal: str
    doubts: tuple[str, ...]
    reason: RejectionReason = "not-a-command"


def weigh(opinion: Opinion, words: Sequence[str], values: Values, manifest: Manifest) -> Verdict:
    """Return whether a sentence can be obeyed as the opinion takes it."""
    label = opinion.label
    if label.intent is None:
        return Verdict((), f"it sounds like {_stranger(label.name)}, {opinion.chance:.0%} sure", ())
    entry = manifest.exits[opinion.exit - 1]
    said = tuple(words)
    slots, doubts, refusal = _slots(opinion, said, values)
    if refusal:
        return Verdict(slots, refusal, (), "no-such-device" if refusal.startswith("there is no") else "not-a-command")
    covered = {place for span in opinion.spans for place in range(span.start, span.end)}
    against = speaks_against(said, covered)
    if against is not None:
        return Verdict(slots, f'"{against}" speaks against it', ())
    known = set(label.words) | FILLERS | set(manifest.fillers)
    strange = [word for place, word in enumerate(said) if place not in covered and word not in known]
    if len(strange) > MOST_UNEXPLAINED:
        return Verdict(slots, f"{_listed(strange)} do not belong to {label.intent.replace('_', ' ')}", ())
    missing = [name for name in label.needs if all(slot.name != name for slot in slots)]
    if missing:
        return Verdict(slots, f"the {missing[0]} was not said", ())
    doubts += [f"{_listed(strange)} was not explained"] if strange else []
    doubts += _unsure(opinion, entry, manifest)
    doubts += _sides(label, said, opinion)
    if opinion.command_chance < manifest.ask_from:
        return Verdict(slots, f"only {opinion.command_chance:.0%} sure that it is a command", ())
    return Verdict(slots, "", tuple(doubts))


def speaks_against(words: Sequence[str], covered: Collection[int] = ()) -> str | None:
    """Return a word that denies, supposes or reports, outside of harmless phrases and the places that are covered."""
    said = tuple(words)
    harmless = _harmless(said)
    places = (place for place in range(len(said)) if place not in covered and place not in harmless)
    return next((said[place] for place in places if said[place] in AGAINST), None)


def risk_of(label: LabelEntry) -> RiskClass:
    """Return the risk class of a label, before it is known which device is meant."""
    return "guarded" if label.intent in GUARDED else "free"


def _harmless(said: Phrase) -> set[int]:
    return {
        place + offset
        for one in _HARMLESS
        for place in range(len(said) - len(one) + 1)
        if said[place : place + len(one)] == one
        for offset in range(len(one))
    }


def _slots(opinion: Opinion, said: Phrase, values: Values) -> tuple[tuple[Slot, ...], list[str], str]:
    slots = [Slot(name, value, "") for name, value in opinion.label.slots.items()]
    doubts = []
    for span in opinion.spans:
        words = said[span.start : span.end]
        reading = values(span.slot, words)
        if reading.value is None:
            return tuple(slots), [], reading.doubt or f'"{" ".join(words)}" is no {span.slot}'
        if reading.doubt:
            doubts.append(reading.doubt)
        if isinstance(reading.value, float) and _goes_on(said, span):
            return tuple(slots), [], f"the number is longer than {' '.join(words)}"
        before = next((slot for slot in slots if slot.name == span.slot), None)
        if before is not None and before.value != reading.value:
            return tuple(slots), [], f"two {span.slot}s were said: {before.text} and {' '.join(words)}"
        if before is None:
            slots.append(Slot(span.slot, reading.value, " ".join(words)))
    return tuple(slots), doubts, ""


def _goes_on(said: Phrase, span: Span) -> bool:
    """Tell whether the words of a number go on before or after those that were taken for it."""
    beside = {*said[max(0, span.start - 1) : span.start], *said[span.end : span.end + 1]}
    return not beside.isdisjoint(JOINED | NUMBER_WORDS)


def _unsure(opinion: Opinion, entry: ExitEntry, manifest: Manifest) -> list[str]:
    doubts = []
    needed = entry.sure[risk_of(opinion.label)]
    if opinion.chance < needed:
        rival = f"; it could be {opinion.rival[0].name}" if opinion.rival and opinion.rival[1] > 1 - needed else ""
        doubts.append(f"{opinion.chance:.0%} sure, {needed:.0%} is needed{rival}")
    if opinion.slot_chance < entry.slot_sure:
        doubts.append(f"a word is only {opinion.slot_chance:.0%} surely placed")
    if opinion.likeness < manifest.scope.least:
        doubts.append(f"it is unlike the sentences of {opinion.label.name} ({opinion.likeness:.2f})")
    return doubts


def _sides(label: LabelEntry, said: Phrase, opinion: Opinion) -> list[str]:
    """Return what is doubtful about which of two opposites is meant."""
    intent = label.intent or ""
    covered = {place for span in opinion.spans for place in range(span.start, span.end)}
    words = {word for place, word in enumerate(said) if place not in covered}
    doubts = []
    key = _UP_OR_DOWN.get(str(label.slots.get("direction")), intent)
    if key in _SAYS and not words & _SAYS[key]:
        doubts.append(f"no word says that it is to {label.name.replace('_', ' ')}")
    opposite = words & set(_OPPOSITE.get(key, "").split())
    if opposite and not (key in _SAYS and words & (_SAYS[key] - {"put", "need", "want", "give"})):
        doubts.append(f"{_listed(sorted(opposite))} is the opposite of it")
    return doubts


def _stranger(name: str) -> str:
    """Return what a label that is no command stands for, in words."""
    *_, last = name.split(" ")
    return _STRANGERS.get(last, f"talk of something else ({last.replace('_', ' ')})")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(f'"{word}"' for word in words[:3])
