"""Tests of docs/architecture.md: its folders and imports are those of the code, and no folder is a warehouse."""

from __future__ import annotations

import re

from tests.house.architecture import INSIDE, PAGE, ROOT, folders, purpose, rows, written

LARGEST = 22  # files of one folder: more want folders of their own


def test_the_page_of_the_architecture_shows_the_folders_and_imports_of_today() -> None:
    page = PAGE.read_text()
    assert page == written(page), "Run python -m tests.house.architecture"
    assert {*re.findall(r"<!-- folders of (\S+) -->", page)} == INSIDE


def test_every_folder_says_what_it_holds() -> None:
    for parent in INSIDE:
        for folder in folders(parent):
            assert re.match(r"[A-Z].{20,}", purpose(folder)), folder


def test_no_folder_holds_more_files_than_can_be_taken_in() -> None:
    for folder in {file.parent for file in (ROOT / "app").rglob("*.py")}:
        files = [*folder.glob("*.py")]
        assert len(files) <= LARGEST, f"{folder.relative_to(ROOT)} has {len(files)} files: sort them into folders"


def test_folders_import_one_way() -> None:
    for parent in INSIDE:
        assert rows(parent)
