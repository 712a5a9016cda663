"""Jinja templates that strangers announce, made harmless: a whitelist of syntax, bounded text, bounded numbers.

Rules: no loops, macros, imports, includes, blocks or assignments; only listed filters, functions and methods; `*` and
`%` on numbers only and no `**`, so that neither text nor numbers can be blown up; at most 4 KiB in and out. A template
that does not keep to them is refused when a device announces it; one that fails later tells nothing and is reported.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES
from edgeagent.act.dialects.template_functions import ARITHMETIC, FILTERS, FUNCTIONS, bounded
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError

LONGEST_TEMPLATE = 4096
LONGEST_OUTPUT = 4096
"""Characters. The longest templates that Zigbee2MQTT and ESPHome announce have about 300."""
DEEPEST = 24
"""Levels of the syntax tree."""
MOST_JOINED = 16
"""Operands of `~` in a template: together they may hold so many payloads."""

_ALLOWED_NODES: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr),
    *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword),
    *(nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call, nodes.Filter, nodes.Test),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
)
_ALLOWED_METHODS = frozenset({"get", "split", "lower", "upper", "strip", "startswith", "endswith"})
_TESTS = frozenset(
    {"defined", "undefined", "none", "number", "string", "in", "true", "false", "boolean", "mapping", "sequence"}
    | {"eq", "ne", "lt", "le", "gt", "ge", "equalto", "even", "odd"}
)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja without anything that grows, and with our arithmetic."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self) -> None:
        """Offer the listed filters, functions and tests alone; `optimized=False`: nothing runs while compiling."""
        super().__init__(undefined=StrictUndefined, optimized=False, autoescape=False, cache_size=0)
        self.filters = dict(FILTERS)
        self.globals = dict(FUNCTIONS)
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute with bounded numbers; `+` also joins text."""
        del context
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            if len(left) + len(right) > LARGEST_PAYLOAD_BYTES:
                raise SecurityError("text too long")
            return left + right
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises UndefinedError: a missing value, not a wrong one
            if not isinstance(side, int | float):
                raise SecurityError(f"{operator} on something that is no number")
        return bounded(ARITHMETIC[operator](left, right))


_ENVIRONMENT = _Environment()


@dataclass(frozen=True, slots=True)
class Template:
    """A template that keeps to the rules."""

    source: str
    _compiled: jinja2.Template
    _wants_json: bool

    def render(self, **variables: Any) -> str | None:
        """Return the text, stripped; None if a variable that it needs is missing. Raise PayloadError if it fails."""
        pieces: list[str] = []
        left = LONGEST_OUTPUT
        try:
            for piece in self._compiled.generate(**variables):
                pieces.append(piece)
                if (left := left - len(piece)) < 0:
                    raise PayloadError(f"template gave more than {LONGEST_OUTPUT} characters: {self.source:.60}")
        except jinja2.UndefinedError:
            return None
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise PayloadError(f"template failed: {error!s:.120}: {self.source:.60}") from error
        return "".join(pieces).strip()

    def read(self, payload: bytes) -> str | None:
        """Render with the payload as `value` and, if the template uses it, as `value_json`."""
        text = decode(payload)
        if self._wants_json:
            return self.render(value=text, value_json=_json(text))
        return self.render(value=text)


@lru_cache(maxsize=2048)
def compile_template(source: str) -> Template:
    """Check and compile a template. Raise PayloadError saying what is not allowed."""
    if len(source) > LONGEST_TEMPLATE:
        raise PayloadError(f"template of {len(source)} characters, expected at most {LONGEST_TEMPLATE}")
    try:
        tree = _ENVIRONMENT.parse(source)
        _check(tree)
        compiled = _ENVIRONMENT.from_string(tree)
    except (jinja2.TemplateError, SyntaxError, ValueError) as error:
        raise PayloadError(f"not a template: {error!s:.120}: {source:.60}") from error
    except (RecursionError, MemoryError) as error:
        raise PayloadError(f"template nested too deep: {source:.60}") from error
    names = {name.name for name in tree.find_all(nodes.Name)}
    return Template(source, compiled, "value_json" in names)


def decode(payload: bytes) -> str:
    """Return the text of a state payload. Raise PayloadError if it is too long or not UTF-8."""
    if len(payload) > LARGEST_PAYLOAD_BYTES:
        raise PayloadError(f"{len(payload)} bytes, expected at most {LARGEST_PAYLOAD_BYTES}")
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8 at byte {error.start}") from error


@lru_cache(maxsize=4)
def _json(text: str) -> Any:
    """Parse a payload once for all devices that hear it; templates cannot change what they are given."""
    return parse(text, largest=LARGEST_PAYLOAD_BYTES)


def _check(tree: nodes.Template) -> None:
    """Walk the tree without recursion. Raise PayloadError at the first thing that is not on the lists."""
    level: list[nodes.Node] = [tree]
    joined = 0
    for _ in range(DEEPEST):
        for node in level:
            _check_node(node)
            joined += len(node.nodes) if isinstance(node, nodes.Concat) else 0
        if joined > MOST_JOINED:
            raise PayloadError(f"template joins more than {MOST_JOINED} texts with ~")
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise PayloadError(f"template nested deeper than {DEEPEST}")


def _check_node(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED_NODES) or (isinstance(node, nodes.Name) and node.ctx != "load"):
        raise PayloadError(f"template uses {type(node).__name__.lower()}, which is not allowed")
    match node:
        case nodes.Getattr(attr=str(name)) | nodes.Name(name=str(name)) if name.startswith("_"):
            raise PayloadError(f"template uses the hidden name {name:.40}")
        case nodes.Filter(name=str(name)) if name not in FILTERS:
            raise PayloadError(f"template uses the filter {name:.40}, which is not allowed")
        case nodes.Test(name=str(name)) if name not in _TESTS:
            raise PayloadError(f"template uses the test {name:.40}, which is not allowed")
        case nodes.Call(dyn_args=None, dyn_kwargs=None, node=nodes.Getattr(attr=str(name))) if name in _ALLOWED_METHODS:
            return
        case nodes.Call(dyn_args=None, dyn_kwargs=None, node=nodes.Name(name=str(name))) if name in FUNCTIONS:
            return
        case nodes.Call():
            raise PayloadError("template calls a function that is not allowed")
        case nodes.Filter(dyn_args=args, dyn_kwargs=kwargs) if args or kwargs:
            raise PayloadError("template unpacks arguments, which is not allowed")
