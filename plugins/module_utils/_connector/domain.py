# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which international domain names may be declared, and their conversion to A-labels.

The standard library has only IDNA 2003 with Unicode 3.2. A name that IDNA 2008 or UTS 46 encode differently would
stand for another domain, so it may not be declared: its A-labels (xn--…) must be written instead.
"""

from __future__ import annotations

import re
import stringprep
import unicodedata
from encodings.idna import nameprep

from .._errors import MailroomError

MAX_NAME_LENGTH = 253
MAX_LABEL_LENGTH = 63
USE_ASCII = (
    "must be written in its ASCII form (xn--…): it contains a character that versions of IDNA encode differently"
)

# All characters that Unicode 3.2 has assigned, that are not invisible, and that UTS 46 maps to something else.
_ENCODED_DIFFERENTLY = frozenset(
    "\u00df\u03c2\u115f\u1160\u17b4\u17b5\u3164\uffa0\U0002f868\U0002f874\U0002f91f\U0002f95f\U0002f9bf"
)
# Characters that IDNA 2003 maps to others; earlier releases allowed them.
_DEVIATIONS = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")


class DomainError(MailroomError):
    """A name cannot be used as a domain; the text says what is allowed."""


def check_characters(name: str) -> None:
    """Refuse characters that versions of IDNA encode differently; names that are invalid in all versions pass."""
    name = name[: MAX_NAME_LENGTH + 1]
    if name.isascii() or any(char.isspace() or unicodedata.category(char) == "Cc" for char in name):
        return
    try:
        prepared = [nameprep(label) for label in name.split(".")]
    except UnicodeError:
        raise DomainError(USE_ASCII) from None
    if not all(_is_unambiguous(char) for text in (name, *prepared) for char in text if not char.isascii()):
        raise DomainError(USE_ASCII)


def _is_unambiguous(char: str) -> bool:
    category = unicodedata.ucd_3_2_0.category(char)
    is_kept = char not in _ENCODED_DIFFERENTLY and not stringprep.in_table_b1(char)
    return is_kept and (category[0] in "LM" or category == "Nd")


def to_ascii(name: str) -> str:
    """Convert a name to A-labels; labels in ASCII and IP addresses are kept.

    Names that only earlier releases allowed are converted as well, since they may be stored.
    """
    if name.isascii():
        return name
    if len(name) > MAX_NAME_LENGTH:
        raise DomainError(f"must have at most {MAX_NAME_LENGTH} characters")
    return ".".join(_to_a_label(label) for label in _DOTS.split(name))


def address_to_ascii(address: str) -> str:
    """Convert the domain of a mail address to A-labels; the local part has no ASCII form."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{to_ascii(domain)}" if at else address


def canonical(name: str) -> str:
    """The name in lower case and A-labels, for comparisons; only in lower case where it cannot be converted."""
    try:
        return to_ascii(name).lower()
    except DomainError:
        return name.lower()


def in_same_domain(address: str, other: str) -> bool:
    return canonical(address.rpartition("@")[2]) == canonical(other.rpartition("@")[2])


def _to_a_label(label: str) -> str:
    if not label:
        raise DomainError("must not have an empty label")
    try:
        if not _DEVIATIONS.search(label):
            return label.encode("idna").decode("ascii")
        lower = unicodedata.normalize("NFC", label.lower())
        encoded = "xn--" + lower.encode("punycode").decode("ascii")
    except UnicodeError:
        raise DomainError("must be a domain name") from None
    if len(encoded) > MAX_LABEL_LENGTH:
        raise DomainError(f"must have at most {MAX_LABEL_LENGTH} characters in each label of its ASCII form")
    return encoded
