# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Hands mail over to Microsoft Graph, and finds it again there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from .._protocol.graph import LARGEST_RANGE, LARGEST_REQUEST, GraphSession
from .._verdict.observation import Kind, Observation, ProbeError, perhaps_accepted, probe_error
from .graph_message import Attachment, GraphMessage, always_lost, graph_message
from .outgoing_mail import OutgoingMail
from .received_headers import parse_headers
from .transport import Accepted, Delivered, MailReader, MailSender

FIRST_PAUSE, LONGEST_PAUSE, SHORTEST_PAUSE = 0.5, 5.0, 0.05

LARGEST_BCC = 320 * 1024  # the most recipients with the longest addresses

_ACCEPTED = 202
_UNKNOWN_OUTCOME: tuple[Kind, ...] = ("timeout", "reset", "closed", "protocol")
_SERVER_ERRORS = (500, 502, 504)
_TRANSIENT = (429, 500, 502, 503, 504)


class GraphMail(MailSender, MailReader):
    """Sends and reads in one mailbox."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session
        self._saves = session.endpoint.save_to_sent

    def send(self, mail: OutgoingMail, *, partial: bool = False) -> Accepted:  # noqa: ARG002  Graph takes all or none
        with self._session.record.phase("message") as phase:
            lost = [*always_lost(mail), *self._submit_mail(mail)]
            text = f"accepted (request-id {self._session.request_id})" if self._session.request_id else "accepted"
            if lost:
                text += f"; Graph does not carry: {', '.join(lost)}"
            phase.set_reply(_ACCEPTED, "", text)
            return Accepted(text=text, lost=tuple(lost))

    def find(self, message_id: str) -> Delivered:
        with self._session.record.phase("delivery"):
            return parse_headers(_headers(self._wait_for(message_id)))

    def _wait_for(self, message_id: str) -> Mapping[str, Any]:
        """Poll until the message has arrived, through transient errors: the message was accepted before."""
        mailbox, clock = self._session.endpoint.mailbox, self._session.clock
        overdue = probe_error("not_delivered", f"the message did not arrive in {mailbox} in time", mailbox=mailbox)
        transient: ProbeError | None = None
        wait, has_waited = FIRST_PAUSE, False
        while True:
            try:
                received = self._received(message_id)
                if received:
                    return received[0]
                transient = None
            except ProbeError as error:
                if error.observation.kind in ("reset", "closed") or error.observation.code in _TRANSIENT:
                    transient = error
                elif has_waited and error.observation.kind == "timeout" and not clock.pause(SHORTEST_PAUSE):
                    raise (transient or overdue) from None
                else:
                    raise
            if not self._pause(wait):
                raise transient or overdue
            wait, has_waited = min(wait * 1.5, LONGEST_PAUSE), True

    def remove(self, message_id: str) -> int:
        """Delete the received copies only; the one in Sent Items is governed by save_to_sent."""
        try:
            return sum(self._delete(each.get("id")) for each in self._received(message_id))
        except ProbeError as error:
            if error.observation.code != 403:
                raise
            return 0

    def _submit_mail(self, mail: OutgoingMail) -> tuple[str, ...]:
        """Choose the request that carries most of the mail, and return what it cannot carry."""
        # With some room for a Bcc header.
        is_small = mail.size <= LARGEST_REQUEST // 4 * 3 - LARGEST_BCC
        if self._saves and is_small:
            self._submit("sendMail", mail.naming_bcc())
            return ()
        converted = graph_message(mail)
        if not self._saves and mail.size <= LARGEST_REQUEST:
            files = {"attachments": [each.attachment() for each in converted.files]} if converted.files else {}
            body = {"message": {**converted.message, **files}, "saveToSentItems": False}
            if len(json.dumps(body)) <= LARGEST_REQUEST:
                self._submit("sendMail", body)
                return converted.lost
        self._submit_draft(converted)
        return converted.lost if self._saves else (*converted.lost, "save_to_sent, since the message is large")

    def _submit(self, path: str, body: Mapping[str, Any] | bytes | None = None) -> None:
        try:
            self._session.submit(path, body)
        except ProbeError as error:
            observation = error.observation
            if observation.kind in _UNKNOWN_OUTCOME or observation.code in _SERVER_ERRORS:
                raise perhaps_accepted(error) from error
            raise

    def _submit_draft(self, converted: GraphMessage) -> None:
        """Send what is too large for one request as a draft; a draft that could not be completed is deleted."""
        try:
            draft = self._path(self._session.request("POST", "messages", converted.message).get("id"))
        except ProbeError as error:
            raise _with_permission_hint(error, "a message of this size needs the permission Mail.ReadWrite") from None
        try:
            for each in converted.files:
                self._attach(draft, each)
        except ProbeError:
            self._discard(draft)
            raise
        try:
            self._submit(f"{draft}/send")
        except ProbeError as error:
            if error.observation.kind == "graph":
                self._discard(draft)
            raise

    def _attach(self, draft: str, file: Attachment) -> None:
        if not file.needs_upload:
            self._session.request("POST", f"{draft}/attachments", file.attachment())
            return
        path = f"{draft}/attachments/createUploadSession"
        url = self._session.request("POST", path, {"AttachmentItem": file.item()}).get("uploadUrl")
        if not isinstance(url, str):
            raise _not_graph()
        self._session.upload(url, file.size, file.pieces(LARGEST_RANGE))

    def _discard(self, draft: str) -> None:
        with suppress(ProbeError):
            self._session.request("DELETE", draft)

    def _received(self, message_id: str) -> list[Mapping[str, Any]]:
        """The messages with this id that were received. The copy in Sent Items has it too, but has passed no server."""
        quoted = message_id.replace("'", "''")
        query = {
            "$filter": f"internetMessageId eq '{quoted}'",
            "$select": "id,internetMessageId,internetMessageHeaders",
        }
        path = "messages?" + "&".join(f"{name}={quote(text, safe='')}" for name, text in query.items())
        try:
            found = self._session.request("GET", path).get("value")
        except ProbeError as error:
            raise _with_permission_hint(error, "reading is not permitted: it needs Mail.ReadBasic or more") from None
        if not isinstance(found, list):
            raise _not_graph()
        same = [each for each in found if isinstance(each, Mapping) and each.get("internetMessageId") == message_id]
        return [each for each in same if parse_headers(_headers(each)).hops]

    def _delete(self, identity: object) -> int:
        try:
            self._session.request("DELETE", self._path(identity))
        except ProbeError as error:
            if error.observation.code != 404:
                raise
            return 0
        return 1

    def _path(self, identity: object) -> str:
        if not isinstance(identity, str) or not identity.strip("."):
            raise _not_graph()
        return f"messages/{quote(identity, safe='')}"

    def _pause(self, seconds: float) -> bool:
        """Wait that long, or for the time that is left."""
        if self._session.clock.pause(seconds):
            return True
        return seconds > SHORTEST_PAUSE and self._pause(seconds / 2)


def _headers(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in message.get("internetMessageHeaders") or ():
        name, content = (each.get("name"), each.get("value")) if isinstance(each, Mapping) else (None, None)
        if isinstance(name, str) and isinstance(content, str):
            yield name, content


def _with_permission_hint(error: ProbeError, hint: str) -> ProbeError:
    """Begin the text of a 403 with the permission that is missing."""
    if error.observation.code != 403:
        return error
    return ProbeError(error.observation.with_context(text=f"{hint}. {error.observation.text}"))


def _not_graph() -> ProbeError:
    return ProbeError(Observation("graph", text="the response is not one of Graph"))
