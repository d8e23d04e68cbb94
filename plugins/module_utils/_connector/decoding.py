# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a text says once what is encoded in it is decoded, and where in the text that stands.

Nothing here raises on malformed input: what cannot be decoded stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Callable, NamedTuple

DEEPEST = 3
"""How many encodings may lie around each other."""

MOST_TIMES, MOST_BESIDES = 16, 4096
"""How long all readings of a text may be together, in proportion to it, so that hostile text cannot take long."""

# White space, control and format characters, fillers, variation selectors, and what stands for undecodable bytes.
_IGNORED = (
    r"\s\x00-\x20\x7f-\xa0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u1806\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffd\U000e0000-\U000e0fff"
)
_IGNORED_RUN = re.compile(f"[{_IGNORED}]+")
_KEPT_RUN = re.compile(f"[^{_IGNORED}]+")
_IGNORED_ASCII = dict.fromkeys([*range(0x21), 0x7F])

_ESCAPED = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<quoted>(?:=[0-9A-Fa-f]{2})+)"
    r"|(?P<soft_break>=[ \t]*\r?\n)"
    r"|(?P<hexadecimal>(?:\\x[0-9A-Fa-f]{2})+)"
    r"|(?P<octal>(?:\\[0-3][0-7]{2})+)"
    r"|(?P<units>(?:[\\%]u[0-9A-Fa-f]{4})+)"
    r"|(?P<point>\\u\{[0-9A-Fa-f]{1,6}\}|\\U[0-9A-Fa-f]{8})"
    r"|(?P<entity>&(?:\#[0-9]{1,20}|\#[xX][0-9A-Fa-f]{1,20}|[A-Za-z][A-Za-z0-9]{1,31});?)"
    r"|(?P<character>\\.)",
    re.DOTALL,
)
_NOTHING_ESCAPED = re.compile(r"[^%=\\&]*\Z")
_BLANKS = frozenset("abfnrtv0")
_PLUS_IN_FRONT = re.compile(r"[\t\r\n]\+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_DIGITS = re.compile(r"0[xX]|[0-9A-Fa-f]")
_HEXADECIMAL = re.compile(r"(?:0[xX])?[0-9A-Fa-f](?:[:;.,+/|_-]{0,3}(?:0[xX])?[0-9A-Fa-f]){11,}")
_UTF_7 = re.compile(r"[+&]([A-Za-z0-9+/,]{3,})(-?)")
_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{10,}")
# Printable characters, and those that sign-ins have between their fields.
_LEGIBLE = r"[\x00\x01\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffc\U00010000-\U0010ffff]"
_LEGIBLE_IN_HEXADECIMAL = re.compile(_LEGIBLE + "{6,}")
_LEGIBLE_IN_BASE64 = re.compile(_LEGIBLE + "{8,}")
_BETWEEN = "\uffff"


class TooMuch(Exception):
    """A text that would take too long to decode."""


class Reading:
    """A text, or what it says decoded."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._squeezed: Squeezed | None = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original text that a part of this one stands for."""
        return start, end

    def words(self, start: int, end: int, _low: int, _high: int) -> tuple[int, int]:
        """A part between two bounds, and what nothing invisible separates from it."""
        return start, end

    def squeezed(self) -> Squeezed:
        self._squeezed = self._squeezed or Squeezed(self)
        return self._squeezed


class Squeezed(Reading):
    """A text without what cannot be seen."""

    def __init__(self, source: Reading) -> None:
        super().__init__(squeezed(source.text))
        self._source = source
        self._positions: list[int] = []
        self._gaps: list[int] = []

    def origin(self, start: int, end: int) -> tuple[int, int]:
        self._locate()
        return self._source.origin(self._positions[start], self._positions[end - 1] + 1)

    def words(self, start: int, end: int, low: int, high: int) -> tuple[int, int]:
        self._locate()
        before, after = bisect_right(self._gaps, start), bisect_left(self._gaps, end)
        first = self._gaps[before - 1] if before else 0
        last = self._gaps[after] if after < len(self._gaps) else len(self.text)
        return max(first, low), min(last, high)

    def _locate(self) -> None:
        if self._positions:
            return
        for found in _KEPT_RUN.finditer(self._source.text):
            self._gaps.append(len(self._positions))
            self._positions += range(found.start(), found.end())


class _Part(NamedTuple):
    """A part of a decoded text: where it begins there, and where it stands in the source."""

    at: int
    start: int
    end: int
    width: int = 0
    """For how many characters of the source each of its own stands; 0: for all of them."""
    place: Callable[[int], tuple[int, int]] | None = None
    """Where a character stands, where it is not as simple."""


class _Decoded(Reading):
    """A text in which something was decoded, which is put together part by part."""

    def __init__(self, source: Reading) -> None:
        super().__init__("")
        self._source = source
        self._pieces: list[str] = []
        self._parts: list[_Part] = []
        self._ats: list[int] = []
        self._length = 0

    def keep(self, start: int, end: int) -> None:
        if start < end:
            self.put(self._source.text[start:end], start, end, 1)

    def put(
        self, text: str, start: int, end: int, width: int = 0, place: Callable[[int], tuple[int, int]] | None = None
    ) -> None:
        if text:
            self._pieces.append(text)
            self._parts.append(_Part(self._length, start, end, width, place))
            self._ats.append(self._length)
            self._length += len(text)

    def put_bytes(self, data: bytes, start: int, width: int) -> None:
        """Bytes of which each stands for so many characters of the source."""
        text = _text_of(data)
        self.put(text, start, start + len(data) * width, width if len(text) == len(data) else 0)

    def finished(self) -> Reading:
        self.text = "".join(self._pieces)
        return self

    def origin(self, start: int, end: int) -> tuple[int, int]:
        return self._source.origin(self._placed(start)[0], self._placed(end - 1)[1])

    def _placed(self, position: int) -> tuple[int, int]:
        part = self._parts[bisect_right(self._ats, position) - 1]
        if part.place:
            return self._source.words(*part.place(position - part.at), part.start, part.end)
        if part.width:
            first = part.start + (position - part.at) * part.width
            return first, first + part.width
        return part.start, part.end


def readings(text: str) -> Iterator[Reading]:
    """The text as it is, then with everything decoded that looks encoded, as deeply as it is."""
    level = [Reading(text)]
    left = MOST_TIMES * len(text) + MOST_BESIDES
    seen: set[tuple[str, tuple[int, int], tuple[int, int]]] = set()
    for depth in range(DEEPEST + 1):
        deeper: list[Reading] = []
        for reading in level:
            length = len(reading.text)
            same = (reading.text, reading.origin(0, 1), reading.origin(length - 1, length)) if length else None
            if same is None or same in seen:
                continue
            seen.add(same)
            left -= length
            if left < 0:
                raise TooMuch
            yield reading
            if depth < DEEPEST:
                deeper += [each for decode in _DECODERS for each in decode(reading)]
        level = deeper


def squeezed(text: str) -> str:
    """The text without white space and whatever else cannot be seen."""
    return text.translate(_IGNORED_ASCII) if text.isascii() else _IGNORED_RUN.sub("", text)


def unescaped(text: str) -> str:
    """The text without escapes, whatever their kind and however deep."""
    for _depth in range(DEEPEST):
        once = _unescaped_once(Reading(text))
        text = once.text if once else text
    return text


def _unescaped(reading: Reading) -> Iterator[Reading]:
    """With percent-encoding, quoted-printable, HTML entities and backslashes undone, as they are and within blanks."""
    if _NOTHING_ESCAPED.match(reading.text):
        return
    bare = reading.squeezed()
    for source in (reading,) if bare.text == reading.text else (reading, bare):
        once = _unescaped_once(source)
        for _depth in range(DEEPEST):
            if once is None:
                break
            yield once
            yield from _from_form(once)
            once = _unescaped_once(once)


def _unescaped_once(source: Reading) -> Reading | None:
    """With one layer of escapes undone; None where there is none."""
    decoded, end = _Decoded(source), 0
    for found in _ESCAPED.finditer(source.text):
        decoded.keep(end, found.start())
        end = found.end()
        _unescape(decoded, str(found.lastgroup), found.group(), found.start())
    decoded.keep(end, len(source.text))
    return decoded.finished() if end else None


_WIDTHS = {"percent": 3, "quoted": 3, "hexadecimal": 4}


def _unescape(decoded: _Decoded, kind: str, escape: str, start: int) -> None:
    end = start + len(escape)
    width = _WIDTHS.get(kind)
    if width:
        decoded.put_bytes(bytes.fromhex(escape.replace(escape[: width - 2], "")), start, width)
    elif kind == "octal":
        codes = (int(escape[each + 1 : each + 4], 8) for each in range(0, len(escape), 4))
        decoded.put_bytes(bytes(codes), start, 4)
    elif kind == "units":
        units = bytes.fromhex(escape.replace("\\u", "").replace("%u", ""))
        text = units.decode("utf-16-be", "surrogatepass")
        decoded.put(text, start, end, 6 if len(text) * 6 == len(escape) else 0)
    elif kind == "point":
        code = int(escape.strip("\\uU{}"), 16)
        decoded.put(chr(code) if code < 0x110000 else escape, start, end)
    elif kind == "entity":
        decoded.put(html.unescape(escape), start, end)
    elif kind == "character":
        decoded.put(" " if escape[1] in _BLANKS else escape[1], start, end)


def _text_of(data: bytes) -> str:
    """The bytes as UTF-8, and what is none as Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(
            chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char
            for char in data.decode("utf-8", "surrogateescape")
        )


def _from_form(reading: Reading) -> Iterator[Reading]:
    """With a blank for each plus sign, where there are many, or at the beginning of lines: so forms write blanks."""
    text = reading.text
    if text.count("+") * 4 > len(text) or _PLUS_IN_FRONT.search(text):
        decoded = _Decoded(reading)
        decoded.put(text.replace("+", " "), 0, len(text), 1)
        yield decoded.finished()


def _composed(reading: Reading) -> Iterator[Reading]:
    """With characters that are compatible with others written as those."""
    text = reading.text
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return
    decoded, end = _Decoded(reading), 0
    for found in _BEYOND_ASCII.finditer(text):
        decoded.keep(end, found.start())
        end = found.end()
        plain = [unicodedata.normalize("NFKC", char) for char in found.group()]
        decoded.put("".join(plain), found.start(), end, 1 if all(len(each) == 1 for each in plain) else 0)
    decoded.keep(end, len(text))
    yield decoded.finished()


def _from_utf_7(reading: Reading) -> Iterator[Reading]:
    """With UTF-7, and the variant of it that IMAP has, undone."""
    decoded, end = _Decoded(reading), 0
    for found in _UTF_7.finditer(reading.text):
        if not found.group(2):
            continue
        encoded = found.group(1).replace(",", "/")
        incomplete = len(encoded) % 4
        # A single character at the end says nothing.
        whole = encoded[:-1] if incomplete == 1 else encoded + "=" * (-incomplete % 4)
        data = base64.b64decode(whole)
        decoded.keep(end, found.start())
        end = found.end()
        decoded.put(data[: len(data) // 2 * 2].decode("utf-16-be", "replace"), found.start(), end)
    if end:
        decoded.keep(end, len(reading.text))
        yield decoded.finished()


def _from_hexadecimal(reading: Reading) -> Iterator[Reading]:
    """What is legible in pairs of hexadecimal digits, with or without separators."""
    source = reading.squeezed()
    decoded = _Decoded(source)
    for found in _HEXADECIMAL.finditer(source.text):
        digits = [each.start() for each in _DIGITS.finditer(source.text, *found.span()) if len(each.group()) == 1]
        text = "".join([source.text[each] for each in digits])
        for first in (0, 1):
            data = bytes.fromhex(text[first : len(text) - (len(text) - first) % 2])
            _put_legible(decoded, _LEGIBLE_IN_HEXADECIMAL, data, partial(_place_of_pair, digits, first))
    if decoded.finished().text:
        yield decoded


def _place_of_pair(digits: Sequence[int], first: int, number: int) -> tuple[int, int]:
    return digits[first + 2 * number], digits[first + 2 * number + 1] + 1


def _from_base64(reading: Reading) -> Iterator[Reading]:
    """What is legible in base64, wherever its groups of four begin."""
    source = reading.squeezed()
    decoded = _Decoded(source)
    for found in _BASE64_RUN.finditer(source.text):
        encoded = found.group().encode("ascii").translate(_STANDARD_BASE64)
        for first in range(4):
            size = (len(encoded) - first) * 3 // 4
            data = binascii.a2b_base64(encoded[first:] + b"AAA"[: -(len(encoded) - first) % 4])[:size]
            _put_legible(decoded, _LEGIBLE_IN_BASE64, data, partial(_place_in_base64, found.start() + first))
    if decoded.finished().text:
        yield decoded


def _place_in_base64(first: int, number: int) -> tuple[int, int]:
    """Three bytes are four characters."""
    return first + number * 4 // 3, first - (-(number + 1) * 4 // 3)


def _put_legible(
    decoded: _Decoded, legible: re.Pattern[str], data: bytes, place: Callable[[int], tuple[int, int]]
) -> None:
    """What is legible in bytes that were decoded from a part of the source, in which each byte has its place."""
    text = data.decode("utf-8", "surrogateescape")
    for found in legible.finditer(text):
        start = len(text[: found.start()].encode("utf-8", "surrogateescape"))
        size = len(found.group().encode())
        first, last = place(start)[0], place(start + size - 1)[1]
        if size == len(found.group()):
            decoded.put(found.group(), first, last, place=partial(_place_after, place, start))
        else:
            decoded.put(found.group(), first, last)
        decoded.put(_BETWEEN, first, last)


def _place_after(place: Callable[[int], tuple[int, int]], start: int, number: int) -> tuple[int, int]:
    return place(start + number)


_DECODERS: tuple[Callable[[Reading], Iterator[Reading]], ...] = (
    _unescaped,
    _from_form,
    _composed,
    _from_utf_7,
    _from_hexadecimal,
    _from_base64,
)
