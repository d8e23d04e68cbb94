# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tells credentials apart without keeping them."""

from __future__ import annotations

import hashlib

from .._connector.domain import canonical
from .._connector.secret import Secret


def site_of(host: str) -> str:
    """Whose server it is, however it is spelled: smtp.example.com and imap.example.com know the same users."""
    name = canonical(host).rstrip(".")
    labels = name.split(".")
    is_name = any(char.isalpha() for char in labels[-1])
    return ".".join(labels[-2:]) if is_name else name


def identity(host: str, username: str, secret: Secret | None) -> str:
    """The same text for the same user with the same password at the same site, and for nobody else.

    The case of a user's name makes no other user: hardly a server distinguishes it, and a lock knows no case either.
    """
    password = secret.reveal() if secret else ""
    known = f"{site_of(host)}\0{username.casefold()}\0{password}"
    return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()
