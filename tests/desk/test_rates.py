"""Tests of rates, stored in basis points and shown as per cent, and of form headings."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from zipfile import ZipFile

import pytest
from flask.testing import FlaskClient

from app.kernel.db import session
from app.packs.bookings.offer.service import Service

Enter = Callable[[str], FlaskClient]
Token = Callable[[str], dict[str, str]]


def rate(service: Service) -> int:
    session.expire_all()
    return service.tax_rate


@pytest.mark.parametrize(("typed", "hundredths"), [("18", 1800), ("2.5", 250), (" 12 % ", 1200), ("0.05", 5)])
def test_a_rate_is_typed_and_read_in_per_cent(
    typed: str, hundredths: int, service: Service, enter: Enter, client: FlaskClient, token: Token
) -> None:
    dina, cell = enter("dina"), f"/desk/service/{service.id}/cell/tax_rate"
    assert dina.post(cell, data={"tax_rate": typed, "version": "1"}).get_json()["said"] == f"{hundredths / 100:g}%"
    assert rate(service) == hundredths
    assert f"{hundredths / 100:g}%" in dina.get(f"/desk/service/{service.id}").text
    assert f'value="{hundredths / 100:g}"' in dina.get(f"/desk/service/{service.id}/edit").text
    assert (
        client.get(f"/api/v1/service/{service.id}", headers=token("dina")).get_json()["result"]["tax_rate"]
        == hundredths / 100
    )
    assert f",{hundredths / 100:g}\r\n" in dina.get("/desk/service/export.csv?cols=name,tax_rate").text
    with ZipFile(BytesIO(dina.get("/desk/service/export.xlsx?cols=name,tax_rate").data)) as book:
        assert f"<v>{hundredths / 10_000:g}</v>" in book.read("xl/worksheets/sheet1.xml").decode()
    assert "First consultation" in dina.get(f"/desk/service/?w=tax_rate:from:{hundredths / 100:g}").text
    assert "First consultation" not in dina.get(f"/desk/service/?w=tax_rate:from:{(hundredths + 1) / 100:g}").text


def test_a_program_sends_it_in_per_cent_too(service: Service, client: FlaskClient, token: Token) -> None:
    sent = client.put(f"/api/v1/service/{service.id}", json={"tax_rate": 18.5}, headers=token("dina"))
    assert (sent.status_code, rate(service)) == (200, 1850)


@pytest.mark.parametrize("typed", ["much", "18.555", "NaN", "Infinity", "1e99", "-1", "101", "99999999999"])
def test_what_is_no_rate_is_refused_in_words(typed: str, service: Service, enter: Enter) -> None:
    page = enter("dina").post(f"/desk/service/{service.id}/cell/tax_rate", data={"tax_rate": typed, "version": "1"})
    assert page.status_code in (409, 422)
    assert re.search("Enter a percentage|two decimal places|smaller percentage|0% to 100%", page.text)
    assert rate(service) == 0


def test_a_form_has_the_headings_of_its_record_page(service: Service, enter: Enter) -> None:
    for path in (f"/desk/service/{service.id}/edit", "/desk/service/new"):
        page = enter("dina").get(path).text
        headings = re.findall("<legend>([^<]+)", page)
        assert headings == ["Price", "Scheduling", "Booking rules"]
        assert (
            page.index('name="minutes"')
            < page.index(f"<legend>{headings[0]}")
            < page.index('name="tax_rate"')
            < page.index(f"<legend>{headings[1]}")
        )
