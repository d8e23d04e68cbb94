# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Mail addresses as servers without SMTPUTF8 take them."""

from __future__ import annotations

import re
import unicodedata

from .._connector import checks
from .._verdict.observed import stop

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
# The codec of Python knows IDNA 2003 only, which spells these as other letters: the mail would go to a foreign domain.
_SPELLED_OTHERWISE = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
_LONGEST_LABEL = 63


def is_address(value: object) -> bool:
    try:
        checks.address(value)
    except checks.NotAllowed:
        return False
    return True


def on_the_wire(address: str) -> str:
    """The address with its domain in A-labels; what stands before the @ has no other spelling."""
    local, _at, domain = address.rpartition("@")
    return f"{local}@{ascii_domain(domain)}"


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    return ".".join(_ascii_label(label) for label in _DOTS.split(domain))


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label
    if not _SPELLED_OTHERWISE.search(label):
        return label.encode("idna").decode("ascii")
    prepared = unicodedata.normalize("NFC", label.lower())
    encoded = "xn--" + prepared.encode("punycode").decode("ascii")
    if len(encoded) > _LONGEST_LABEL:
        raise stop("config", "a mail address whose domain is too long once it is written in ASCII")
    return encoded
