"""Message templates page: staff write, preview, test and publish wordings for email, SMS and WhatsApp, by language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flask import Response, current_app, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access
from flask_login import current_user
from sqlalchemy import select

from app.desk.declare import column
from app.desk.declare.resource import Resource
from app.kernel import access
from app.kernel.access import everything
from app.kernel.db import session, transaction
from app.kernel.errors import Missing, Refused
from app.kernel.people import Person
from app.kernel.workflow import press_move
from app.messages import channel, safe_template, template
from app.messages.message import send_trial
from app.messages.wording import LOCALES, Wording, check_wording, subjects_of

LABELS = {"email": "Email", "whatsapp": "WhatsApp", "sms": "SMS"}
# A preview runs no scripts, fetches nothing and submits nothing.
PREVIEW_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}


class _WordingResource(Resource):
    """Every version is a row; links lead to the page that lists all messages, also those without versions."""

    @property
    def page_endpoint(self) -> str:
        return "Words.index"


words = _WordingResource(
    Wording,
    also="message templates email sms whatsapp text wording notification reminder confirmation",
    icon="pencil",
    one="message template",
    label="Message templates",
    list="template locale channel edition state created_at",
    show="template locale channel edition state subject body created_at",
    add="template locale channel subject body",
    edit="",
    search="template subject body",
    filters="state channel locale",
    related="message",
    tones={"used": "good"},
    roles={"Desk": "read add moves", "Auditor": "read"},
    scope=everything,
)


class Words(BaseView):
    """The list of all messages, and the editor of one."""

    route_base = "/desk/words"
    class_permission_name = "Wording"
    base_permissions = [f"can_{verb}" for verb in words.verbs]
    method_permission_name: ClassVar[dict[str, str]] = {
        "index": "read",
        "show": "read",
        "look": "read",
        "save": "add",
        "preview": "add",
        "use": "use",
        "go_back": "retire",
        "try_it": "add",
    }

    @expose("/")
    @has_access
    def index(self) -> Any:
        """List the messages declared by packs, with their published versions."""
        used: dict[str, dict[str, list[Wording]]] = {}
        for each in session.scalars(select(Wording).where(Wording.state == "used").order_by(Wording.locale)):
            used.setdefault(each.template, {}).setdefault(each.channel, []).append(each)
        packs = [
            (pack.label, _messages_of(pack)) for pack in reversed(current_app.extensions["packs"]) if pack.messages
        ]
        return self._page(
            "desk/words.html",
            packs=packs,
            used=used,
            channels=_available_channels(),
            original=template.default_text,
            locales=LOCALES,
        )

    @expose("/<folder>/<name>/<by>/<locale>")
    @has_access
    def show(self, folder: str, name: str, by: str, locale: str) -> Any:
        it = _WordingKey(folder, name, by, locale)
        chosen = it.find_edition(request.args.get("edition", ""))
        subject, body = (chosen.subject, chosen.body) if chosen else it.original
        return self._editor(it, {"subject": subject, "body": body}, chosen=chosen)

    @expose("/<folder>/<name>/<by>/<locale>", methods=["POST"])
    @has_access
    def save(self, folder: str, name: str, by: str, locale: str) -> Any:
        """Save the next version, if it is a valid template. It is used once it is published."""
        it = _WordingKey(folder, name, by, locale)
        typed = {"subject": request.form.get("subject", ""), "body": request.form.get("body", "")}
        try:
            with transaction():
                made = Wording.save_version(it.template, locale, by, **typed)
        except Refused as no:
            session.rollback()
            return self._editor(it, typed, refusal=no), no.status
        flash(f"Version {made.edition} saved. Publish it to start using it.", "success")
        return redirect(it.url(edition=made.edition))

    @expose("/<folder>/<name>/<by>/<locale>/look")
    @has_access
    def look(self, folder: str, name: str, by: str, locale: str) -> Response:
        """Preview a version or the default, filled with sample data."""
        it = _WordingKey(folder, name, by, locale)
        chosen = it.find_edition(request.args.get("edition", ""))
        return _preview_response(it.template, by, *((chosen.subject, chosen.body) if chosen else it.original))

    @expose("/<folder>/<name>/<by>/<locale>/preview", methods=["POST"])
    @has_access
    def preview(self, folder: str, name: str, by: str, locale: str) -> Response:
        """Preview the unsaved input, filled with sample data."""
        it = _WordingKey(folder, name, by, locale)
        return _preview_response(it.template, by, request.form.get("subject", ""), request.form.get("body", ""))

    @expose("/<folder>/<name>/<by>/<locale>/use/<int:id>", methods=["POST"])
    @has_access
    def use(self, folder: str, name: str, by: str, locale: str, id: int) -> Any:
        it = _WordingKey(folder, name, by, locale)
        return self._press(it, it.get_wording(id), "use", "published")

    @expose("/<folder>/<name>/<by>/<locale>/original/<int:id>", methods=["POST"])
    @has_access
    def go_back(self, folder: str, name: str, by: str, locale: str, id: int) -> Any:
        it = _WordingKey(folder, name, by, locale)
        return self._press(it, it.get_wording(id), "retire", "is no longer used. The default is used again")

    @expose("/<folder>/<name>/<by>/<locale>/try/<int:id>", methods=["POST"])
    @has_access
    def try_it(self, folder: str, name: str, by: str, locale: str, id: int) -> Any:
        """Send a test to the current user: by email to their address, otherwise to the number that they enter."""
        it = _WordingKey(folder, name, by, locale)
        wording = it.get_wording(id)
        try:
            with transaction():
                me = {
                    "name": access.actor().name,
                    "email": current_user.email,
                    "timezone": column.staff_locale.timezone,
                }
                send_trial(
                    wording, Person.find_or_create(**me, phone=request.form.get("phone", "") if by != "email" else "")
                )
        except Refused as no:
            flash(" ".join([no.words, *no.fields.values()]), "danger")
        else:
            flash("The test message is on its way.", "success")
        return redirect(it.url(edition=wording.edition))

    def _press(self, it: _WordingKey, wording: Wording, move: str, done: str) -> Any:
        try:
            with transaction():
                press_move(wording, move, {})
        except Refused as no:
            flash(no.words, "danger")
        else:
            flash(f"Version {wording.edition} {done}.", "success")
        return redirect(it.url())

    def _editor(
        self,
        it: _WordingKey,
        typed: Mapping[str, str],
        *,
        chosen: Wording | None = None,
        refusal: Refused | None = None,
    ) -> str:
        known = {
            "channels": _available_channels(),
            "locales": LOCALES,
            "editions": it.editions,
            "original": it.original if it.has_original else None,
        }
        return self._page(
            "desk/words_edit.html",
            it=it,
            typed=typed,
            chosen=chosen,
            refusal=refusal,
            names=_available_variables(it),
            **known,
        )

    def _page(self, page: str, **context: Any) -> str:
        g.resource = words
        may = {verb for verb in words.verbs if access.actor().may(Wording, verb)}
        return render_template(page, labels=LABELS, resource=words, may=may, headings=template.HEADINGS, **context)


class _WordingKey:
    """One message on one channel in one language, with its versions."""

    def __init__(self, folder: str, name: str, by: str, locale: str) -> None:
        self.template, self.by, self.locale = f"{folder}/{name}", by, locale
        if self.template not in template.template_names() or by not in LABELS or locale not in LOCALES:
            raise Missing
        self.editions = Wording.versions_of(self.template, locale, by)
        self.used = next((each for each in self.editions if each.state == "used"), None)

    @property
    def label(self) -> str:
        return template.template_title(self.template)

    @property
    def has_original(self) -> bool:
        return template.default_text(self.template, self.by) is not None

    @property
    def original(self) -> tuple[str, str]:
        return template.split_heading(template.default_text(self.template, self.by, self.locale) or "", self.by)

    def find_edition(self, asked: str) -> Wording | None:
        """Return the version asked for, None for the default, or else the published one."""
        if asked == "original":
            return None
        return next((each for each in self.editions if str(each.edition) == asked), self.used)

    def get_wording(self, id: int) -> Wording:
        found = next((each for each in self.editions if each.id == id), None)
        if found is None:
            raise Missing
        return found

    def url(self, door: str = "show", **more: Any) -> str:
        folder, name = self.template.split("/")
        return url_for(f"Words.{door}", **{"folder": folder, "name": name, "by": self.by, "locale": self.locale} | more)


def _messages_of(pack: Any) -> list[tuple[str, str]]:
    names = [each if "/" in each else f"{pack.name}/{each}" for each in pack.messages]
    return [(each, template.template_title(each)) for each in names]


def _available_channels() -> list[str]:
    """Return the channels that are set up, in the usual order."""
    available = {each.name for each in channel.all_channels()}
    return [each for each in LABELS if each in available]


def _available_variables(it: _WordingKey) -> dict[str, list[str]]:
    """Return the variables for the template, of the customer and of the record that the message is about."""
    return {
        name: [*safe_template.readable_names(noun)]
        for name, noun in {"person": Person, **subjects_of(it.template)}.items()
        if noun
    }


def _preview_response(name: str, by: str, subject: str, body: str) -> Response:
    try:
        rendered = check_wording(name, by, subject.strip(), body.replace("\r\n", "\n"))
    except Refused as no:
        page = render_template("desk/words_preview.html", wrong=[*no.fields.values()] or [no.words], said=None)
    else:
        page = rendered.html or render_template("desk/words_preview.html", wrong=[], said=rendered)
    return Response(page, headers=PREVIEW_HEADERS)
