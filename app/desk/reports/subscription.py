"""Scheduled report (subscription): a report sent to a user by email daily, weekly or monthly, over a moving period."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, Self
from urllib.parse import urlencode
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from sqlalchemy import ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.desk.declare import column
from app.desk.declare.column import KINDS
from app.desk.declare.relative_days import days_named
from app.desk.declare.report import Report, registered_reports, report_named
from app.desk.notices.colleague import name_of
from app.desk.notices.notice import notify_user
from app.desk.reports import file
from app.desk.sign_in import security
from app.desk.sign_in.user import User
from app.kernel import access, clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Forbidden, Invalid, Refused
from app.kernel.jobs import every
from app.kernel.people import Person
from app.kernel.translation import ENGLISH, speaking
from app.kernel.workflow import asked, move
from app.messages.channel import Attachment
from app.messages.message import Message, tell

ROLES = "Desk Practitioner Accountant Auditor"
RHYTHMS = {"daily": "Daily", "weekly": "Weekly", "monthly": "Monthly"}
DAYS = tuple(each.lower() for each in calendar.day_name)
WEEKDAYS = {each: each.capitalize() for each in DAYS}
PERIODS = {
    "yesterday": "Yesterday",
    "today": "Today",
    "last_7_days": "Last 7 days",
    "last_28_days": "Last 28 days",
    "this_week": "This week",
    "last_week": "Last week",
    "this_month": "This month",
    "last_month": "Last month",
    "last_quarter": "Last quarter",
    "this_year": "This year",
    "last_year": "Last year",
}
MAX_TITLE = 100
MAX_PER_USER = 30
MAX_FAILURES = 3  # failed emails in a row, after which it is paused


def _report_labels() -> dict[str, str]:
    return {each.name: each.label for each in registered_reports()}


@dataclass(frozen=True)
class Schedule:
    """How often, when and in which format the report is sent."""

    period: str = asked("Period", default="last_week", among=lambda: PERIODS)
    format: str = asked("Format", default="pdf", among=lambda: file.FORMATS)
    rhythm: str = asked("Frequency", default="weekly", among=lambda: RHYTHMS)
    weekday: str = asked("Day of the week", default="monday", among=lambda: WEEKDAYS, help="For weekly reports")
    day: int = asked(
        "Day of the month",
        default=1,
        help="For monthly reports. In shorter months, the report is sent on the last day.",
    )
    at: time = asked("Time", default=time(7))


@dataclass(frozen=True)
class Enclosure:
    """The attachments of one email, and the summary in its text."""

    summary: Sequence[str]
    files: Sequence[Attachment]


# Computed once for the text and the attachment of the same email.
_enclosures: WeakKeyDictionary[Subscription, Enclosure] = WeakKeyDictionary()


class Subscription(Noun):
    """One report for one user. It runs as the recipient, with the rights that they have at that time."""

    states = "on", "paused", "removed"
    state_labels: ClassVar[dict[str, str]] = {"on": "Active", "removed": "Deleted"}
    __table_args__ = (
        Index("subscription_due", "next_at", postgresql_where=text("state = 'on'")),
        Index("subscription_mine", "who_id", "report"),
    )

    title: Mapped[str] = mapped_column(String(MAX_TITLE))
    report: Mapped[str] = mapped_column(info={"choices": _report_labels})
    asked: Mapped[dict[str, Any]] = mapped_column(default=dict)
    period: Mapped[str] = mapped_column(default="last_week", info={"choices": PERIODS, "label": "Period"})
    format: Mapped[str] = mapped_column(default="pdf", info={"choices": file.FORMATS, "label": "Format"})
    rhythm: Mapped[str] = mapped_column(default="weekly", info={"choices": RHYTHMS, "label": "Frequency"})
    weekday: Mapped[str] = mapped_column(
        default="monday", info={"choices": DAYS, "label": "Day of the week", "only": ("rhythm", ["weekly"])}
    )
    day: Mapped[int] = mapped_column(
        default=1,
        info={
            "label": "Day of the month",
            "help": "In shorter months, the report is sent on the last day.",
            "only": ("rhythm", ["monthly"]),
        },
    )
    at: Mapped[time] = mapped_column(default=time(7), info={"label": "Time"})
    who_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"))
    who: Mapped[Any] = relationship("User", lazy="joined")
    asked_by: Mapped[str] = mapped_column(info={"label": "Scheduled by"})
    next_at: Mapped[datetime] = mapped_column(info={"label": "Next delivery"})
    of_day: Mapped[date | None]  # the day from which the last delivery counted its period
    sent_at: Mapped[datetime | None] = mapped_column(info={"label": "Last delivery"})
    trouble: Mapped[str] = mapped_column(default="")

    refusals: ClassVar[dict[str, str]] = {}

    # --- creating ---

    @classmethod
    def subscribe(cls, report: Report, typed: dict[str, str], wanted: Schedule, user: User) -> Self:
        """Subscribe oneself or, as an administrator, another user who may read the report."""
        me = access.actor()
        if user.id != me.user_id and access.ADMIN not in me.roles:
            raise Forbidden("You don’t have permission to do this.")
        if len(cls.list_for(user.id)) >= MAX_PER_USER:
            raise Refused(
                f"{name_of(user)} already has {MAX_PER_USER} scheduled reports. Delete one before adding another."
            )
        kept = {name: text for name, text in typed.items() if name not in _date_questions(report)}
        made = cls(
            title=report.label,
            report=report.name,
            asked=kept,
            who=user,
            who_id=user.id,
            asked_by=me.name,
            **vars(wanted),
        )
        if why := made.why_not():
            raise Refused(why)
        made.tidy()
        session.add(made)
        return made

    @classmethod
    def list_for(cls, user_id: int | None, report: str = "") -> list[Self]:
        here = select(cls).where(
            cls.who_id == user_id, cls.state != "removed", *([cls.report == report] if report else [])
        )
        return [*session.scalars(here.order_by(cls.id))]

    def tidy(self) -> None:
        self.title = " ".join(self.title.split())
        wrong = {}
        if not 1 <= len(self.title) <= MAX_TITLE:
            wrong["title"] = f"Enter a title of 1 to {MAX_TITLE} characters."
        if not 1 <= self.day <= 31:
            wrong["day"] = "Enter a day from 1 to 31."
        if wrong:
            raise Invalid.for_fields(wrong)
        self.next_at = self.next_time_after(clock.now())

    # --- the schedule ---

    def next_time_after(self, instant: datetime) -> datetime:
        """Return the next delivery after this instant, in the business time zone: one a day, also on clock changes."""
        zone = ZoneInfo(column.staff_locale.timezone)
        day = instant.astimezone(zone).date() - timedelta(days=1)
        while not (self._falls_on(day) and (at := datetime.combine(day, self.at, zone).astimezone(UTC)) > instant):
            day += timedelta(days=1)
        return at

    def _falls_on(self, day: date) -> bool:
        match self.rhythm:
            case "weekly":
                return DAYS[day.weekday()] == self.weekday
            case "monthly":
                return day.day == min(self.day, calendar.monthrange(day.year, day.month)[1])
        return True

    def send_if_due(self) -> None:
        """Send it if it is due. Of several missed deliveries, only the last one is sent. Part of a transaction."""
        if self.state != "on" or self.next_at > clock.now():
            return
        if why := self.why_not() or self._delivery_trouble():
            self.stop(why)
            return
        latest = self.next_at
        while (following := self.next_time_after(latest)) <= clock.now():
            latest = following
        self.next_at = following
        self._send(clock.day_of(latest), key=f"report:{self.id}:{latest.isoformat()}")

    def _send(self, day: date, key: str | None = None) -> None:
        try:
            person = self._recipient()
        except Refused as no:
            self.stop(no.words)
            return
        self.of_day, self.sent_at = day, clock.now()
        tell(person, "house/report", key=key, subscription=self)

    def _recipient(self) -> Person:
        with speaking(ENGLISH):
            return Person.find_or_create(
                name=name_of(self.who), email=self.who.email or "", phone="", timezone=column.staff_locale.timezone
            )

    # --- permission ---

    def why_not(self) -> str:
        """Return why it cannot be sent now, or "" if the recipient may read it and its parameters are valid."""
        report = report_named(self.report)
        if report is None:
            return "This report no longer exists."
        if not self.who.active:
            return f"{name_of(self.who)}’s account is deactivated."
        with access.acting(security.desk_actor(self.who)):
            if not report.is_for(access.actor()):
                return f"{name_of(self.who)} doesn’t have access to this report."
            try:
                self._answers(report)
            except Refused:
                return "The filters of this report are no longer valid. Open the report and schedule it again."
        return ""

    def _delivery_trouble(self) -> str:
        """Return the error if the last emails all failed, otherwise ""."""
        mine = select(Message).where(
            Message.noun == "subscription", Message.row_id == self.id, Message.template == "house/report"
        )
        last = [*session.scalars(mine.order_by(Message.id.desc()).limit(MAX_FAILURES))]
        return last[0].trouble if len(last) == MAX_FAILURES and all(each.state == "failed" for each in last) else ""

    def wants(self, message: Message) -> bool:
        """Check again, when the email is sent, that the recipient may read the report."""
        return message.template != "house/report" or (self.state != "removed" and not self.why_not())

    def _answers(self, report: Report) -> Any:
        return report.parse(self._form_values(report))

    def _form_values(self, report: Report) -> dict[str, str]:
        """Return the parameters with the dates of the period; a single date is its last day."""
        first, last = (each.isoformat() for each in self._covered_days())
        dates = _date_questions(report)
        return self.asked | dict.fromkeys(dates[:1], first) | dict.fromkeys(dates[-1:], last)

    def _covered_days(self) -> tuple[date, date]:
        return days_named(self.period, self.of_day or clock.today())

    # --- the email ---

    def attachments_for(self, template: str) -> Sequence[Attachment]:
        if template != "house/report":
            return ()
        enclosed = self._enclosure()
        del _enclosures[self]
        return enclosed.files

    @property
    def said(self) -> Sequence[str]:
        """Return the summary, for the email only: previews of the template show nothing of a report."""
        return self._enclosure().summary if access.actor().is_system else ()

    def _enclosure(self) -> Enclosure:
        """Run the report as the recipient."""
        if self not in _enclosures:
            report = report_named(self.report)
            assert report is not None
            with access.acting(security.desk_actor(self.who)):
                _enclosures[self] = self._create_enclosure(report)
        return _enclosures[self]

    def _create_enclosure(self, report: Report) -> Enclosure:
        question = self._answers(report)
        summary = [report.verdict(question).words] if report.verdict else []
        try:
            return Enclosure(summary, [file.report_attachment(report, question, self.format)])
        except Refused as no:
            return Enclosure([*summary, f"The report is too large to attach. {no.words}"], [])

    @property
    def days(self) -> str:
        """The days that the last delivery covers."""
        report = report_named(self.report)
        dates = _date_questions(report) if report else []
        first, last = self._covered_days()
        display = KINDS["day"].display
        if not dates:
            return ""
        return display(last) if first == last or len(dates) == 1 else f"{display(first)} – {display(last)}"

    @property
    def link(self) -> str:
        """The address of the report with the same parameters."""
        report = report_named(self.report)
        return f"/desk/reports/{self.report}/?{urlencode(self._form_values(report) if report else {})}"

    @property
    def when(self) -> str:
        """The schedule in words: "every Monday at 07:00"."""
        day = {"daily": "day", "weekly": self.weekday.capitalize(), "monthly": f"month on day {self.day}"}[self.rhythm]
        return f"every {day} at {self.at:%H:%M}"

    # --- moves ---

    @move("on", to="paused", by=ROLES)
    def pause(self) -> None:
        """Stop sending this report until it is resumed."""

    @move("paused", to="on", by=ROLES, label="Resume")
    def go_on(self) -> None:
        """Send this report again from the next scheduled time. Missed reports are not sent."""
        if why := self.why_not():
            raise Refused(why)
        self.trouble, self.next_at = "", self.next_time_after(clock.now())

    @move("on", "paused", by=ROLES, label="Send now")
    def send_now(self) -> None:
        """Send this report now, as of today."""
        if why := self.why_not():
            raise Refused(why)
        self._send(clock.today())

    @move("on", "paused", to="removed", by=ROLES, label="Delete", careful=True)
    def remove(self) -> None:
        """Stop sending this report permanently."""

    @move("on", to="paused", label="Stop")
    def stop(self, why: str) -> None:
        """The report can no longer be sent. The recipient is told why."""
        self.trouble = why
        notify_user(self.who, "report", f"{self.title} is no longer sent to you. {why}", row=self)
        if self.who.active:
            try:
                tell(self._recipient(), "house/report_stopped", subscription=self)
            except Refused:
                return  # an invalid address; the notification is in the desk

    def __str__(self) -> str:
        return self.title or f"Scheduled report {self.id}"


def _date_questions(report: Report) -> list[str]:
    """Return the names of the date parameters, which each delivery fills anew."""
    return [each.name for each in report.questions if each.kind is date]


@every("Send scheduled reports", minutes=1)
def send_due_reports() -> None:
    due = select(Subscription.id).where(Subscription.state == "on", Subscription.next_at <= clock.now())
    for id in session.scalars(due.order_by(Subscription.next_at, Subscription.id)).all():
        with transaction():
            Subscription.get(id).lock().send_if_due()
