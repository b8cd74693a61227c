"""How Razorpay speaks: its ids, its lists, its notes, and the words of its refusals."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from flask import request

from app.kernel import clock

Thing = dict[str, Any]
Route = tuple[str, str, Callable[..., Any]]  # the rule, the method, and who answers

_LETTERS = string.ascii_letters + string.digits
_WITHOUT_MINOR = (
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "ISK",
    "JPY",
    "KMF",
    "KRW",
    "PYG",
    "RWF",
    "UGX",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF",
)
_WITH_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_FIRST, _LAST = 946684800, 4765046400  # the years 2000 to 2120, which is as far as Razorpay thinks


class Wrong(Exception):
    """An error as Razorpay says it."""

    def __init__(self, text: str, status: int = 400, field: str | None = None) -> None:
        super().__init__(text)
        self.status, self.text = status, text
        where = ("business", "payment_initiation", "input_validation_failed") if status == 400 else ("NA", "NA", "NA")
        error: Thing = {"code": "BAD_REQUEST_ERROR", "description": text}
        if status != 401:  # a stranger is told nothing more
            error |= dict(zip(("source", "step", "reason"), where, strict=True)) | {"metadata": {}}
        if field:
            error["field"] = field
        self.body = {"error": error}


def no(text: str, status: int = 400, field: str | None = None) -> NoReturn:
    raise Wrong(text, status, field)


def new_id(kind: str) -> str:
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(14))}"


def now() -> int:
    return clock.timestamp()


def public(body: Thing) -> Thing:
    """Without our own bookkeeping."""
    return {name: value for name, value in body.items() if not name.startswith("_")}


def collection(items: list[Thing]) -> Thing:
    return {"entity": "collection", "count": len(items), "items": [public(each) for each in items]}


def page(items: list[Thing], most: int = 100) -> Thing:
    """count and skip, as in every list of Razorpay's: ten unless asked."""
    count, skip = (_number(name, usual) for name, usual in (("count", 10), ("skip", 0)))
    if count < 1:
        no("The count must be at least 1.", field="count")
    if count > most:
        no(f"The count may not be greater than {most}.", field="count")
    return collection(items[skip : skip + count])


def newest(items: list[Thing]) -> Thing:
    """A page of what was made between `from` and `to`, the newest first."""
    since, until = (_number(name, usual) for name, usual in (("from", _FIRST), ("to", _LAST)))
    for name, moment in (("from", since), ("to", until)):
        if not _FIRST <= moment <= _LAST:
            no(f"{name} must be between {_FIRST} and {_LAST}", field=name)
    return page([each for each in items[::-1] if since <= each["created_at"] <= until])


def _number(name: str, usual: int) -> int:
    given = request.args.get(name, str(usual))
    return int(given) if re.fullmatch(r"[0-9]{1,10}", given) else no(f"The {name} must be an integer.", field=name)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def amount(given: Mapping[str, Any], least: int = 100, words: str = "", field: str = "amount") -> int:
    """What is asked for, in the smallest coin."""
    asked = given.get("amount")
    if asked is None:
        no(f"The {field} field is required.", field=field)
    if not isinstance(asked, int) or isinstance(asked, bool):
        no(f"The {field} must be an integer.", field=field)
    if asked < least:
        no(words or f"The amount must be at least INR {least / 100:.2f}", field=field)
    return asked


def text(given: Mapping[str, Any], name: str, longest: int = 0) -> str:
    """A word that has to be there."""
    said = given.get(name)
    if not isinstance(said, str) or not said:
        no(f"The {name} field is required.", field=name)
    if longest and len(said) > longest:
        no(f"The {name} may not be greater than {longest} characters.", field=name)
    return said


def short(given: Mapping[str, Any], name: str) -> Any:
    """A number of the shop's own, if it gave one."""
    said = given.get(name)
    return (
        no(f"The {name} may not be greater than 40 characters.", field=name)
        if said is not None and len(str(said)) > 40
        else said
    )


def notes(given: Mapping[str, Any]) -> Any:
    """An object with something in it, or an empty list: so speaks Razorpay."""
    said = given.get("notes") or []
    if said and not isinstance(said, dict):
        no("The notes must be an array.", field="notes")
    if len(said) > 15:
        no("Number of fields in notes should be less than or equal to 15", field="notes")
    return said


def body() -> Thing:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def asked() -> Thing:
    """What a test says in JSON, or a person in a form: there numbers come as text, and what is left empty is not said."""
    if request.is_json:
        return body()
    return {
        name: int(value) if re.fullmatch(r"[0-9]{1,12}", value) else value
        for name, value in request.form.items()
        if value
    }


def shown(amount: int, currency: str) -> str:
    places = 0 if currency in _WITHOUT_MINOR else 3 if currency in _WITH_THREE else 2
    return f"{currency} {amount / 10**places:,.{places}f}"
