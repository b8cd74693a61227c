"""Form designer: staff edit the intake forms and questions for customers, preview and publish them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flask import Response, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access
from sqlalchemy import select

from app.desk.declare.resource import Resource
from app.kernel import access
from app.kernel.access import everything
from app.kernel.db import session, transaction
from app.kernel.errors import Missing, Refused, Unreadable
from app.kernel.forms import Edition, Form
from app.kernel.question import DECIDES, KINDS, LOCALES, Question, possible_answers

# A preview submits nothing; its own scripts hide questions whose condition is not met.
PREVIEW_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}
CHECKBOXES = ("required", "secret", "unknown")


class _FormResource(Resource):
    """Links to a form lead to the designer."""

    page = "FormDesign.show"

    @property
    def page_endpoint(self) -> str:
        return "FormDesign.index"


forms = _FormResource(
    Form,
    also="intake questions questionnaire survey",
    icon="square",
    list="name state changed_at",
    show="name state draft created_at changed_at",
    add="name",
    search="name",
    filters="state",
    order="name",
    roles={"Desk": "read write moves", "Auditor": "read"},
    scope=everything,
)
editions = Resource(
    Edition,
    also="form version history",
    icon="history",
    one="form version",
    label="Form versions",
    list="form number published_at",
    show="form number published_at questions",
    search="form.name",
    filters="form published_at",
    roles={"Desk": "read", "Auditor": "read"},
    scope=everything,
)


class FormDesign(BaseView):
    """The list of forms, one form, and one question of it. Works without JavaScript."""

    route_base = "/desk/forms"
    class_permission_name = "Form"
    base_permissions = [f"can_{verb}" for verb in forms.verbs]
    method_permission_name: ClassVar[dict[str, str]] = {
        "index": "read",
        "show": "read",
        "look": "read",
        "make": "add",
        "write": "edit",
        "arrange": "edit",
        "try_out": "edit",
    }

    @expose("/")
    @has_access
    def index(self) -> Any:
        return self._index()

    @expose("/", methods=["POST"])
    @has_access
    def make(self) -> Any:
        """Create an empty form."""
        name = " ".join(request.form.get("name", "").split())
        try:
            if not 2 <= len(name) <= 100 or not name.isprintable():
                raise Unreadable("Enter a name of 2 to 100 characters.")
            with transaction():
                made = Form(name=name)
                session.add(made)
        except Refused as no:
            session.rollback()
            return self._index(typed=name, refusal=no), no.status
        return redirect(url_for("FormDesign.show", id=made.id))

    @expose("/<int:id>")
    @has_access
    def show(self, id: int) -> Any:
        form = access.find_visible(Form, id)
        return self._page("desk/forms_show.html", form=form, latest=form.latest, no=_why_unpublishable(form))

    @expose("/<int:id>/question", methods=["GET", "POST"])
    @expose("/<int:id>/question/<name>", methods=["GET", "POST"])
    @has_access
    def write(self, id: int, name: str = "") -> Any:
        """Add or change a question. A refusal keeps the input."""
        form = access.find_visible(Form, id)
        before = form.question(name) if name else None
        if request.method == "GET":
            return self._question(form, before, _question_as_form(before))
        try:
            self._change(form, lambda: form.save_question(request.form, instead=name))
        except Refused as no:
            session.rollback()
            return self._question(access.find_visible(Form, id), before, request.form, no), no.status
        return redirect(url_for("FormDesign.show", id=id, _anchor="questions"))

    @expose("/<int:id>/question/<name>/<act>", methods=["POST"])
    @has_access
    def arrange(self, id: int, name: str, act: str) -> Any:
        form = access.find_visible(Form, id)
        acts: dict[str, Callable[[], object]] = {
            "up": lambda: form.move_question(name, -1),
            "down": lambda: form.move_question(name, 1),
            "remove": lambda: form.remove_question(name),
        }
        if act not in acts:
            raise Missing
        try:
            self._change(form, acts[act])
        except Missing:
            raise
        except Refused as no:
            session.rollback()
            flash(no.words, "danger")
        return redirect(url_for("FormDesign.show", id=id, _anchor="questions"))

    @expose("/<int:id>/look")
    @has_access
    def look(self, id: int) -> Response:
        """Preview the draft as customers will see it, or a published version as they saw it."""
        form, number = access.find_visible(Form, id), request.args.get("edition", "")
        if not number:
            return _preview_response(form.draft_questions)
        edition = next((each for each in form.editions if str(each.number) == number), None)
        if edition is None:
            raise Missing
        return _preview_response(edition.parsed_questions)

    @expose("/<int:id>/look", methods=["POST"])
    @has_access
    def try_out(self, id: int) -> Response:
        """Preview the draft with the unsaved input."""
        form, name = access.find_visible(Form, id), request.form.get("instead", "")
        beside = [each for each in form.draft_questions if each.name != name]
        try:
            made = Question.from_page({**request.form, "name": name or request.form.get("name", "")}, beside)
        except Refused as no:
            return _preview_response(form.draft_questions, [*no.fields.values()])
        return _preview_response(
            [made if each.name == name else each for each in form.draft_questions]
            if name
            else [*form.draft_questions, made]
        )

    def _change(self, form: Form, change: Callable[[], object]) -> None:
        """Change the form, unless it was changed since the page was loaded."""
        with transaction():
            form.lock()
            if request.form.get("version", str(form.version)) != str(form.version):
                raise Refused(
                    "Someone else changed this while you were editing. Reload the page to see the latest version."
                )
            change()

    def _index(self, **context: Any) -> str:
        visible = [*session.scalars(access.visible_rows(Form).order_by(Form.name))]
        newest = {each.form_id: each for each in session.scalars(select(Edition).order_by(Edition.number))}
        return self._page("desk/forms.html", forms=visible, newest=newest, **context)

    def _question(self, form: Form, before: Question | None, typed: Any, refusal: Refused | None = None) -> str:
        """Show the form of a question; it can depend on the questions before it."""
        names = [each.name for each in form.draft_questions]
        earlier = (
            form.draft_questions[: names.index(before.name)]
            if before and before.name in names
            else form.draft_questions
        )
        deciding = [each for each in earlier if each.kind in DECIDES]
        return self._page(
            "desk/forms_question.html",
            form=form,
            before=before,
            typed=typed,
            refusal=refusal,
            deciding=deciding,
            possible_answers=possible_answers,
        )

    def _page(self, page: str, **context: Any) -> str:
        g.resource = forms
        may = {verb for verb in forms.verbs if access.actor().may(Form, verb)}
        return render_template(page, resource=forms, may=may, kinds=KINDS, locales=LOCALES, **context)


def _why_unpublishable(form: Form) -> str | None:
    return forms.moves["publish"].refuses(form)


def _question_as_form(question: Question | None) -> dict[str, str]:
    """Return a question as the fields of its form."""
    if question is None:
        return {"kind": "text"}
    facts = {
        name: str(value)
        for name in ("name", "kind", "longest", "megabytes", "earliest", "latest", "asked_if", "equals")
        if (value := getattr(question, name))
    }
    facts |= {name: str(value) for name in ("least", "most") if (value := getattr(question, name)) is not None}
    words = {
        f"{name}_{locale}".removesuffix("_en"): text
        for name in ("label", "help")
        for locale, text in getattr(question, name).items()
    }
    options = "\n".join(" | ".join(filter(None, (each["en"], each.get("hi")))) for each in question.options)
    return facts | words | {"options": options} | {name: "on" for name in CHECKBOXES if getattr(question, name)}


def _preview_response(asked: list[Question], wrong: list[str] | None = None) -> Response:
    return Response(render_template("desk/forms_preview.html", asked=asked, wrong=wrong or []), headers=PREVIEW_HEADERS)
