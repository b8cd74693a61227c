"""Tests of help texts below form fields."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

Enter = Callable[[str], FlaskClient]


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("refund_policy", "tiers", "48h: 100%, 24h: 50%"),
        ("giver", "weight", "twice as many"),
        ("hours", "service", "Leave empty for all services"),
        ("closure", "practitioner", "Leave empty to close for everyone"),
        ("service", "policy", "when a booking is cancelled"),
        ("package", "uses", "How many times"),
    ],
)
def test_a_form_says_what_a_field_is_for(enter: Enter, path: str, name: str, said: str) -> None:
    page = enter("dina").get(f"/desk/{path}/new").text
    hint = re.search(rf'<p class="hint" id="h-{name}">([^<]*)</p>', page)
    assert hint
    assert said in hint[1]
    assert f'aria-describedby="h-{name}' in page
