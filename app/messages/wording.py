"""Wording: message templates written by staff, in versions; the published one replaces the default text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sqlalchemy import Index, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import db
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid
from app.kernel.people import Person
from app.kernel.translation import languages, speaking
from app.kernel.workflow import move
from app.messages import safe_template, template
from app.messages.safe_template import SampleValue
from app.messages.template import CHANNELS, LOCALE, RenderedMessage

LOCALES = {
    "en": "English",
    "hi": "Hindi",
    "kn": "Kannada",
    "ta": "Tamil",
    "te": "Telugu",
    "mr": "Marathi",
    "bn": "Bengali",
    "gu": "Gujarati",
    "ml": "Malayalam",
}
MANY = 5  # samples to try


@dataclass(frozen=True)
class Sample:
    """A person and a row for a preview."""

    person: Person | SampleValue
    about: Mapping[str, Any]


class Wording(Noun):
    """One version of a message in one language on one channel; it is never changed, only followed by the next."""

    states = "draft", "used", "retired"
    state_labels: ClassVar[dict[str, str]] = {"used": "Published", "retired": "Replaced"}
    __table_args__ = (
        UniqueConstraint("template", "locale", "channel", "edition"),
        Index(
            "wording_one_in_use", "template", "locale", "channel", unique=True, postgresql_where=text("state = 'used'")
        ),
    )
    refusals: ClassVar[dict[str, str]] = {
        "wording_template_locale_channel_edition_key": (
            "Someone else has just saved a version of this template. Please save yours again."
        ),
        "wording_one_in_use": "Someone else has just published another version. Review that version first.",
    }

    template: Mapped[str] = mapped_column(info={"choices": template.template_titles, "label": "Message"})
    locale: Mapped[str] = mapped_column(default=LOCALE, info={"choices": LOCALES, "label": "Language"})
    channel: Mapped[str] = mapped_column(default="email", info={"choices": CHANNELS})
    edition: Mapped[int] = mapped_column(info={"label": "Version"})
    subject: Mapped[str] = mapped_column(default="", info={"label": "Subject"})
    body: Mapped[str] = mapped_column(info={"long": True, "label": "Text"})

    # --- rendering ---

    @classmethod
    def published_version(cls, name: str, locale: str, by: str) -> Self | None:
        """The published version in this language; for a language without a catalogue, else the English one."""
        locales = [locale] if locale in languages() else [locale, LOCALE]
        here = select(cls).where(cls.template == name, cls.channel == by, cls.state == "used", cls.locale.in_(locales))
        return session.scalar(here.order_by((cls.locale == locale).desc()).limit(1))

    @classmethod
    def versions_of(cls, name: str, locale: str, by: str) -> list[Self]:
        """All versions, newest first."""
        return [
            *session.scalars(
                select(cls)
                .where(cls.template == name, cls.locale == locale, cls.channel == by)
                .order_by(cls.edition.desc())
            )
        ]

    def render(self, person: Person | SampleValue, about: Mapping[str, Any]) -> RenderedMessage:
        with speaking(self.locale):
            return template.shape_for_channel(
                self.channel, safe_template.render_safely(self.source, person, about), self.locale
            )

    def render_sample(self, person: Person) -> RenderedMessage:
        """Render it with a sample, for a test message."""
        return self.render(person, _render_sample(self.template, self.source)[1].about)

    @property
    def title(self) -> str:
        return template.template_title(self.template)

    @property
    def source(self) -> str:
        return template.join_heading(self.subject, self.body, self.channel)

    # --- editing ---

    @classmethod
    def save_version(cls, name: str, locale: str, by: str, subject: str, body: str) -> Self:
        """Save the next version as a draft."""
        made = cls(
            template=name, locale=locale, channel=by, subject=subject.strip(), body=body.replace("\r\n", "\n").strip()
        )
        made.tidy()
        session.add(made)
        session.flush()
        return made

    def tidy(self) -> None:
        """Check that it can be rendered with a sample before it is saved, and number it."""
        self.locale, self.channel, self.subject = self.locale or LOCALE, self.channel or "email", self.subject or ""
        if self.template not in template.template_names():
            raise Invalid.for_fields({"template": "There is no message with this name."})
        check_wording(self.template, self.channel, self.subject, self.body, self.locale)
        with session.no_autoflush:
            same = Wording.template == self.template, Wording.locale == self.locale, Wording.channel == self.channel
            self.edition = 1 + (session.scalar(select(func.max(Wording.edition)).where(*same)) or 0)

    @move("draft", "retired", by="Desk", label="Publish version")
    def use(self) -> None:
        """Publish this version. The previous version is kept and can be published again."""
        for other in self.versions_of(self.template, self.locale, self.channel):
            if other.state == "used":
                other.retire()
        session.flush()
        self.come_into_use()

    @move("draft", "retired", to="used")
    def come_into_use(self) -> None:
        """Make this the published version."""

    @move(
        "used",
        to="retired",
        by="Desk",
        label="Restore default",
        confirm="The default text will be sent again. Your version is kept.",
    )
    def retire(self) -> None:
        """Stop using this version and send the default text. The version is kept."""

    def __str__(self) -> str:
        language, by = LOCALES.get(self.locale, self.locale), CHANNELS.get(self.channel, self.channel)
        return f"{self.title}, {language}, {by}, version {self.edition}"


def check_wording(name: str, by: str, subject: str, body: str, locale: str = LOCALE) -> RenderedMessage:
    """Render a text with a sample, or raise Invalid with its mistakes."""
    wrong = {}
    if by != "sms" and not subject.strip():
        wrong["subject"] = "This field is required."
    if "\n" in subject or len(subject) > 500:
        wrong["subject"] = "Enter a subject of one line, using at most 500 characters."
    if not body.strip() and by != "whatsapp":
        wrong["body"] = "This field is required."
    if wrong:
        raise Invalid.for_fields(wrong)
    source, heading = template.join_heading(subject, body, by), template.heading_line(body, by)
    with speaking(locale):
        content = template.shape_for_channel(by, _render_sample(name, source, heading)[0], locale)
    if no := _channel_errors(content, by):
        raise Invalid.for_fields(no)
    return content


def _render_sample(name: str, source: str, heading: int = 0) -> tuple[str, Sample]:
    """Render with the first sample that works, since not every row has every value."""
    wrong: Invalid | None = None
    for sample in samples_of(name):
        try:
            return safe_template.check_template(source, sample.person, sample.about, heading), sample
        except Invalid as no:
            wrong = wrong or no
    assert wrong
    raise wrong


def _channel_errors(content: RenderedMessage, by: str) -> dict[str, str]:
    """Mistakes for which the provider would reject the message."""
    if by == "whatsapp" and not all(
        letter.isdigit() or letter == "_" or "a" <= letter <= "z" for letter in content.subject
    ):
        return {"subject": "A WhatsApp template name can only contain lowercase letters, digits and underscores."}
    if by == "sms" and len(content.text) > 1600:
        return {"body": f"An SMS can have at most 1,600 characters. This one has {len(content.text):,}."}
    return {}


def samples_of(name: str) -> Iterator[Sample]:
    """The latest rows that such a message could be about; placeholder values if there are none."""
    called, noun = next(iter(subjects_of(name).items()), ("", None))
    rows = session.scalars(select(noun).order_by(noun.id.desc()).limit(MANY)).unique().all() if noun else []
    for row in rows:
        whose = getattr(row, "person", None)
        yield Sample(whose if isinstance(whose, Person) else SampleValue(Person, "person"), {called: row})
    if not rows:
        yield Sample(SampleValue(Person, "person"), {called: SampleValue(noun, called)} if called else {})


def subjects_of(name: str) -> dict[str, type[Noun] | None]:
    """The variables of the default texts of a message, with the noun of each."""
    originals = (template.default_text(name, by) for by in CHANNELS)
    called = sorted({each for source in originals if source for each in safe_template.undeclared_variables(source)})
    return {each: _noun(each) for each in called}


def _noun(called: str) -> type[Noun] | None:
    try:
        return db.noun_of_table(called)
    except KeyError:
        return None


def has_text(name: str, locale: str, by: str) -> bool:
    return template.default_text(name, by) is not None or Wording.published_version(name, locale, by) is not None
