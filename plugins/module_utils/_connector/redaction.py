# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Takes secrets out of what came over the network: all of it passes here before it is shown.

A secret is searched for in pieces of six characters, in any letter case, with white space left out, in the text and in
everything that it says decoded. A shorter secret is hidden where it stands alone.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from .._errors import printable
from .decoding import Reading, TooMuch, readings, squeezed, unescaped
from .secret import HIDDEN, Secret

SHORTEST_PIECE = 6
SHORTEST_SECRET = 2
LONGEST_SECRET = 64 * 1024
LONGEST_SHOWN = 2000
LONGEST_READ = 4096
"""How much of a text is looked at: enough for what is shown of it."""
LONGEST_LIST = 32 * 1024
LONGEST_IN_BASE64 = 4096
"""Pieces of longer secrets are found in base64 only where nobody has changed its letter case."""

_PEM_BLOCK = re.compile(r"-----BEGIN ([^-\r\n]+)-----(.*?)-----END \1-----", re.DOTALL)
_PEM_HEADER = re.compile(r"^(?:Proc-Type|DEK-Info):.*$", re.MULTILINE)
_NORMAL_FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")


class Redaction:
    """Knows the secrets of one connector, and those that are learnt on the way, and hides them."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: set[str] = set()
        self._pieces: set[str] = set()
        self._beginnings: set[str] = set()
        self._spaced_pieces: set[str] = set()
        self._spaced_beginnings: set[str] = set()
        self._short: set[str] = set()
        self._standing_alone: re.Pattern[str] | None = None
        for secret in secrets:
            self.hide(*_secret_parts(secret.reveal()))

    def hide(self, *secrets: str) -> None:
        """Hide these as well."""
        short: set[str] = set()
        for secret in {each[:LONGEST_SECRET] for each in secrets} - self._known:
            self._known.add(secret)
            spellings = _spellings(secret)
            for spelling in spellings:
                folded = _folded(spelling)
                bare = squeezed(folded)
                if len(bare) >= SHORTEST_PIECE:
                    self._pieces.update(_windows(bare, SHORTEST_PIECE))
                    self._beginnings.update(_windows(bare, SHORTEST_PIECE - 1))
                elif len(bare) >= SHORTEST_SECRET:
                    short.update(_short_forms(spelling))
                if len(bare) < len(folded):
                    spaced = [each for each in _windows(folded, SHORTEST_PIECE) if len(squeezed(each)) > 1]
                    self._spaced_pieces.update(spaced)
                    self._spaced_beginnings.update(each for piece in spaced for each in (piece[:-1], piece[1:]))
            if SHORTEST_PIECE - 1 <= len(secret) <= LONGEST_IN_BASE64:
                forms = [form for spelling in spellings for form in _base64_forms(spelling.encode("utf-8", "replace"))]
                self._pieces.update(piece for form in forms for piece in _windows(form, SHORTEST_PIECE))
                self._beginnings.update(piece for form in forms for piece in _windows(form, SHORTEST_PIECE - 1))
        if short - self._short:
            self._short |= short
            longest_first = sorted(self._short, key=len, reverse=True)
            self._standing_alone = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def __call__(self, said: bytes | str) -> str:
        """What a server said, fit to be shown on one line: without secrets, printable, and not without end."""
        return self.lines([said])[0]

    def lines(self, said: Sequence[bytes | str]) -> list[str]:
        """The same for lines that belong together: a secret may go on from one to the next."""
        longest = min(LONGEST_READ, LONGEST_LIST // max(1, len(said)))
        read = [each[:longest] for each in said]
        lines = [(each.decode("utf-8", "replace") if isinstance(each, bytes) else each).rstrip("\r\n") for each in read]
        text = "\n".join(lines)
        hidden = self._hidden(text)
        shown, start = [], 0
        for line in lines:
            shown.append(printable(_with_gaps(text, hidden, start, start + len(line)))[:LONGEST_SHOWN])
            start += len(line) + 1
        return shown

    def value(self, value: Any, own: Collection[str] = ()) -> Any:
        """The same for what a server's words were put into. What stands under the names in `own` is not theirs."""
        if isinstance(value, (str, bytes)):
            return self(value)
        if isinstance(value, Mapping):
            return {name: each if name in own else self.value(each, own) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            if all(isinstance(each, str) for each in value):
                return self.lines(value)
            return [self.value(each, own) for each in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return value if abs(value) < 10 ** (SHORTEST_PIECE - 1) or self.is_free_of_secrets(str(value)) else None
        return value

    def is_free_of_secrets(self, text: str) -> bool:
        return not self._hidden(text[:LONGEST_READ])

    def _hidden(self, text: str) -> list[tuple[int, int]]:
        """The parts of a text that must not be shown, in order and apart from each other."""
        if not (self._pieces or self._spaced_pieces or self._short):
            return []
        try:
            return _joined(sorted(part for reading in readings(text) for part in self._found(reading)))
        except TooMuch:
            return [(0, len(text))]

    def _found(self, reading: Reading) -> Iterator[tuple[int, int]]:
        """The parts of the original text in which something is said that must not be shown."""
        bare = reading.squeezed()
        for start, end in _pieces_in(_folded(bare.text), self._pieces, self._beginnings):
            yield bare.origin(start, end)
        if self._spaced_pieces or self._standing_alone:
            folded = _folded(reading.text)
            for start, end in _pieces_in(folded, self._spaced_pieces, self._spaced_beginnings):
                yield reading.origin(start, end)
            if self._standing_alone:
                for found in self._standing_alone.finditer(folded):
                    yield reading.origin(*found.span())


def _pieces_in(text: str, pieces: Collection[str], beginnings: Collection[str]) -> list[tuple[int, int]]:
    """The parts of a text that consist of pieces.

    Of each piece five characters begin at an even position: only those are looked up first.
    """
    if not pieces:
        return []
    size = SHORTEST_PIECE - 1
    likely = [start for start in range(0, len(text) - size + 1, 2) if text[start : start + size] in beginnings]
    candidates = sorted({each for start in likely for each in (start - 1, start) if each >= 0})
    found = [start for start in candidates if text[start : start + SHORTEST_PIECE] in pieces]
    return _joined((start, start + SHORTEST_PIECE) for start in found)


def _joined(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Parts in order, those that touch each other as one."""
    joined: list[tuple[int, int]] = []
    for start, end in parts:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _with_gaps(text: str, hidden: Sequence[tuple[int, int]], start: int, end: int) -> str:
    """A part of a text, without what is hidden."""
    if start == end:
        return ""
    shown, before = [], bisect_right(hidden, (start, end))
    begun = before and hidden[before - 1][1] > start
    for first, last in hidden[before - 1 if begun else before :]:
        if first >= end:
            break
        shown += [text[start : max(start, first)], HIDDEN]
        start = min(last, end)
    return "".join([*shown, text[start:end]])


def _folded(text: str) -> str:
    """The text in small letters, of which there are as many as there were characters."""
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").lower().replace("\u03c2", "\u03c3")


def _windows(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(len(text) - size + 1))


def _secret_parts(secret: str) -> list[str]:
    """What has to be hidden of a secret: of keys only what is secret in them, not what all of them have in common."""
    if secret.startswith("{"):
        try:
            account = json.loads(secret)
        except (ValueError, RecursionError):
            account = None
        if isinstance(account, dict) and isinstance(account.get("private_key"), str):
            return _secret_parts(account["private_key"])
    blocks = [_PEM_HEADER.sub("", block) for _kind, block in _PEM_BLOCK.findall(secret)]
    return blocks or [secret]


def _spellings(secret: str) -> set[str]:
    """How a secret may be written: composed or not, prepared for sign-in, in capitals, with blanks as in forms."""
    spellings = {secret}
    if not secret.isascii():
        spellings |= {unicodedata.normalize(form, secret) for form in _NORMAL_FORMS}
        spellings.add(unicodedata.ucd_3_2_0.normalize("NFKC", secret))
        spellings |= {each for spelling in [*spellings] for each in (spelling.upper(), spelling.casefold())}
    if " " in secret.strip():
        spellings |= {spelling.replace(" ", blank) for spelling in [*spellings] for blank in "+_"}
    spellings |= {unescaped(spelling) for spelling in [*spellings]}
    return spellings - {""}


def _short_forms(secret: str) -> set[str]:
    """How a secret may stand alone that is too short to be searched for in pieces."""
    data = secret.encode("utf-8", "replace")
    forms = (secret, secret.strip(), data.hex(), base64.b64encode(data).decode("ascii").rstrip("="))
    return {_folded(form) for form in forms}


def _base64_forms(data: bytes) -> Iterator[str]:
    """Base64 in small letters, as it is after any number of other bytes, without the characters that depend on them."""
    for before, dependent in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(bytes(before) + data)[dependent:].rstrip(b"=").decode("ascii").lower()
        yield encoded
        if "+" in encoded or "/" in encoded:
            yield encoded.replace("+", "-").replace("/", "_")
