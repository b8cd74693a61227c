"""Tests of docs/flask-appbuilder.md: every noun is a registered view and API, and few addresses run other code."""

from __future__ import annotations

import inspect

from flask import Flask
from flask_appbuilder import ModelView
from flask_appbuilder.api import ModelRestApi

from app.desk.declare.resource import registered_resources
from app.kernel.db import stable_name
from tests.house.architecture import ROOT

THEIRS = {
    "/resetmypassword/form",
    "/resetpassword/form",
    "/roles/list/",
    "/roles/show/<pk>",
    "/swagger/<version>",
    "/users/add",
    "/users/edit/<pk>",
    "/users/list/",
    "/users/show/<pk>",
    "/users/userinfo/",
}


def test_every_noun_is_a_registered_view_and_rest_api_with_its_own_permissions(built: Flask) -> None:
    views = built.extensions["appbuilder"].baseviews
    for resource in registered_resources():
        name = stable_name(resource.noun)
        for kind in (ModelView, ModelRestApi):
            mine = [each for each in views if isinstance(each, kind) and each.class_permission_name == name]
            assert len(mine) == 1, (name, kind)
            assert {"can_read"} <= {*mine[0].base_permissions}, name
    assert {"slot", "booking", "payment"} <= {each.name for each in registered_resources()}


def test_flask_appbuilders_own_handlers_answer_only_the_pages_of_accounts(built: Flask) -> None:
    found = {
        rule.rule
        for rule in built.url_map.iter_rules()
        if inspect.getmodule(inspect.unwrap(built.view_functions[rule.endpoint])).__name__.startswith("flask_")  # type: ignore[union-attr]
        and not rule.rule.startswith("/static")
    }
    assert found - {"/ops/static/<path:filename>"} == THEIRS


def test_the_page_names_the_files_that_are_there() -> None:
    page = (ROOT / "docs" / "flask-appbuilder.md").read_text()
    named = {each for each in page.split("`") if each.startswith(("app/", "templates/"))}
    assert named
    assert all((ROOT / each).exists() for each in named), named
