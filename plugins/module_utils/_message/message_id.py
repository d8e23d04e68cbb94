# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Message-IDs in the sender's domain."""

from __future__ import annotations

import hashlib
import json
import secrets


def init_message_id(registry: str, connector: str, fingerprint: str, domain: str) -> str:
    """The same for the same settings of the same connector, so that a repeat after a crash is recognised.

    `connector` tells it from every other one of the registry, also from those created in the same second and from one
    that was deleted and created anew; `fingerprint` tells the proven settings apart.
    """
    facts = json.dumps([registry, connector, fingerprint])
    return f"<init.{hashlib.sha256(facts.encode()).hexdigest()[:40]}@{domain}>"


def random_message_id(domain: str) -> str:
    """One that no other message has."""
    return f"<test.{secrets.token_hex(20)}@{domain}>"
