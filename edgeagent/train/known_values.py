"""What the words of slots mean in a command set: the model's bundle carries it, so that it needs no grammar for it."""

from collections.abc import Iterator

from hassil.expression import Alternative, Expression, ListReference, Permutation, RuleReference, Sequence

from edgeagent.grammar.automaton import START, Automaton, compile_commands
from edgeagent.grammar.commands import CommandSet, Template, expression
from edgeagent.grammar.spoken import parse_number
from edgeagent.messages import Value

NAMES = frozenset({"name"})
READ_BY_GRAMMAR = frozenset({"duration"})
MOST_SENTENCES = 60_000

Known = dict[str, dict[str, Value]]
Ranges = dict[str, tuple[float, float]]


def known_values(commands: CommandSet) -> tuple[Known, Ranges]:
    """Return by slot what words mean, and by slot the least and the greatest number that can be said."""
    known: Known = {}
    ranges: Ranges = {}
    for name, slot in sorted({pair for one in commands.templates for pair in _lists(one.expression, commands)}):
        if slot in NAMES or slot in READ_BY_GRAMMAR:
            continue
        wanted = Template("value", expression(f"{{{name}:{slot}}}", name), {}, name)
        try:
            automaton = compile_commands(CommandSet((wanted,), commands.lists, commands.rules))
        except KeyError:
            continue
        for words in _sentences(automaton):
            for parse in automaton.parse(words)[:1]:
                value = parse.slots[0].value
                if isinstance(value, float) and parse_number(words) == value:
                    least, most = ranges.get(slot, (value, value))
                    ranges[slot] = (min(least, value), max(most, value))
                else:
                    known.setdefault(slot, {})[" ".join(words)] = value
    return known, ranges


def _lists(one: Expression, commands: CommandSet, depth: int = 0) -> Iterator[tuple[str, str]]:
    match one:
        case ListReference():
            yield one.list_name, one.slot_name
        case RuleReference() if depth < 20 and one.rule_name in commands.rules:
            yield from _lists(commands.rules[one.rule_name], commands, depth + 1)
        case Sequence() | Alternative() | Permutation():
            for item in one.items:
                yield from _lists(item, commands, depth)
        case _:
            return


def _sentences(automaton: Automaton) -> Iterator[tuple[str, ...]]:
    stack: list[tuple[int, tuple[str, ...]]] = [(START, ())]
    count = 0
    while stack and count < MOST_SENTENCES:
        state, said = stack.pop()
        if automaton.is_final(state):
            count += 1
            yield said
        for word in automaton.follow(state):
            after = automaton.after(state, word)
            if after is not None:
                stack.append((after, (*said, word)))
