# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Ends a module that nobody listens to any more."""

from __future__ import annotations

import os
import select
import sys
import threading

# For what is about to end by itself: after an interruption it tidies up, and mail that is accepted now is recorded.
LAST_SECONDS = 1.0


def end_when_abandoned() -> None:
    """When a task times out, Ansible goes away and leaves its module running; a test would go on asking servers.

    The module ends wherever it is: a transaction leaves no trace then, and mail that was sent but not recorded is
    recognised by its Message-ID when it is sent again.
    """
    try:
        answer = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    threading.Thread(target=_watch, args=(answer,), daemon=True, name="watch").start()


def _watch(answer: int) -> None:
    closed = select.poll()
    closed.register(answer, 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _number, event in closed.poll()):
        threading.main_thread().join(LAST_SECONDS)
        os._exit(1)
