"""Command templates with names to one deterministic word automaton that parses, generates and tells what can follow."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from edgeagent.errors import SettingsError
from edgeagent.grammar import spoken
from edgeagent.grammar.acyclic import Acyclic, minimal
from edgeagent.grammar.commands import CommandSet, ListValue, Reader, Template, ValueList, expression, literal
from edgeagent.grammar.layout import NO_LABEL, ROOT
from edgeagent.grammar.network import Network
from edgeagent.grammar.word_lists import INHERITED
from edgeagent.messages import Slot

MOST_STATES = 500_000
MOST_MEMBERS = 4_000_000
"""Network nodes in all states together: two thousand devices need an eighth of it."""
MOST_PARSES = 16
"""A sentence with more readings than this has too many to choose from; the rest are not looked at."""
START = 0


@dataclass(frozen=True, slots=True)
class Parse:
    """One reading of a sentence. `order` is the place of its template in the command set."""

    intent: str
    slots: tuple[Slot, ...]
    order: int

    @property
    def meaning(self) -> tuple[str, frozenset[tuple[str, object]]]:
        """Return what is to be done, without the wording: two parses of one meaning do not compete."""
        return self.intent, frozenset((slot.name, slot.value) for slot in self.slots)

    @property
    def fixed(self) -> frozenset[tuple[str, object]]:
        """Return what the template says by itself, whatever the words."""
        return frozenset((slot.name, slot.value) for slot in self.slots if not slot.text)

    @property
    def has_name(self) -> bool:
        """Tell whether it names a device."""
        return any(slot.name == "name" for slot in self.slots)

    @property
    def explains(self) -> int:
        """Return how many words its slots account for."""
        return sum(len(slot.text.split()) for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a sentence can still become: the intents it can end in, with what their templates fix, and slots to come."""

    meanings: frozenset[tuple[str, frozenset[tuple[str, object]]]]
    slots: frozenset[str]


def compile_commands(commands: CommandSet) -> "Automaton":
    """Return the automaton of a command set, in which {duration}, {clock} and {color} are known.

    Raise SettingsError if a template is wrong or the whole becomes too large.
    """
    return Automaton(Network(CommandSet((), _built_in_lists(), {}).plus(commands)))


@lru_cache(maxsize=1)
def _built_in_lists() -> Mapping[str, ValueList]:
    colors = tuple(ListValue(literal(name), name) for name in spoken.COLORS)
    return {
        "duration": _spoken_list(spoken.DURATION, spoken.parse_duration),
        "clock": _spoken_list(spoken.CLOCK, spoken.parse_clock),
        "color": ValueList(colors),
    }


def _spoken_list(template: str, read: Reader) -> ValueList:
    only = CommandSet((Template("value", expression(template, "built in"), {}, "built in"),), {}, {})
    return ValueList((), read, Automaton(Network(only)).flat())


class Automaton:
    """The deterministic word automaton of a command set. States are numbers; START is where a sentence begins."""

    def __init__(self, network: Network) -> None:
        """Make the network deterministic. Raise SettingsError if it becomes too large."""
        self._network = network
        self._orders = {id(template): order for order, template in enumerate(network.accepting.values())}
        self._arcs: list[dict[str, int]] = []
        self._sets: list[tuple[int, ...]] = []  # of numbers alone: the collector of garbage passes over such tuples
        self._ahead: dict[tuple[int, frozenset[str]], Ahead] = {}
        self._determinise()
        ends = frozenset(network.accepting)  # a set is compared with a set by the smaller of the two
        self._final = frozenset(state for state, nodes in enumerate(self._sets) if not ends.isdisjoint(nodes))

    @property
    def intents(self) -> frozenset[str]:
        """Return every intent that has a sentence here."""
        accepting = self._network.accepting
        return frozenset(
            accepting[node].intent for state in self._final for node in self._sets[state] if node in accepting
        )

    @property
    def words(self) -> frozenset[str]:
        """Return every word of the automaton."""
        return frozenset(word for arcs in self._arcs for word in arcs)

    def __len__(self) -> int:
        return len(self._arcs)

    def walk(self, words: Sequence[str]) -> int | None:
        """Return the state after these words, or None where no sentence begins so."""
        state = START
        for word in words:
            after = self._arcs[state].get(word)
            if after is None:
                return None
            state = after
        return state

    def after(self, state: int, word: str) -> int | None:
        """Return the state after one more word, or None where it does not go on so."""
        return self._arcs[state].get(word)

    def accepts(self, state: int, words: Sequence[str]) -> bool:
        """Tell whether a sentence can go on from a state with exactly these words."""
        for word in words:
            after = self._arcs[state].get(word)
            if after is None:
                return False
            state = after
        return state in self._final

    def follow(self, state: int) -> frozenset[str]:
        """Return the words that can come next."""
        return frozenset(self._arcs[state])

    def is_final(self, state: int) -> bool:
        """Tell whether a sentence can end here."""
        return state in self._final

    def ahead(self, state: int, ignored: frozenset[str]) -> Ahead:
        """Return what can become of a sentence that goes on from a state by another word than those ignored."""
        known = self._ahead.get((state, ignored))
        if known is None:
            known = self._ahead[state, ignored] = self._look_ahead(state, ignored)
        return known

    def parse(self, words: Sequence[str]) -> tuple[Parse, ...]:
        """Return the different readings of a sentence, the most specific first; none if it is no sentence.

        More specific is: more words explained by slots; then a device's name before a kind; then the earlier template.
        """
        states = [START]
        for word in words:
            after = self._arcs[states[-1]].get(word)
            if after is None:
                return ()
            states.append(after)
        if states[-1] not in self._final:
            return ()
        best: dict[object, Parse] = {}
        for template, labels in self._paths(words, states):
            parse = self._read(template, labels, words)
            if parse is not None and (parse.meaning not in best or parse.order < best[parse.meaning].order):
                best[parse.meaning] = parse
        return tuple(sorted(best.values(), key=lambda parse: (-parse.explains, not parse.has_name, parse.order)))

    def generate(self, random_: random.Random) -> tuple[str, ...]:
        """Return a sentence by a random walk on which every state's ways are equally likely.

        Raise SettingsError if there is none.
        """
        state = START
        said: list[str] = []
        while True:
            ways: list[str | None] = [*self._arcs[state]]
            if state in self._final:
                ways.append(None)
            if not ways:
                raise SettingsError("the command set has no sentence", remedy="Add templates, or devices to speak to.")
            word = random_.choice(ways)
            if word is None:
                return tuple(said)
            said.append(word)
            state = self._arcs[state][word]

    def flat(self) -> Acyclic:
        """Return the words alone, minimised: what a recognizer searches."""
        return minimal(self._arcs, self._final)

    def flat_with_tails(self, tails: Mapping[str, Acyclic], orders: Collection[str]) -> Acyclic:
        """Return the words alone, minimised, where after a sentence of these intents one of the tails may follow.

        A tail is given by its first word and what follows that.
        """
        arcs: list[Mapping[str, int]] = [dict(leaving) for leaving in self._arcs]
        final = set(self._final)
        starts: dict[str, int] = {}
        for word, rest in tails.items():
            starts[word] = len(arcs)
            final |= {len(arcs) + state for state in rest.final}
            arcs += [{said: starts[word] + after for said, after in leaving.items()} for leaving in rest.arcs]
        accepting = self._network.accepting
        joined: dict[tuple[int, int], int] = {}

        def both(one: int, other: int) -> int:
            """Return the state from which either can go on: "in" the kitchen, or "in" ten minutes."""
            if (one, other) not in joined:
                joined[one, other] = state = len(arcs)
                final.update({state} if one in final or other in final else ())
                arcs.append({})
                leaving = dict(arcs[other])
                for word, after in arcs[one].items():
                    leaving[word] = both(after, leaving[word]) if word in leaving else after
                arcs[state] = leaving
            return joined[one, other]

        for state in self._final:
            intents = {accepting[node].intent for node in self._sets[state] if node in accepting}
            if intents.isdisjoint(orders):
                continue
            leaving = dict(arcs[state])
            for word, start in starts.items():
                leaving[word] = both(leaving[word], start) if word in leaving else start
            arcs[state] = leaving
        return minimal(arcs, final)

    def _determinise(self) -> None:
        """Build the states as sets of network nodes, each in its order."""
        numbers: dict[tuple[int, ...], int] = {(ROOT,): START}
        self._sets.append((ROOT,))
        members = 0
        for nodes in self._sets:  # grows while we walk
            together: dict[str, list[int]] = {}
            for node in nodes:
                for word, afters in self._network.afters(node):
                    together.setdefault(word, []).extend(afters)
            leaving = {}
            for word, after in together.items():
                key = tuple(after if len(after) == 1 else sorted(set(after)))
                if key not in numbers:
                    numbers[key] = len(self._sets)
                    self._sets.append(key)
                    members += len(key)
                leaving[word] = numbers[key]
            self._arcs.append(leaving)
            if len(self._sets) > MOST_STATES or members > MOST_MEMBERS:
                raise SettingsError(
                    f"the command templates with all names need more than {MOST_STATES} states, or too large ones",
                    remedy="Use fewer permutations, or fewer optional parts in front of lists.",
                )

    def _look_ahead(self, state: int, ignored: frozenset[str]) -> Ahead:
        labels: set[int] = set()
        seen: set[int] = set()
        waiting = [(node, ignored) for node in self._sets[state]]
        while waiting:
            node, left_out = waiting.pop()
            block = self._network.block(node)
            if block is not None and not left_out:  # wherever within a list one is, its end is ahead
                labels.add(block.first_label)
                arcs = [after for _, after in block.tails]
            else:
                words = {word for word, _ in self._network.afters(node)} - left_out
                said = [arc for word in words for arc in self._network.arcs_by(node, word)]
                labels |= {label for label, _ in said}
                arcs = [after for _, after in said]
            for after in arcs:
                if after not in seen:
                    seen.add(after)
                    waiting.append((after, frozenset()))
        ends = [self._network.accepting[node] for node in seen & self._network.accepting.keys()]
        return Ahead(
            frozenset((end.intent, frozenset(end.fixed.items())) for end in ends),
            frozenset(self._network.labels[label].slot for label in labels - {NO_LABEL, INHERITED}),
        )

    def _paths(self, words: Sequence[str], states: Sequence[int]) -> list[tuple[Template, tuple[int, ...]]]:
        """Return the labels of every path through the network that says these words, by a pass from the end."""
        accepting = self._network.accepting
        tails: dict[int, list[tuple[Template, tuple[int, ...]]]] = {
            node: [(accepting[node], ())] for node in self._sets[states[-1]] if node in accepting
        }
        for position in range(len(words) - 1, -1, -1):
            before: dict[int, list[tuple[Template, tuple[int, ...]]]] = {}
            for node in self._sets[states[position]]:
                found = [
                    (template, (rest[0] if label == INHERITED else label, *rest))
                    for label, after in self._network.arcs_by(node, words[position])
                    for template, rest in tails.get(after, ())
                ]
                if found:
                    before[node] = _different(found)[:MOST_PARSES]
            tails = before
        return tails.get(ROOT, [])[:MOST_PARSES]

    def _read(self, template: Template, labels: Sequence[int], words: Sequence[str]) -> Parse | None:
        slots = [Slot(name, value, "") for name, value in template.fixed.items()]
        for label, said in _runs(labels, words):
            known = self._network.labels[label]
            value = known.value if known.read is None else known.read(said)
            text = " ".join(said)
            if value is None and known.read is not None:
                return None
            slots.append(Slot(known.slot, text if value is None else value, text))
        return Parse(template.intent, tuple(slots), self._orders[id(template)])


def _different(paths: Sequence[tuple[Template, tuple[int, ...]]]) -> list[tuple[Template, tuple[int, ...]]]:
    """Drop what is there already: another way through the same template with the same labels says nothing new."""
    if len(paths) == 1:
        return list(paths)
    return list({(id(template), labels): (template, labels) for template, labels in paths}.values())


def _runs(labels: Sequence[int], words: Sequence[str]) -> list[tuple[int, list[str]]]:
    runs: list[tuple[int, list[str]]] = []
    previous = NO_LABEL
    for label, word in zip(labels, words, strict=True):
        if label != NO_LABEL:
            if label == previous:
                runs[-1][1].append(word)
            else:
                runs.append((label, [word]))
        previous = label
    return runs
