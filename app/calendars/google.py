"""Google Calendar and Meet: creates meetings with a Meet link, and reads when a calendar is busy.

Only a user can create a Meet link. So sign-in is by a service account that acts for a user of its domain (domain-wide
delegation), or by the refresh token of a user.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from google.auth import exceptions, transport
from google.oauth2 import credentials, service_account

from app.calendars.place import CreatedMeeting, MeetingRequest, PermanentFailure, RetryLater
from app.kernel import clock, db

WAIT = httpx.Timeout(10, connect=3)
PAUSES = (0.3, 1.0)  # seconds before asking again for a link that is still being created
SCOPES = ("https://www.googleapis.com/auth/calendar.events", "https://www.googleapis.com/auth/calendar.freebusy")
_LATER = frozenset([408, 429, 500, 502, 503, 504])
_TOO_MUCH = frozenset(["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"])
_NO_PERSON = (
    "Google couldn’t create a Meet link: a service account can’t create Meet links for itself. In your domain’s admin "
    "console, turn on domain-wide delegation for the calendar scopes, and set GOOGLE_HOST to the user it acts for."
)


@dataclass(frozen=True)
class Keys:
    """Credentials: a service account that acts for a host, or a refresh token."""

    service_account: str = ""  # path of the key file from Google, or its content
    host: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address

    def credentials(self) -> Any:
        if not self.service_account:
            return credentials.Credentials(  # type: ignore[no-untyped-call]
                None,
                refresh_token=self.refresh_token,
                client_id=self.client_id,
                client_secret=self.client_secret,
                token_uri=self.token_url,
            )
        text = self.service_account if self.service_account.startswith("{") else Path(self.service_account).read_text()
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            json.loads(text) | {"token_uri": self.token_url}, scopes=SCOPES, subject=self.host or None
        )


class _Gone(Exception):
    """The event does not exist, or was deleted."""


class _AlreadyExists(Exception):
    """An event with this ID exists."""


class Google:
    name = "google"
    label = "Google Meet"
    is_remote = True

    def __init__(self, *, practice: str, keys: Keys, calendar: str, url: str) -> None:
        self.practice, self.calendar, self.url = practice, calendar, f"{url.rstrip('/')}/calendar/v3"
        self.credentials = keys.credentials()

    # --- meetings ---

    def make(self, wanted: MeetingRequest) -> CreatedMeeting:
        """Create the event under our own ID, so that a retry after a lost reply finds it instead of a second one."""
        calendar, id = self._calendar(wanted.room), self._id(wanted.key)
        conference = {"createRequest": {"requestId": id, "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
        try:
            made = self._events("POST", calendar, json=_event(wanted) | {"id": id, "conferenceData": conference})
        except _AlreadyExists:
            made = self._moved(calendar, id, wanted)
        return self._with_link(calendar, made)

    def move(self, external_id: str, wanted: MeetingRequest) -> CreatedMeeting:
        calendar, _, id = external_id.rpartition("/")
        try:
            return self._with_link(calendar, self._events("PATCH", calendar, id, json=_event(wanted)))
        except _Gone:  # it was deleted by hand
            return self.make(wanted)

    def cancel(self, external_id: str) -> None:
        calendar, _, id = external_id.rpartition("/")
        try:
            self._events("DELETE", calendar, id)
        except _Gone:
            return

    def try_out(self, room: str) -> str:
        """Create a meeting an hour from now and delete it again: the only way to test a link."""
        start = clock.ahead(hours=1)
        wanted = MeetingRequest(
            f"trial {start.isoformat()}", "Meeting link test", "", start, start + timedelta(minutes=1), "UTC", (), room
        )
        self.cancel(self.make(wanted).external_id)
        return (
            f"Test passed. Google created a meeting link in the calendar {self._calendar(room)}, "
            "and the test meeting was deleted."
        )

    # --- busy times ---

    def busy(self, calendar: str, since: datetime, until: datetime) -> Sequence[tuple[datetime, datetime]]:
        asked = {"timeMin": _moment(since), "timeMax": _moment(until), "items": [{"id": calendar}]}
        answer = self._call("POST", f"{self.url}/freeBusy", json=asked).get("calendars", {}).get(calendar, {})
        if errors := answer.get("errors"):
            raise PermanentFailure(
                f"Google doesn’t share the busy times of {calendar} ({errors[0].get('reason', 'no reason given')}). "
                "Share the calendar with the account used here."
            )
        return [
            (datetime.fromisoformat(each["start"]), datetime.fromisoformat(each["end"]))
            for each in answer.get("busy", ())
        ]

    # --- HTTP ---

    def _calendar(self, room: str) -> str:
        return room if "@" in room and "/" not in room else self.calendar

    def _id(self, key: str) -> str:
        """Derive an event ID: Google allows the lower-case characters of base32hex."""
        return base64.b32hexencode(hashlib.sha256(f"{self.practice} {key}".encode()).digest()[:20]).decode().lower()

    def _moved(self, calendar: str, id: str, wanted: MeetingRequest) -> dict[str, Any]:
        try:
            return self._events("PATCH", calendar, id, json=_event(wanted))
        except _Gone:
            raise RetryLater("Google sent conflicting information about this meeting.") from None

    def _with_link(self, calendar: str, event: dict[str, Any]) -> CreatedMeeting:
        for pause in PAUSES:
            if _link(event) or _conference_status(event) != "pending":
                break
            time.sleep(pause)
            event = self._events("GET", calendar, str(event["id"]))
        link, status = _link(event), _conference_status(event)
        if not link and status == "pending":
            raise RetryLater("Google is still creating the link.")
        external_id = f"{calendar}/{event['id']}"
        if not link:
            self.cancel(external_id)
            raise PermanentFailure("Google created the meeting, but no link for it.")
        return CreatedMeeting(external_id, link, str(event.get("htmlLink", "")))

    def _events(
        self, method: str, calendar: str, id: str = "", json: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        how = {} if method == "GET" else {"conferenceDataVersion": "1", "sendUpdates": "none"}
        where = f"{self.url}/calendars/{quote(calendar, safe='@')}/events" + (f"/{id}" if id else "")
        return self._call(method, where, params=how, json=json)

    def _call(self, method: str, url: str, **what: Any) -> dict[str, Any]:
        db.require_no_transaction()
        try:
            answer = httpx.request(method, url, headers=self._signed(), timeout=WAIT, **what)
        except httpx.HTTPError:
            raise RetryLater("Google isn’t responding.") from None
        if answer.is_success:
            return _json_of(answer)
        raise _error_of(answer.status_code, _json_of(answer).get("error"))

    def _signed(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        try:
            if not self.credentials.valid:
                self.credentials.refresh(_AuthRequest())
        except exceptions.TransportError:
            raise RetryLater("Google isn’t responding.") from None
        except exceptions.RefreshError as no:
            raise (
                RetryLater("Google sign-in is temporarily unavailable.")
                if no.retryable
                else PermanentFailure(_sign_in_error(no))
            ) from None
        self.credentials.apply(headers)
        return headers


def _event(wanted: MeetingRequest) -> dict[str, Any]:
    return {
        "summary": wanted.title,
        "description": wanted.about,
        "start": {"dateTime": _moment(wanted.starts_at), "timeZone": wanted.timezone},
        "end": {"dateTime": _moment(wanted.ends_at), "timeZone": wanted.timezone},
        "attendees": [{"email": each} for each in wanted.guests],
        "guestsCanInviteOthers": False,
        "guestsCanSeeOtherGuests": False,
        "status": "confirmed",
    }


def _moment(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _link(event: Mapping[str, Any]) -> str:
    points = (event.get("conferenceData") or {}).get("entryPoints") or ()
    return str(
        event.get("hangoutLink")
        or next((each.get("uri", "") for each in points if each.get("entryPointType") == "video"), "")
    )


def _conference_status(event: Mapping[str, Any]) -> str:
    request = (event.get("conferenceData") or {}).get("createRequest") or {}
    return str((request.get("status") or {}).get("statusCode", ""))


def _json_of(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json() if answer.content else {}
    except ValueError:
        said = None
    if isinstance(said, dict):
        return said
    if answer.is_success:
        raise RetryLater("Google sent a response that can’t be read.")
    return {}


def _error_of(status: int, error: Any) -> Exception:
    """Sort an error response: to be retried, already exists, gone, or permanent."""
    said = error if isinstance(error, dict) else {}
    words = str(said.get("message", "")) or "no reason given"
    if status in _LATER or (status == 403 and _TOO_MUCH & {*_reasons(said)}):
        return RetryLater(f"Google is temporarily unavailable ({status}).")
    if status == 409:
        return _AlreadyExists()
    if status in (404, 410):
        return _Gone()
    if "Invalid conference type value" in words:
        return PermanentFailure(_NO_PERSON)
    if status == 401:
        return PermanentFailure("Google rejected the sign-in: the credentials are no longer valid.")
    return PermanentFailure(f"Google refused the request ({status}): {words[:300]}")


def _reasons(said: Mapping[str, Any]) -> Iterator[str]:
    for each in said.get("errors") or ():
        yield str(each.get("reason", ""))


def _sign_in_error(no: exceptions.RefreshError) -> str:
    reason = " ".join(str(each) for each in no.args)
    if "unauthorized_client" in reason:
        return (
            "Google doesn’t allow the service account to act for GOOGLE_HOST. "
            "Turn on domain-wide delegation in your domain’s admin console."
        )
    if "invalid_grant" in reason:
        return (
            "Google rejected the sign-in: the refresh token has expired, or the service account key is no longer "
            "valid. Sign in again."
        )
    return f"Google rejected the sign-in: {reason[:200]}"


# --- HTTP transport for google-auth -----------------------------------------------------------------------------------


class _AuthResponse(transport.Response):
    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self.answer.headers

    @property
    def data(self) -> bytes:
        return self.answer.content


class _AuthRequest(transport.Request):
    """Adapter from google-auth's transport to httpx."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Any = None,
        timeout: Any = None,
        **more: Any,
    ) -> _AuthResponse:
        try:
            return _AuthResponse(httpx.request(method, url, content=body, headers=headers, timeout=WAIT))
        except httpx.HTTPError as error:
            raise exceptions.TransportError(error) from error  # type: ignore[no-untyped-call]
