# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Hands mail over to Microsoft Graph, and finds it again there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any
from urllib.parse import quote

from .._protocol.graph import LARGEST_REQUEST, GraphSession
from .._verdict.observation import PERHAPS_ACCEPTED, Kind, Observation, ProbeError, probe_error
from .letter import Letter
from .trace import traced
from .transport import Accepted, Delivered, Incoming, Outgoing

FIRST_PAUSE, LONGEST_PAUSE, SHORTEST_PAUSE = 0.5, 5.0, 0.05
SMALLEST_UPLOAD = 3 * 1024 * 1024
MOST_HEADERS = 5

_TAKEN = 202
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_SAID_IN_JSON = frozenset("from to cc bcc reply-to subject date message-id mime-version".split())
_UNKNOWN_OUTCOME: tuple[Kind, ...] = ("timeout", "reset", "closed", "protocol")
_TROUBLE = (500, 502, 504)
_FOR_A_MOMENT = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class File:
    """What is attached to a message."""

    name: str
    kind: str
    content: bytes
    content_id: str
    is_inline: bool

    @property
    def needs_upload(self) -> bool:
        return len(self.content) >= SMALLEST_UPLOAD

    def attachment(self) -> dict[str, Any]:
        content = base64.b64encode(self.content).decode("ascii")
        return {"@odata.type": "#microsoft.graph.fileAttachment", **self._about(), "contentBytes": content}

    def item(self) -> dict[str, Any]:
        """The same for an upload, which brings the content afterwards."""
        return {"attachmentType": "file", **self._about(), "size": len(self.content)}

    def _about(self) -> dict[str, Any]:
        about = {"name": self.name, "contentType": self.kind, "isInline": self.is_inline}
        return {**about, "contentId": self.content_id} if self.content_id else about


@dataclass(frozen=True)
class Described:
    """A letter in Graph's own words, for which it has fewer than mail has."""

    message: Mapping[str, Any]
    files: tuple[File, ...]
    lost: tuple[str, ...]


class GraphMail(Outgoing, Incoming):
    """Sends and reads in one mailbox."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session
        self._saves = session.endpoint.save_to_sent
        self._trouble: ProbeError | None = None

    def hand_over(self, letter: Letter) -> Accepted:
        with self._session.record.phase("message") as phase:
            lost = [*_lost_anyway(letter), *self._send(letter)]
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
        described = described_in_json(letter)
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

    def _submit_draft(self, described: Described) -> None:
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

    def _attach(self, draft: str, file: File) -> None:
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


def described_in_json(letter: Letter) -> Described:
    """A letter as Graph describes messages."""
    head = _head(letter)
    parts = list(_parts(message_from_bytes(letter.message)))
    texts = {kind: part for part in reversed(parts) for kind in ("html", "plain") if _is_body(part, kind)}
    body = texts.get("html", texts.get("plain"))
    custom = [(name, text) for name, text in head.items() if _is_custom(name)]
    carried = [(name, text) for name, text in custom if name.lower().startswith("x-")][:MOST_HEADERS]
    people = {
        "toRecipients": _people(head, "To"),
        "ccRecipients": _people(head, "Cc"),
        "bccRecipients": [_person("", each) for each in letter.bcc],
        "replyTo": _people(head, "Reply-To"),
    }
    _check(letter, [each for name, some in people.items() if name != "replyTo" for each in some])
    told: dict[str, Any] = {
        "subject": _decoded(head.get("Subject", "")),
        "body": {"contentType": "html" if "html" in texts else "text", "content": _text(body)},
        "from": next(iter(_people(head, "From")), None),
        **people,
        "internetMessageId": letter.message_id,
        "internetMessageHeaders": [{"name": name, "value": _unfolded(text)} for name, text in carried],
    }
    lost = [name for name, text in custom if (name, text) not in carried]
    return Described(
        message={name: value for name, value in told.items() if value},
        files=tuple(_file(part) for part in parts if part not in texts.values()),
        lost=(*lost, *(["the text beside the HTML"] if len(texts) > 1 else [])),
    )


def _head(letter: Letter) -> Message:
    """The headers alone, which may have letters beyond ASCII; those of the body are in bytes."""
    return message_from_string(_HEAD_END.split(letter.message, 1)[0].decode("utf-8", "replace"))


def _parts(part: Message) -> Iterator[Message]:
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in part.get_payload():
            yield from _parts(inner)  # type: ignore[arg-type]
    else:
        yield part


def _is_body(part: Message, kind: str) -> bool:
    is_alone = part.get_content_disposition() != "attachment" and not part.get_filename()
    return is_alone and part.get_content_type() == f"text/{kind}"


def _is_custom(name: str) -> bool:
    return name.lower() not in _SAID_IN_JSON and not name.lower().startswith("content-")


def _text(part: Message | None) -> str:
    if part is None:
        return ""
    try:
        return _content(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return _content(part).decode("utf-8", "replace")


def _content(part: Message) -> bytes:
    if part.is_multipart():
        return b"".join(each.as_bytes() for each in part.get_payload() if isinstance(each, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _file(part: Message) -> File:
    return File(
        name=_decoded(part.get_filename("") or "attachment"),
        kind=part.get_content_type(),
        content=_content(part),
        content_id=str(part.get("Content-ID", "")).strip("<> \r\n\t"),
        is_inline=part.get_content_disposition() == "inline",
    )


def _people(head: Message, name: str) -> list[dict[str, Any]]:
    found = getaddresses([_unfolded(text) for text in head.get_all(name, [])])
    return [_person(_decoded(shown), address) for shown, address in found if address]


def _person(name: str, address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": name, "address": address} if name else {"address": address}}


def _check(letter: Letter, people: list[dict[str, Any]]) -> None:
    """Graph sends to whom the headers name: that must be nobody else, and nobody less, than the envelope does."""
    named = {each["emailAddress"]["address"].lower() for each in people}
    if named != {each.lower() for each in letter.recipients}:
        raise probe_error("internal", "the headers and the envelope do not name the same recipients")


def _unfolded(text: object) -> str:
    return _FOLD.sub("", str(text)).strip()


def _decoded(text: object) -> str:
    try:
        return str(make_header(decode_header(_unfolded(text))))
    except (ValueError, LookupError):
        return _unfolded(text)


def _lost_anyway(letter: Letter) -> list[str]:
    """What Graph does not let anybody choose, in whatever way the message is handed over."""
    author = next((address for _name, address in getaddresses([_unfolded(_head(letter).get("From", ""))])), "")
    return ["errors_to"] if letter.sender.lower() != author.lower() else []


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
