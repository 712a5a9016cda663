"""A command set without the sentences about kinds of devices that are not there: faster, and less to be misheard."""

from collections.abc import Collection
from typing import get_args

from edgeagent.grammar.commands import CommandSet, ValueList
from edgeagent.messages import Kind

_KINDS = frozenset(get_args(Kind))


def only_kinds(commands: CommandSet, kinds: Collection[Kind]) -> CommandSet:
    """Return the commands without templates and words for other kinds ("the fans" where there is no fan)."""
    absent = _KINDS - set(kinds)
    templates = tuple(one for one in commands.templates if one.fixed.get("kind") not in absent)
    lists = {
        name: ValueList(tuple(one for one in values.values if one.value not in absent), values.read, values.words)
        for name, values in commands.lists.items()
    }
    return CommandSet(templates, lists, commands.rules)
