"""Automations on the desk: the builder page, the test page (a dry run), and the log of runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from flask import flash, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from sqlalchemy import select

from app.desk.automations import automation, placeholders, step
from app.desk.automations.automation import Automation
from app.desk.automations.run import AutomationRun
from app.desk.automations.step import MAKER, OWNER, StepPreview
from app.desk.declare.about_a_record import about_readable
from app.desk.declare.column import Column
from app.desk.declare.resource import Resource, Waits
from app.desk.lists import filter_form, filters
from app.desk.lists.filter_form import Line
from app.desk.lists.query import ListQuery, ids_matching, list_problem, related_name
from app.desk.notices.colleague import active_users, name_of
from app.desk.pages.view import NounView
from app.desk.records.writing import selectable_rows, write_row
from app.kernel import access
from app.kernel.access import everything
from app.kernel.db import session
from app.kernel.errors import Forbidden, Invalid, Missing, Refused, Unreadable
from app.messages.webhook import Webhook

LATEST = 10
RECORD_TYPE_CHANGED = (
    "The record type has changed, so the conditions were removed. Review the automation and save it again."
)
_STEP = re.compile(r"s([0-9]{1,2})\.does")


@dataclass
class Draft:
    """An automation while it is edited; `wrong` has the errors by field."""

    resource: Resource
    typed: Mapping[str, str]
    groups: list[list[Line]]
    steps: list[dict[str, Any]]
    lost: str = ""  # a message about conditions that were removed
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def form_values(self) -> dict[str, Any]:
        question = filters.filter_text([[line.condition for line in group] for group in self.groups])
        return {
            **{name: self.typed.get(name, "") for name in ("name", "noun", "verb")},
            "asked": question,
            "steps": self.steps,
        }

    @property
    def sentence(self) -> str:
        """Describe the automation in words, as far as it is complete."""
        groups = tuple(tuple(line.condition for line in group) for group in self.groups)
        return automation.sentence_of(
            self.resource, self.typed.get("verb", ""), groups, [self._step(each) for each in self.steps]
        )

    def _step(self, typed: Mapping[str, Any]) -> str:
        try:
            return step.parse_step(typed, self.resource).in_words()
        except Invalid:
            return f"{step.KINDS[typed['does']].label.lower()} …" if typed.get("does") in step.KINDS else "…"

    def check_conditions(self) -> bool:
        """Check each condition alone, so that the wrong one is highlighted."""
        for line in (line for group in self.groups for line in group):
            line.wrong = list_problem(self.resource, ListQuery(groups=((line.condition,),)))
        return not any(line.wrong for group in self.groups for line in group)


class AutomationScreens(NounView):
    """The screens of every noun, with a builder instead of the form, and a test page."""

    method_permission_name: ClassVar[dict[str, str]] = NounView.method_permission_name | {
        "try_out": "read",
        "rows": "read",
    }

    def _answer_form(self, columns: Sequence[Column], row: Any) -> Any:
        """Save, or answer the same page with a line more or less for the other buttons. A refusal keeps the input."""
        if request.method == "GET":
            draft = self._draft(row, request.args)
            return self._sentence(row, draft, Refused(draft.lost) if draft.lost else None)
        draft, id = self._draft(row, request.form), row.id
        if request.form.get("do") != "save":
            return self._sentence(row, draft)
        try:
            if draft.lost:
                raise Refused(draft.lost)
            if not draft.check_conditions():
                raise Invalid.for_fields({"asked": "Correct the highlighted conditions."})
            write_row(
                row,
                columns,
                draft.form_values | {"version": request.form.get("version", "")} if id else draft.form_values,
            )
        except Refused as no:
            session.rollback()
            draft.wrong = no.fields
            return self._sentence(access.find_visible(Automation, id) if id else Automation(), draft, no), no.status
        flash(
            "Saved." if row.state == "on" else "Saved. The automation doesn’t run until you turn it on. Test it first.",
            "success",
        )
        return redirect(url_for(f"{self.endpoint}.show", pk=row.id))

    @expose("/<int:id>/try")
    @has_access
    def try_out(self, id: int) -> Any:
        """Dry run: show what it would do for one of the latest rows that the user may read."""
        row = access.find_visible(Automation, id)
        resource = automation.readable_resource(row.noun)
        if resource is None:
            raise Missing
        chosen = self._chosen(resource, request.args.get("row", ""))
        latest = [
            *session.scalars(
                access.visible_rows(resource.noun).order_by(resource.noun.id.desc()).limit(LATEST)
            ).unique()
        ]
        if chosen is not None and chosen not in latest:
            latest = [chosen, *latest]
        try:
            holds, no = ids_matching(resource, row.groups, [each.id for each in latest]), ""
        except Refused as refusal:
            holds, no = set[int](), refusal.words
        chosen = chosen or next((each for each in latest if each.id in holds), None) or next(iter(latest), None)
        context = {
            "holds": holds,
            "no": no,
            "parts": _condition_results(resource, row, chosen) if chosen is not None and not no else [],
        }
        would = [_preview_step(each, chosen, row) for each in row.parsed_steps] if chosen is not None else []
        return self._render(
            "desk/automation_try.html", row=row, about=resource, latest=latest, chosen=chosen, would=would, **context
        )

    @expose("/<int:id>/rows")
    @has_access
    def rows(self, id: int) -> Any:
        """Suggest a few matching rows that the user may read."""
        resource = automation.readable_resource(access.find_visible(Automation, id).noun)
        if resource is None:
            raise Missing
        return {
            "choices": [
                {"id": row.id, "name": str(row)}
                for row in selectable_rows(resource.noun, request.args.get("q", "")[:100])
            ]
        }

    def _chosen(self, resource: Resource, typed: str) -> Any:
        """Find the row by its id or “12 · Asha Rao”, if the user may read it."""
        head = typed.split("·", maxsplit=1)[0].strip()
        return (
            access.find_visible(resource.noun, int(head))
            if head.isascii() and head.isdecimal() and len(head) < 10
            else None
        )

    def _draft(self, row: Any, typed: Mapping[str, str]) -> Draft:
        """Return the draft from the form, or at first from the row. A new record type drops the conditions."""
        open_to = automation.available_resources()
        if not open_to or (row.id and row.noun not in {each.name for each in open_to}):
            raise Forbidden("To edit this automation, you need permission to view its records.")
        started = "was" in typed
        first = next((each for each in open_to if each.name == (typed.get("noun") or row.noun)), open_to[0])
        is_same = typed.get("was", first.name) == first.name
        kept: dict[str, str] = (
            {name: getattr(row, name) or "" for name in ("name", "noun", "verb")} if row.id and not started else {}
        )
        current = {
            **kept,
            **{name: typed.get(name, "") for name in ("name", "noun", "verb", "do") if name in typed},
            "noun": first.name,
        }
        if current.get("verb") not in automation.triggers_of(first):
            current["verb"] = ""
        lost = "" if is_same or not any(name.endswith(".column") for name in typed) else RECORD_TYPE_CHANGED
        try:
            question = row.groups if row.id and not started and first.name == row.noun else ()
            groups = filter_form.form_lines(first, question, typed if is_same else current, always=False)
        except Unreadable as no:
            groups, lost = [], f"{no.words} The conditions were removed. Review the automation before you save it."
        steps = _steps_from_form(typed) if started else [_step_as_form(each) for each in row.steps or []]
        return Draft(first, current, groups, _rearrange(steps, typed.get("do", "")), lost)

    def _sentence(self, row: Any, draft: Draft, refusal: Refused | None = None) -> str:
        packs: dict[str, list[Resource]] = {}
        for each in automation.available_resources():
            packs.setdefault(each.pack, []).append(each)
        resource = draft.resource
        people = [(str(user.id), name_of(user)) for user in active_users()]
        owner = [(OWNER, "Record owner")] if access.owner_paths(resource.noun) else []
        known = {
            "packs": packs,
            "verbs": automation.triggers_of(resource),
            "whom": [*owner, (MAKER, "Automation owner"), *people],
            "kinds": step.KINDS,
            "templates": [(name, step.message_title(name)) for name in step.templates_for(resource)],
            "places": placeholders.available_placeholders(resource),
            "hooks": [*session.scalars(select(Webhook).order_by(Webhook.name))]
            if access.actor().may(Webhook, "read")
            else [],
            "operator_label": filters.operator_label,
            "relative_periods": filters.RELATIVE_PERIODS,
            "open_to": filters.filterable_columns(resource),
            "an": automation.with_article,
        }
        return self._render("desk/automation.html", row=row, draft=draft, refusal=refusal, **known)


def _steps_from_form(typed: Mapping[str, str]) -> list[dict[str, Any]]:
    found = sorted(int(match[1]) for name in typed if (match := _STEP.fullmatch(name)))
    fields = ("does", "words", "who", "days", "template", "hook")
    return [{name: typed[f"s{nth}.{name}"] for name in fields if f"s{nth}.{name}" in typed} for nth in found]


def _step_as_form(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else str(value) for name, value in kept.items()}


def _rearrange(steps: list[dict[str, Any]], do: str) -> list[dict[str, Any]]:
    """Add, remove or move up a step, by the button that was pressed."""
    verb, _, at = do.partition(":")
    nth = int(at) - 1 if at.isascii() and at.isdecimal() and len(at) < 3 else -1
    if verb == "step" and at in step.KINDS and len(steps) < automation.MAX_STEPS:
        return [*steps, {"does": at}]
    if verb == "unstep":
        return [each for here, each in enumerate(steps) if here != nth]
    if verb == "earlier" and 0 < nth < len(steps):
        steps[nth - 1 : nth + 1] = [steps[nth], steps[nth - 1]]
    return steps


def _condition_results(resource: Resource, row: Automation, chosen: Any) -> list[list[tuple[str, bool]]]:
    """Return each condition in words, and whether this row meets it."""
    return [
        [
            (
                filters.condition_in_words(resource, it, related_name),
                chosen.id in ids_matching(resource, ((it,),), [chosen.id]),
            )
            for it in group
        ]
        for group in row.groups
    ]


def _preview_step(each: step.Step, chosen: Any, row: Automation) -> StepPreview:
    try:
        return each.preview(chosen, row)
    except Refused as no:
        return StepPreview(_capital(each.in_words()), trouble=" ".join([*no.fields.values()] or [no.words]))
    except Exception as error:  # noqa: BLE001  # any error of a template is shown in the test
        return StepPreview(_capital(each.in_words()), trouble=f"This message can’t be created: {error}"[:300])


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


class _Automations(Resource):
    """Adds the link to the test page."""

    page, page_label = "AutomationScreens.try_out", "Test automation"


automations = [
    _Automations(
        Automation,
        also="workflow rules triggers automatic",
        icon="sparkles",
        list="name sentence state made_by",
        show="name sentence state made_by created_at | API representation: noun verb asked steps",
        add="name noun verb asked steps",
        search="name sentence",
        filters="state noun verb",
        order="name",
        related="runs",
        screens=AutomationScreens,
        tones={"on": "good", "draft": "warn"},
        empty="Automations do routine work for you. "
        "For example: when a booking is cancelled, create a task to call the customer back.",
        roles={"Desk": "read write moves", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        AutomationRun,
        also="automation runs workflow log",
        icon="history",
        one="automation run",
        empty="A run appears here each time an automation’s trigger occurs.",
        list="created_at automation about verb state trouble",
        show="automation noun row_id verb state trouble did chain created_at finished_at",
        search="about automation.name",
        found=False,
        filters="state automation created_at",
        labels={
            "created_at": "Triggered",
            "about": "Record",
            "noun": "Record type",
            "row_id": "Record ID",
            "did": "Actions taken",
            "chain": "Automations in this chain",
        },
        tones={"stopped": "quiet"},
        waits=[
            Waits(
                "Failed automations", "Desk", lambda: AutomationRun.state == "failed", {"f.state": "failed"}, tone="bad"
            )
        ],
        roles={"Desk": "read moves", "Auditor": "read"},
        scope=about_readable,
    ),
]
