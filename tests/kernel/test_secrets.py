"""Tests of encryption: a value opens with the right key and in its own column only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel import secrets
from app.kernel.secrets import Unsealable, configure, has_current_key, seal, unseal

HERE, NEW, OLD = "booking.sealed_answers", "n" * 40, "o" * 40


@pytest.fixture(autouse=True)
def ring() -> Iterator[None]:
    """The suite's own keys are put back, whatever a test locks with."""
    before = secrets._key_ring, secrets._current_key_id
    configure(NEW, OLD)
    yield
    secrets._key_ring, secrets._current_key_id = before


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_whatever_json_can_say_comes_back_as_it_was(value: Any) -> None:
    configure(NEW)
    assert unseal(seal(value, HERE), HERE) == value


def test_the_same_value_never_looks_the_same_and_never_shows_through() -> None:
    first, second = seal({"birth_place": "Mysuru"}, HERE), seal({"birth_place": "Mysuru"}, HERE)
    assert first != second
    assert b"Mysuru" not in first + second


def test_a_single_flipped_byte_anywhere_is_noticed() -> None:
    whole = seal({"birth_place": "Mysuru"}, HERE)
    for at in range(len(whole)):
        with pytest.raises(Unsealable):
            unseal(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], HERE)
    for cut in (b"", whole[:4], whole[:17], whole[:-1], whole + b"\0"):
        with pytest.raises(Unsealable):
            unseal(cut, HERE)


def test_what_was_sealed_in_one_place_does_not_open_in_another() -> None:
    with pytest.raises(Unsealable, match="another column"):
        unseal(seal("x", "person.notes"), HERE)


def test_a_key_can_be_changed_and_what_the_old_one_sealed_still_opens() -> None:
    configure(OLD)
    before = seal("Mysuru", HERE)
    configure(NEW, OLD)
    assert unseal(before, HERE) == "Mysuru"
    assert (has_current_key(before), has_current_key(seal("Mysuru", HERE))) == (False, True)
    configure(NEW)
    with pytest.raises(Unsealable, match="not in DATA_KEYS"):
        unseal(before, HERE)


def test_without_a_key_nothing_is_sealed() -> None:
    configure("")
    with pytest.raises(Unsealable, match="no data key"):
        seal("x", HERE)
