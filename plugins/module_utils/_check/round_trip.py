# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Mail that is sent by one server and found again in the mailbox of another."""

from __future__ import annotations

from typing import ClassVar

from .._connector.resolved import Endpoint
from .._net.record import Phase
from .._protocol.session import Session
from .endpoint import endpoint_check
from .interface import Check, CheckContext
from .result import Depth, EndpointResult


class RoundTripCheck(Check):
    """Opens the mailbox before sending; otherwise the test message could not be cleaned up."""

    needs: ClassVar[Depth] = "deliver"

    def __init__(self, context: CheckContext, sender: Endpoint, reader: Endpoint) -> None:
        self._context = context
        self._sender = sender
        self._reader = reader
        self._sending = endpoint_check(sender.protocol)(context, sender)

    def run(self) -> list[EndpointResult]:
        """The server that sends, and the one that is read."""
        context, reading_job = self._context, self._context.job.reader or self._context.job
        reading_context = context.of_reader(reading_job).at_depth("login")
        reading = endpoint_check(self._reader.protocol)(reading_context, self._reader)
        sent: list[EndpointResult] = []

        def send(session: Session) -> None:
            self._sending.mailbox = session
            sent.extend(self._sending.run())

        reading.on_session_open = send
        (read,) = reading.run()
        if not sent:
            # The mailbox did not open: test the other server as far as it goes without sending.
            unsent = endpoint_check(self._sender.protocol)(context.at_depth("envelope"), self._sender)
            sent = unsent.run()
            sent[0].record.phases += [Phase("message", "skipped"), Phase("delivery", "skipped")]
        read.reads_for = "" if reading_job is context.job else reading_job.name
        return [*sent, read]
