"""Notifications page: the list, the unread count at the bell (server-sent events), and the notification settings."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from sqlalchemy import ColumnElement, select, update

from app.desk.notices.notice import Notice
from app.desk.notices.preference import KINDS, WAYS, Preference
from app.desk.records.history import record_url
from app.kernel import access, clock
from app.kernel.db import session, transaction
from app.kernel.errors import Missing, Refused

AT_ONCE = 50
RETRY_AFTER = 5_000  # milliseconds until the browser reconnects; a page in the background does not
MAX_NEW = 3


class Notices(BaseView):
    """The notifications of the current user only."""

    route_base = "/desk/notices"
    base_permissions: tuple[str, ...] = ()

    @expose("/")
    def index(self) -> Any:
        return _sign_in_redirect() or _page()

    @expose("/stream")
    def stream(self) -> Response:
        """Server-sent events that end at once; the browser reconnects, so that no worker is held open."""
        me = access.actor().user_id
        if me is None:
            return Response(status=204)  # tells the browser to stop reconnecting
        last = request.headers.get("Last-Event-ID", "")
        new = _unread_after(me, int(last)) if last.isdecimal() and len(last) < 10 else []
        latest = session.scalar(select(Notice.id).where(Notice.user_id == me).order_by(Notice.id.desc()).limit(1)) or 0
        data = {
            "unread": Notice.count_unread(me),
            "new": [{"words": str(each), "url": url_for("Notices.open", id=each.id)} for each in new],
        }
        body = f"retry: {RETRY_AFTER}\nid: {latest}\nevent: notices\ndata: {json.dumps(data)}\n\n"
        return Response(body, mimetype="text/event-stream", headers={"Cache-Control": "no-store"})

    @expose("/<int:id>")
    def open(self, id: int) -> Any:
        """Mark as read and redirect to the record."""
        if answer := _sign_in_redirect():
            return answer
        notice = session.scalar(select(Notice).where(Notice.id == id, Notice.is_mine()))
        if notice is None:
            raise Missing
        _mark_read(Notice.id == id)
        if notice.noun is None:
            return redirect(url_for("Users.userinfo" if notice.kind == "ways_in" else "Inbox.index"))
        return redirect(record_url(notice.noun, notice.row_id) or url_for("Notices.index"))

    @expose("/read", methods=["POST"])
    def read(self) -> Any:
        """Mark one notification as read, or all."""
        if answer := _sign_in_redirect():
            return answer
        chosen = request.form.get("id", "")
        _mark_read(*([Notice.id == int(chosen)] if chosen.isdecimal() and len(chosen) < 10 else []))
        return redirect(url_for("Notices.index"))

    @expose("/preferences", methods=["POST"])
    def preferences(self) -> Any:
        if answer := _sign_in_redirect():
            return answer
        me = access.actor().user_id
        assert me is not None
        try:
            with transaction():
                Preference.save_ways(me, {kind: request.form[kind] for kind in KINDS if kind in request.form})
        except Refused as no:
            session.rollback()
            return _page(refusal=no), no.status
        flash("Notification settings saved.", "success")
        return redirect(url_for("Notices.index"))


def unread_count() -> int:
    """Return the number at the bell."""
    return Notice.count_unread(access.actor().user_id)


def _sign_in_redirect() -> Any:
    """Return a redirect to the sign-in page, or None for a signed-in user."""
    return redirect(url_for("AuthDBView.login", next="/desk/notices/")) if access.actor().user_id is None else None


def _mark_read(*which: ColumnElement[bool]) -> None:
    """Mark as read in one statement, because the scheduler may be updating the same row."""
    with transaction():
        session.execute(
            update(Notice).where(Notice.is_mine(), Notice.read_at.is_(None), *which).values(read_at=clock.now())
        )


def _page(refusal: Refused | None = None) -> str:
    me = access.actor().user_id
    assert me is not None
    found = [*session.scalars(select(Notice).where(Notice.is_mine()).order_by(Notice.id.desc()).limit(AT_ONCE))]
    return render_template(
        "desk/notices.html",
        notices=found,
        fresh=Notice.count_unread(me),
        kinds=KINDS,
        ways=WAYS,
        wanted=Preference.ways_of(me),
        refusal=refusal,
        called=_kind_label,
    )


def _kind_label(notice: Notice) -> str:
    return KINDS.get(notice.kind, "")


def _unread_after(me: int, last: int) -> list[Notice]:
    new = select(Notice).where(Notice.user_id == me, Notice.id > last, Notice.read_at.is_(None))
    return [*session.scalars(new.order_by(Notice.id).limit(MAX_NEW))]
