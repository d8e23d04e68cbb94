# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Hands mail over to Microsoft Graph, and finds it again there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from .._protocol.graph import LARGEST_REQUEST, GraphSession
from .._verdict.observation import PERHAPS_ACCEPTED, Kind, Observation, ProbeError, probe_error
from .graph_message import Attachment, GraphMessage, graph_message, lost_anyway
from .letter import Letter
from .trace import traced
from .transport import Accepted, Delivered, Incoming, Outgoing

FIRST_PAUSE, LONGEST_PAUSE, SHORTEST_PAUSE = 0.5, 5.0, 0.05

_TAKEN = 202
_UNKNOWN_OUTCOME: tuple[Kind, ...] = ("timeout", "reset", "closed", "protocol")
_TROUBLE = (500, 502, 504)
_FOR_A_MOMENT = (429, 500, 502, 503, 504)


class GraphMail(Outgoing, Incoming):
    """Sends and reads in one mailbox."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session
        self._saves = session.endpoint.save_to_sent
        self._trouble: ProbeError | None = None

    def hand_over(self, letter: Letter) -> Accepted:
        with self._session.record.phase("message") as phase:
            lost = [*lost_anyway(letter), *self._send(letter)]
            said = f"accepted (request-id {self._session.request_id})" if self._session.request_id else "accepted"
            text = f"{said}; Graph does not carry: {', '.join(lost)}" if lost else said
            phase.reply(_TAKEN, "", text)
            return Accepted(text=text)

    def find(self, message_id: str) -> Delivered:
        with self._session.record.phase("delivery"):
            wait = FIRST_PAUSE
            arrived = self._looked_up(message_id)
            while not arrived:
                if not self._pause(wait):
                    raise self._trouble or self._not_delivered()
                wait = min(wait * 1.5, LONGEST_PAUSE)
                with self._until_the_deadline():
                    arrived = self._looked_up(message_id)
            return traced(_headers(arrived[0]))

    def _looked_up(self, message_id: str) -> list[Mapping[str, Any]]:
        """What has arrived; trouble that may pass is no reason to give up on a message that was accepted."""
        try:
            arrived = self._arrived(message_id)
        except ProbeError as stopped:
            if stopped.observation.kind not in ("reset", "closed") and stopped.observation.code not in _FOR_A_MOMENT:
                raise
            self._trouble = stopped
            return []
        self._trouble = None
        return arrived

    def remove(self, message_id: str) -> int:
        """What was sent from here stays in Sent Items, as save_to_sent says."""
        try:
            return sum(self._delete(each.get("id")) for each in self._arrived(message_id))
        except ProbeError as stopped:
            if stopped.observation.code != 403:
                raise
            return 0

    def _send(self, letter: Letter) -> tuple[str, ...]:
        """Send in the way that keeps most of the letter; what it does not keep."""
        mime = letter.naming_bcc()
        if self._saves and len(mime) <= LARGEST_REQUEST // 4 * 3:
            self._submit("sendMail", mime)
            return ()
        described = graph_message(letter)
        if not self._saves:
            files = {"attachments": [each.attachment() for each in described.files]} if described.files else {}
            body = {"message": {**described.message, **files}, "saveToSentItems": False}
            if len(json.dumps(body)) <= LARGEST_REQUEST:
                self._submit("sendMail", body)
                return described.lost
        self._submit_draft(described)
        return described.lost if self._saves else (*described.lost, "save_to_sent, since the message is large")

    def _submit(self, path: str, body: Mapping[str, Any] | bytes | None = None) -> None:
        try:
            self._session.submit(path, body)
        except ProbeError as stopped:
            observation = stopped.observation
            if observation.kind in _UNKNOWN_OUTCOME or observation.code in _TROUBLE:
                text = f"{observation.text}; {PERHAPS_ACCEPTED}"
                raise ProbeError(observation.with_context(text=text)) from stopped
            raise

    def _submit_draft(self, described: GraphMessage) -> None:
        """A message that is too large for one request. A draft that could not be completed does not stay behind."""
        try:
            draft = self._path(self._session.ask("POST", "messages", described.message).get("id"))
        except ProbeError as stopped:
            raise _explained(stopped, "a message of this size needs the permission Mail.ReadWrite") from None
        try:
            for each in described.files:
                self._attach(draft, each)
        except ProbeError:
            self._discard(draft)
            raise
        try:
            self._submit(f"{draft}/send")
        except ProbeError as stopped:
            if stopped.observation.kind == "graph":
                self._discard(draft)
            raise

    def _attach(self, draft: str, file: Attachment) -> None:
        if not file.needs_upload:
            self._session.ask("POST", f"{draft}/attachments", file.attachment())
            return
        path = f"{draft}/attachments/createUploadSession"
        url = self._session.ask("POST", path, {"AttachmentItem": file.item()}).get("uploadUrl")
        if not isinstance(url, str):
            raise _not_graph()
        self._session.upload(url, file.content)

    def _discard(self, draft: str) -> None:
        with suppress(ProbeError):
            self._session.ask("DELETE", draft)

    def _arrived(self, message_id: str) -> list[Mapping[str, Any]]:
        """The messages with this id that came in. The copy in Sent Items has it too, but has passed no server."""
        quoted = message_id.replace("'", "''")
        query = {
            "$filter": f"internetMessageId eq '{quoted}'",
            "$select": "id,internetMessageId,internetMessageHeaders",
        }
        path = "messages?" + "&".join(f"{name}={quote(text, safe='')}" for name, text in query.items())
        try:
            found = self._session.ask("GET", path).get("value")
        except ProbeError as stopped:
            raise _explained(stopped, "reading is not permitted: it needs Mail.ReadBasic or more") from None
        if not isinstance(found, list):
            raise _not_graph()
        same = [each for each in found if isinstance(each, Mapping) and each.get("internetMessageId") == message_id]
        return [each for each in same if traced(_headers(each)).hops]

    def _delete(self, identity: object) -> int:
        try:
            self._session.ask("DELETE", self._path(identity))
        except ProbeError as stopped:
            if stopped.observation.code != 404:
                raise
            return 0
        return 1

    def _path(self, identity: object) -> str:
        if not isinstance(identity, str) or not identity.strip("."):
            raise _not_graph()
        return f"messages/{quote(identity, safe='')}"

    def _pause(self, seconds: float) -> bool:
        """Wait that long, or for what is left."""
        if self._session.clock.pause(seconds):
            return True
        return seconds > SHORTEST_PAUSE and self._pause(seconds / 2)

    @contextmanager
    def _until_the_deadline(self) -> Iterator[None]:
        """Where time runs out while Graph is asked once more, the message is what did not come."""
        try:
            yield
        except ProbeError as stopped:
            if stopped.observation.kind == "timeout" and not self._session.clock.pause(SHORTEST_PAUSE):
                raise (self._trouble or self._not_delivered()) from None
            raise

    def _not_delivered(self) -> ProbeError:
        mailbox = self._session.endpoint.mailbox
        return probe_error("not_delivered", f"the message did not come to {mailbox} in time", mailbox=mailbox)


def _headers(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in message.get("internetMessageHeaders") or ():
        name, content = (each.get("name"), each.get("value")) if isinstance(each, Mapping) else (None, None)
        if isinstance(name, str) and isinstance(content, str):
            yield name, content


def _explained(stopped: ProbeError, reason: str) -> ProbeError:
    """The same refusal, with what it means here where it is for want of a permission."""
    if stopped.observation.code != 403:
        return stopped
    return ProbeError(stopped.observation.with_context(text=f"{reason}. {stopped.observation.text}"))


def _not_graph() -> ProbeError:
    return ProbeError(Observation("graph", text="an answer that is not one of Graph"))
