"""Letters: what a printed page can say. Two faces are carried along, and what neither has is written in Latin letters or left out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files

import uharfbuzz as hb

# Lato has Latin, Greek and Cyrillic, figures of one width, and the rupee sign; Hind has Devanagari, drawn to stand beside Latin.
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
    """Read once, and kept."""
    return hb.Face(hb.Blob.from_file_path(file))


@cache
def supported_characters(script: str) -> frozenset[int]:
    """Every character that these faces have a shape for, thin and bold alike."""
    return frozenset.intersection(*(frozenset(load_face(file).unicodes) for file in FACES[script].values()))


def subset_font(file: str, letters: Iterable[int]) -> bytes:
    """The face with these letters only. Done here, in C, a paper is drawn twice as fast as with whole faces."""
    wanted = hb.SubsetInput()
    wanted.flags = hb.SubsetFlags.NO_HINTING
    wanted.unicode_set.update(letters)
    return bytes(hb.subset(load_face(file), wanted).blob.data)


@lru_cache(maxsize=4096)
def printable(text: str) -> str:
    """One line of what can be drawn: no control characters, no line breaks, no character that would come out as an empty box."""
    told = unicodedata.normalize("NFC", transliterate(" ".join(text.split())))
    kept = _STRAY_JOINER.sub("", "".join(_drawable(each) for each in told))
    return " ".join(kept.split())


def printable_lines(text: str) -> list[str]:
    """The lines that were written as lines: an address, a note."""
    return [line for each in text.splitlines() if (line := printable(each))]


def transliterate(text: str) -> str:
    """An Indian script that no face here has, by its sounds (ISO 15919): a name stays a name that can be read aloud."""
    names = [_letter_name(each) for each in text]
    return "".join(
        _letter_sound(name, after) if name else each
        for each, name, after in zip(text, names, [*names, ""][1:], strict=True)
    )


def _letter_name(character: str) -> str:
    """LETTER RA, VOWEL SIGN II; nothing for a script that needs no help."""
    alphabet, _, name = unicodedata.name(character, "").partition(" ")
    return name if alphabet in _ALPHABETS else ""


def _letter_sound(name: str, after: str) -> str:
    """A consonant carries an a, unless a vowel sign or the sign that silences it comes next."""
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
