"""The console at /ops, for administrators alone: Flask-Admin keeps its pages and their addresses, the desk's frame draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, flash, redirect, render_template, request, url_for
from flask_admin import Admin, BaseView, expose
from flask_admin.theme import Theme

from app.kernel import access
from app.kernel.access import ADMIN
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.kernel.errors import Forbidden, NotSignedIn
from app.kernel.jobs import Job
from app.ops import configuration, dead_letters, postgres_status, redis_status
from app.ops.console_card import Card, Tile

Cards = Callable[[], Iterable[Card]]


class Page(BaseView):
    """Flask-Admin lets everybody in by itself, and calls a handler twice when its first call breaks: neither does this one."""

    def __init__(self, name: str, url: str, cards: Cards = tuple) -> None:
        super().__init__(name, url=url, endpoint="ops" if url.startswith("/") else f"ops_{url}")
        self.cards = cards

    def is_accessible(self) -> bool:
        return ADMIN in access.actor().roles

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Any:
        raise (
            NotSignedIn("Sign in to continue.")
            if access.actor().user_id is None
            else Forbidden("You don’t have permission to do this.")
        )

    def _run_view(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(self, *args, **kwargs)

    @expose("/")
    def show(self) -> str:
        return self._drawn(cards=[*self.cards()])

    def _drawn(self, **known: Any) -> str:
        assert self.admin is not None
        return render_template(
            "ops/page.html", page=self, pages=self.admin.views, **{"cards": [], "tiles": [], "tabs": []} | known
        )

    def _did(self, words: str) -> Any:
        flash(words, "success")
        return redirect(url_for(f"{self.endpoint}.show"))


class Front(Page):
    """How everything stands, at a glance."""

    @expose("/")
    def show(self) -> str:
        tiles: list[Tile] = [
            *dead_letters.tiles(),
            *redis_status.tiles(),
            *postgres_status.tiles(),
            *configuration.tiles(),
        ]
        return self._drawn(tiles=tiles)


class Jobs(Page):
    """One state at a time."""

    @expose("/")
    def show(self) -> str:
        asked = request.args.get("state", "failed")
        state = asked if asked in Job.states else "failed"
        tabs = [
            (Job.state_label(each), count, url_for("ops_jobs.show", state=each), each == state)
            for each, count in dead_letters.counted().items()
        ]
        return self._drawn(cards=[*dead_letters.jobs(state)], tabs=tabs)


class Letters(Page):
    """Each button is a move of its noun, so the guard, the lock and the history are the noun's own."""

    @expose("/<noun>/<int:id>/<move>", methods=["POST"])
    def move_one(self, noun: str, id: int, move: str) -> Any:
        return self._did(dead_letters.move_one(noun, id, move))

    @expose("/<noun>/all/<move>", methods=["POST"])
    def move_all(self, noun: str, move: str) -> Any:
        return self._did(dead_letters.move_all(noun, move))


class Store(Page):
    """What is done here is about no row, and a line of the history all the same."""

    @expose("/ring", methods=["POST"])
    def ring(self) -> Any:
        _write_down("wake_workers")
        return self._did(redis_status.ring())

    @expose("/let-in", methods=["POST"])
    def let_in(self) -> Any:
        _write_down("reset_rate_limits")
        return self._did(redis_status.let_in())


def _write_down(verb: str) -> None:
    who = access.actor()
    with transaction():
        session.add(Change(noun="console", row_id=0, verb=verb, user_id=who.user_id, name=who.name, door=who.door))


def open(app: Flask) -> None:
    """Its own theme and files are left out: nothing below /ops is served that does not ask who is there."""
    front = Front("Overview", "/ops")
    admin = Admin(
        app,
        name="Operations",
        url="/ops",
        endpoint="ops",
        index_view=front,
        theme=Theme(folder="none", base_template="desk/shell.html"),
    )
    admin.views = [
        front,
        Jobs("Background jobs", "jobs"),
        Letters("Failed deliveries", "letters", dead_letters.letters),
        Store("Redis and workers", "redis", redis_status.cards),
        Page("Database", "database", postgres_status.cards),
        Page("Events", "events", dead_letters.events),
        Page("Files", "files", configuration.files),
        Page("Caches", "caches", configuration.caches),
        Page("Settings", "settings", configuration.settings),
    ]
    admin.add_views(*admin.views[1:])
