"""Google Calendar API, simulated: OAuth tokens, events with Meet links, free/busy, iCal feeds, and faults on demand."""

from __future__ import annotations

import hashlib
import secrets
import socket
import string
import time
from datetime import datetime
from typing import Any

import jwt
from flask import Blueprint, Response, abort, g, jsonify, redirect, render_template, request

from app.kernel import clock
from app.sandbox.state_file import Store
from config import Settings

FAULTS = ("none", "reply_lost", "503", "429", "403_rate", "slow", "no_conference", "pending", "failing", "empty")
_ID = frozenset(string.ascii_lowercase[:22] + string.digits)
_SAMPLE_CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Sandbox//EN
BEGIN:VEVENT
UID:yoga@sandbox
SUMMARY:Yoga
DTSTART;TZID=Asia/Kolkata:20260107T170000
DTEND;TZID=Asia/Kolkata:20260107T180000
RRULE:FREQ=WEEKLY;BYDAY=WE
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE = "https://oauth2.googleapis.com/token"  # google-auth signs for this audience, whatever the token address
_EDITABLE = ("summary", "description", "start", "end", "attendees", "status", "conferenceData", "transparency")


class ApiError(Exception):
    """An error in the format of the Calendar API."""

    def __init__(self, status: int, words: str, reason: str) -> None:
        super().__init__(words)
        self.status = status
        self.body = {
            "error": {
                "code": status,
                "message": words,
                "errors": [{"domain": "global", "reason": reason, "message": words}],
            }
        }


def create_blueprint(settings: Settings, store: Store) -> Blueprint:
    calendars = Calendars(settings, store)
    google = Blueprint("google", __name__, url_prefix="/sandbox/google")
    google.register_error_handler(ApiError, lambda wrong: (jsonify(wrong.body), wrong.status))
    google.before_request(calendars.check_caller)
    google.after_request(_drop_reply)
    events = "/calendar/v3/calendars/<calendar>/events"
    for rule, method, view in (
        ("/token", "POST", calendars.issue_token),
        (events, "POST", calendars.insert),
        (f"{events}/<id>", "GET", calendars.get),
        (f"{events}/<id>", "PATCH", calendars.patch),
        (f"{events}/<id>", "DELETE", calendars.delete),
        ("/calendar/v3/freeBusy", "POST", calendars.free_busy),
        ("/", "GET", calendars.show_page),
        ("/events.json", "GET", lambda: jsonify(calendars.list_events())),
        ("/meet/<code>", "GET", calendars.show_meeting),
        ("/service-accounts", "POST", calendars.add_service_account),
        ("/ical/<name>.ics", "GET", calendars.ical),
        ("/ical/<name>.ics", "PUT", calendars.put_ical),
        ("/faults", "POST", calendars.plan_fault),
    ):
        google.add_url_rule(rule, f"{method} {rule}".replace(".", ""), view, methods=[method])
    return google


class Calendars:
    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store

    # --- authentication and simulated faults ---

    def check_caller(self) -> Any:
        path = request.path.removeprefix("/sandbox/google")
        if path.startswith("/calendar/"):
            token = self.store.get("google token", (request.authorization and request.authorization.token) or "")
            if token is None or token["until"] < time.time():
                raise ApiError(401, "Request had invalid authentication credentials.", "authError")
            g.person = token["person"]
        if path.startswith(("/calendar/", "/token", "/ical/")) and request.method != "PUT":
            return self._simulate_fault(path)
        return None

    def _simulate_fault(self, path: str) -> Any:
        planned = self.store.use_plan("google fault", f"{request.method} {path}") or {}
        g.fault = planned.get("fault", "")
        match g.fault:
            case "503":
                raise ApiError(503, "The service is currently unavailable.", "backendError")
            case "429":
                raise ApiError(429, "Too many concurrent requests.", "rateLimitExceeded")
            case "403_rate":
                raise ApiError(403, "Rate Limit Exceeded", "rateLimitExceeded")
            case "empty":
                return Response("[]", 200, mimetype="application/json")
            case "slow":
                time.sleep(planned["seconds"])
        return None

    def plan_fault(self) -> Any:
        """Plan a fault, from a form or as JSON: {"fault": "503", "times": 2, "path": "POST", "seconds": 12}."""
        given = request.get_json(silent=True) or request.form
        if given.get("fault") not in FAULTS:
            raise ApiError(400, f"fault must be one of {', '.join(FAULTS)}.", "invalid")
        how = {
            "fault": given["fault"],
            "path": str(given.get("path", "")),
            "seconds": float(given.get("seconds") or 12),
        }
        self.store.add_plan("google fault", how, int(given.get("times") or 1))
        return jsonify(planned=how) if request.is_json else redirect("/sandbox/google/", 303)

    # --- OAuth tokens ---

    def add_service_account(self) -> Response:
        """Register a service account: its email, its public key and the users it may act for."""
        given = request.get_json()
        self.store.put(
            "google account",
            {"id": f"account {given['email']}", "key": given["key"], "acts_for": given.get("acts_for", [])},
        )
        return jsonify(known=given["email"])

    def issue_token(self) -> Any:
        """Issue an access token for a refresh token or for a signed JWT of a service account."""
        if request.form.get("grant_type") == _JWT_GRANT:
            person = self._verify_assertion(request.form.get("assertion", ""))
        else:
            mine = self.settings.google_client, self.settings.google_secret, self.settings.google_refresh_token
            if tuple(request.form.get(name) for name in ("client_id", "client_secret", "refresh_token")) != mine:
                return jsonify(error="invalid_grant", error_description="Token has been expired or revoked."), 400
            person = "host@practice.example"
        if isinstance(person, Response):
            return person, 401 if b"unauthorized" in person.data else 400
        token = f"ya29.{secrets.token_hex(24)}"
        self.store.put("google token", {"id": token, "person": person, "until": time.time() + 3600})
        return jsonify(access_token=token, expires_in=3600, token_type="Bearer")  # noqa: S106  # the kind of token, not a secret

    def _verify_assertion(self, assertion: str) -> str | Response:
        try:
            email = jwt.decode(assertion, options={"verify_signature": False})["iss"]
            account = self.store.get("google account", f"account {email}") or {"key": "", "acts_for": []}
            claims = jwt.decode(assertion, account["key"], algorithms=["RS256"], audience=_AUDIENCE)
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            return jsonify(error="invalid_grant", error_description="Invalid JWT Signature.")
        acts_for = claims.get("sub", "")
        if acts_for and acts_for not in account["acts_for"]:
            words = (
                "Client is unauthorized to retrieve access tokens using this method, "
                "or client not authorized for any of the scopes requested."
            )
            return jsonify(error="unauthorized_client", error_description=words)
        return str(acts_for)

    # --- events ---

    def insert(self, calendar: str) -> Any:
        given = request.get_json()
        id = str(given.get("id") or secrets.token_hex(13))
        if not 5 <= len(id) <= 1024 or set(id) - _ID:
            raise ApiError(400, "Invalid resource id value.", "invalid")
        with self.store.open():
            if self._stored_event(calendar, id):
                raise ApiError(409, "The requested identifier already exists.", "duplicate")
            event = {
                "id": id,
                "kind": "calendar#event",
                "status": "confirmed",
                "iCalUID": f"{id}@google.com",
                "htmlLink": self._page_url(f"#{id}"),
            }
            return jsonify(self._store_event(calendar, self._apply_changes(event, given)))

    def get(self, calendar: str, id: str) -> Any:
        return jsonify(self._store_event(calendar, self._with_conference(self._find_event(calendar, id))))

    def patch(self, calendar: str, id: str) -> Any:
        event = self._stored_event(calendar, id)
        if event is None:
            raise ApiError(404, "Not Found", "notFound")
        return jsonify(self._store_event(calendar, self._apply_changes(event, request.get_json())))

    def delete(self, calendar: str, id: str) -> Any:
        self._store_event(calendar, self._find_event(calendar, id) | {"status": "cancelled"})
        return Response(status=204)

    def _find_event(self, calendar: str, id: str) -> dict[str, Any]:
        event = self._stored_event(calendar, id)
        if event is None:
            raise ApiError(404, "Not Found", "notFound")
        if event["status"] == "cancelled" and request.method == "DELETE":
            raise ApiError(410, "Resource has been deleted", "deleted")
        return event

    def _apply_changes(self, event: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Apply the sent fields. Conference data counts only with conferenceDataVersion=1, as at Google."""
        changes = {name: given[name] for name in _EDITABLE if name in given and name != "conferenceData"}
        event = event | changes | {"updated": clock.now().isoformat(), "sequence": event.get("sequence", -1) + 1}
        asked = (given.get("conferenceData") or {}).get("createRequest")
        if not asked or request.args.get("conferenceDataVersion") != "1" or "conferenceData" in event:
            return self._with_conference(event)
        if (
            asked.get("conferenceSolutionKey", {}).get("type") != "hangoutsMeet"
            or g.fault == "no_conference"
            or not g.person
        ):
            raise ApiError(400, "Invalid conference type value.", "invalid")
        waits = {"pending": 1, "failing": -1}.get(g.fault, 0)
        return self._with_conference(
            event | {"conferenceData": {"createRequest": asked | {"status": {"statusCode": "pending"}}}, "waits": waits}
        )

    def _with_conference(self, event: dict[str, Any]) -> dict[str, Any]:
        """Add the Meet link that was requested: at once, at the next read (pending) or never (failing)."""
        request_ = event.get("conferenceData", {}).get("createRequest")
        if not request_ or request_["status"]["statusCode"] != "pending":
            return event
        waits = event.get("waits", 0)
        if waits > 0:
            return event | {"waits": waits - 1}
        if waits < 0:
            return event | {"conferenceData": {"createRequest": request_ | {"status": {"statusCode": "failure"}}}}
        letters = (
            hashlib.sha256(request_["requestId"].encode())
            .hexdigest()
            .translate(str.maketrans(string.digits, "klmnopqrst"))
        )
        code = f"{letters[:3]}-{letters[3:7]}-{letters[7:10]}"
        link = self._page_url(f"meet/{code}")
        points = [{"entryPointType": "video", "uri": link, "label": code}]
        return event | {
            "hangoutLink": link,
            "conferenceData": {
                "createRequest": request_ | {"status": {"statusCode": "success"}},
                "entryPoints": points,
                "conferenceId": code,
            },
        }

    def _page_url(self, where: str) -> str:
        return f"{self.settings.base_url.rstrip('/')}/sandbox/google/{where}"

    def _stored_event(self, calendar: str, id: str) -> dict[str, Any] | None:
        found = self.store.get("google event", f"{calendar}/{id}")
        return dict(found["event"]) if found else None

    def _store_event(self, calendar: str, event: dict[str, Any]) -> dict[str, Any]:
        self.store.put("google event", {"id": f"{calendar}/{event['id']}", "event": event}, parent=calendar)
        return {name: value for name, value in event.items() if name != "waits"}

    # --- free/busy and iCal feeds ---

    def free_busy(self) -> Response:
        given = request.get_json()
        since, until = (datetime.fromisoformat(given[name]) for name in ("timeMin", "timeMax"))
        return jsonify(calendars={each["id"]: self._busy_times(each["id"], since, until) for each in given["items"]})

    def _busy_times(self, calendar: str, since: datetime, until: datetime) -> dict[str, Any]:
        if calendar.startswith("nobody"):
            return {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
        standing = [
            each["event"] for each in self.store.all("google event", calendar) if each["event"]["status"] != "cancelled"
        ]
        spans = (
            (each["start"]["dateTime"], each["end"]["dateTime"])
            for each in standing
            if each.get("transparency") != "transparent"
        )
        within = (
            (start, end)
            for start, end in spans
            if datetime.fromisoformat(end) > since and datetime.fromisoformat(start) < until
        )
        return {"busy": [{"start": start, "end": end} for start, end in within]}

    def ical(self, name: str) -> Any:
        """Serve the feed with an ETag. A stored text that is an address redirects there."""
        found = self.store.get("google ical", f"ical {name}") or (
            {"text": _SAMPLE_CALENDAR} if name in ("asha", "dev") else abort(404)
        )
        tag = f'"{hashlib.sha256(found["text"].encode()).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == tag:
            return Response(status=304)
        if "http" in found["text"][:5]:
            return redirect(found["text"])
        return Response(found["text"], mimetype="text/calendar", headers={"ETag": tag})

    def put_ical(self, name: str) -> Response:
        self.store.put("google ical", {"id": f"ical {name}", "text": request.get_data(as_text=True)})
        return Response(status=204)

    # --- pages ---

    def list_events(self) -> list[dict[str, Any]]:
        return [
            each["event"] | {"calendar": each["id"].rpartition("/")[0]}
            for each in reversed(self.store.all("google event"))
        ]

    def show_page(self) -> str:
        return render_template(
            "sandbox/google.html",
            events=self.list_events(),
            faults=FAULTS,
            plans=[each for each in self.store.list_plans() if each.get("fault") in FAULTS],
        )

    def show_meeting(self, code: str) -> str:
        found = next(
            (each for each in self.list_events() if each.get("conferenceData", {}).get("conferenceId") == code), None
        )
        return render_template("sandbox/meet.html", event=found or abort(404), code=code)


def _drop_reply(response: Response) -> Response:
    """Cut the connection before the reply is complete; the request has already taken effect."""
    if g.get("fault") == "reply_lost":
        response.data = b""
        response.status_code = 502  # a test client has no socket to close
        connection: socket.socket | None = request.environ.get("werkzeug.socket")
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
    return response
