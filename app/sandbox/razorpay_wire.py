"""Razorpay API formats: ids, list pages, notes, amounts, input validation and error messages."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from flask import request

from app.kernel import clock

Thing = dict[str, Any]
Route = tuple[str, str, Callable[..., Any]]  # rule, method, view

_LETTERS = string.ascii_letters + string.digits
_is_zero_decimal = re.compile("BIF|CLP|DJF|GNF|ISK|JPY|KMF|KRW|PYG|RWF|UGX|VND|VUV|XAF|XOF|XPF").fullmatch
_THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_FIRST, _LAST = 946684800, 4765046400  # the range that Razorpay accepts: the years 2000 to 2120


class ApiError(Exception):
    """An error in Razorpay's format."""

    def __init__(self, text: str, status: int = 400, field: str | None = None) -> None:
        super().__init__(text)
        self.status, self.text = status, text
        where = ("business", "payment_initiation", "input_validation_failed") if status == 400 else ("NA", "NA", "NA")
        error: Thing = {"code": "BAD_REQUEST_ERROR", "description": text}
        if status != 401:  # no details without authentication
            error |= dict(zip(("source", "step", "reason"), where, strict=True)) | {"metadata": {}}
        if field:
            error["field"] = field
        self.body = {"error": error}


def refuse(text: str, status: int = 400, field: str | None = None) -> NoReturn:
    raise ApiError(text, status, field)


def new_id(kind: str) -> str:
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(14))}"


def unix_now() -> int:
    return clock.timestamp()


def public_fields(body: Thing) -> Thing:
    """Leave out the private fields, which begin with _."""
    return {name: value for name, value in body.items() if not name.startswith("_")}


def collection(items: list[Thing]) -> Thing:
    return {"entity": "collection", "count": len(items), "items": [public_fields(each) for each in items]}


def paginate(items: list[Thing], most: int = 100) -> Thing:
    """Return a page of a list by the query's count (10) and skip (0)."""
    count, skip = (_query_number(name, usual) for name, usual in (("count", 10), ("skip", 0)))
    if count < 1:
        refuse("The count must be at least 1.", field="count")
    if count > most:
        refuse(f"The count may not be greater than {most}.", field="count")
    return collection(items[skip : skip + count])


def newest_page(items: list[Thing]) -> Thing:
    """Return a page of the items created between `from` and `to`, newest first."""
    since, until = (_query_number(name, usual) for name, usual in (("from", _FIRST), ("to", _LAST)))
    for name, moment in (("from", since), ("to", until)):
        if not _FIRST <= moment <= _LAST:
            refuse(f"{name} must be between {_FIRST} and {_LAST}", field=name)
    return paginate([each for each in items[::-1] if since <= each["created_at"] <= until])


def _query_number(name: str, usual: int) -> int:
    given = request.args.get(name, str(usual))
    return int(given) if re.fullmatch(r"[0-9]{1,10}", given) else refuse(f"The {name} must be an integer.", field=name)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def read_amount(given: Mapping[str, Any], least: int = 100, words: str = "", field: str = "amount") -> int:
    """Read an amount in minor units."""
    asked = given.get("amount")
    if asked is None:
        refuse(f"The {field} field is required.", field=field)
    if not isinstance(asked, int) or isinstance(asked, bool):
        refuse(f"The {field} must be an integer.", field=field)
    if asked < least:
        refuse(words or f"The amount must be at least INR {least / 100:.2f}", field=field)
    return asked


def read_text(given: Mapping[str, Any], name: str, longest: int = 0) -> str:
    """Read a required text."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        refuse(f"The {name} field is required.", field=name)
    if longest and len(value) > longest:
        refuse(f"The {name} may not be greater than {longest} characters.", field=name)
    return value


def read_reference(given: Mapping[str, Any], name: str) -> Any:
    """Read an optional reference number of the shop."""
    value = given.get(name)
    return (
        refuse(f"The {name} may not be greater than 40 characters.", field=name)
        if value is not None and len(str(value)) > 40
        else value
    )


def read_notes(given: Mapping[str, Any]) -> Any:
    """Read the notes: an object, or an empty list if there are none, as at Razorpay."""
    value = given.get("notes") or []
    if value and not isinstance(value, dict):
        refuse("The notes must be an array.", field="notes")
    if len(value) > 15:
        refuse("Number of fields in notes should be less than or equal to 15", field="notes")
    return value


def json_body() -> Thing:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def read_input() -> Thing:
    """Read JSON or a form. In a form, digits become numbers and empty fields are left out."""
    if request.is_json:
        return json_body()
    return {
        name: int(value) if re.fullmatch(r"[0-9]{1,12}", value) else value
        for name, value in request.form.items()
        if value
    }


def format_amount(amount: int, currency: str) -> str:
    places = 0 if _is_zero_decimal(currency) else 3 if currency in _THREE_DECIMALS else 2
    return f"{currency} {amount / 10**places:,.{places}f}"
