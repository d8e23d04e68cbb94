# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Makes the checkout importable and playable as ansible_collections.mailroom.core."""

from __future__ import annotations

import os
import sys

import places
from hypothesis import HealthCheck, settings

places.link_collection()
sys.path.insert(0, str(places.COLLECTIONS))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = os.environ.get("MAILROOM_COLLECTIONS", str(places.COLLECTIONS))

# How long an example takes is up to the machine.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
