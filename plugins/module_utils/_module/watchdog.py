# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Ends a module when Ansible has closed its output."""

from __future__ import annotations

import os
import select
import sys
import threading

# Time to finish: to clean up after an interruption, and to record mail that was just accepted.
LAST_SECONDS = 3.0


def start_watchdog() -> None:
    """End the module when Ansible exits: after a timeout of the task, the module would go on talking to servers.

    The module may end at any point: a transaction is rolled back, and mail that was sent but not recorded is recognised
    by its Message-ID when it is sent again.
    """
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    threading.Thread(target=_watch, args=(output,), daemon=True, name="watch").start()


def _watch(output: int) -> None:
    poll = select.poll()
    poll.register(output, 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _number, event in poll.poll()):
        threading.main_thread().join(LAST_SECONDS)
        os._exit(1)
