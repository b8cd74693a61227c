"""State machine: @move declares the transitions of a noun, and a state changes only by one.

A move checks state and guard under a row lock and writes history and events; it is also button, form and REST endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date, datetime, time
from functools import partial, wraps
from inspect import getdoc
from types import UnionType
from typing import Any, Concatenate, ParamSpec, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from app.kernel import audit, db, events
from app.kernel.access import Actor, actor
from app.kernel.db import Noun, changed_in_bulk, transaction
from app.kernel.errors import Forbidden, Invalid, Refused

Row = TypeVar("Row", bound=Noun)
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Move:
    """A transition of a noun: its source states, target state, roles, and the form that it asks first."""

    name: str
    sources: tuple[str, ...]
    to: str
    by: frozenset[str]
    label: str
    asks: type[Any] | None
    confirm: str | Callable[[Any], str]
    when: Callable[[Any], str | None] | None
    careful: bool
    does: str
    done: str  # "Checked in"; empty for a move without a button, which is named by its target state

    def done_text(self, noun: type[Noun]) -> str:
        """What was done, for the history and the message after pressing: “Checked in”."""
        return self.done or (noun.state_label(self.to) if self.to else past_tense(self.label))

    def refuses(self, row: Noun) -> str | None:
        """Why the move is not possible now; None if the row's state and the guard allow it."""
        if row.state not in self.sources:
            return f"{row} is {row.state_label(row.state).lower()}, so “{self.label}” is not available."
        return self.when(row) if self.when else None

    def confirmation(self, row: Noun | None) -> str:
        """The text of the confirmation; empty if it depends on a row and there is none."""
        if isinstance(self.confirm, str):
            return self.confirm
        return self.confirm(row) if row is not None else ""

    def allowed_for(self, who: Actor, noun: type[Noun]) -> bool:
        """True if this actor may press its button; a move without roles has none."""
        return bool(self.by) and who.may(noun, self.name)


def move(
    *sources: str,
    to: str = "",
    by: str = "",
    label: str = "",
    done: str = "",
    asks: type[Any] | None = None,
    confirm: str | Callable[[Any], str] = "",
    when: Callable[[Any], str | None] | None = None,
    careful: bool = False,
) -> Callable[[Callable[Concatenate[Row, Given], Answer]], Callable[Concatenate[Row, Given], Answer]]:
    """Declare a method as a transition from these states to the state `to`.

    Without `to`, the state stays as it is, or the body calls other moves. `label` is the text of the button, and `done`
    the text after it was pressed, if that is not the label in the past tense ("Check in", "Checked in"). `by` names the
    roles that get the button, `asks` is a dataclass that becomes a form, `confirm` is the text of the confirmation (or
    a function of the row), `when` returns why the move is refused (or None), and `careful` marks the button as
    irreversible. The docstring of the method is help that people read.
    """

    def mark(body: Callable[Concatenate[Row, Given], Answer]) -> Callable[Concatenate[Row, Given], Answer]:
        spoken = label or body.__name__.replace("_", " ").capitalize()
        after = done or (past_tense(label) if label else past_tense(spoken) if by else "")
        it = Move(
            body.__name__,
            sources,
            to,
            frozenset(by.split()),
            spoken,
            asks,
            confirm,
            when,
            careful,
            " ".join((getdoc(body) or "").split()),  # people read it, so without the line breaks of the source
            after,
        )

        @wraps(body)
        def go(row: Row, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
            with transaction():
                row.lock()
                if no := it.refuses(row):
                    raise Refused(no)
                audit.name_change(row, it.name, why=_why(args, kwargs))
                if it.to:
                    db.session().info.setdefault("moved", {})[row] = it.to
                    row.state = it.to
                events.record_event(row, it.name)
                return body(row, *args, **kwargs)

        go.move = it  # type: ignore[attr-defined]
        return cast(Callable[Concatenate[Row, Given], Answer], go)

    return mark


# The past participles of irregular verbs, and of verbs that the rule in past_tense() would spell wrongly.
_IRREGULAR = """
    begin/begun bring/brought buy/bought cancel/cancelled come/come cut/cut do/done drop/dropped find/found
    get/got give/given go/gone hold/held keep/kept leave/left let/let lose/lost make/made pay/paid put/put
    read/read redo/redone refer/referred resend/resent reset/reset run/run sell/sold send/sent set/set
    skip/skipped split/split stop/stopped submit/submitted swap/swapped take/taken tell/told
    transfer/transferred undo/undone win/won withdraw/withdrawn write/written
"""
_PAST: dict[str, str] = dict(pair.split("/") for pair in _IRREGULAR.split())
_NO_VERB = ("back", "new", "no", "not", "nothing")  # a label that begins so stays as it is


def past_tense(label: str) -> str:
    """Put a label that begins with a verb into the past: “Check in” becomes “Checked in”."""
    verb, gap, rest = label.partition(" ")
    low = verb.lower()
    if low in _NO_VERB or low.endswith("ed"):
        return label
    return (_PAST.get(low) or _regular_past(low)).capitalize() + gap + rest


def _regular_past(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb[-1:] == "y" and verb[-2:-1] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + "ed"


def is_past_tense(words: str) -> bool:
    """True if the words can follow “is”."""
    first = words.partition(" ")[0].lower()
    return first.endswith("ed") or first in _PAST.values()


def _why(args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """The reason given in the form of a move, if it asked for one."""
    given = [*args, *kwargs.values()]
    return next((each.why for each in given if isinstance(getattr(each, "why", None), str)), "")


_moves: dict[type[Noun], Mapping[str, Move]] = {}


def moves(noun: type[Noun]) -> Mapping[str, Move]:
    """The moves of a noun by name, cached."""
    if noun not in _moves:
        found = (getattr(each, "move", None) for kind in reversed(noun.__mro__) for each in vars(kind).values())
        _moves[noun] = {it.name: it for it in found if isinstance(it, Move)}
    return _moves[noun]


def available_moves(row: Noun, who: Actor) -> list[Move]:
    """The moves that this actor may make with this row now: its buttons."""
    return [it for it in moves(type(row)).values() if it.allowed_for(who, type(row)) and not it.refuses(row)]


def press_move(row: Noun, name: str, typed: Mapping[str, Any]) -> Any:
    """Make a move for the actor: check the right, parse the form, call the method. A returned text is shown."""
    it = moves(type(row)).get(name)
    if it is None or not it.allowed_for(actor(), type(row)):
        raise Forbidden("You don’t have permission to do this.")
    given = (parse_asked(it.asks, typed),) if it.asks else ()
    return getattr(row, name)(*given)


# --- the form that a move asks ----------------------------------------------------------------------------------------


def asked(
    label: str,
    *,
    default: Any = MISSING,
    help: str = "",
    longest: int = 500,
    among: Callable[[], Mapping[str, str]] | None = None,
    of: Callable[[Any], Mapping[str, str]] | None = None,
    when: Callable[[Any], bool] | None = None,
    begins: Callable[[Any], str] | None = None,
) -> Any:
    """Declare a field of a move's form: `reference: str = asked("Reference")`.

    `among` returns the choices and their labels. `of` returns them for one row; the move itself must refuse others.
    `when` decides for which rows the field is asked; otherwise it has its default. `begins` returns its initial value.
    """
    options = {
        "label": label,
        "help": help,
        "longest": longest,
        "among": among,
        "of": of,
        "when": when,
        "begins": begins,
    }
    return field(default=default, metadata=options)


@dataclass(frozen=True)
class MoveQuestion:
    name: str
    label: str
    kind: type[Any]
    required: bool
    help: str
    longest: int
    default: Any
    among: Callable[[], Mapping[str, str]] | None
    begins: str = ""


def move_questions(asks: type[Any], row: Any = None) -> list[MoveQuestion]:
    kinds = get_type_hints(asks)
    asked_of = (
        each for each in fields(asks) if row is None or not each.metadata.get("when") or each.metadata["when"](row)
    )
    return [_question(each.name, kinds[each.name], each.default, each.metadata, row) for each in asked_of]


def _question(name: str, hint: Any, default: Any, given: Mapping[str, Any], row: Any) -> MoveQuestion:
    is_union = get_origin(hint) in (Union, UnionType)
    kinds = [part for part in get_args(hint) if part is not type(None)] if is_union else [hint]
    required = default is MISSING
    label = given.get("label") or name.replace("_", " ").capitalize()
    among = partial(given["of"], row) if row is not None and given.get("of") else given.get("among")
    begins = given["begins"](row) if row is not None and given.get("begins") else ""
    return MoveQuestion(
        name,
        label,
        kinds[0],
        required,
        given.get("help", ""),
        given.get("longest", 500),
        None if required else default,
        among,
        begins,
    )


def parse_asked(asks: type[Any], typed: Mapping[str, Any]) -> Any:
    """Parse the form of a move into its dataclass, or raise Invalid with all wrong fields."""
    values: dict[str, Any] = {}
    wrong = dict.fromkeys(typed.keys() - {each.name for each in fields(asks)}, "Unknown field.")
    for each in move_questions(asks):
        try:
            values[each.name] = _answer(each, typed.get(each.name))
        except ValueError as error:
            wrong[each.name] = str(error)
    if wrong:
        raise Invalid.for_fields(wrong)
    return asks(**values)


_NOT_VALID = {
    int: "Enter a whole number.",
    date: "Enter a valid date.",
    time: "Enter a time, such as 14:30.",
    datetime: "Enter a date and time.",
}


def _yes_or_no(typed: Any) -> bool:
    if typed in (True, "on", "true", "1", "yes"):
        return True
    if typed in (None, False, "", "off", "false", "0", "no"):
        return False
    raise ValueError("Choose yes or no.")


def _answer(question: MoveQuestion, typed: Any) -> Any:
    if question.kind is bool:
        return _yes_or_no(typed)
    if typed is None or typed == "":
        if question.required:
            raise ValueError("This field is required.")
        return question.default
    if question.kind is str:
        text = str(typed).strip()
        if len(text) > question.longest:
            raise ValueError(f"Use at most {question.longest} characters.")
        if question.among and text not in question.among():
            raise ValueError("Choose one from the list.")
        return text
    try:
        answer = question.kind(typed) if question.kind is int else question.kind.fromisoformat(str(typed))
        if isinstance(answer, date) and not 1900 <= answer.year <= 2200:
            raise ValueError
    except (ValueError, TypeError):
        raise ValueError(_NOT_VALID.get(question.kind, "This value isn’t valid.")) from None
    return answer


# --- guards: no state changes without a move --------------------------------------------------------------------------


@event.listens_for(Session, "before_flush")
def _only_by_a_move(session: Session, context: UOWTransaction, instances: Any) -> None:
    moved = session.info.get("moved", {})
    for row in session.dirty | session.new:
        if not getattr(row, "states", ()):
            continue
        if row in session.new:
            allowed = row.state in (None, row.states[0])
        else:
            allowed = not inspect(row).attrs.state.history.has_changes() or moved.get(row) == row.state
        if not allowed:
            raise RuntimeError(f"{type(row).__name__}.state was set to {row.state!r} without a move.")


@event.listens_for(Session, "do_orm_execute")
def _nor_by_a_bulk_update(state: ORMExecuteState) -> None:
    noun = changed_in_bulk(state)
    if noun is None or not noun.states:
        return
    written = getattr(state.statement, "_values", None) or {}
    if not state.execution_options.get("without_a_move") and "state" in {
        getattr(column, "key", column) for column in written
    }:
        raise RuntimeError(f"{noun.__name__}.state was set by a bulk update, without a move.")


def _clear_moved(session: Session) -> None:
    session.info.pop("moved", None)


event.listen(Session, "after_commit", _clear_moved)
event.listen(Session, "after_rollback", _clear_moved)
