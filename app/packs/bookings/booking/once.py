"""Idempotency of holds: a double click or a retry with the same key is one booking; a corrected form replaces it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import select
from sqlalchemy.orm import Mapped

from app.kernel.access import signature
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.kernel.translation import say
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.offer.slot import GONE, Slot


class HeldOnce:
    """Holds that are made once per request key."""

    if TYPE_CHECKING:  # of the noun
        state: Mapped[str]
        request_key: Mapped[str | None]
        request_hash: Mapped[str | None]

        @classmethod
        def hold(
            cls,
            slot: Slot,
            person: Mapping[str, str],
            answers: dict[str, Any],
            choices: Choices | None = None,
            *,
            request: tuple[str, str] | None = None,
            replaces: Any = None,
        ) -> Self: ...

        @classmethod
        def slots_at_same_time(cls, slot: Slot) -> Sequence[Slot]: ...

        def lapse(self) -> None: ...

        def go_unanswered(self) -> None: ...

        def hand_files_back(self) -> None: ...

    @classmethod
    def hold_once(
        cls,
        key: str,
        slot: Slot,
        person: Mapping[str, str],
        answers: dict[str, Any],
        choices: Choices | None = None,
        *,
        correcting: bool = False,
        any_practitioner: bool = False,
        replaces: Self | None = None,
    ) -> Self:
        """Hold a slot, or return the booking that the same request made before.

        A different request with the same key is refused; with `correcting`, it replaces the first. With
        `any_practitioner`, a slot that was just taken is exchanged for the same time with another practitioner.
        """
        wanted = choices or Choices()
        mark = fingerprint([slot.id, dict(person), answers, [*wanted.extras], wanted.coupon, dict(wanted.buyer)])
        known = cls.by_request_key(key)
        if known and known.request_hash == mark:
            return known
        if known and not correcting:
            raise Refused("This Idempotency-Key was already used for a different request.")
        try:
            with transaction():
                if known:
                    known.release_for_correction()
                return cls.hold(slot, person, answers, wanted, request=(key, mark) if key else None, replaces=replaces)
        except Refused as no:
            if session.info.get(
                "open"
            ):  # an outer transaction is not rolled back yet: a search would find this attempt
                raise
            made = cls.by_request_key(key)  # the same request, a moment earlier, in another process
            if made and made.request_hash == mark:
                return made
            for other in cls.slots_at_same_time(slot) if any_practitioner and no.words == say(GONE) else ():
                return cls.hold_once(key, other, person, answers, wanted, correcting=correcting, any_practitioner=True)
            raise

    @classmethod
    def by_request_key(cls, key: str) -> Self | None:
        found: Self | None = session.scalar(select(cls).where(cls.request_key == key)) if key else None
        return found

    def release_for_correction(self) -> None:
        """Free the seat and the key, so that a customer who corrects the form is not blocked by their own hold."""
        if self.state == "held":
            self.lapse()
        elif self.state == "requested":
            self.go_unanswered()
        self.hand_files_back()
        self.request_key = None
        session.flush()


def fingerprint(body: Any) -> str:
    """Keyed hash of a request. Without the key, answers such as a date of birth could be guessed from it."""
    return signature(f"request:{json.dumps(body, sort_keys=True)}")
