# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Header lines, folded by hand.

Python's own folding turns words that do not fit on a line into encoded words, which breaks tokens and addresses in
custom headers, and some of the supported releases lose the quotes of a name that they fold.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from .._connector.domain import DomainError, address_to_ascii
from .._verdict.observation import probe_error

_WIDTH = 76
_LONGEST_WORD = 900  # with the longest name of a header it stays below 998 octets
_LONGEST_ENCODED_WORD = 67  # a line with one has at most 76 characters, and begins with "Subject: "
_WORD = re.compile(" *[^ ]+")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_QUOTABLE_NAME = re.compile(r"[!-~]+(?: [!-~]+)*\Z")
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def line(name: str, text: str) -> bytes:
    """One header with its line end, folded before spaces so that unfolding restores the text."""
    lines = [f"{name}:"]
    for word in _WORD.findall(f" {text}"):
        is_first = lines[-1] == f"{name}:"
        if is_first or len(lines[-1]) + len(word) <= _WIDTH:
            lines[-1] += word
        else:
            lines.append(word)
    return "".join(f"{each}\r\n" for each in lines).encode()


def unstructured(text: str) -> str:
    """The text of an unstructured header (RFC 5322): encoded only where it has to be."""
    text = text.strip(" ")
    return text if text.isascii() and _fits(text) else encoded(text)


def display_text(text: str) -> str:
    """A text for display. A literal "=?" is encoded, so that clients do not decode it as an encoded word."""
    return encoded(text.strip(" ")) if "=?" in text else unstructured(text)


def mailbox(address: str, name: str = "") -> str:
    """An address with the name to show."""
    name = name.strip(" ")
    if not name:
        return address
    if "=?" in name or not _fits(name) or not _QUOTABLE_NAME.match(name):
        phrase = encoded(name)
    elif _PLAIN_NAME.match(name):
        phrase = name
    else:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        phrase = f'"{escaped}"'
    return f"{phrase} <{address}>"


def mailboxes(addresses: Iterable[str]) -> str:
    return ", ".join(addresses)


def encoded(text: str) -> str:
    """The text as encoded words of RFC 2047, in the shorter of its two spellings; none of them cuts a character."""
    spelled = min((_q, _b), key=lambda each: len(each(text)))
    words = [""]
    for character in text:
        if len(spelled(words[-1] + character)) > _LONGEST_ENCODED_WORD:
            words.append("")
        words[-1] += character
    return " ".join(spelled(word) for word in words)


def _q(text: str) -> str:
    octets = "".join(chr(octet) if octet in _SAFE else f"={octet:02X}" for octet in text.encode())
    return f"=?utf-8?q?{octets.replace('=20', '_')}?="


def _b(text: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode('ascii')}?="


def _fits(text: str) -> bool:
    return all(len(word) <= _LONGEST_WORD for word in _WORD.findall(text))


def with_ascii_domain(address: str) -> str:
    """The address with its domain in A-labels; what stands before the @ has no other spelling."""
    try:
        return address_to_ascii(address)
    except DomainError as error:
        raise probe_error("config", f"the domain of a mail address {error}") from None
