"""Automation steps: create a task, add a note, notify, send a message, call a webhook. Each only writes rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sqlalchemy import inspect, select

from app.desk.automations import placeholders
from app.desk.declare.resource import Resource, resource_of
from app.desk.notices.colleague import may_read, mentioned_names, name_of
from app.desk.notices.notice import notify_user
from app.desk.records.remark import LONGEST as REMARK
from app.desk.records.remark import Remark
from app.desk.records.task import LONGEST as TASK
from app.desk.records.task import Task
from app.desk.sign_in import security
from app.desk.sign_in.user import User
from app.kernel import access, clock
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid, Refused
from app.kernel.jobs import later
from app.kernel.people import Person
from app.messages import template
from app.messages.message import Message, preview_message, tell
from app.messages.webhook import Webhook
from app.messages.webhook_delivery import WebhookDelivery, deliver
from app.messages.wording import subjects_of

if TYPE_CHECKING:  # automations import this file
    from app.desk.automations.automation import Automation
    from app.desk.automations.run import AutomationRun

OWNER, MAKER = "owner", "maker"
MAX_DAYS = 365
_NOT_WANTED = "This message would not be sent, because it no longer applies to this record."


@dataclass(frozen=True)
class StepPreview:
    """What a step would do for one row, without doing it."""

    what: str
    words: str = ""
    heading: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Step(ABC):
    """One step: parsed from a form or JSON, described in words, previewed and executed."""

    does: ClassVar[str]
    label: ClassVar[str]

    @classmethod
    @abstractmethod
    def parse(cls, values: Mapping[str, Any], resource: Resource) -> Self: ...

    @property
    def as_json(self) -> dict[str, Any]:
        return {"does": self.does} | asdict(self)

    @abstractmethod
    def in_words(self) -> str: ...

    @abstractmethod
    def preview(self, row: Noun, by: Automation) -> StepPreview: ...

    @abstractmethod
    def execute(self, row: Noun, run: AutomationRun, nth: int) -> tuple[str, Noun | None]:
        """Do it. Return what was done in words, and the row that it wrote."""


@dataclass(frozen=True)
class CreateTask(Step):
    does, label = "task", "Create a task"
    words: str
    who: str
    days: int | None

    @classmethod
    def parse(cls, values: Mapping[str, Any], resource: Resource) -> Self:
        return cls(_checked_words(values, resource, TASK), _checked_recipient(values, resource), _checked_days(values))

    def in_words(self) -> str:
        return f"create the task “{self.words}” for {recipient_label(self.who)}{_due_in_words(self.days)}"

    def preview(self, row: Noun, by: Automation) -> StepPreview:
        return StepPreview(
            f"Create a task for {name_of(recipient_of(self.who, row, by))}{_due_in_words(self.days)}",
            _one_line(self.words, row),
        )

    def execute(self, row: Noun, run: AutomationRun, nth: int) -> tuple[str, Noun | None]:
        user = recipient_of(self.who, row, run.automation)
        due = clock.today() + timedelta(days=self.days) if self.days is not None else None
        task = Task.create(row, _one_line(self.words, row), str(user.id), due)
        return f"Created a task for {name_of(user)}: “{task.title}”", task


@dataclass(frozen=True)
class AddNote(Step):
    does, label = "remark", "Add a note"
    words: str

    @classmethod
    def parse(cls, values: Mapping[str, Any], resource: Resource) -> Self:
        return cls(_checked_words(values, resource, REMARK))

    def in_words(self) -> str:
        return f"add the note “{self.words}”"

    def preview(self, row: Noun, by: Automation) -> StepPreview:
        return StepPreview("Add a note", _filled_in(self.words, row)[:REMARK])

    def execute(self, row: Noun, run: AutomationRun, nth: int) -> tuple[str, Noun | None]:
        """Add the note. Only mentions in the text of the automation count, not those in the row's values."""
        remark = Remark.write(row, _filled_in(self.words, row)[:REMARK], mentioned_names(self.words))
        return "Added a note", remark


@dataclass(frozen=True)
class NotifyUser(Step):
    does, label = "notify", "Notify a team member"
    words: str
    who: str

    @classmethod
    def parse(cls, values: Mapping[str, Any], resource: Resource) -> Self:
        return cls(_checked_words(values, resource, TASK), _checked_recipient(values, resource))

    def in_words(self) -> str:
        return f"notify {recipient_label(self.who)}: “{self.words}”"

    def preview(self, row: Noun, by: Automation) -> StepPreview:
        return StepPreview(f"Notify {name_of(recipient_of(self.who, row, by))}", _one_line(self.words, row))

    def execute(self, row: Noun, run: AutomationRun, nth: int) -> tuple[str, Noun | None]:
        user = recipient_of(self.who, row, run.automation)
        notify_user(user, "automation", _one_line(self.words, row), row=row)
        return f"Notified {name_of(user)}: “{_one_line(self.words, row)}”", None


@dataclass(frozen=True)
class SendMessage(Step):
    does, label = "message", "Send a message"
    template: str

    @classmethod
    def parse(cls, values: Mapping[str, Any], resource: Resource) -> Self:
        name = str(values.get("template") or "")
        if name not in templates_for(resource):
            raise Invalid.for_fields(
                {"template": f"Choose a message about {resource.plural}." if name else "Choose a message."}
            )
        return cls(name)

    def in_words(self) -> str:
        return f"send the message “{message_title(self.template)}”"

    def preview(self, row: Noun, by: Automation) -> StepPreview:
        person = customer_of(row)
        rendered = preview_message(person, self.template, **{row.__tablename__: row})
        what = f"Send “{message_title(self.template)}” to {person.name}, {person.email}"
        return StepPreview(
            what,
            rendered.text,
            rendered.subject,
            "" if Message(template=self.template, channel="email", due_at=clock.now()).is_wanted(row) else _NOT_WANTED,
        )

    def execute(self, row: Noun, run: AutomationRun, nth: int) -> tuple[str, Noun | None]:
        person, key = customer_of(row), f"automation:{run.id}:{nth}"
        if self.template not in template.template_names():
            raise Refused(f"The message “{message_title(self.template)}” no longer exists.")
        tell(person, self.template, key=key, **{row.__tablename__: row})
        return f"Queued “{message_title(self.template)}” for {person.name}", session.scalar(
            select(Message).where(Message.key == key).order_by(Message.id).limit(1)
        )


@dataclass(frozen=True)
class CallWebhook(Step):
    does, label = "hook", "Call a webhook"
    hook: int

    @classmethod
    def parse(cls, values: Mapping[str, Any], resource: Resource) -> Self:
        id = _whole_number(values.get("hook"))
        if id is None or not access.actor().may(Webhook, "read") or session.get(Webhook, id) is None:
            raise Invalid.for_fields({"hook": "Choose a webhook."})
        return cls(id)

    def in_words(self) -> str:
        hook = session.get(Webhook, self.hook)
        return f"call the webhook “{hook}”" if hook else "call a deleted webhook"

    def preview(self, row: Noun, by: Automation) -> StepPreview:
        hook = self._enabled_hook()
        return StepPreview(
            f"Call the webhook “{hook}”",
            WebhookDelivery.for_event(hook, f"{row.__tablename__}.{by.verb}", row, automation=by.name).body,
        )

    def execute(self, row: Noun, run: AutomationRun, nth: int) -> tuple[str, Noun | None]:
        hook = self._enabled_hook()
        call = WebhookDelivery.for_event(hook, f"{row.__tablename__}.{run.verb}", row, automation=run.automation.name)
        session.add(call)
        later(deliver, call)
        return f"Called the webhook “{hook}”", call

    def _enabled_hook(self) -> Webhook:
        hook = session.get(Webhook, self.hook)
        if hook is None or hook.state != "on":
            raise Refused(f"The webhook “{hook}” is disabled." if hook else "This webhook no longer exists.")
        return hook


KINDS: dict[str, type[Step]] = {each.does: each for each in (CreateTask, AddNote, NotifyUser, SendMessage, CallWebhook)}


def load_step(kept: Mapping[str, Any]) -> Step:
    """Load a stored step. Rows that it refers to are checked when it is previewed or executed."""
    return KINDS[kept["does"]](**{name: value for name, value in kept.items() if name != "does"})


def parse_step(values: Any, resource: Resource) -> Step:
    """Parse a step from a form or JSON; `Invalid` names the wrong field."""
    if not isinstance(values, Mapping) or values.get("does") not in KINDS:
        raise Invalid.for_fields({"does": f"Choose one of: {', '.join(KINDS)}."})
    return KINDS[str(values["does"])].parse(values, resource)


# --- recipients and texts ---------------------------------------------------------------------------------------------


def recipient_of(who: str, row: Noun, by: Automation) -> User:
    """Return the recipient, who must be able to read the record. Without an owner it is the automation's owner."""
    if who == OWNER:
        owner = next((each for each in _owners_of(row) if _can_receive(each, row)), None)
        return owner if owner is not None else recipient_of(MAKER, row, by)
    user = by.maker if who == MAKER else session.get(User, int(who))
    if user is None or not user.is_active:
        raise Refused(
            "The automation owner no longer has an account."
            if who == MAKER
            else "That team member no longer has an account."
        )
    if not may_read(user, row):
        raise Refused(f"{name_of(user)} doesn’t have access to {row}.")
    return user


def _owners_of(row: Any) -> list[Any]:
    found = []
    for path in access.owner_paths(type(row)):
        here = row
        for step in path.split("."):
            here = getattr(here, step) if here is not None else None
        found.append(here)
    return found


def _can_receive(user: Any, row: Noun) -> bool:
    return user is not None and user.is_active and may_read(user, row)


def recipient_label(who: str) -> str:
    if who in (OWNER, MAKER):
        return "the record owner" if who == OWNER else "the automation owner"
    user = session.get(User, int(who))
    return name_of(user) if user is not None else "a deleted user"


def customer_of(row: Any) -> Person:
    person = row if isinstance(row, Person) else getattr(row, "person", None)
    if not isinstance(person, Person):
        raise Refused(f"{row} has no customer to write to.")
    return person


def templates_for(resource: Resource) -> list[str]:
    """Return the message templates about this noun only, if it leads to a customer."""
    person = resource.noun if resource.noun is Person else inspect(resource.noun).relationships.get("person")
    if person is None:
        return []
    return [name for name in template.template_names() if _template_nouns(name) == {resource.name}]


@cache
def _template_nouns(name: str) -> set[str]:
    return set(subjects_of(name))


def message_title(name: str) -> str:
    """Return the title of a message template: "1-hour reminder" for bookings/soon."""
    return template.template_title(name)


def _resource(row: Noun) -> Resource:
    found = resource_of(type(row))
    assert found is not None
    return found


def _filled_in(words: str, row: Noun) -> str:
    return placeholders.fill_placeholders(_resource(row), words, row)


def _one_line(words: str, row: Noun) -> str:
    """Fill the placeholders and cut the result to the length of a task title."""
    line = " ".join(_filled_in(words, row).split())
    return line if len(line) <= TASK else f"{line[: TASK - 1]}…"


def _checked_words(values: Mapping[str, Any], resource: Resource, longest: int) -> str:
    words = str(values.get("words") or "").replace("\r\n", "\n").strip()
    if not words or len(words) > longest or "\x00" in words:
        raise Invalid.for_fields({"words": f"Enter 1 to {longest} characters."})
    try:
        placeholders.check_placeholders(resource, words)
    except ValueError as error:
        raise Invalid.for_fields({"words": str(error)}) from None
    return words


def _checked_recipient(values: Mapping[str, Any], resource: Resource) -> str:
    who = str(values.get("who") or "")
    if who == MAKER or (who == OWNER and access.owner_paths(resource.noun)):
        return who
    id = _whole_number(who)
    user = session.get(User, id) if id is not None else None
    if user is None or not user.is_active or not security.desk_actor(user).may(resource.noun, "read"):
        raise Invalid.for_fields({"who": f"Choose a team member who can view {resource.plural}."})
    return str(user.id)


def _checked_days(values: Mapping[str, Any]) -> int | None:
    if values.get("days") in (None, ""):
        return None
    days = _whole_number(values["days"])
    if days is None or days > MAX_DAYS:
        raise Invalid.for_fields({"days": f"Enter a number of days from 0 (today) to {MAX_DAYS}."})
    return days


def _whole_number(value: Any) -> int | None:
    text = "" if isinstance(value, (bool, float)) else str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _due_in_words(days: int | None) -> str:
    if days is None:
        return ""
    return {0: ", due today", 1: ", due tomorrow"}.get(days, f", due in {days} days")
