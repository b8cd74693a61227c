"""Template sandbox: renders message templates written by staff in a restricted subset of Jinja.

A template knows `person`, `when(instant, zone)`, `business`, `business_email`, `base_url`, and the row that the message
is about, under its own name. Of a row it can read what may be shown to the customer: columns that are not secret,
related rows and properties; never methods, and nothing that leads to the database.
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
_PARTS = re.compile(r"[a-z_]+/(?:mail|whatsapp|sms)/_[a-z_]+\.txt")
# Names that no template can read.
_NEVER = {"answers", "sealed_answers", "form_edition", "notes", "handle", "request_key"}
_NEVER |= {"request_hash", "user", "metadata", "registry", "query", "link_kind"}
_VALUES = (nodes.Name, nodes.NSRef, nodes.Const, nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice)
_COLLECTIONS = (nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair)
_LOGIC = (
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
)
_ARITHMETIC = (nodes.Neg, nodes.Add, nodes.Sub, nodes.Div, nodes.FloorDiv, nodes.Concat)
_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.FromImport)
_GRAMMAR = (*_VALUES, *_COLLECTIONS, *_LOGIC, *_ARITHMETIC, *_STATEMENTS)
_CHOOSE = frozenset(
    ["d", "default", "first", "last", "length", "list", "rejectattr", "reject", "select", "selectattr", "sort"]
)
_FILTERS = _CHOOSE | {"abs", "capitalize", "count", "dated", "e", "escape", "float", "int", "lower"}
_FILTERS |= {"replace", "round", "spoken", "string", "sum", "title", "trim", "upper"}
# Methods that may be called on strings, dates and dicts.
_CALLABLE = frozenset(["strftime", "get", "startswith", "endswith", "strip", "title", "upper", "lower"])
# Not in “set”: a value built from itself in a loop would fill the memory.
_GROWS = nodes.Concat, nodes.Add, nodes.List, nodes.Dict


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where in addition only `when`, imported macros and a few methods can be called."""

    def is_safe_callable(self, obj: Any) -> bool:
        return (
            isinstance(obj, Macro)
            or getattr(obj, "__module__", "") == __name__
            or getattr(obj, "__name__", "") in _CALLABLE
        )

    def getattr(self, obj: Any, attribute: str) -> Any:
        return _wrap_row(super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        return _wrap_row(super().getitem(obj, argument))


def _wrap_row(value: Any) -> Any:
    return RowView(value) if isinstance(value, Noun) else value


class _PartsLoader(template.TranslatedLoader):
    """Loads only the template parts that may be imported."""

    def get_source(self, environment: Any, name: str) -> tuple[str, str, Callable[[], bool]]:
        if not _PARTS.fullmatch(name):
            raise SecurityError(f"“{name}” is not a template part that can be imported.")
        return super().get_source(environment, name)


sandbox = _Sandbox(
    loader=_PartsLoader(template.LOCALE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
sandbox.globals.clear()
sandbox.filters.update(spoken=translation.say, dated=translation.format_day)


@cache
def _sandbox_for(locale: str) -> Environment:
    return sandbox.overlay(loader=_PartsLoader(locale))


# --- what a template can read -----------------------------------------------------------------------------------------


class RowView:
    """A row as a template sees it: read-only, with the names in readable_names()."""

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
    """Wrap a value for a template: plain values and frozen dataclasses as they are, rows as RowView."""
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
    """The names of a noun that a template can read: columns, composites, relations and properties."""
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
    """Stands in for a row where none exists yet: it has the same names, with sample values."""

    def __init__(self, noun: type[Any] | None, called: str) -> None:
        self._noun, self._called = noun, called

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (self._noun is not None and name not in readable_names(self._noun)):
            raise AttributeError(name)
        return _sample_of(readable_names(self._noun)[name], name) if self._noun else SampleValue(None, name)

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


def _sample_of(attr: Any, name: str) -> Any:
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


# --- rendering --------------------------------------------------------------------------------------------------------


def render_safely(source: str, person: Person | SampleValue, about: Mapping[str, Any]) -> str:
    """Render a template written by staff; mistakes raise a Jinja error."""
    known = {name: expose(value) for name, value in about.items()}
    house = {name: template.environment.globals.get(name, "") for name in HOUSE}
    return (
        _sandbox_for(translation.language())
        .from_string(parse_allowed(source))
        .render(person=expose(person), when=_when(person.timezone), **house, **known)
    )


def _when(own: str) -> Callable[..., str]:
    formatter = template.moment_formatter(own)

    def when(instant: Any, zone: Any = "") -> str:
        return formatter(
            clock.ahead(days=2) if isinstance(instant, SampleValue) else instant,
            "" if isinstance(zone, SampleValue) else zone,
        )

    return when


def undeclared_variables(source: str) -> set[str]:
    """The variables of a template besides the person and the business; none if it cannot be parsed."""
    try:
        return meta.find_undeclared_variables(parse_allowed(source)) - {"person", "when", *HOUSE}
    except TemplateError:
        return set()


def parse_allowed(source: str) -> nodes.Template:
    """Parse a template, and refuse what is outside the subset."""
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
            _reject(f"The filter “{name}” isn’t available in templates.", node)
        case nodes.Filter(name="replace") if any(len(str(getattr(each, "value", "?" * 9))) > 3 for each in node.args):
            _reject("“replace” works with at most three characters.", node)
        case nodes.Getattr(attr=attr) if attr.startswith("_"):
            _reject(f"“{attr}” isn’t available in templates.", node)
        case nodes.FromImport() if not _PARTS.fullmatch(str(getattr(node.template, "value", ""))):
            _reject("Only template parts can be imported.", node)
        case nodes.Assign() if any(node.find_all(_GROWS)) or any(
            each.name not in _CHOOSE for each in node.find_all(nodes.Filter)
        ):
            _reject("“set” can only select existing values. It can’t combine them.", node)
        case _ if not isinstance(node, _GRAMMAR):
            _reject(f"“{type(node).__name__.lower()}” isn’t supported in templates.", node)


def _refuse_call(node: nodes.Call) -> None:
    if not isinstance(node.node, (nodes.Name, nodes.Getattr)) or node.dyn_args or node.dyn_kwargs:
        _reject("This kind of call isn’t supported in templates.", node)
    called = node.node.attr if isinstance(node.node, nodes.Getattr) else ""
    if called and called not in _CALLABLE:
        _reject(f"“{called}” can’t be called in templates.", node)
    if called == "strftime" and not all(_is_date_form(each) for each in node.args):
        _reject("Use a date format such as %d %B %Y.", node)


def _is_date_form(node: nodes.Node) -> bool:
    """True without a width: %999999999d would fill the memory."""
    return isinstance(node, nodes.Const) and not re.search(r"\d", str(node.value))


class NotSupported(SecurityError):
    """A template uses something outside the subset, in this line."""

    def __init__(self, words: str, line: int) -> None:
        super().__init__(words)
        self.line = line


def _reject(words: str, node: nodes.Node) -> NoReturn:
    raise NotSupported(words, node.lineno)


def check_template(source: str, person: Person | SampleValue, about: Mapping[str, Any], heading: int = 0) -> str:
    """Render a template once, or raise Invalid with each mistake and its line. `heading` is the subject's line."""
    try:
        return render_safely(source, person, about)
    except TemplateSyntaxError as error:
        raise _wrong(error.message or "The template has a syntax error.", error.lineno, heading) from None
    except NotSupported as error:
        raise _wrong(error.message or "", error.line, heading) from None
    except TemplateError as error:
        raise _wrong(error.message or "The template has a syntax error.") from None
    except Exception as error:  # noqa: BLE001  # any error is reported to the author
        raise _wrong(f"The template can’t be rendered: {str(error)[:200] or type(error).__name__}") from None


def _wrong(words: str, line: int = 0, heading: int = 0) -> Invalid:
    if not line:
        return Invalid.for_fields({"body": words})
    if line == heading:
        return Invalid.for_fields({"subject": words})
    return Invalid.for_fields({"body": f"Line {line - (0 < heading < line)}: {words}"})
