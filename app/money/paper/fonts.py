"""PDF fonts: Lato and Hind (Devanagari), subset for each document; other Indian scripts are transliterated.

Characters that no font has are left out or replaced.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files

import uharfbuzz as hb

# Lato has Latin, Greek and Cyrillic, tabular figures and the rupee sign; Hind has Devanagari that matches it.
_LATO, _HIND = str(files("fontpkg_lato") / "files/Lato"), str(files("fontpkg_hind") / "files/Hind")
FACES = {
    "latin": {"": f"{_LATO}-Regular.ttf", "B": f"{_LATO}-SemiBold.ttf"},
    "indian": {"": f"{_HIND}-Regular.ttf", "B": f"{_HIND}-SemiBold.ttf"},
}

JOINERS = "\u200c\u200d"
_STRAY_JOINER = re.compile(f"(?<![\u0900-\u097f])[{JOINERS}]")
_ALPHABETS = ("BENGALI", "GUJARATI", "GURMUKHI", "KANNADA", "MALAYALAM", "ORIYA", "TAMIL", "TELUGU")
_DIGITS = dict(
    zip(("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"), "0123456789", strict=True)
)
_SILENT = {"VIRAMA", "NUKTA", "ADDAK"}
_SOUNDS = {
    "AA": "ā",
    "II": "ī",
    "UU": "ū",
    "EE": "ē",
    "OO": "ō",
    "VOCALIC R": "r̥",
    "VOCALIC RR": "r̥̄",
    "NGA": "ṅa",
    "NYA": "ña",
    "TTA": "ṭa",
    "TTHA": "ṭha",
    "DDA": "ḍa",
    "DDHA": "ḍha",
    "NNA": "ṇa",
    "NNNA": "ṉa",
    "CA": "ca",
    "CHA": "cha",
    "SHA": "śa",
    "SSA": "ṣa",
    "LLA": "ḷa",
    "LLLA": "ḻa",
    "RRA": "ṟa",
    "YYA": "ẏa",
    "ANUSVARA": "ṁ",
    "BINDI": "ṁ",
    "TIPPI": "ṁ",
    "CANDRABINDU": "m̐",
    "VISARGA": "ḥ",
    "KHANDA TA": "t",
}


@cache
def load_face(file: str) -> hb.Face:
    return hb.Face(hb.Blob.from_file_path(file))


@cache
def supported_characters(script: str) -> frozenset[int]:
    """Return the characters that both the regular and the bold font of a script have."""
    return frozenset.intersection(*(frozenset(load_face(file).unicodes) for file in FACES[script].values()))


def subset_font(file: str, letters: Iterable[int]) -> bytes:
    """Subset a font to these characters. HarfBuzz does it in C, which makes documents twice as fast as whole fonts."""
    wanted = hb.SubsetInput()
    wanted.flags = hb.SubsetFlags.NO_HINTING
    wanted.unicode_set.update(letters)
    return bytes(hb.subset(load_face(file), wanted).blob.data)


@lru_cache(maxsize=4096)
def printable(text: str) -> str:
    """Return one line of printable text: no control characters, line breaks, or characters without a glyph."""
    latin = unicodedata.normalize("NFC", transliterate(" ".join(text.split())))
    drawable = _STRAY_JOINER.sub("", "".join(_drawable(each) for each in latin))
    return " ".join(drawable.split())


def printable_lines(text: str) -> list[str]:
    """Return the printable lines of a text such as an address or a note."""
    return [line for each in text.splitlines() if (line := printable(each))]


def transliterate(text: str) -> str:
    """Transliterate Indian scripts that no font here has (ISO 15919), so that names stay readable."""
    names = [_letter_name(each) for each in text]
    return "".join(
        _letter_sound(name, after) if name else each
        for each, name, after in zip(text, names, [*names, ""][1:], strict=True)
    )


def _letter_name(character: str) -> str:
    """Return the Unicode name without the script, such as LETTER RA; nothing for other scripts."""
    alphabet, _, name = unicodedata.name(character, "").partition(" ")
    return name if alphabet in _ALPHABETS else ""


def _letter_sound(name: str, after: str) -> str:
    """Return the sound of a letter: a consonant has an inherent a, unless a vowel sign or virama follows."""
    which = name.removeprefix("LETTER ").removeprefix("VOWEL ").removeprefix("SIGN ").removeprefix("DIGIT ")
    if which in _SILENT:
        return ""
    if name.startswith("DIGIT "):
        return _DIGITS[which]
    sound = _SOUNDS.get(which, which.lower())
    bare = (
        name.startswith("LETTER ")
        and len(which) > 1
        and sound.endswith("a")
        and after.startswith(("VOWEL SIGN", "SIGN VIRAMA"))
    )
    return sound[:-1] if bare else sound


def _drawable(character: str) -> str:
    code = ord(character)
    if character in JOINERS:
        return character
    if unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs", "Cn"}:
        return ""
    if code in supported_characters("latin") or code in supported_characters("indian"):
        return character
    plain = unicodedata.normalize("NFKD", character)
    if plain != character:
        return "".join(_drawable(each) for each in plain)
    return "?" if unicodedata.category(character)[0] in "LN" else ""
