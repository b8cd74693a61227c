"""View of a noun: assembled from groups of routes that share no method, each with its own permissions."""

from __future__ import annotations

from itertools import combinations

import pytest

from app.desk.pages.edit import EditRoutes
from app.desk.pages.import_file import ImportRoutes
from app.desk.pages.inline_edit import InlineEditRoutes
from app.desk.pages.list import ListRoutes
from app.desk.pages.record import RecordRoutes
from app.desk.pages.routes import Routes, permissions_of
from app.desk.pages.view import NounView

GROUPS = (ListRoutes, ImportRoutes, InlineEditRoutes, EditRoutes, RecordRoutes)


def _methods(group: type[Routes]) -> set[str]:
    return {name for name, it in vars(group).items() if callable(it)}


def test_no_group_of_routes_overrides_or_knows_another() -> None:
    assert NounView.__bases__[:-1] == GROUPS
    for group in GROUPS:
        assert group.__bases__ == (Routes,)
        assert not _methods(group) & _methods(Routes)
    for one, other in combinations(GROUPS, 2):
        assert not _methods(one) & _methods(other), (one, other)


def test_every_route_of_a_group_says_which_verb_it_needs() -> None:
    for group in GROUPS:
        assert {name for name in _methods(group) if hasattr(vars(group)[name], "_urls")} == group.permissions.keys()


def test_two_groups_with_the_same_route_are_refused() -> None:
    class Again(Routes):
        permissions = {"list": "read"}

    with pytest.raises(TypeError, match="Again: list is a route of another group"):
        permissions_of(*GROUPS, Again)
