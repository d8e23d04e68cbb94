# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How much may happen at once, within the number of files that this process may have open."""

from __future__ import annotations

import errno
import os
import resource

NO_DESCRIPTOR_LEFT = (errno.EMFILE, errno.ENFILE)
WAIT_FOR_DESCRIPTOR = 0.05

_MOST_LOOKUPS = 64
_PER_LOOKUP = 2
_PER_TEST = 6  # two sessions, a token's, a look at a certificate, and two attempts to connect
_LEFT_ALONE = 16  # for files that are read, and libraries that are loaded
_OPEN_IF_UNKNOWN = 32


def lookups_at_once() -> int:
    """How many names may be looked up at the same time, those included that hang."""
    return max(1, min(_MOST_LOOKUPS, _spare() // 8))


def tests_at_once(wanted: int) -> int:
    """How many connectors may be tested at the same time, at most as many as wanted."""
    return max(1, min(wanted, (_spare() - lookups_at_once() * _PER_LOOKUP) // _PER_TEST))


def _spare() -> int:
    limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 2**20
    try:
        is_open = len(os.listdir("/dev/fd"))
    except OSError:
        is_open = _OPEN_IF_UNKNOWN
    return max(0, limit - is_open - _LEFT_ALONE)
