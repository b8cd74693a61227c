"""Architecture: the folders of app/ and which of them import which, as docs/architecture.md has them.

`python -m tests.house.architecture` writes the tables of that page anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
INSIDE = {"app", "app/desk", "app/money", "app/packs/bookings"}  # each of these has a table of its folders


def folders(parent: str) -> list[str]:
    return sorted(f"{parent}/{each.parent.name}" for each in (ROOT / parent).glob("*/__init__.py"))


def purpose(folder: str) -> str:
    """The first sentence of a folder's __init__.py."""
    words = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""
    return " ".join(words.split("\n\n")[0].split())


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports when it runs; what it imports for the type checker alone is left out."""
    tree = ast.parse(file.read_text())
    typing = [each for each in ast.walk(tree) if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test)]
    skipped = {id(inner) for each in typing for inner in ast.walk(each)}
    for each in ast.walk(tree):
        if id(each) in skipped:
            continue
        if isinstance(each, ast.ImportFrom) and each.module:
            yield each.module
            yield from (f"{each.module}.{it.name}" for it in each.names)
        elif isinstance(each, ast.Import):
            yield from (it.name for it in each.names)


def known_by(folder: str, beside: list[str]) -> list[str]:
    """Which of the folders beside it the files of a folder import."""
    modules = {each for file in (ROOT / folder).rglob("*.py") for each in imported(file)}
    return [
        each
        for each in beside
        if each != folder and any(f"{it}.".startswith(each.replace("/", ".") + ".") for it in modules)
    ]


def rows(parent: str) -> list[tuple[str, str, list[str]]]:
    """Each folder with its purpose and what it imports, from the ground up: after every folder that it imports."""
    beside = folders(parent)
    left = {each: known_by(each, beside) for each in beside}
    ordered: list[str] = []
    while left:
        free = [each for each, known in left.items() if not {*known} & left.keys()]
        assert free, f"{parent} has a circle: {left}"
        for each in free:
            left.pop(each)
        ordered += free
    return [(each, purpose(each), sorted(known_by(each, beside), key=ordered.index)) for each in ordered]


def table(parent: str) -> str:
    """The table of a folder's folders, as the page has it."""
    lines = ["| Folder | What it holds | Imports |", "|---|---|---|"]
    for folder, words, known in rows(parent):
        name = folder.removeprefix(f"{parent}/")
        lines.append(f"| `{name}/` | {words} | {', '.join(each.rpartition('/')[2] for each in known)} |")
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """The page with the tables that are true today."""

    def fresh(found: re.Match[str]) -> str:
        return f"{found[1]}{table(found[2])}{found[4]}"

    return re.sub(r"(<!-- folders of (\S+) -->\n)(.*?)(<!-- end -->)", fresh, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
