# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Redacts secrets from text that came over the network; all such text is redacted before it is shown.

A secret is searched for in pieces of six characters, ignoring case and white space, in the text and in everything that
is encoded in it. A shorter secret is redacted where it is a word of its own.
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
from .decoding import DecodedText, DecodingLimitError, decode_all, unescape, without_invisible
from .secret import HIDDEN, Secret

PIECE_LENGTH = 6
MIN_SECRET_LENGTH = 2
MAX_SECRET_LENGTH = 64 * 1024
MAX_SHOWN_LENGTH = 2000
MAX_READ_LENGTH = 4096
"""How much of a text is searched: enough for the part that is shown."""
MAX_LIST_LENGTH = 32 * 1024
MAX_BASE64_SECRET_LENGTH = 4096
"""Pieces of longer secrets are found in base64 only where its letter case is unchanged."""

_PEM_BLOCK = re.compile(r"-----BEGIN ([^-\r\n]+)-----(.*?)-----END \1-----", re.DOTALL)
_PEM_HEADER = re.compile(r"^(?:Proc-Type|DEK-Info):.*$", re.MULTILINE)
_NORMAL_FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")


class Redaction:
    """Redacts the secrets of one connector, and those that are received while it is tested."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: set[str] = set()
        self._pieces: set[str] = set()
        self._prefixes: set[str] = set()
        self._spaced_pieces: set[str] = set()
        self._spaced_prefixes: set[str] = set()
        self._short: set[str] = set()
        self._short_secrets_pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.hide(*_secret_parts(secret.reveal()))

    def hide(self, *secrets: str) -> None:
        """Redact these secrets as well."""
        short: set[str] = set()
        for secret in {each[:MAX_SECRET_LENGTH] for each in secrets} - self._known:
            self._known.add(secret)
            spellings = _spellings(secret)
            for spelling in spellings:
                folded = _fold_case(spelling)
                bare = without_invisible(folded)
                if len(bare) >= PIECE_LENGTH:
                    self._pieces.update(_windows(bare, PIECE_LENGTH))
                    self._prefixes.update(_windows(bare, PIECE_LENGTH - 1))
                elif len(bare) >= MIN_SECRET_LENGTH:
                    short.update(_short_forms(spelling))
                if len(bare) < len(folded):
                    spaced = [each for each in _windows(folded, PIECE_LENGTH) if len(without_invisible(each)) > 1]
                    self._spaced_pieces.update(spaced)
                    self._spaced_prefixes.update(each for piece in spaced for each in (piece[:-1], piece[1:]))
            if PIECE_LENGTH - 1 <= len(secret) <= MAX_BASE64_SECRET_LENGTH:
                forms = [form for spelling in spellings for form in _base64_forms(spelling.encode("utf-8", "replace"))]
                self._pieces.update(piece for form in forms for piece in _windows(form, PIECE_LENGTH))
                self._prefixes.update(piece for form in forms for piece in _windows(form, PIECE_LENGTH - 1))
        if short - self._short:
            self._short |= short
            longest_first = sorted(self._short, key=len, reverse=True)
            self._short_secrets_pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def __call__(self, text: bytes | str) -> str:
        """A server's text for one line of output: without secrets, printable, of limited length."""
        return self.lines([text])[0]

    def lines(self, texts: Sequence[bytes | str]) -> list[str]:
        """Redact lines of one text; a secret may continue on the next line."""
        max_length = min(MAX_READ_LENGTH, MAX_LIST_LENGTH // max(1, len(texts)))
        read = [each[:max_length] for each in texts]
        lines = [(each.decode("utf-8", "replace") if isinstance(each, bytes) else each).rstrip("\r\n") for each in read]
        text = "\n".join(lines)
        hidden = self._secret_spans(text)
        shown, start = [], 0
        for line in lines:
            shown.append(printable(_mask_spans(text, hidden, start, start + len(line)))[:MAX_SHOWN_LENGTH])
            start += len(line) + 1
        return shown

    def value(self, value: Any, own: Collection[str] = ()) -> Any:
        """Redact all text in a structure, except under the keys in `own`, which no server provides."""
        if isinstance(value, (str, bytes)):
            return self(value)
        if isinstance(value, Mapping):
            return {name: each if name in own else self.value(each, own) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            if all(isinstance(each, str) for each in value):
                return self.lines(value)
            return [self.value(each, own) for each in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return value if abs(value) < 10 ** (PIECE_LENGTH - 1) or self.is_free_of_secrets(str(value)) else None
        return value

    def is_free_of_secrets(self, text: str) -> bool:
        return not self._secret_spans(text[:MAX_READ_LENGTH])

    def _secret_spans(self, text: str) -> list[tuple[int, int]]:
        """The spans of a text that must be redacted, in order and not overlapping."""
        if not (self._pieces or self._spaced_pieces or self._short):
            return []
        try:
            return _merge_spans(sorted(part for decoded in decode_all(text) for part in self._find_secrets(decoded)))
        except DecodingLimitError:
            return [(0, len(text))]

    def _find_secrets(self, decoded: DecodedText) -> Iterator[tuple[int, int]]:
        """The spans of the original text in which a secret was found."""
        bare = decoded.without_invisible()
        for start, end in _find_pieces(_fold_case(bare.text), self._pieces, self._prefixes):
            yield bare.source_span(start, end)
        if self._spaced_pieces or self._short_secrets_pattern:
            folded = _fold_case(decoded.text)
            for start, end in _find_pieces(folded, self._spaced_pieces, self._spaced_prefixes):
                yield decoded.source_span(start, end)
            if self._short_secrets_pattern:
                for found in self._short_secrets_pattern.finditer(folded):
                    yield decoded.source_span(*found.span())


def _find_pieces(text: str, pieces: Collection[str], prefixes: Collection[str]) -> list[tuple[int, int]]:
    """The spans of a text that consist of pieces.

    Five characters of each piece begin at an even position, so only those are looked up first.
    """
    if not pieces:
        return []
    size = PIECE_LENGTH - 1
    likely = [start for start in range(0, len(text) - size + 1, 2) if text[start : start + size] in prefixes]
    candidates = sorted({each for start in likely for each in (start - 1, start) if each >= 0})
    found = [start for start in candidates if text[start : start + PIECE_LENGTH] in pieces]
    return _merge_spans((start, start + PIECE_LENGTH) for start in found)


def _merge_spans(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge sorted spans that touch or overlap."""
    joined: list[tuple[int, int]] = []
    for start, end in parts:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _mask_spans(text: str, hidden: Sequence[tuple[int, int]], start: int, end: int) -> str:
    """A part of a text, with hidden spans replaced."""
    if start == end:
        return ""
    shown, before = [], bisect_right(hidden, (start, end))
    is_inside = before and hidden[before - 1][1] > start
    for first, last in hidden[before - 1 if is_inside else before :]:
        if first >= end:
            break
        shown += [text[start : max(start, first)], HIDDEN]
        start = min(last, end)
    return "".join([*shown, text[start:end]])


def _fold_case(text: str) -> str:
    """The text in lower case, with the same number of characters."""
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").lower().replace("\u03c2", "\u03c3")


def _windows(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(len(text) - size + 1))


def _secret_parts(secret: str) -> list[str]:
    """The parts of a secret to redact: of keys only their content, not the PEM headers that all keys have."""
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
    """The spellings of a secret: normalized, prepared by SASLprep, in upper case, form-encoded, unescaped."""
    spellings = {secret}
    if not secret.isascii():
        spellings |= {unicodedata.normalize(form, secret) for form in _NORMAL_FORMS}
        spellings.add(unicodedata.ucd_3_2_0.normalize("NFKC", secret))
        spellings |= {each for spelling in [*spellings] for each in (spelling.upper(), spelling.casefold())}
    if " " in secret.strip():
        spellings |= {spelling.replace(" ", blank) for spelling in [*spellings] for blank in "+_"}
    spellings |= {unescape(spelling) for spelling in [*spellings]}
    return spellings - {""}


def _short_forms(secret: str) -> set[str]:
    """The spellings of a secret that is too short to be searched for in pieces."""
    data = secret.encode("utf-8", "replace")
    forms = (secret, secret.strip(), data.hex(), base64.b64encode(data).decode("ascii").rstrip("="))
    return {_fold_case(form) for form in forms}


def _base64_forms(data: bytes) -> Iterator[str]:
    """Base64 in lower case for each alignment, without the characters that depend on bytes before it."""
    for before, dependent in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(bytes(before) + data)[dependent:].rstrip(b"=").decode("ascii").lower()
        yield encoded
        if "+" in encoded or "/" in encoded:
            yield encoded.replace("+", "-").replace("/", "_")
