"""Meeting places without an external service: a fixed link of the host, and in person."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.calendars.place import CreatedMeeting, MeetingRequest, PermanentFailure


class OwnRoom:
    """The permanent meeting link of the host."""

    name = "room"
    label = "Fixed link"
    is_remote = False

    def make(self, wanted: MeetingRequest) -> CreatedMeeting:
        return CreatedMeeting(join_url=_link(wanted.room))

    def move(self, external_id: str, wanted: MeetingRequest) -> CreatedMeeting:
        return self.make(wanted)

    def cancel(self, external_id: str) -> None:
        """Do nothing: the link stays."""

    def try_out(self, room: str) -> str:
        return f"Customers will be sent to {_link(room)}."


class InPerson:
    name = "in_person"
    label = "In person"
    is_remote = False

    def make(self, wanted: MeetingRequest) -> CreatedMeeting:
        return CreatedMeeting()

    def move(self, external_id: str, wanted: MeetingRequest) -> CreatedMeeting:
        return CreatedMeeting()

    def cancel(self, external_id: str) -> None:
        """Do nothing."""

    def try_out(self, room: str) -> str:
        if not room:
            raise PermanentFailure("No address yet. Enter it in “Location or link” to show it with every booking.")
        return f"Customers come to {room}."


def is_link(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and not set(text) & set(" \t\n<>\"'")
    except ValueError:
        return False


def _link(room: str) -> str:
    if not is_link(room):
        raise PermanentFailure("No link yet. Enter it in “Location or link”, starting with https://.")
    return room
