# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Decodes what is encoded in a text, and maps decoded spans back to spans of the text.

Nothing here raises on malformed input: what cannot be decoded is kept.
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

MAX_DEPTH = 3
"""How deep encodings may be nested."""

MAX_LENGTH_FACTOR, MAX_EXTRA_LENGTH = 16, 4096
"""Limits for the total length of all decoded texts, so that hostile text cannot take long."""

# White space, control and format characters, fillers, variation selectors, and replacements for undecodable bytes.
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
# Printable characters, and separators of SASL messages.
_LEGIBLE = r"[\x00\x01\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffc\U00010000-\U0010ffff]"
_LEGIBLE_IN_HEXADECIMAL = re.compile(_LEGIBLE + "{6,}")
_LEGIBLE_IN_BASE64 = re.compile(_LEGIBLE + "{8,}")
_BETWEEN = "\uffff"


class DecodingLimitError(Exception):
    """A text exceeds the limits for decoding."""


class DecodedText:
    """A text, or a decoded form of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._visible: _VisibleText | None = None

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that a span of this one was decoded from."""
        return start, end

    def expand_span(self, start: int, end: int, _low: int, _high: int) -> tuple[int, int]:
        """A span, extended within two bounds up to the next invisible characters."""
        return start, end

    def without_invisible(self) -> _VisibleText:
        self._visible = self._visible or _VisibleText(self)
        return self._visible


class _VisibleText(DecodedText):
    """A text without invisible characters."""

    def __init__(self, source: DecodedText) -> None:
        super().__init__(without_invisible(source.text))
        self._source = source
        self._positions: list[int] = []
        self._gaps: list[int] = []

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        self._locate()
        return self._source.source_span(self._positions[start], self._positions[end - 1] + 1)

    def expand_span(self, start: int, end: int, low: int, high: int) -> tuple[int, int]:
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
    """A part of a decoded text: its offset, and its span in the source."""

    offset: int
    start: int
    end: int
    width: int = 0
    """How many characters of the source each of its own was decoded from; 0: from the whole span."""
    locate: Callable[[int], tuple[int, int]] | None = None
    """Returns the span of a character, where it is not proportional."""


class _TextBuilder(DecodedText):
    """Builds a decoded text part by part."""

    def __init__(self, source: DecodedText) -> None:
        super().__init__("")
        self._source = source
        self._pieces: list[str] = []
        self._parts: list[_Part] = []
        self._offsets: list[int] = []
        self._length = 0

    def copy(self, start: int, end: int) -> None:
        if start < end:
            self.append(self._source.text[start:end], start, end, 1)

    def append(
        self, text: str, start: int, end: int, width: int = 0, locate: Callable[[int], tuple[int, int]] | None = None
    ) -> None:
        if text:
            self._pieces.append(text)
            self._parts.append(_Part(self._length, start, end, width, locate))
            self._offsets.append(self._length)
            self._length += len(text)

    def append_bytes(self, data: bytes, start: int, width: int) -> None:
        """Append bytes, each of which was decoded from `width` characters of the source."""
        text = _decode_bytes(data)
        self.append(text, start, start + len(data) * width, width if len(text) == len(data) else 0)

    def build(self) -> DecodedText:
        self.text = "".join(self._pieces)
        return self

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        return self._source.source_span(self._span_of_character(start)[0], self._span_of_character(end - 1)[1])

    def _span_of_character(self, position: int) -> tuple[int, int]:
        part = self._parts[bisect_right(self._offsets, position) - 1]
        if part.locate:
            return self._source.expand_span(*part.locate(position - part.offset), part.start, part.end)
        if part.width:
            first = part.start + (position - part.offset) * part.width
            return first, first + part.width
        return part.start, part.end


def decode_all(text: str) -> Iterator[DecodedText]:
    """The text itself, then each decoded form of it, level by level."""
    level = [DecodedText(text)]
    remaining = MAX_LENGTH_FACTOR * len(text) + MAX_EXTRA_LENGTH
    seen: set[tuple[str, tuple[int, int], tuple[int, int]]] = set()
    for depth in range(MAX_DEPTH + 1):
        deeper: list[DecodedText] = []
        for current in level:
            length = len(current.text)
            key = (current.text, current.source_span(0, 1), current.source_span(length - 1, length)) if length else None
            if key is None or key in seen:
                continue
            seen.add(key)
            remaining -= length
            if remaining < 0:
                raise DecodingLimitError
            yield current
            if depth < MAX_DEPTH:
                deeper += [each for decode in _DECODERS for each in decode(current)]
        level = deeper


def without_invisible(text: str) -> str:
    """The text without white space and other invisible characters."""
    return text.translate(_IGNORED_ASCII) if text.isascii() else _IGNORED_RUN.sub("", text)


def unescape(text: str) -> str:
    """The text with all escapes decoded, also nested ones."""
    for _depth in range(MAX_DEPTH):
        once = _unescape_once(DecodedText(text))
        text = once.text if once else text
    return text


def _decode_escapes(current: DecodedText) -> Iterator[DecodedText]:
    """Decode percent-encoding, quoted-printable, HTML entities and backslashes, also across white space."""
    if _NOTHING_ESCAPED.match(current.text):
        return
    bare = current.without_invisible()
    for source in (current,) if bare.text == current.text else (current, bare):
        once = _unescape_once(source)
        for _depth in range(MAX_DEPTH):
            if once is None:
                break
            yield once
            yield from _decode_form_blanks(once)
            once = _unescape_once(once)


def _unescape_once(source: DecodedText) -> DecodedText | None:
    """Decode one layer of escapes; None where there is none."""
    decoded, end = _TextBuilder(source), 0
    for found in _ESCAPED.finditer(source.text):
        decoded.copy(end, found.start())
        end = found.end()
        _decode_escape(decoded, str(found.lastgroup), found.group(), found.start())
    decoded.copy(end, len(source.text))
    return decoded.build() if end else None


_WIDTHS = {"percent": 3, "quoted": 3, "hexadecimal": 4}


def _decode_escape(decoded: _TextBuilder, kind: str, escape: str, start: int) -> None:
    end = start + len(escape)
    width = _WIDTHS.get(kind)
    if width:
        decoded.append_bytes(bytes.fromhex(escape.replace(escape[: width - 2], "")), start, width)
    elif kind == "octal":
        codes = (int(escape[each + 1 : each + 4], 8) for each in range(0, len(escape), 4))
        decoded.append_bytes(bytes(codes), start, 4)
    elif kind == "units":
        units = bytes.fromhex(escape.replace("\\u", "").replace("%u", ""))
        text = units.decode("utf-16-be", "surrogatepass")
        decoded.append(text, start, end, 6 if len(text) * 6 == len(escape) else 0)
    elif kind == "point":
        code = int(escape.strip("\\uU{}"), 16)
        decoded.append(chr(code) if code < 0x110000 else escape, start, end)
    elif kind == "entity":
        decoded.append(html.unescape(escape), start, end)
    elif kind == "character":
        decoded.append(" " if escape[1] in _BLANKS else escape[1], start, end)


def _decode_bytes(data: bytes) -> str:
    """Decode bytes as UTF-8, and invalid ones as Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(
            chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char
            for char in data.decode("utf-8", "surrogateescape")
        )


def _decode_form_blanks(current: DecodedText) -> Iterator[DecodedText]:
    """Replace plus signs, the form encoding of spaces, where there are many or they begin a line."""
    text = current.text
    if text.count("+") * 4 > len(text) or _PLUS_IN_FRONT.search(text):
        decoded = _TextBuilder(current)
        decoded.append(text.replace("+", " "), 0, len(text), 1)
        yield decoded.build()


def _decode_compatible_characters(current: DecodedText) -> Iterator[DecodedText]:
    """Replace compatibility characters (NFKC)."""
    text = current.text
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return
    decoded, end = _TextBuilder(current), 0
    for found in _BEYOND_ASCII.finditer(text):
        decoded.copy(end, found.start())
        end = found.end()
        plain = [unicodedata.normalize("NFKC", char) for char in found.group()]
        decoded.append("".join(plain), found.start(), end, 1 if all(len(each) == 1 for each in plain) else 0)
    decoded.copy(end, len(text))
    yield decoded.build()


def _decode_utf_7(current: DecodedText) -> Iterator[DecodedText]:
    """Decode UTF-7, and the modified UTF-7 of IMAP."""
    decoded, end = _TextBuilder(current), 0
    for found in _UTF_7.finditer(current.text):
        if not found.group(2):
            continue
        encoded = found.group(1).replace(",", "/")
        incomplete = len(encoded) % 4
        # A single character at the end encodes nothing.
        whole = encoded[:-1] if incomplete == 1 else encoded + "=" * (-incomplete % 4)
        data = base64.b64decode(whole)
        decoded.copy(end, found.start())
        end = found.end()
        decoded.append(data[: len(data) // 2 * 2].decode("utf-16-be", "replace"), found.start(), end)
    if end:
        decoded.copy(end, len(current.text))
        yield decoded.build()


def _decode_hexadecimal(current: DecodedText) -> Iterator[DecodedText]:
    """Decode legible text in hexadecimal, with or without separators."""
    source = current.without_invisible()
    decoded = _TextBuilder(source)
    for found in _HEXADECIMAL.finditer(source.text):
        digits = [each.start() for each in _DIGITS.finditer(source.text, *found.span()) if len(each.group()) == 1]
        text = "".join([source.text[each] for each in digits])
        for first in (0, 1):
            data = bytes.fromhex(text[first : len(text) - (len(text) - first) % 2])
            _append_legible(decoded, _LEGIBLE_IN_HEXADECIMAL, data, partial(_span_of_pair, digits, first))
    if decoded.build().text:
        yield decoded


def _span_of_pair(digits: Sequence[int], first: int, number: int) -> tuple[int, int]:
    return digits[first + 2 * number], digits[first + 2 * number + 1] + 1


def _decode_base64(current: DecodedText) -> Iterator[DecodedText]:
    """Decode legible text in base64, at any alignment."""
    source = current.without_invisible()
    decoded = _TextBuilder(source)
    for found in _BASE64_RUN.finditer(source.text):
        encoded = found.group().encode("ascii").translate(_STANDARD_BASE64)
        for first in range(4):
            size = (len(encoded) - first) * 3 // 4
            data = binascii.a2b_base64(encoded[first:] + b"AAA"[: -(len(encoded) - first) % 4])[:size]
            _append_legible(decoded, _LEGIBLE_IN_BASE64, data, partial(_span_in_base64, found.start() + first))
    if decoded.build().text:
        yield decoded


def _span_in_base64(first: int, number: int) -> tuple[int, int]:
    """The span of a byte: three bytes are four characters."""
    return first + number * 4 // 3, first - (-(number + 1) * 4 // 3)


def _append_legible(
    decoded: _TextBuilder, legible: re.Pattern[str], data: bytes, locate: Callable[[int], tuple[int, int]]
) -> None:
    """Append the legible parts of decoded bytes; `locate` returns the span of a byte in the source."""
    text = data.decode("utf-8", "surrogateescape")
    for found in legible.finditer(text):
        start = len(text[: found.start()].encode("utf-8", "surrogateescape"))
        size = len(found.group().encode())
        first, last = locate(start)[0], locate(start + size - 1)[1]
        if size == len(found.group()):
            decoded.append(found.group(), first, last, locate=partial(_shifted_span, locate, start))
        else:
            decoded.append(found.group(), first, last)
        decoded.append(_BETWEEN, first, last)


def _shifted_span(locate: Callable[[int], tuple[int, int]], start: int, number: int) -> tuple[int, int]:
    return locate(start + number)


_DECODERS: tuple[Callable[[DecodedText], Iterator[DecodedText]], ...] = (
    _decode_escapes,
    _decode_form_blanks,
    _decode_compatible_characters,
    _decode_utf_7,
    _decode_hexadecimal,
    _decode_base64,
)
