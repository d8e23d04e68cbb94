# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Mail addresses as servers without SMTPUTF8 take them."""

from __future__ import annotations

from .._connector.domain import DomainError, address_to_ascii
from .._verdict.observation import probe_error


def on_the_wire(address: str) -> str:
    """The address with its domain in A-labels; what stands before the @ has no other spelling."""
    try:
        return address_to_ascii(address)
    except DomainError as refused:
        raise probe_error("config", f"the domain of a mail address {refused}") from None


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]
