"""Automation (workflow rule): a trigger, conditions and steps, written by staff and run by the system."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from app.desk.automations import step
from app.desk.automations.step import Step
from app.desk.declare.resource import Resource, registered_resources, resource_of
from app.desk.lists import filters
from app.desk.lists.query import ListQuery, list_problem, related_name
from app.kernel.access import actor
from app.kernel.db import Noun, noun_of_table, session, within_a_sentence
from app.kernel.errors import Forbidden, Invalid, Refused
from app.kernel.events import ADDED
from app.kernel.process_cache import ProcessCache
from app.kernel.workflow import Move, is_past_tense, move

MAX_STEPS = 10  # steps
LONGEST = 100
_EXCLUDED = ("automation", "run")  # their own records


_STEP = {
    "type": "object",
    "properties": {"does": {"type": "string", "enum": [*step.KINDS]}},
    "additionalProperties": True,
}
_SCHEMA = {"type": "array", "items": _STEP, "maxItems": MAX_STEPS}


def _parse_steps(value: Any) -> list[Any]:
    """Parse the list of steps from JSON. Each step is validated in `tidy`, when the record type is known."""
    try:
        steps = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        steps = None
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise ValueError(f'Send a list of at most {MAX_STEPS} steps, such as {{"does": "remark", "words": "…"}}.')
    return steps


class Automation(Noun):
    """When (trigger), if (conditions), then (steps); `sentence` says it in words."""

    states = "draft", "on", "off"
    __table_args__ = (UniqueConstraint("name"),)
    refusals: ClassVar[dict[str, str]] = {"automation_name_key": "An automation with this name already exists."}

    name: Mapped[str]
    # In the words of the time when it was saved.
    sentence: Mapped[str] = mapped_column(default="", info={"label": "What it does", "whole": True})
    noun: Mapped[str] = mapped_column(info={"label": "Record type"})
    verb: Mapped[str] = mapped_column(info={"label": "Trigger"})
    asked: Mapped[str] = mapped_column(default="", info={"label": "Conditions"})  # encoded as in the address of a list
    steps: Mapped[list[Any]] = mapped_column(
        default=list, info={"label": "Steps", "reads": _parse_steps, "schema": _SCHEMA}
    )
    maker_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id", ondelete="SET NULL"))
    maker: Mapped[Any] = relationship("User")
    made_by: Mapped[str] = mapped_column(info={"label": "Created by"})
    runs: Mapped[Any] = relationship("AutomationRun", viewonly=True)

    def tidy(self) -> None:
        """Validate and normalise before saving. The user must be able to read the record type."""
        with session.no_autoflush:
            self.name, self.steps, self.asked = " ".join((self.name or "").split()), self.steps or [], self.asked or ""
            if not self.made_by:
                self.maker_id, self.made_by = actor().user_id, actor().name
            resource = self._validated()
            self.sentence = sentence_of(
                resource, self.verb, self.groups, [each.in_words() for each in self.parsed_steps]
            )
        active_automations.invalidate()

    def _validated(self) -> Resource:
        wrong = {}
        if not 2 <= len(self.name) <= LONGEST or not self.name.isprintable():
            wrong["name"] = f"Enter a name of 2 to {LONGEST} characters."
        resource = readable_resource(self.noun)
        if resource is None:
            raise Invalid.for_fields(wrong | {"noun": "Choose one from the list."})
        if self.verb not in triggers_of(resource):
            wrong["verb"] = f"Choose a trigger: {', '.join(triggers_of(resource))}."
        try:
            groups = filters.parse_filter(self.asked)
            self.asked = filters.filter_text(groups)
            wrong |= {"asked": no} if (no := list_problem(resource, ListQuery(groups=groups))) else {}
        except Refused as no:
            wrong["asked"] = no.words
        valid = []
        for nth, each in enumerate(self.steps, 1):
            try:
                valid.append(step.parse_step(each, resource).as_json)
            except Invalid as no:
                wrong |= {f"steps.{nth}.{name}": why for name, why in no.fields.items()}
        if wrong:
            raise Invalid.for_fields(wrong)
        self.steps = valid
        return resource

    @property
    def resource(self) -> Resource:
        """Return the resource of the record type, which may have been removed since."""
        try:
            found = resource_of(noun_of_table(self.noun))
        except KeyError:
            found = None
        if found is None:
            raise Refused(f"The record type “{self.noun.replace('_', ' ')}” is no longer available.")
        return found

    @property
    def groups(self) -> filters.Groups:
        return filters.parse_filter(self.asked)

    @property
    def parsed_steps(self) -> list[Step]:
        return [step.load_step(each) for each in self.steps]

    @move("draft", "off", to="on", by="Desk", label="Turn on automation")
    def switch_on(self) -> None:
        """Run this automation every time its trigger occurs."""
        if readable_resource(self.noun) is None:
            raise Forbidden("To turn this automation on, you need permission to view its records.")
        if not self.steps:
            raise Refused("This automation has no steps. Add a step, then turn it on.")
        self.tidy()

    @move("on", to="off", by="Desk", label="Turn off automation")
    def switch_off(self) -> None:
        """Start no new runs, and stop queued ones."""
        active_automations.invalidate()


# --- the cache of active automations ----------------------------------------------------------------------------------

AutomationIds = Mapping[str, Mapping[str, list[int]]]


def _load_active(own: Session) -> AutomationIds:
    """Load the ids of active automations by noun and trigger."""
    found: dict[str, dict[str, list[int]]] = {}
    for id, noun, verb in own.execute(
        select(Automation.id, Automation.noun, Automation.verb).where(Automation.state == "on").order_by(Automation.id)
    ):
        found.setdefault(noun, {}).setdefault(verb, []).append(id)
    return found


active_automations = ProcessCache("automations", _load_active)


def is_awaited(noun: type[Any]) -> bool:
    return noun.__tablename__ in active_automations.value


# --- record types and triggers ----------------------------------------------------------------------------------------


def available_resources() -> list[Resource]:
    """Return the resources with triggers that the current user may read, those of the packs first."""
    who = actor()
    found = [
        each
        for each in registered_resources()
        if each.name not in _EXCLUDED and triggers_of(each) and who.may(each.noun, "read")
    ]
    first = [each.pack for each in registered_resources()][:1]
    return sorted(found, key=lambda each: (each.pack in (*first, "General"), each.pack, each.label))


def readable_resource(name: str) -> Resource | None:
    return next((each for each in available_resources() if each.name == name), None)


def triggers_of(resource: Resource) -> Mapping[str, str]:
    """Return the triggers of a resource with their words, which continue “When a booking …”."""
    found = {ADDED: "is created"} if resource.noun.publishes_added else {}
    found |= {name: _trigger_in_words(resource, it) for name, it in resource.moves.items()}
    phrases = [*found.values()]
    return {
        name: f"{words} (“{resource.moves[name].label}”)"
        if phrases.count(words) > 1 and name in resource.moves
        else words
        for name, words in found.items()
    }


def _trigger_in_words(resource: Resource, it: Move) -> str:
    """The trigger in words: “is marked as paid”. A move without a button is described by the state it leads to."""
    done, _, rest = it.done_text(resource.noun).partition(" ")
    rest = rest.removesuffix(resource.singular).removesuffix(resource.singular.rpartition(" ")[2]).strip()
    if it.by and is_past_tense(done) and (not rest or rest.partition(" ")[0] in _PREPOSITIONS):
        return f"is {done.lower()} {rest}".strip()
    if not it.to:
        return f"is updated by “{it.label}”"
    state = resource.noun.state_label(it.to).lower()
    return _VERBS_OF_STATES.get(state) or f"{'is' if is_past_tense(state) else 'becomes'} {state}"


_VERBS_OF_STATES = {"expired": "expires", "lapsed": "lapses", "failed": "fails"}
# Words that may follow the verb of a label without naming another thing: “Check in”, “Mark as paid”.
_PREPOSITIONS = ("again", "as", "back", "by", "for", "from", "in", "off", "on", "out", "over", "to", "up", "without")


def sentence_of(resource: Resource, verb: str, groups: filters.Groups, steps: Sequence[str]) -> str:
    """Write: When a booking is cancelled, and price is at least 1000: create the task “Call back”, due tomorrow."""
    when = f"When {with_article(resource)} {triggers_of(resource).get(verb, '…')}"
    questions = [" and ".join(within_a_sentence(_condition_in_words(resource, it)) for it in group) for group in groups]
    if questions:
        when += f", and {', or '.join(questions)}"
    return f"{when}: {', then '.join(steps) or 'no steps yet'}."


def _condition_in_words(resource: Resource, it: filters.Condition) -> str:
    try:
        return filters.condition_in_words(resource, it, related_name)
    except (Refused, ValueError):  # incomplete while it is being typed
        return "…"


def with_article(resource: Resource) -> str:
    return resource.singular if resource.singular == resource.plural else _prefix_article(resource.singular)


def name_with_article(name: str) -> str:
    """Write a table name with its article, also if its pack is no longer installed."""
    return next(
        (with_article(each) for each in registered_resources() if each.name == name),
        _prefix_article(name.replace("_", " ")),
    )


def _prefix_article(one: str) -> str:
    return f"{'an' if one[0] in 'aeiou' else 'a'} {one}"
