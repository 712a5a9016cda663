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
from edgeagent.understand.changes import changes
from edgeagent.understand.model.bundle import ExitEntry, LabelEntry, Manifest, RiskClass
from edgeagent.understand.model.decode import Span
from edgeagent.understand.model.model import Opinion
from edgeagent.understand.model.values import JOINED, Reading, Values
from edgeagent.understand.repair import FILLERS, POLITE
from edgeagent.understand.wordlists import Phrases, phrases_in, words_in

MOST_UNEXPLAINED = 3
HERE = "here"
ASKED_FROM = 0.5
"""What is less likely than all else is not even asked about."""
ANSWERED_FROM = 0.75
"""A question is answered in spite of doubts, so it must be this one at least so surely."""
GUARDED = frozenset({"unlock", "start_machine", "set_point", "emergency_stop"})
"""Intents whose mistakes are dear, whatever the device; what a device guards is asked about later all the same."""
AGAINST = words_in("""
not don't doesn't didn't won't can't couldn't shouldn't wouldn't isn't never nobody without unless if whether
said says told asked should shall might may why who yesterday tomorrow would've was were had did been
suppose supposing imagine pretend who's ignore override developer provided providing assuming during
""")
_CONDITIONS = words_in("when whenever once until till")
"""Words that put an order off; in a question they may ask."""
_REPORTED = Phrases(phrases_in(
    "how do i|how do you|how do we|how can i|how can you|how can we|how does one|how to|i've already|i have already|"
    "we've already|we have already|i already|we already|he already|she already|they already|i just|we just|in case of|"
    "no need|no point|no reason|no sense|the moment|the minute|the second|as soon as|as long as|by the time"
))  # fmt: skip
"""Phrases that ask how it is done, or tell that it was done."""
_HARMLESS = Phrases(phrases_in(
    "why don't you|if you can|if you could|if you would|if you don't mind|if you do not mind|if possible|"
    "can't see|cannot see|can't hear|cannot hear|don't need|do not need|don't like this|isn't needed|"
    "not loud enough|not bright enough|not so loud|whether or not|i'd appreciate it if|i would appreciate it if|"
    "i suppose|i'd be grateful if|i'd be obliged if|i'd be happy if|would be nice if|would be great if|"
    "be lovely if|if it isn't too much|if it's not too much|if it is not too much|"
    "if you would be so kind|might i trouble you|why not|but not more|but no more|can't make out|can't even see|"
    "as soon as you can|as soon as possible|i'm going to bed|i'm going to sleep|we're going to bed|"
    "let me have|let me hear|"
    "let me see|let me know|let me in|let me out|let me get|good evening|good afternoon|right now|right away|"
    "right there|"
    "when you get a chance|when you get a moment|when you get a minute|when you have a moment|when you have a second|"
    "when you have a minute|when you have time|when you can|when you're ready|whenever you like|whenever you can|"
    "once more|once again|at once|just this once|all at once|"
    "can't even hear|if it's okay|if that's okay|if that's alright|if you please|if you want to be useful"
))  # fmt: skip
"""Phrases in which a word of AGAINST says nothing against a command."""
_OF_ONESELF = Phrases(phrases_in(
    "i'm going to|i am going to|i will|i'll|we will|we'll|we're going to|let me|i'm about to|i'd better|i was about to"
))  # fmt: skip
"""Who begins like this tells what he will do himself."""
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
        "pause_timer": "pause hold freeze stop suspend wait halt break",
        "resume_timer": "resume continue unpause restart go carry again start running back pick",
        "cancel_timer": "cancel stop clear delete remove kill scrap bin end drop forget off done scratch ditch lose "
        "dump abandon quit dismiss don't need",
        "start_timer": "set start create make begin add put run count wake tell remind give shout ping need want new "
        "another timer countdown time alert me",
        "timer_left": "left remaining long much check status time many when how until to go still where check finish",
        "activate_scene": "activate set start turn put run trigger do switch enable launch mode scene let's "
        "please time now "
        "on for give want get make into ready lights bring begin go",
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
_QUESTIONS = ("get_", "timer_left", "help")
_UP_OR_DOWN = {"up": "direction=up", "down": "direction=down"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about an opinion: `refusal` and `doubts` in words; neither means that it can be obeyed.

    `strange` are the places of words that the label's sentences never have; `is_only_strange`: nothing else is wrong;
    `is_changed`: a word may say when, but which, which of them or how far.
    """

    slots: tuple[Slot, ...]
    refusal: str
    doubts: tuple[str, ...]
    reason: RejectionReason = "not-a-command"
    strange: tuple[int, ...] = ()
    is_only_strange: bool = False
    is_changed: bool = False


def weigh(opinion: Opinion, words: Sequence[str], values: Values, manifest: Manifest) -> Verdict:
    """Return whether a sentence can be obeyed as the opinion takes it."""
    label = opinion.label
    if label.intent is None:
        return Verdict((), f"it sounds like {_stranger(label.name)}, {opinion.chance:.0%} sure", ())
    entry = manifest.exits[opinion.exit - 1]
    said = tuple(words)
    slots, covered, doubts, refusal = _slots(opinion, said, values)
    if refusal:
        return Verdict(slots, refusal, (), "no-such-device" if refusal.startswith("there is no") else "not-a-command")
    against = speaks_against(said, covered) or puts_off(said, label)
    if against is not None:
        return Verdict(slots, f'"{against}" speaks against it', ())
    missing = [name for name in label.needs if all(slot.name != name for slot in slots)]
    if missing:
        return Verdict(slots, f"the {missing[0]} was not said", ())
    if label.intent.startswith("get_") and opinion.chance < ANSWERED_FROM:
        return Verdict(slots, f"only {opinion.chance:.0%} sure that this is asked", ())
    if opinion.chance < ASKED_FROM:
        return Verdict(slots, f"only {opinion.chance:.0%} sure of {label.intent.replace('_', ' ')}", ())
    if opinion.command_chance < manifest.ask_from:
        return Verdict(slots, f"only {opinion.command_chance:.0%} sure that it is a command", ())
    idle = covered | _HARMLESS.places(said) | POLITE.places(said)
    known = (label.words, manifest.fillers, FILLERS)
    strange = tuple(
        place for place, word in enumerate(said) if place not in idle and not any(word in some for some in known)
    )
    listed = _listed([said[place] for place in strange])
    changed = [] if label.intent.startswith(_QUESTIONS) else changes(label, said, covered, opinion.spans, idle)
    if len(strange) > MOST_UNEXPLAINED:
        refusal = f"{listed} do not belong to {label.intent.replace('_', ' ')}"
        return Verdict(slots, refusal, (), strange=strange, is_changed=bool(changed))
    doubts += _unsure(opinion, entry, manifest)
    doubts += _sides(label, said, covered)
    doubts += changed
    told = [f"{listed} was not explained"] if strange else []
    return Verdict(slots, "", (*told, *doubts), strange=strange, is_only_strange=not doubts, is_changed=bool(changed))


def speaks_against(words: Sequence[str], covered: Collection[int] = ()) -> str | None:
    """Return a word that denies, supposes or reports, outside of harmless phrases and the places that are covered."""
    said = tuple(words)
    harmless = _HARMLESS.places(said)
    places = (place for place in range(len(said)) if place not in covered and place not in harmless)
    told = next((one for place, one in _REPORTED.found(said) if place not in harmless), None)
    return next((said[place] for place in places if said[place] in AGAINST), " ".join(told) if told else None)


def puts_off(said: Phrase, label: LabelEntry) -> str | None:
    """Return words by which an order is put off, or is what the speaker will do himself; None for a question."""
    if (label.intent or "").startswith(_QUESTIONS):
        return None
    harmless = _HARMLESS.places(said)
    own = next((one for place, one in _OF_ONESELF.found(said) if place not in harmless), None)
    if own is not None:
        return " ".join(own)
    return next((word for place, word in enumerate(said) if word in _CONDITIONS and place not in harmless), None)


def risk_of(label: LabelEntry) -> RiskClass:
    """Return the risk class of a label, before it is known which device is meant."""
    return "guarded" if label.intent in GUARDED else "free"


def _slots(opinion: Opinion, said: Phrase, values: Values) -> tuple[tuple[Slot, ...], set[int], list[str], str]:
    """Return the slots, the places that they cover, what is doubtful about them, and what makes them impossible."""
    slots = [Slot(name, value, "") for name, value in opinion.label.slots.items()]
    covered: set[int] = set()
    doubts = []
    for tagged in opinion.spans:
        found = _read(tagged, said, values)
        if found is None:
            continue
        span, reading = found
        words = said[span.start : span.end]
        if reading.value is None:
            return tuple(slots), covered, [], reading.doubt or f'"{" ".join(words)}" is no {span.slot}'
        if reading.doubt:
            doubts.append(reading.doubt)
        if isinstance(reading.value, float) and _goes_on(said, span):
            return tuple(slots), covered, [], f"the number is longer than {' '.join(words)}"
        covered |= set(range(span.start, span.end))
        slot = Slot(span.slot, reading.value, " ".join(words))
        before = next((one for one in slots if one.name == span.slot), None)
        if before is None:
            slots.append(slot)
        elif before.value == HERE and span.slot == "area":
            slots[slots.index(before)] = slot  # "it's hot up here in the bedroom"
        elif before.value != slot.value and not (slot.value == HERE and span.slot == "area"):
            return tuple(slots), covered, [], f"two {span.slot}s were said: {before.text} and {slot.text}"
    return tuple(slots), covered, doubts, ""


def _read(span: Span, said: Phrase, values: Values) -> tuple[Span, Reading] | None:
    """Return what a span says, or the part of it that says something; None where its words say nothing.

    A name or a number that cannot be read is none to be dropped.
    """
    reading = values(span.slot, said[span.start : span.end])
    has_number = not NUMBER_WORDS.isdisjoint(said[span.start : span.end])
    if reading.value is not None or has_number or span.slot in {"name", "area"}:
        return span, reading
    for length in range(span.end - span.start - 1, 0, -1):
        for start in range(span.start, span.end - length + 1):
            part = values(span.slot, said[start : start + length])
            if part.value is not None:
                return Span(span.slot, start, start + length), part
    return None


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


def _sides(label: LabelEntry, said: Phrase, covered: Collection[int]) -> list[str]:
    """Return what is doubtful about which of two opposites is meant."""
    intent = label.intent or ""
    words = {word for place, word in enumerate(said) if place not in covered}
    doubts = []
    key = _UP_OR_DOWN.get(str(label.slots.get("direction")), intent)
    if key in _SAYS and not words & _SAYS[key]:
        doubts.append(f"no word says that it is to {label.name.replace('_', ' ')}")
    opposite = words & set(_OPPOSITE.get(key, "").split())
    if {"on", "off"} <= words or {"open", "close"} <= words:
        doubts.append("both of two opposites were said")
    if opposite and not (key in _SAYS and words & (_SAYS[key] - {"put", "need", "want", "give"})):
        doubts.append(f"{_listed(sorted(opposite))} is the opposite of it")
    return doubts


def _stranger(name: str) -> str:
    """Return what a label that is no command stands for, in words."""
    *_, last = name.split(" ")
    return _STRANGERS.get(last, f"talk of something else ({last.replace('_', ' ')})")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(f'"{word}"' for word in words[:3])
