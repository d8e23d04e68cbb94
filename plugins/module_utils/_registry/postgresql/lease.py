# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A lease: what one task at a time may do while it holds neither a lock nor a connection.

It is a row with the time when it ends, by the database's clock, and a number, the fence, that each holder counts up.
The holder renews it from a thread. It must stop when LEASE_SECONDS have passed without a renewal. It measures them by
its own monotonic clock, from before the statement was sent, so that the lease never ends in the database first.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..._errors import MailroomError, RegistryError
from .database import Database

LEASE_SECONDS = 60
RENEWAL_SECONDS = 15

_TAKE = """
    INSERT INTO {schema}.lease AS held (name, fence, holder, expires_at)
    VALUES (%(name)s, 1, %(holder)s, clock_timestamp() + %(seconds)s * interval '1 second')
    ON CONFLICT (name) DO UPDATE SET fence = held.fence + 1, holder = excluded.holder, expires_at = excluded.expires_at
    WHERE held.expires_at <= clock_timestamp() RETURNING fence
"""
_RENEW = """
    UPDATE {schema}.lease SET expires_at = clock_timestamp() + %(seconds)s * interval '1 second'
    WHERE name = %(name)s AND fence = %(fence)s AND expires_at > clock_timestamp() RETURNING fence
"""
_RELEASE = """
    UPDATE {schema}.lease SET expires_at = clock_timestamp() WHERE name = %(name)s AND fence = %(fence)s RETURNING fence
"""


class Lease:
    """A lease that was taken."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._values = {"name": name, "holder": f"{os.uname().nodename} {os.getpid()}"}
        self._ends_at = 0.0

    def take(self) -> bool:
        """Take it, unless somebody holds it."""
        return self._change(_TAKE)

    def renew(self) -> bool:
        """Hold it longer, unless it has ended."""
        return self._change(_RENEW)

    def release(self) -> None:
        with suppress(MailroomError):
            self._change(_RELEASE)
        self._ends_at = 0.0

    def check(self) -> None:
        """Fail where it may have ended, so that somebody else may hold it."""
        if time.monotonic() >= self._ends_at:
            raise RegistryError(
                self._database.sentence("held", "it could not be reached for too long, and another task may be at work")
            )

    def _change(self, statement: str) -> bool:
        begun = time.monotonic()
        with self._database.writing() as transaction:
            transaction.keeps_mark = False
            row = transaction.write(statement, {**self._values, "seconds": LEASE_SECONDS}).fetchone()
        if row:
            self._values["fence"] = row[0]
            self._ends_at = begun + LEASE_SECONDS
        return bool(row)


@contextmanager
def holding(database: Database, name: str) -> Iterator[Lease]:
    """Wait for a lease and hold it; no connection is open meanwhile."""
    lease = Lease(database, name)
    while not lease.take():
        time.sleep(random.uniform(0.2, 0.6))  # noqa: S311  not for security
    ended = threading.Event()

    def keep_renewing() -> None:
        while not ended.wait(RENEWAL_SECONDS):
            with suppress(MailroomError):
                if not lease.renew():
                    return

    renewing = threading.Thread(target=keep_renewing, daemon=True, name="lease")
    renewing.start()
    try:
        yield lease
    finally:
        ended.set()
        renewing.join()
        lease.release()
