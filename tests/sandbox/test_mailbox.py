"""Tests of the sandbox's SMTP server and mailbox: mail sent over SMTP, read as a page and as JSON."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import Any

import requests

from app.sandbox import mailbox
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Standing


def send(bank: Standing, to: str = "meera@example.com", **other: Any) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = (
        "Frontdesk <hello@frontdesk.example>",
        to,
        other.get("subject", "Confirmed: 12 März, ₹999"),
    )
    letter["Message-ID"] = f"<{other.get('number', 1)}@frontdesk.example>"
    letter.set_content("See you on Monday.\n")
    letter.add_alternative(other.get("html", "<p>See you on <b>Monday</b>.</p>"), subtype="html")
    for name, content in other.get("attached", {}).items():
        letter.add_attachment(content, maintype="text", subtype="html", filename=name)
    with smtplib.SMTP("127.0.0.1", bank.mail.port, timeout=PATIENCE) as line:
        line.send_message(letter, to_addrs=[to, *other.get("also", [])])
    return letter


def letters(bank: Standing, to: str = "") -> list[dict[str, Any]]:
    return list(requests.get(f"{bank.url}/mail.json", params={"to": to}, timeout=PATIENCE).json())


def test_a_letter_is_kept_whole_with_all_whom_it_reached(bank: Standing) -> None:
    send(bank, also=["hidden@example.com"], attached={"invoice.html": b"<script>1</script>"})
    [letter] = letters(bank)
    assert set(letter) == {"id", "to", "from", "subject", "message_id", "text", "html", "received_at", "attachments"}
    assert (letter["to"], letter["subject"]) == ("meera@example.com, hidden@example.com", "Confirmed: 12 März, ₹999")
    assert (letter["message_id"], letter["text"].strip()) == ("<1@frontdesk.example>", "See you on Monday.")
    assert ("<b>Monday</b>" in letter["html"], letter["attachments"], letter["received_at"][-6:]) == (
        True,
        ["invoice.html"],
        "+00:00",
    )


def test_letters_are_newest_first_and_found_by_whom_they_are_for(bank: Standing) -> None:
    for number, to in enumerate(("a_b@example.com", "axb@example.com", "a_b@example.com")):
        send(bank, to, number=number)
    assert [each["message_id"][1] for each in letters(bank)] == ["2", "1", "0"]
    assert [each["message_id"][1] for each in letters(bank, "A_b@example.com")] == ["2", "0"]
    assert requests.delete(f"{bank.url}/mail", timeout=PATIENCE).ok
    assert letters(bank) == []


def test_a_letter_cannot_do_anything_to_its_reader(bank: Standing) -> None:
    send(
        bank,
        subject="<script>alert(1)</script>",
        html="<script>alert(1)</script><p>Hi</p>",
        attached={"evil.html": b"<script>alert(1)</script>"},
    )
    [letter] = letters(bank)
    page = requests.get(f"{bank.url}/mail/{letter['id']}", timeout=PATIENCE).text
    assert "<script>alert" not in page + requests.get(f"{bank.url}/mail", timeout=PATIENCE).text
    assert '<iframe sandbox title="' in page
    shown = requests.get(f"{bank.url}/mail/{letter['id']}.html", timeout=PATIENCE)
    assert shown.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    taken = requests.get(f"{bank.url}/mail/{letter['id']}/0", timeout=PATIENCE)
    assert (taken.headers["Content-Type"], taken.content) == ("application/octet-stream", b"<script>alert(1)</script>")
    assert taken.headers["Content-Disposition"] == "attachment; filename=evil.html"
    source = requests.get(f"{bank.url}/mail/{letter['id']}.eml", timeout=PATIENCE)
    assert source.headers["Content-Type"].startswith("text/plain")
    assert "Message-ID: <1@frontdesk.example>" in source.text


def test_what_is_not_there_is_a_404(bank: Standing) -> None:
    send(bank)
    for path in ("999", "999.html", "999.eml", "999/0", "1/0"):
        assert requests.get(f"{bank.url}/mail/{path}", timeout=PATIENCE).status_code == 404


def test_a_letter_that_cannot_be_read_does_not_close_the_mailbox(bank: Standing) -> None:
    with smtplib.SMTP("127.0.0.1", bank.mail.port, timeout=PATIENCE) as line:
        line.sendmail(
            "a@example.com",
            ["b@example.com"],
            b"Content-Type: text/plain; charset=klingon\r\nSubject: =?klingon?Q?hi?=\r\n\r\nnuqneH",
        )
        line.sendmail("a@example.com", ["b@example.com"], b"no headers at all")
    assert [each["text"].strip() for each in letters(bank)] == ["no headers at all", "nuqneH"]
    assert requests.get(f"{bank.url}/mail", timeout=PATIENCE).ok


def test_only_the_last_letters_are_kept(bank: Standing, monkeypatch: Any) -> None:
    monkeypatch.setattr(mailbox, "MAX_MAILS", 3)
    for number in range(5):
        send(bank, number=number)
    assert [each["message_id"][1] for each in letters(bank)] == ["4", "3", "2"]
