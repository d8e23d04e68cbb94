# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Hashes of credentials, by which a refused credential is recognized without keeping it."""

from __future__ import annotations

import hashlib

from .._connector.domain import canonical
from .._connector.secret import Secret


def base_domain(host: str) -> str:
    """The last two labels of a host name: smtp.example.com and imap.example.com have the same users."""
    name = canonical(host).rstrip(".")
    labels = name.split(".")
    is_name = any(char.isalpha() for char in labels[-1])
    return ".".join(labels[-2:]) if is_name else name


def identity(host: str, username: str, secret: Secret | None) -> str:
    """A hash of domain, user and password.

    The case of the user name is ignored, as nearly all servers and their account locks do.
    """
    password = secret.reveal() if secret else ""
    known = f"{base_domain(host)}\0{username.casefold()}\0{password}"
    return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()
