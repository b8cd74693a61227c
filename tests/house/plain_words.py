"""Linter of texts: finds every text that people read, in templates, code, scripts and catalogues, and its faults.

`python -m tests.house.plain_words app/money templates/money` prints the texts with their places; `--wrong` prints only
those that break a rule.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from babel.messages.pofile import read_po
from jinja2 import Environment

ROOT = Path(__file__).parent.parent.parent

# Banned words and their replacements, matched as whole words in any case.
SAY_INSTEAD = {
    r"whoever|whomever": "the person, the customer, “anyone who”",
    r"somebody|anybody": "someone, anyone; better, name the person",
    r"nobody": "no one; better, say it in the positive",
    r"by itself|by themselves|of itself": "automatically",
    r"any more": "no longer",
    r"stands|stood": "is",
    r"in the meantime|meanwhile": "while you were editing, since",
    r"call(ed|ing)? (it |this |them |your booking )?off": "cancel",
    r"g(i|a)ve(s|n)? back|giving back|goes? back to (you|them)|money goes back": "refund",
    r"the way it came": "to the original payment method",
    r"put(ting)? away|fetch again": "archive, restore",
    r"takes? (it|them|this) back|taken back": "undo",
    r"comes? free|goes? free": "becomes available",
    r"telephones?|telephoned": "phone",
    r"mailbox(es)?": "email, inbox",
    r"sittings?": "session",
    r"second factors?": "two-factor authentication",
    r"remarks?": "note",
    r"editions?": "version",
    r"sealed": "encrypted",
    r"opt-ins?": "marketing consent, consent",
    r"what we offer": "features",
    r"who gives what": "service assignments",
    r"waiting line|on the line|in the line|in line": "waiting list",
    r"per cent": "percent, %",
    r"sums?": "amount, total",
    r"wrote down|written down|writes? (it |this )?down|noted down": "record, recorded",
    r"a second pair of eyes|four eyes": "a second approval",
    r"hand(ed)? out": "pay out, paid out",
    r"of (our|your|their) own": "own, custom",
    r"at the latest|at the earliest": "no later than, no earlier than",
    r"this (house|door)|the house": "the practice, the business, this site",
    r"what is there|what is known": "overview, details",
    r"looks? it over": "review",
    r"nothing fits|fits? (these|this|the) words|nothing that suits": "no results",
    r"made up": "sample",
    r"as it was (set up|asked)": "default",
    r"not (yours|possible just now)": "You don’t have permission, unavailable",
}
_SAY_INSTEAD = {re.compile(rf"\b(?:{words})\b", re.IGNORECASE): better for words, better in SAY_INSTEAD.items()}

NOT_WORDS = re.compile(
    r"%\(\w+\)s|\{\{.*?\}\}|`[^`]*`|\b\w+\.\w+\b|\"\w+\": \"\w+\""
)  # places, code and addresses within a text
READ_ALOUD = ("title", "aria-label", "placeholder", "alt", "content", "label", "data-says", "data-confirm")
LABELS = ("label", "one", "title", "spoken")  # keyword arguments whose value is a label


@dataclass(frozen=True)
class Text:
    """A text that people read: its place, its words and its kind (text, button, heading, label, attribute)."""

    file: str
    line: int
    words: str
    how: str = "text"

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def wrong_with(text: Text) -> list[str]:
    """List the rules that a text breaks."""
    words = NOT_WORDS.sub("…", text.words)
    found = [f"“{hit[0]}”: say {better}" for rule, better in _SAY_INSTEAD.items() if (hit := rule.search(words))]
    if text.how in ("button", "heading", "label") and (capital := _not_sentence_case(words)):
        found.append(f"“{capital}”: sentence case")
    return found


# Names keep their capitals.
NAMES = frozenset(
    [
        "Razorpay",
        "Stripe",
        "Google",
        "Meet",
        "WhatsApp",
        "Twilio",
        "Jitsi",
        "Redis",
        "PostgreSQL",
        "Frontdesk",
        "UTC",
        "GST",
        "GSTIN",
        "HSN",
        "SAC",
        "INR",
        "UPI",
        "IFSC",
        "UTR",
        "CSV",
        "XLSX",
        "PDF",
        "API",
        "REST",
        "JSON",
        "SMS",
        "SMTP",
        "URL",
        "ID",
        "IDs",
        "IP",
        "SSO",
        "OIDC",
        "OpenID",
        "Connect",
        "TOTP",
        "JWT",
        "QR",
        "HTML",
        "ICS",
        "HTTP",
        "HTTPS",
        "India",
        "Hindi",
        "English",
        "Excel",
        "Python",
        "Swagger",
        "OpenAPI",
        "I",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
)


def _not_sentence_case(words: str) -> str:
    """Find a capital in the middle of a label."""
    inside = re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", words)
    return next((each for each in inside if each not in NAMES), "")


# Verbs with which a button begins.
VERBS = frozenset(
    [
        "accept",
        "activate",
        "add",
        "allow",
        "answer",
        "apply",
        "approve",
        "archive",
        "arrange",
        "ask",
        "assign",
        "attach",
        "authorize",
        "authorise",
        "back",
        "book",
        "bring",
        "browse",
        "buy",
        "cancel",
        "change",
        "check",
        "choose",
        "clear",
        "close",
        "collapse",
        "compare",
        "complete",
        "confirm",
        "connect",
        "contact",
        "continue",
        "copy",
        "count",
        "create",
        "deactivate",
        "decline",
        "deduct",
        "delete",
        "deliver",
        "demote",
        "disable",
        "discard",
        "disconnect",
        "dismiss",
        "download",
        "drop",
        "duplicate",
        "edit",
        "email",
        "enable",
        "end",
        "enroll",
        "erase",
        "exit",
        "expand",
        "expire",
        "export",
        "filter",
        "find",
        "finish",
        "follow",
        "forget",
        "forward",
        "generate",
        "get",
        "give",
        "go",
        "grant",
        "handle",
        "hide",
        "hold",
        "ignore",
        "import",
        "install",
        "invite",
        "issue",
        "join",
        "keep",
        "leave",
        "let",
        "link",
        "load",
        "log",
        "look",
        "make",
        "manage",
        "mark",
        "merge",
        "message",
        "modify",
        "move",
        "notify",
        "offer",
        "open",
        "pause",
        "pay",
        "pick",
        "pin",
        "place",
        "play",
        "preview",
        "print",
        "process",
        "promote",
        "publish",
        "put",
        "reactivate",
        "read",
        "rebuild",
        "recalculate",
        "recheck",
        "record",
        "redo",
        "refresh",
        "refund",
        "register",
        "reject",
        "release",
        "reload",
        "remind",
        "remove",
        "rename",
        "reopen",
        "replace",
        "reply",
        "reprocess",
        "request",
        "reschedule",
        "resend",
        "reset",
        "resolve",
        "restore",
        "restart",
        "resume",
        "retire",
        "retry",
        "return",
        "revert",
        "review",
        "revoke",
        "run",
        "save",
        "schedule",
        "search",
        "see",
        "select",
        "send",
        "set",
        "settle",
        "share",
        "show",
        "sign",
        "skip",
        "snooze",
        "sort",
        "start",
        "stop",
        "submit",
        "subscribe",
        "suspend",
        "switch",
        "sync",
        "match",
        "recreate",
        "reassign",
        "enter",
        "sell",
        "take",
        "tell",
        "test",
        "toggle",
        "transfer",
        "try",
        "turn",
        "unarchive",
        "undo",
        "unlink",
        "unpin",
        "unshare",
        "update",
        "upload",
        "use",
        "validate",
        "verify",
        "view",
        "void",
        "wait",
        "waive",
        "withdraw",
        "work",
        "write",
        "all",
        "back",
        "next",
        "previous",
        "more",
        "less",
        "yes",
        "no",
        "ok",
    ]
)

# --- templates --------------------------------------------------------------------------------------------------------

_jinja = Environment(autoescape=True, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
_HOW = {
    "button": "button",
    "h1": "heading",
    "h2": "heading",
    "h3": "heading",
    "h4": "heading",
    "th": "label",
    "label": "label",
    "legend": "label",
    "summary": "label",
}


SILENT = ("script", "style", "code", "pre", "kbd")  # their content is for programs


class _Reader(HTMLParser):
    """Parser of the texts of a page with their kinds."""

    def __init__(self, file: str) -> None:
        super().__init__(convert_charrefs=True)
        self.file, self.found, self.open = file, list[Text](), list[str]()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in READ_ALOUD and value and not (name == "content" and tag == "meta" and "," in value):
                self._take(value, "attribute")
        if tag in SILENT or tag in _HOW or tag == "a":
            self.open.append(
                "button" if tag == "a" and "button" in (dict(attributes).get("class") or "").split() else tag
            )

    def handle_endtag(self, tag: str) -> None:
        if self.open and (tag in _HOW or tag in SILENT or tag == "a"):
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not any(tag in self.open for tag in SILENT):
            self._take(data, next((_HOW[tag] for tag in reversed(self.open) if tag in _HOW), "text"))

    def _take(self, words: str, how: str) -> None:
        if re.search(r"[A-Za-z]{2}", words.replace("{…}", "")):
            self.found.append(Text(self.file, self.getpos()[0], " ".join(words.split()), how))


def in_template(path: Path) -> Iterator[Text]:
    file, html = str(path.relative_to(ROOT)), ""
    for line, token, value in _jinja.lex(path.read_text()):
        if token == "data":
            html += value
        elif token in ("variable_begin", "block_begin"):
            html += "{…}" if token == "variable_begin" else ""
        elif token == "string" and _is_sentence(value[1:-1]):
            yield Text(file, line, value[1:-1])
        if token != "data":
            html += "\n" * value.count("\n")
    if path.suffix == ".txt":
        for nth, words in enumerate(html.splitlines(), 1):
            if re.search(r"[A-Za-z]{2}", words.replace("{…}", "")):
                yield Text(file, nth, words.strip())
    else:
        reader = _Reader(file)
        reader.feed(html)
        yield from reader.found


def lower_after_salutation(path: Path) -> Iterator[Text]:
    """Find a line after “Hello Meera,” that begins with a small letter."""
    lines = [(nth, line.strip()) for nth, line in enumerate(path.read_text().splitlines(), 1) if line.strip()]
    for (_, hello), (nth, line) in pairwise(lines):
        if hello.startswith(("Hello", "Dear", "Hi ")) and line[:1].islower():
            yield Text(str(path.relative_to(ROOT)), nth, line)


# --- code -------------------------------------------------------------------------------------------------------------

_SILENT_CALLS = {
    "text",
    "compile",
    "getLogger",
    "TypeError",
    "RuntimeError",
    "AssertionError",
    "fullmatch",
    "search",
    "match",
    "sub",
    "execute",
    "startswith",
    "endswith",
    "Enum",
}
_SQL = re.compile(
    r"\s*(select|insert|update|delete|create|drop|alter|with|set|lock|do|notify|grant|revoke|truncate|coalesce|case)\b",
    re.IGNORECASE,
)


def _is_sentence(words: str) -> bool:
    """Say whether a string reads like a sentence and not like a name, path, format or declaration."""
    bare = words.replace("{…}", "").strip()
    if not re.search(r"[A-Za-z]{2}", bare) or (_SQL.match(words) and not words[0].isupper()):
        return False
    if re.fullmatch(r"[\w./:*%#@+-]+", bare):
        return bare[0].isupper() and bare[1:].islower()
    return (
        bare[0].isupper()
        or bare[-1] in ".!?…"
        or (" " in bare and bool(re.search(r"\b(a|an|the|is|are|of|to|for|and|not|you|it|in)\b", bare)))
    )


class _Strings(ast.NodeVisitor):
    def __init__(self, file: str) -> None:
        self.file, self.found = file, list[Text]()

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _SILENT_CALLS:
            return
        for each in node.keywords:
            if each.arg in LABELS and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
                self._take(each.value, each.value.value, "label")
                each.value = ast.Constant(None)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._body(node)

    def visit_Module(self, node: ast.Module) -> None:
        self._body(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        is_move = any(
            isinstance(each, ast.Call) and getattr(each.func, "id", "") == "move" for each in node.decorator_list
        )
        if is_move and (said := ast.get_docstring(node)):
            self._take(node.body[0], said, "move")
        self._body(node)

    def _body(self, node: ast.Module | ast.ClassDef | ast.FunctionDef) -> None:
        if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        words = "".join(str(each.value) if isinstance(each, ast.Constant) else "{…}" for each in node.values)
        if _is_sentence(words):
            self._take(node, words)
        for each in node.values:
            if isinstance(each, ast.FormattedValue):
                self.visit(each.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and _is_sentence(node.value):
            self._take(node, node.value)

    def _take(self, node: ast.AST, words: str, how: str = "text") -> None:
        self.found.append(Text(self.file, getattr(node, "lineno", 0), " ".join(words.split()), how))


def in_code(path: Path) -> list[Text]:
    reader = _Strings(str(path.relative_to(ROOT)))
    reader.visit(ast.parse(path.read_text()))
    return reader.found


_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')


def in_script(path: Path) -> Iterator[Text]:
    for nth, line in enumerate(path.read_text().splitlines(), 1):
        if not line.lstrip().startswith("//"):
            for hit in _QUOTED.finditer(line):
                words = re.sub(r"\$\{[^}]*\}", "{…}", hit[1] or hit[2] or "")
                if _is_sentence(words) and "<svg" not in words:
                    yield Text(str(path.relative_to(ROOT)), nth, words)


def in_catalogues() -> Iterator[Text]:
    """Read the English texts of the catalogues."""
    for path in sorted(ROOT.glob("translations/*/LC_MESSAGES/messages.po")):
        with path.open("rb") as file:
            for each in read_po(file):
                for words in [each.id] if isinstance(each.id, str) else each.id:
                    if words:
                        yield Text(str(path.relative_to(ROOT)), each.lineno or 0, words)


# --- all of it --------------------------------------------------------------------------------------------------------


def texts(*places: str) -> Iterator[Text]:
    """Find all texts in files and folders."""
    for place in places or ("app", "templates", "static", "config.py", "worker.py", "deploy"):
        root = ROOT / place
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.suffix == ".py":
                yield from in_code(path)
            elif path.suffix in (".html", ".txt") and "templates" in path.parts:
                yield from in_template(path)
            elif path.suffix == ".js":
                yield from in_script(path)


def main() -> None:
    only_wrong, places = "--wrong" in sys.argv, [each for each in sys.argv[1:] if not each.startswith("-")]
    for each in texts(*places):
        wrong = wrong_with(each)
        if wrong or not only_wrong:
            sys.stdout.write(f"{each.place}\t{each.how}\t{each.words}\n" + "".join(f"    ! {it}\n" for it in wrong))


if __name__ == "__main__":
    main()
