# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tells credentials apart without keeping them."""

from __future__ import annotations

import hashlib

from .._connector.secret import Secret


def identity(host: str, username: str, secret: Secret | None) -> str:
    """The same text for the same user with the same password at the same host, and for nobody else."""
    password = secret.reveal() if secret else ""
    return hashlib.sha256(f"{host.lower()}\0{username}\0{password}".encode()).hexdigest()
