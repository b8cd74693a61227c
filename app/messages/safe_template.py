"""The small language in which staff write words: it can say what it is given, and reach nothing else.

Known in it are `person`, `when(instant, zone)`, `business`, `business_email`, `base_url`, and the thing that the message is
about under its own name. Of a thing it knows what could be shown to the person whom it concerns: columns that are not
secret, neighbours, and what is worked out from them; never a method, and never what leads to the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn

from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from sqlalchemy import JSON, Boolean, Date, DateTime, Integer, Time, inspect

from app.kernel import clock, translation
from app.kernel.db import Noun, spaced
from app.kernel.errors import Invalid
from app.kernel.people import Person
from app.messages import template

LONGEST = 20_000
HOUSE = ("business", "business_email", "base_url")
_PIECES = re.compile(r"[a-z_]+/(?:mail|whatsapp|sms)/_[a-z_]+\.txt")
_NEVER = frozenset(
    [
        "answers",
        "sealed_answers",
        "form_edition",
        "notes",
        "handle",
        "request_key",
        "request_hash",
        "user",
        "metadata",
        "registry",
        "query",
        "link_kind",
    ]
)
_GRAMMAR = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.NSRef,
    nodes.Const,
    nodes.Tuple,
    nodes.List,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Add,
    nodes.Sub,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Concat,
    nodes.Assign,
    nodes.FromImport,
)
_CHOOSE = frozenset(
    ["d", "default", "first", "last", "length", "list", "rejectattr", "reject", "select", "selectattr", "sort"]
)
_FILTERS = _CHOOSE | {
    "abs",
    "capitalize",
    "count",
    "dated",
    "e",
    "escape",
    "float",
    "int",
    "lower",
    "replace",
    "round",
    "spoken",
    "string",
    "sum",
    "title",
    "trim",
    "upper",
}
_ASKED = frozenset(
    ["strftime", "get", "startswith", "endswith", "strip", "title", "upper", "lower"]
)  # what may be called on a word or a small table
_GROWS = (
    nodes.Concat,
    nodes.Add,
    nodes.List,
    nodes.Dict,
)  # what is made of itself again and again would fill the house


class _Guarded(ImmutableSandboxedEnvironment):
    """Jinja's own guard, and beyond it: only `when` and the pieces of other templates can be called at all."""

    def is_safe_callable(self, obj: Any) -> bool:
        return (
            isinstance(obj, Macro)
            or getattr(obj, "__module__", "") == __name__
            or getattr(obj, "__name__", "") in _ASKED
        )

    def getattr(self, obj: Any, attribute: str) -> Any:
        return _behind_its_view(super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        return _behind_its_view(super().getitem(obj, argument))


def _behind_its_view(value: Any) -> Any:
    return RowView(value) if isinstance(value, Noun) else value


class _OnlyPieces(template.TranslatedLoader):
    """Of the files, only the pieces that other words are made of."""

    def get_source(self, environment: Any, name: str) -> tuple[str, str, Callable[[], bool]]:
        if not _PIECES.fullmatch(name):
            raise SecurityError(f"“{name}” is not a template part that can be imported.")
        return super().get_source(environment, name)


sandbox = _Guarded(loader=_OnlyPieces(template.LOCALE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
sandbox.globals.clear()
sandbox.filters.update(spoken=translation.say, dated=translation.format_day)


@cache
def _sandbox_for(locale: str) -> Environment:
    return sandbox.overlay(loader=_OnlyPieces(locale))


# --- what is shown of a thing -----------------------------------------------------------------------------------------


class RowView:
    """A row as words may see it: to be read, by names that are known."""

    __slots__ = ("_row",)

    def __init__(self, row: Noun) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        if name not in readable_names(type(self._row)):
            raise AttributeError(name)
        return expose(getattr(self._row, name))

    def __str__(self) -> str:
        return str(self._row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowView) and self._row is other._row

    def __hash__(self) -> int:
        return hash(self._row)


def expose(value: Any) -> Any:
    """What may be handed out: plain values, amounts and the like, and rows behind their view."""
    match value:
        case (
            None
            | str()
            | int()
            | float()
            | Decimal()
            | datetime()
            | date()
            | time()
            | timedelta()
            | RowView()
            | SampleValue()
        ):
            return value
        case Noun():
            return RowView(value)
        case Mapping():
            return {str(key): expose(each) for key, each in value.items()}
        case list() | tuple():
            return tuple(expose(each) for each in value)
    if is_dataclass(value) and not isinstance(value, type) and value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return value
    raise SecurityError("This value can’t be used in a template.")


def readable_names(noun: type[Any]) -> dict[str, Any]:
    """What words may know of a noun, and how it comes to be known: a column, an amount, a neighbour, or a property."""
    mapper = inspect(noun)
    secret = {attr.key for attr in mapper.column_attrs if attr.columns[0].info.get("secret")} | _NEVER
    found: dict[str, Any] = {
        attr.key: attr for attr in (*mapper.column_attrs, *mapper.composites, *mapper.relationships)
    }
    found |= {
        key: each
        for kind in noun.__mro__
        for key, each in vars(kind).items()
        if isinstance(each, property) and key not in found
    }
    return {key: each for key, each in sorted(found.items()) if not key.startswith("_") and key not in secret}


class SampleValue:
    """A thing in a house where none is yet: it answers to the same names, with something of the same kind."""

    def __init__(self, noun: type[Any] | None, called: str) -> None:
        self._noun, self._called = noun, called

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (self._noun is not None and name not in readable_names(self._noun)):
            raise AttributeError(name)
        return _made_up(readable_names(self._noun)[name], name) if self._noun else SampleValue(None, name)

    def __str__(self) -> str:
        return f"[{spaced(self._called)}]"

    def __iter__(self) -> Iterator[SampleValue]:
        return iter(())

    def __getitem__(self, key: Any) -> SampleValue:
        return SampleValue(None, self._called)

    def __len__(self) -> int:
        return 1

    def __sub__(self, other: object) -> SampleValue:
        return self

    __add__ = __rsub__ = __radd__ = __sub__

    def __lt__(self, other: object) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__


_SAMPLES = {Boolean: True, Integer: 1, Date: date(2026, 11, 24), Time: time(9)}


def _made_up(attr: Any, name: str) -> Any:
    if isinstance(attr, property):
        return SampleValue(None, name)
    if hasattr(attr, "mapper"):
        return SampleValue(attr.mapper.class_, name) if not attr.uselist else ()
    if hasattr(attr, "composite_class"):
        return SampleValue(None, name)
    of = attr.columns[0].type
    if isinstance(of, DateTime):
        return clock.ahead(days=2)
    if isinstance(of, JSON):
        return SampleValue(None, name)
    sample = next((sample for kind, sample in _SAMPLES.items() if isinstance(of, kind)), f"[{spaced(name)}]")
    return {
        "timezone": "Asia/Kolkata",
        "locale": "en",
        "state": attr.parent.class_.states[0] if name == "state" else "",
    }.get(name) or sample


# --- reading ----------------------------------------------------------------------------------------------------------


def render_safely(source: str, person: Person | SampleValue, about: Mapping[str, Any]) -> str:
    """Read words that staff wrote. Whatever is wrong with them is an error of Jinja's, or of theirs."""
    known = {name: expose(value) for name, value in about.items()}
    house = {name: template.environment.globals.get(name, "") for name in HOUSE}
    return (
        _sandbox_for(translation.language())
        .from_string(parse_allowed(source))
        .render(person=expose(person), when=_when(person.timezone), **house, **known)
    )


def _when(own: str) -> Callable[..., str]:
    said = template.moment_formatter(own)

    def when(instant: Any, zone: Any = "") -> str:
        return said(
            clock.ahead(days=2) if isinstance(instant, SampleValue) else instant,
            "" if isinstance(zone, SampleValue) else zone,
        )

    return when


def undeclared_variables(source: str) -> set[str]:
    """What the words expect to be given beside the person and the house; nothing, when they cannot be read."""
    try:
        return meta.find_undeclared_variables(parse_allowed(source)) - {"person", "when", *HOUSE}
    except TemplateError:
        return set()


def parse_allowed(source: str) -> nodes.Template:
    """The words as they are understood, if they keep to the grammar."""
    if len(source) > LONGEST:
        raise SecurityError(f"Use at most {LONGEST:,} characters.")
    tree = sandbox.parse(source)
    for node in _within(tree):
        _refuse(node)
    return tree


def _within(node: nodes.Node, loops: int = 0) -> Iterator[nodes.Node]:
    for child in node.iter_child_nodes():
        deeper = loops + isinstance(child, nodes.For)
        if deeper > 2:
            raise SecurityError("Loops can be nested at most two levels deep.")
        yield child
        yield from _within(child, deeper)


def _refuse(node: nodes.Node) -> None:
    match node:
        case nodes.Call():
            _refuse_call(node)
        case nodes.Filter(name=name) if name not in _FILTERS:
            _no(f"The filter “{name}” isn’t available in templates.", node)
        case nodes.Filter(name="replace") if any(len(str(getattr(each, "value", "?" * 9))) > 3 for each in node.args):
            _no("“replace” works with at most three characters.", node)
        case nodes.Getattr(attr=attr) if attr.startswith("_"):
            _no(f"“{attr}” isn’t available in templates.", node)
        case nodes.FromImport() if not _PIECES.fullmatch(str(getattr(node.template, "value", ""))):
            _no("Only template parts can be imported.", node)
        case nodes.Assign() if any(node.find_all(_GROWS)) or any(
            each.name not in _CHOOSE for each in node.find_all(nodes.Filter)
        ):
            _no("“set” can only select existing values. It can’t combine them.", node)
        case _ if not isinstance(node, _GRAMMAR):
            _no(f"“{type(node).__name__.lower()}” isn’t supported in templates.", node)


def _refuse_call(node: nodes.Call) -> None:
    if not isinstance(node.node, (nodes.Name, nodes.Getattr)) or node.dyn_args or node.dyn_kwargs:
        _no("This kind of call isn’t supported in templates.", node)
    called = node.node.attr if isinstance(node.node, nodes.Getattr) else ""
    if called and called not in _ASKED:
        _no(f"“{called}” can’t be called in templates.", node)
    if called == "strftime" and not all(_is_date_form(each) for each in node.args):
        _no("Use a date format such as %d %B %Y.", node)


def _is_date_form(node: nodes.Node) -> bool:
    """A width in it, as in %999999999d, would fill the house."""
    return isinstance(node, nodes.Const) and not re.search(r"\d", str(node.value))


class NotSupported(SecurityError):
    """What the grammar does not know, and in which line."""

    def __init__(self, words: str, line: int) -> None:
        super().__init__(words)
        self.line = line


def _no(words: str, node: nodes.Node) -> NoReturn:
    raise NotSupported(words, node.lineno)


def check_template(source: str, person: Person | SampleValue, about: Mapping[str, Any], heading: int = 0) -> str:
    """Read them once to see that they can be read; says in a sentence what is wrong, and where: one of the lines is the heading."""
    try:
        return render_safely(source, person, about)
    except TemplateSyntaxError as error:
        raise _wrong(error.message or "The template has a syntax error.", error.lineno, heading) from None
    except NotSupported as error:
        raise _wrong(error.message or "", error.line, heading) from None
    except TemplateError as error:
        raise _wrong(error.message or "The template has a syntax error.") from None
    except Exception as error:  # noqa: BLE001  # whatever staff wrote, they hear what is wrong with it
        raise _wrong(f"The template can’t be rendered: {str(error)[:200] or type(error).__name__}") from None


def _wrong(words: str, line: int = 0, heading: int = 0) -> Invalid:
    if not line:
        return Invalid.for_fields({"body": words})
    if line == heading:
        return Invalid.for_fields({"subject": words})
    return Invalid.for_fields({"body": f"Line {line - (0 < heading < line)}: {words}"})
