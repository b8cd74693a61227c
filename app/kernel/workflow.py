"""States and the moves between them: a state changes only by a @move, at whatever door."""

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
    """What may happen to a noun: from where, to where, by whom, and what must be asked first."""

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
    done: str  # "Checked in"; of a move without a button, nothing: what it led to says it

    def done_text(self, noun: type[Noun]) -> str:
        """What is said of it afterwards, in the history and when it was pressed."""
        return self.done or (noun.state_label(self.to) if self.to else past_tense(self.label))

    def refuses(self, row: Noun) -> str | None:
        """Why not now, in words; None when the row's state and the guard allow it."""
        if row.state not in self.sources:
            return f"{row} is {row.state_label(row.state).lower()}, so “{self.label}” is not available."
        return self.when(row) if self.when else None

    def confirmation(self, row: Noun | None) -> str:
        """What is said before it is pressed; a move that works something out says it of this row, so only where there is one."""
        if isinstance(self.confirm, str):
            return self.confirm
        return self.confirm(row) if row is not None else ""

    def allowed_for(self, who: Actor, noun: type[Noun]) -> bool:
        """May this person press it? A move that names no role has no button at all."""
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
    """Mark a method as the only way from these states to that one.

    `label` is what its button says, and `done` what is said of it afterwards, where that is not the label in the past ("Check in",
    "Checked in"). Without a `to`, the state stays what it is, or is left to the other moves that the body makes. `by` names the roles whose
    screens get a button, `asks` is a dataclass that becomes a small form, `confirm` is said before pressing (or works out what
    to say of this row), `when` answers why not (or None), and `careful` paints the button as one that cannot be taken back.
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
            " ".join((getdoc(body) or "").split()),  # people read it, without the line breaks of the source
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


_PAST = {
    "begin": "begun",
    "bring": "brought",
    "buy": "bought",
    "cancel": "cancelled",
    "come": "come",
    "cut": "cut",
    "do": "done",
    "drop": "dropped",
    "find": "found",
    "get": "got",
    "give": "given",
    "go": "gone",
    "hold": "held",
    "keep": "kept",
    "leave": "left",
    "let": "let",
    "lose": "lost",
    "make": "made",
    "pay": "paid",
    "put": "put",
    "read": "read",
    "redo": "redone",
    "refer": "referred",
    "resend": "resent",
    "reset": "reset",
    "run": "run",
    "sell": "sold",
    "send": "sent",
    "set": "set",
    "skip": "skipped",
    "split": "split",
    "stop": "stopped",
    "submit": "submitted",
    "swap": "swapped",
    "take": "taken",
    "tell": "told",
    "transfer": "transferred",
    "undo": "undone",
    "win": "won",
    "withdraw": "withdrawn",
    "write": "written",
}
_NO_VERB = ("back", "new", "no", "not", "nothing")  # a label that begins so is said afterwards as it is


def past_tense(label: str) -> str:
    """What was done, of a label that begins with its verb: “Checked in” of “Check in”."""
    verb, gap, rest = label.partition(" ")
    low = verb.lower()
    if low in _NO_VERB or low.endswith("ed"):
        return label
    ended = (
        low + "d"
        if low.endswith("e")
        else low[:-1] + "ied"
        if low[-1:] == "y" and low[-2:-1] not in "aeiou"
        else low + "ed"
    )
    return _PAST.get(low, ended).capitalize() + gap + rest


def is_past_tense(words: str) -> bool:
    """Can they follow an “is”?"""
    first = words.partition(" ")[0].lower()
    return first.endswith("ed") or first in _PAST.values()


def _why(args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """The reason somebody typed into the move's small form, if it asked for one."""
    given = [*args, *kwargs.values()]
    return next((each.why for each in given if isinstance(getattr(each, "why", None), str)), "")


_moves: dict[type[Noun], Mapping[str, Move]] = {}


def moves(noun: type[Noun]) -> Mapping[str, Move]:
    """Looked for once: a class has them all when it is made."""
    if noun not in _moves:
        found = (getattr(each, "move", None) for kind in reversed(noun.__mro__) for each in vars(kind).values())
        _moves[noun] = {it.name: it for it in found if isinstance(it, Move)}
    return _moves[noun]


def available_moves(row: Noun, who: Actor) -> list[Move]:
    """The buttons for this row, in this state, for this person."""
    return [it for it in moves(type(row)).values() if it.allowed_for(who, type(row)) and not it.refuses(row)]


def press_move(row: Noun, name: str, typed: Mapping[str, Any]) -> Any:
    """Somebody pressed a button: check the hand, read the small form, make the move. Words that it answers are for them."""
    it = moves(type(row)).get(name)
    if it is None or not it.allowed_for(actor(), type(row)):
        raise Forbidden("You don’t have permission to do this.")
    given = (parse_asked(it.asks, typed),) if it.asks else ()
    return getattr(row, name)(*given)


# --- the small form that a move asks ----------------------------------------------------------------------------------


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
    """A question of a move's form: `reference: str = asked("Reference")`.

    `among` says what can be chosen, and how each is called; `of` says the same of one row, and the move itself refuses what is not among it.
    `when` says of which rows the form asks it at all; of the others it is the default. `begins` says of one row what the form shows before anything is typed.
    """
    said = {"label": label, "help": help, "longest": longest, "among": among, "of": of, "when": when, "begins": begins}
    return field(default=default, metadata=said)


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


def _question(name: str, hint: Any, default: Any, said: Mapping[str, Any], row: Any) -> MoveQuestion:
    options = (
        [part for part in get_args(hint) if part is not type(None)]
        if get_origin(hint) in (Union, UnionType)
        else [hint]
    )
    required = default is MISSING
    label = said.get("label") or name.replace("_", " ").capitalize()
    among = partial(said["of"], row) if row is not None and said.get("of") else said.get("among")
    begins = said["begins"](row) if row is not None and said.get("begins") else ""
    return MoveQuestion(
        name,
        label,
        options[0],
        required,
        said.get("help", ""),
        said.get("longest", 500),
        None if required else default,
        among,
        begins,
    )


def parse_asked(asks: type[Any], typed: Mapping[str, Any]) -> Any:
    """Make the small form's answer from what was typed, or say which fields are wrong."""
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


_SAID = {
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
        raise ValueError(_SAID.get(question.kind, "This value isn’t valid.")) from None
    return answer


# --- the guard at the only gate that every door goes through ----------------------------------------------------------


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


def _done(session: Session) -> None:
    session.info.pop("moved", None)


event.listen(Session, "after_commit", _done)
event.listen(Session, "after_rollback", _done)
