"""Form builder: questions that staff design, published as versions (Edition), and the answers that nouns store.

Answers keep the version they were given for; answers to sensitive questions are encrypted.
"""

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
    """The text of the confirmation before publishing."""
    latest = form.latest
    if latest is None:
        questions = "question" if len(form.draft) == 1 else f"{len(form.draft)} questions"
        return f"The {questions} will be asked wherever this form is used."
    return (
        f"This replaces version {latest.number}. Existing answers keep the version they were given for.\n"
        + "\n".join(form.changes)
    )


class Form(Noun):
    """A set of questions: a draft that staff edit, and published versions that customers answer."""

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
        """The version that is asked now; none if the form is archived or was never published."""
        return self.latest if self.state == "in_use" else None

    @property
    def editions(self) -> Sequence[Edition]:
        """All versions, newest first."""
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
        """Add a question at the end, or replace the one named `instead`, keeping its name and position."""
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
        """Remove a question from the draft."""
        with transaction():
            self.lock()
            gone = self.question(name)
            self._set_draft([each for each in self.draft_questions if each.name != gone.name])

    def move_question(self, name: str, by: int) -> None:
        """Move a question one position up or down; at either end nothing happens."""
        with transaction():
            asked = self.lock().draft_questions
            old = asked.index(self.question(name))
            new = min(max(old + by, 0), len(asked) - 1)
            asked.insert(new, asked.pop(old))
            self._set_draft(asked)

    def _set_draft(self, asked: Sequence[Question]) -> None:
        """Store the draft, if each condition refers to an earlier question and to a possible answer."""
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
                    f"“{each.text()}” is shown only if the answer is “{each.equals}”, so that option has to stay. "
                    "Change the condition first."
                )
        self.draft = [each.as_json() for each in asked]

    @property
    def changes(self) -> list[str]:
        """What the next version changes, one sentence each."""
        latest = self.latest
        return describe_changes(latest.parsed_questions if latest else [], self.draft_questions)

    # --- publishing ---

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
    """A published version of a form. The database refuses to change it, since answers refer to it."""

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

    def answers_from_page(self, getlist: Callable[[str], Sequence[str]]) -> dict[str, Any]:
        """Raw answers from an HTML form: a list for a multiple choice, else the last value that is not empty."""
        found = {each.name: (each, [*getlist(each.name)]) for each in self.parsed_questions}
        return {
            name: words if each.kind == "many" else next(filter(None, reversed(words)), "")
            for name, (each, words) in found.items()
            if words
        }

    def parse(self, typed: Mapping[str, Any]) -> Answers:
        """Parse all answers, or raise Invalid with all mistakes. Answers to questions not shown are dropped."""
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
    """Checked answers, ready to be stored: `Booking(..., **answers.columns)`."""

    edition: Edition | None = None
    plain: Mapping[str, Any] = field(default_factory=dict)
    secret: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> dict[str, Any]:
        return {"form_edition": self.edition, "answers": dict(self.plain), "sealed_answers": dict(self.secret) or None}


def parse_answers(form: Form | None, typed: Mapping[str, Any]) -> Answers:
    """Parse answers by the current version of a form; without one, no answers are accepted."""
    edition = form.current if form else None
    if edition:
        return edition.parse(typed)
    if typed:
        raise Invalid.for_fields(dict.fromkeys(typed, "Unknown field."))
    return Answers()


class Answered:
    """Mixin for a noun that stores answers, together with the version of the form they were given for."""

    answers: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"personal": True})

    @declared_attr
    def form_edition_id(cls) -> Mapped[int | None]:  # noqa: N805  # a declared attribute is given the class
        return mapped_column(ForeignKey("edition.id"))

    @declared_attr
    def form_edition(cls) -> Mapped[Edition | None]:  # noqa: N805
        return relationship(Edition)

    @declared_attr
    def sealed_answers(cls) -> Mapped[dict[str, Any] | None]:  # noqa: N805
        table = cls.__tablename__  # type: ignore[attr-defined]  # every noun has a table
        return sealed(f"{table}.sealed_answers", personal=True)

    def displayed_answers(self, locale: str = "en") -> Iterator[tuple[str, str, bool]]:
        """Question, answer and whether it is encrypted, for staff on the page of this record."""
        given = self.answers | (self.sealed_answers or {})
        for each in self.form_edition.parsed_questions if self.form_edition else ():
            if each.name in given:
                yield each.text(locale), each.display(given[each.name], locale), each.secret

    def take_files(self) -> None:
        """Attach the uploads in these answers to this row, once it has an ID."""
        for each in (self.answers | (self.sealed_answers or {})).values():
            if isinstance(each, dict) and "file" in each:
                Upload.get(each["file"]).take(self)  # type: ignore[arg-type]  # it is mixed into a noun

    def hand_files_back(self) -> None:
        """Detach the uploads, so that a corrected form can use them again."""
        for each in self.files:
            each.hand_back()

    @property
    def files(self) -> Sequence[Upload]:
        return Upload.attached_to(self)  # type: ignore[arg-type]

    def export_extras(self) -> dict[str, Any]:
        """All answers by question, for the export of personal data."""
        return {asked: answer for asked, answer, _ in self.displayed_answers()}


def describe_changes(before: Sequence[Question], after: Sequence[Question]) -> list[str]:
    """Describe added, removed and changed questions, one sentence each."""
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
