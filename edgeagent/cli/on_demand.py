"""A group of commands of which only the one that is called is loaded: the daemon does not carry the others with it."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup


def on_demand(places: Mapping[str, str]) -> type[TyperGroup]:
    """Return a group of these commands, each a name and where it is: "module:function" or "module:group"."""

    class OnDemand(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = cast("MutableMapping[str, Any]", _Commands(places))  # nobody adds to them

    return OnDemand


class _Commands(Mapping[str, Any]):
    """Commands by their names, in the order of help."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _command(name, self._places[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _command(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
        return cast("TyperGroup", typer.main.get_command(alone)).commands[name]
    alone.command(name)(found)
    return typer.main.get_command(alone)
