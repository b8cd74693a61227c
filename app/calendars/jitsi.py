"""Jitsi video meetings: a room is only a URL that cannot be guessed, so no API is called."""

from __future__ import annotations

import hashlib

from app.calendars.place import CreatedMeeting, MeetingRequest
from app.kernel.access import signature


class Jitsi:
    name = "jitsi"
    label = "Jitsi"
    is_remote = False

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def make(self, wanted: MeetingRequest) -> CreatedMeeting:
        """Derive a room name of 128 bits in lower case, since Jitsi ignores case."""
        room = hashlib.sha256(signature(f"room:{wanted.key}").encode()).hexdigest()[:32]
        return CreatedMeeting(join_url=f"{self.url}/{room}")

    def move(self, external_id: str, wanted: MeetingRequest) -> CreatedMeeting:
        return self.make(wanted)

    def cancel(self, external_id: str) -> None:
        """Do nothing: an empty room does not exist."""

    def try_out(self, room: str) -> str:
        return f"Each meeting gets a separate room at {self.url}."
