"""Operations console at /ops, for administrators: jobs, failed deliveries, Redis, database, files, settings.

Flask-Admin keeps the pages and their addresses; the desk's own templates render them.
"""

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


class ConsolePage(BaseView):
    """A page for administrators. Flask-Admin's own class admits every visitor, and calls a failing handler twice."""

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
        return self._render(cards=[*self.cards()])

    def _render(self, **known: Any) -> str:
        assert self.admin is not None
        return render_template(
            "ops/page.html", page=self, pages=self.admin.views, **{"cards": [], "tiles": [], "tabs": []} | known
        )

    def _flash_and_return(self, words: str) -> Any:
        flash(words, "success")
        return redirect(url_for(f"{self.endpoint}.show"))


class OverviewPage(ConsolePage):
    """The overview, with one tile for each subject."""

    @expose("/")
    def show(self) -> str:
        tiles: list[Tile] = [
            *dead_letters.tiles(),
            *redis_status.tiles(),
            *postgres_status.tiles(),
            *configuration.tiles(),
        ]
        return self._render(tiles=tiles)


class JobsPage(ConsolePage):
    """Background jobs, one state at a time."""

    @expose("/")
    def show(self) -> str:
        asked = request.args.get("state", "failed")
        state = asked if asked in Job.states else "failed"
        tabs = [
            (Job.state_label(each), count, url_for("ops_jobs.show", state=each), each == state)
            for each, count in dead_letters.count_by_state().items()
        ]
        return self._render(cards=[*dead_letters.job_cards(state)], tabs=tabs)


class LettersPage(ConsolePage):
    """Failed deliveries. Each button is a move, with its guard, lock and history."""

    @expose("/<noun>/<int:id>/<move>", methods=["POST"])
    def move_one(self, noun: str, id: int, move: str) -> Any:
        return self._flash_and_return(dead_letters.move_one(noun, id, move))

    @expose("/<noun>/all/<move>", methods=["POST"])
    def move_all(self, noun: str, move: str) -> Any:
        return self._flash_and_return(dead_letters.move_all(noun, move))


class RedisPage(ConsolePage):
    """Redis and workers. The actions concern no record, but are written to the history."""

    @expose("/ring", methods=["POST"])
    def ring(self) -> Any:
        _record_change("wake_workers")
        return self._flash_and_return(redis_status.wake_workers())

    @expose("/let-in", methods=["POST"])
    def let_in(self) -> Any:
        _record_change("reset_rate_limits")
        return self._flash_and_return(redis_status.reset_rate_limits())


def _record_change(verb: str) -> None:
    who = access.actor()
    with transaction():
        session.add(Change(noun="console", row_id=0, verb=verb, user_id=who.user_id, name=who.name, door=who.door))


def open(app: Flask) -> None:
    """Register the pages, without Flask-Admin's theme and static files: everything below /ops checks the user."""
    front = OverviewPage("Overview", "/ops")
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
        JobsPage("Background jobs", "jobs"),
        LettersPage("Failed deliveries", "letters", dead_letters.letter_cards),
        RedisPage("Redis and workers", "redis", redis_status.cards),
        ConsolePage("Database", "database", postgres_status.cards),
        ConsolePage("Events", "events", dead_letters.event_cards),
        ConsolePage("Files", "files", configuration.files),
        ConsolePage("Caches", "caches", configuration.caches),
        ConsolePage("Settings", "settings", configuration.settings),
    ]
    admin.add_views(*admin.views[1:])
