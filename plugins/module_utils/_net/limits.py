# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How many look-ups and tests may run concurrently within the process's limit of open files."""

from __future__ import annotations

import errno
import os
import resource

NO_DESCRIPTOR_LEFT = (errno.EMFILE, errno.ENFILE)
WAIT_FOR_DESCRIPTOR = 0.05

_MOST_LOOKUPS = 64
_PER_LOOKUP = 2
_PER_TEST = 6  # two sessions, one for the token, one to read a certificate, and two connection attempts
_RESERVED = 16  # for files and libraries that are loaded
_OPEN_IF_UNKNOWN = 32


def max_lookups() -> int:
    """How many look-ups may run concurrently, including those that hang."""
    return max(1, min(_MOST_LOOKUPS, _free_descriptors() // 8))


def max_tests(wanted: int) -> int:
    """How many connectors may be tested concurrently, at most `wanted`."""
    return max(1, min(wanted, (_free_descriptors() - max_lookups() * _PER_LOOKUP) // _PER_TEST))


def _free_descriptors() -> int:
    limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 2**20
    try:
        is_open = len(os.listdir("/dev/fd"))
    except OSError:
        is_open = _OPEN_IF_UNKNOWN
    return max(0, limit - is_open - _RESERVED)
