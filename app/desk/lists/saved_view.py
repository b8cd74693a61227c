"""Saved view: a named combination of columns, filters, sort order and page size of a list."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, bindparam, delete, or_, select, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.access import actor
from app.kernel.db import Noun, session
from app.kernel.errors import Forbidden, Invalid, Missing

LONGEST = 60
MOST = 30  # per user and list


class SavedView(Noun, table="view"):
    """The query of a list under a name. Only its author can change it; a shared one is visible to all readers."""

    known_as = "saved view"

    refusals = {"view_resource_user_id_name_key": "You already have a view with this name."}
    __table_args__ = (
        UniqueConstraint("resource", "user_id", "name"),
        Index("view_one_first", "resource", "user_id", unique=True, postgresql_where=text("first")),
    )

    resource: Mapped[str]
    name: Mapped[str] = mapped_column(String(LONGEST))
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"))
    maker: Mapped[str]  # the name of the user at that time
    shared: Mapped[bool] = mapped_column(default=False)
    first: Mapped[bool] = mapped_column(default=False)
    asked: Mapped[dict[str, Any]] = mapped_column(default=dict)

    @classmethod
    def for_list(cls, resource: str) -> list[SavedView]:
        """Return the views of a list that the current user has or others share."""
        return [*session.scalars(_ALL, {"resource": resource, "me": actor().user_id})]

    @classmethod
    def find_own(cls, resource: str, id: int) -> SavedView:
        view: SavedView | None = session.scalar(
            select(cls).where(cls.id == id, cls.resource == resource, or_(cls.user_id == actor().user_id, cls.shared))
        )
        if view is None:
            raise Missing
        if not view.is_mine:
            raise Forbidden(f"This view belongs to {view.maker}. Save your own copy instead.")
        return view

    @classmethod
    def create(cls, resource: str, asked: dict[str, str], *, name: str, shared: bool, first: bool) -> SavedView:
        who = actor()
        if len([each for each in cls.for_list(resource) if each.is_mine]) >= MOST:
            raise Invalid.for_fields(
                {"name": f"You have {MOST} views of this list. Delete one before you save another."}
            )
        view = cls(resource=resource, user_id=who.user_id, maker=who.name, asked=asked)
        view.update_settings(name, shared=shared, first=first)
        session.add(view)
        return view

    def update_settings(self, name: str, *, shared: bool, first: bool) -> None:
        """Set the name, whether others see it, and whether the list opens with it."""
        name = " ".join(name.split())
        if not name or len(name) > LONGEST or not name.isprintable():
            raise Invalid.for_fields({"name": f"Enter a name of at most {LONGEST} characters."})
        if first and not self.first:
            Opens.clear(self.resource)
            for each in session.scalars(
                select(SavedView).where(
                    SavedView.resource == self.resource, SavedView.user_id == self.user_id, SavedView.first
                )
            ):
                each.first = False
            session.flush()  # the index allows one default view at a time
        self.name, self.shared, self.first = name, shared, first

    @classmethod
    def default_for(cls, resource: str, views: list[SavedView]) -> SavedView | None:
        """Return the view with which the list opens for the current user: an own one, or a shared one they chose."""
        own = next((each for each in views if each.first and each.is_mine), None)
        if own is not None or all(each.is_mine for each in views):
            return own
        chosen = Opens.chosen_view(resource)
        return next((each for each in views if each.id == chosen), None)

    @classmethod
    def set_default(cls, resource: str, id: int, *, wanted: bool) -> SavedView:
        """Open the list with a view of another user, for the current user only."""
        view = next((each for each in cls.for_list(resource) if each.id == id), None)
        if view is None:
            raise Missing
        Opens.clear(resource)
        if wanted:
            for each in session.scalars(
                select(cls).where(cls.resource == resource, cls.user_id == actor().user_id, cls.first)
            ):
                each.first = False
            session.add(Opens(resource=resource, user_id=actor().user_id, view_id=view.id))
        return view

    @property
    def is_mine(self) -> bool:
        return self.user_id == actor().user_id


# Built once, because every list runs it.
_ALL = (
    select(SavedView)
    .where(SavedView.resource == bindparam("resource"), or_(SavedView.user_id == bindparam("me"), SavedView.shared))
    .order_by(SavedView.id)
)


class Opens(Noun):
    """Which shared view of another user a list opens with, for one user. It has no effect once the view is private."""

    known_as = "default view"

    audited = False  # a personal preference
    __table_args__ = (UniqueConstraint("resource", "user_id"),)

    resource: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"))
    view_id: Mapped[int] = mapped_column(ForeignKey("view.id", ondelete="CASCADE"))

    @classmethod
    def chosen_view(cls, resource: str) -> int | None:
        return session.scalar(select(cls.view_id).where(cls.resource == resource, cls.user_id == actor().user_id))

    @classmethod
    def clear(cls, resource: str) -> None:
        session.execute(delete(cls).where(cls.resource == resource, cls.user_id == actor().user_id))
