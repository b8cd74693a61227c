"""Form: questions that staff design at run time; its editions, the answers to them, and the nouns that keep those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Missing, Refused
from app.kernel.files import Upload
from app.kernel.question import Question
from app.kernel.secrets import sealed
from app.kernel.workflow import move

MOST = 60  # questions of one form
_PARTS = {
    "label": "label",
    "help": "help text",
    "kind": "answer type",
    "required": "required",
    "unknown": "“I don’t know” option",
    "options": "options",
    "asked_if": "condition",
    "equals": "condition",
    **dict.fromkeys(("longest", "least", "most", "earliest", "latest", "megabytes"), "limits"),
}


def _why_not_published(form: Form) -> str | None:
    if not form.draft:
        return "This form has no questions yet."
    latest = form.latest
    return f"There are no changes since version {latest.number}." if latest and not form.changes else None


def _what_changes(form: Form) -> str:
    """Said before it is published."""
    latest = form.latest
    if latest is None:
        return f"The {'question' if len(form.draft) == 1 else f'{len(form.draft)} questions'} will be asked wherever this form is used."
    return (
        f"This replaces version {latest.number}. Existing answers keep the version they were given for.\n"
        + "\n".join(form.changes)
    )


class Form(Noun):
    """Questions that belong together. What is written is a draft; what is asked is an edition."""

    states = "in_use", "retired"
    state_labels: ClassVar[dict[str, str]] = {"retired": "Archived"}
    refusals: ClassVar[dict[str, str]] = {"form_name_key": "A form with this name already exists."}

    name: Mapped[str] = mapped_column(unique=True)
    draft: Mapped[list[Any]] = mapped_column(default=list)

    @property
    def latest(self) -> Edition | None:
        return session.scalar(
            select(Edition).where(Edition.form_id == self.id).order_by(Edition.number.desc()).limit(1)
        )

    @property
    def current(self) -> Edition | None:
        """What is asked now: nothing, where nothing was published yet, and nothing any more of a form that is retired."""
        return self.latest if self.state == "in_use" else None

    @property
    def editions(self) -> Sequence[Edition]:
        """The newest first."""
        return session.scalars(select(Edition).where(Edition.form_id == self.id).order_by(Edition.number.desc())).all()

    # --- the draft ---

    @property
    def draft_questions(self) -> list[Question]:
        return [Question.from_json(each) for each in self.draft or ()]

    def question(self, name: str) -> Question:
        found = next((each for each in self.draft_questions if each.name == name), None)
        if found is None:
            raise Missing
        return found

    def save_question(self, typed: Mapping[str, str], *, instead: str = "") -> Question:
        """One question more, at the end; or another one instead of it, which keeps its name and its place."""
        with transaction():
            self.lock()
            asked, before = self.draft_questions, self.question(instead) if instead else None
            if before is None and len(asked) >= MOST:
                raise Refused(f"A form can have at most {MOST} questions.")
            made = Question.from_page(
                {**typed, "name": instead} if before else typed, [each for each in asked if each != before]
            )
            self._set_draft([made if each == before else each for each in asked] if before else [*asked, made])
        return made

    def remove_question(self, name: str) -> None:
        """It is asked no more from the next edition on."""
        with transaction():
            self.lock()
            gone = self.question(name)
            self._set_draft([each for each in self.draft_questions if each.name != gone.name])

    def move_question(self, name: str, by: int) -> None:
        """One place up or down; at either end nothing happens."""
        with transaction():
            asked = self.lock().draft_questions
            here = asked.index(self.question(name))
            there = min(max(here + by, 0), len(asked) - 1)
            asked.insert(there, asked.pop(here))
            self._set_draft(asked)

    def _set_draft(self, asked: Sequence[Question]) -> None:
        """A question that depends on another one comes after it, and on an answer that can be given."""
        for at, each in enumerate(asked):
            if not each.asked_if:
                continue
            on = next((it for it in asked[:at] if it.name == each.asked_if), None)
            if on is None:
                raise Refused(
                    f"“{each.text()}” has to come after the question it depends on. Change its condition first."
                )
            if on.choices and each.equals not in on.choices:
                raise Refused(
                    f"“{each.text()}” is shown only if the answer is “{each.equals}”, so that option has to stay. Change the condition first."
                )
        self.draft = [each.as_json() for each in asked]

    @property
    def changes(self) -> list[str]:
        """What the next edition changes, a sentence each."""
        latest = self.latest
        return describe_changes(latest.parsed_questions if latest else [], self.draft_questions)

    # --- what becomes of it ---

    @move("in_use", by="Desk", label="Publish form", confirm=_what_changes, when=_why_not_published)
    def publish(self) -> None:
        """Publish the draft as the next version. Its questions are asked from then on."""
        newest = session.scalar(select(func.max(Edition.number)).where(Edition.form_id == self.id)) or 0
        session.add(Edition(form=self, number=newest + 1, questions=self.draft, published_at=clock.now()))

    @move(
        "in_use",
        to="retired",
        by="Desk",
        label="Archive form",
        confirm="This form will no longer be shown where it is used. Existing answers are kept.",
    )
    def retire(self) -> None:
        """Stop asking the questions of this form. Existing answers are kept."""

    @move("retired", to="in_use", by="Desk", label="Restore form")
    def use_again(self) -> None:
        """Ask the questions of its latest version again."""


class Edition(Noun):
    """The questions as they were asked for a time. The database refuses to change one: answers keep theirs for ever."""

    final = True
    __table_args__ = (UniqueConstraint("form_id", "number"),)
    refusals: ClassVar[dict[str, str]] = {
        "edition_form_id_number_key": "Someone else has just published this form. Review that version first."
    }

    form_id: Mapped[int] = mapped_column(ForeignKey("form.id"))
    form: Mapped[Form] = relationship(lazy="joined", innerjoin=True)
    number: Mapped[int]
    questions: Mapped[list[Any]]
    published_at: Mapped[datetime]

    @property
    def parsed_questions(self) -> list[Question]:
        return [Question.from_json(each) for each in self.questions]

    def answers_from_page(self, given: Callable[[str], Sequence[str]]) -> dict[str, Any]:
        """What a page sent of it: several where several can be chosen, else the last of the words under a name."""
        found = {each.name: (each, [*given(each.name)]) for each in self.parsed_questions}
        return {
            name: words if each.kind == "many" else next(filter(None, reversed(words)), "")
            for name, (each, words) in found.items()
            if words
        }

    def parse(self, typed: Mapping[str, Any]) -> Answers:
        """The answers, checked; or all that is wrong with them, at once. What was typed where nothing is asked is let go."""
        asked = self.parsed_questions
        wrong = dict.fromkeys(typed.keys() - {each.name for each in asked}, "Unknown field.")
        given: dict[str, Any] = {}
        for each in asked:
            if not each.applies(given):
                continue
            try:
                answer = self._answer(each, typed.get(each.name))
            except ValueError as no:
                wrong[each.name] = str(no)
            else:
                given |= {} if answer is None else {each.name: answer}
        if wrong:
            raise Invalid.for_fields(wrong)
        secret = {each.name for each in asked if each.secret}
        return Answers(
            self, *({name: it for name, it in given.items() if (name in secret) == hidden} for hidden in (False, True))
        )

    def _answer(self, asked: Question, typed: Any) -> Any:
        answer = asked.parse(typed)
        return (
            answer
            if asked.kind != "file" or answer is None
            else Upload.find_waiting(answer, self.form_id, asked.name).as_answer
        )

    def __str__(self) -> str:
        return f"{self.form.name}, version {self.number}"


@dataclass(frozen=True)
class Answers:
    """What somebody answered, ready to be kept: `Booking(..., **answers.columns)`."""

    edition: Edition | None = None
    plain: Mapping[str, Any] = field(default_factory=dict)
    secret: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> dict[str, Any]:
        return {"form_edition": self.edition, "answers": dict(self.plain), "sealed_answers": dict(self.secret) or None}


def parse_answers(form: Form | None, typed: Mapping[str, Any]) -> Answers:
    """What was typed, read by the questions that are asked now; where none are asked, nothing is taken."""
    edition = form.current if form else None
    if edition:
        return edition.parse(typed)
    if typed:
        raise Invalid.for_fields(dict.fromkeys(typed, "Unknown field."))
    return Answers()


class Answered:
    """A noun that keeps answers, and with them the questions as they were when they were asked."""

    answers: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"personal": True})

    @declared_attr
    def form_edition_id(cls) -> Mapped[int | None]:  # noqa: N805  # a declared attribute is given the class
        return mapped_column(ForeignKey("edition.id"))

    @declared_attr
    def form_edition(cls) -> Mapped[Edition | None]:  # noqa: N805
        return relationship(Edition)

    @declared_attr
    def sealed_answers(cls) -> Mapped[dict[str, Any] | None]:  # noqa: N805
        return sealed(f"{cls.__tablename__}.sealed_answers", personal=True)  # type: ignore[attr-defined]  # every noun has a table

    def displayed_answers(self, locale: str = "en") -> Iterator[tuple[str, str, bool]]:
        """For staff, on this record's own page: what was asked, what was answered, and whether that is sealed."""
        given = self.answers | (self.sealed_answers or {})
        for each in self.form_edition.parsed_questions if self.form_edition else ():
            if each.name in given:
                yield each.text(locale), each.display(given[each.name], locale), each.secret

    def take_files(self) -> None:
        """What was sent for these answers is theirs from now on: called as soon as there is a row."""
        for each in (self.answers | (self.sealed_answers or {})).values():
            if isinstance(each, dict) and "file" in each:
                Upload.get(each["file"]).take(self)  # type: ignore[arg-type]  # whatever keeps answers is a noun

    def hand_files_back(self) -> None:
        """Whoever corrects something does not have to send them again."""
        for each in self.files:
            each.hand_back()

    @property
    def files(self) -> Sequence[Upload]:
        return Upload.attached_to(self)  # type: ignore[arg-type]

    def export_extras(self) -> dict[str, Any]:
        """For the person who answered: everything, by what was asked."""
        return {asked: answer for asked, answer, _ in self.displayed_answers()}


def describe_changes(before: Sequence[Question], after: Sequence[Question]) -> list[str]:
    """What is new, gone or different, in the words of whoever publishes it."""
    was, is_ = {each.name: each for each in before}, {each.name: each for each in after}
    lines = [f"“{each.text()}” has been added." for name, each in is_.items() if name not in was]
    lines += [f"“{each.text()}” has been removed." for name, each in was.items() if name not in is_]
    for name in (name for name in is_ if name in was):
        lines += _changed(was[name], is_[name])
    if [name for name in was if name in is_] != [name for name in is_ if name in was]:
        lines.append("The order of the questions has changed.")
    return lines


def _changed(was: Question, now: Question) -> list[str]:
    parts = dict.fromkeys(said for name, said in _PARTS.items() if _part(was, name) != _part(now, name))
    lines = [f"“{now.text()}” has changed: {', '.join(parts)}."] if parts else []
    if was.secret != now.secret:
        lines.append(f"Answers to “{now.text()}” are {'now' if now.secret else 'no longer'} encrypted.")
    return lines


def _part(it: Question, name: str) -> Any:
    value = getattr(it, name)
    return [*value] if name == "options" else value
