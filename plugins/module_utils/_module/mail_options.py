# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The messages that the options of the module mail describe."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .._argspec import Options
from .._connector import checks
from .._connector.resolved import ResolvedConnector
from .._errors import Problem
from .._message.attached_file import AttachedFile, UnusableFile, attach
from .._message.body import sign_html, sign_text
from .._message.draft import CONTENT_TYPE, FILE_NAME, MOST_RECIPIENTS, SHOWN_NAME, SUBJECT, Draft, Mailbox
from .._message.header import with_ascii_domain

MOST_MESSAGES = 10_000
MOST_ATTACHMENTS = 100
LONGEST_BODY = 1_000_000
LONGEST_RECIPIENT = 1000
"""As it is written: the longest address with the longest name, escaped, is shorter."""
MESSAGE: Options = {
    "to": {"type": "list", "elements": "str"},
    "cc": {"type": "list", "elements": "str"},
    "bcc": {"type": "list", "elements": "str"},
    "subject": {"type": "str"},
    "body": {"type": "str"},
    "html": {"type": "str"},
    "reply_to": {"type": "str"},
    "headers": {"type": "dict"},
    "attachments": {"type": "list", "elements": "raw"},
}
_NAMED = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"\s*|(?P<plain>[^<>"]*))<(?P<address>[^<>]*)>\Z')
_ADDRESS = "must be a mail address such as alerts@example.com, or one with a name: Alerts <alerts@example.com>"
# The tables of the system would give the same file another type on another host.
_TYPES = mimetypes.MimeTypes(filenames=())
_FILE_OPTIONS = frozenset(("path", "name", "content_type"))


@dataclass(frozen=True)
class Message:
    """A message as the task describes it, checked."""

    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    subject: str
    body: str
    html: str
    reply_to: Mailbox | None
    headers: Mapping[str, str]
    files: tuple[AttachedFile, ...]

    def draft(self, connector: ResolvedConnector, message_id: str, *, include_copies: bool) -> Draft:
        """The mail to assemble, with the connector's copies and signature added."""
        cc, bcc = (connector.cc, connector.bcc) if include_copies else ((), ())
        is_only_html = self.html and not self.body
        return Draft(
            to=self.to,
            cc=(*self.cc, *map(Mailbox, cc)),
            bcc=(*self.bcc, *map(Mailbox, bcc)),
            subject=self.subject,
            message_id=message_id,
            date=datetime.now(timezone.utc),
            text="" if is_only_html else sign_text(_ended(self.body or self.subject), connector.signature),
            html=sign_html(self.html, connector.signature) if self.html else "",
            reply_to=self.reply_to,
            headers=self.headers,
            files=self.files,
        )

    @property
    def largest_option(self) -> str:
        """The option that takes most room."""
        sizes = {"attachments": sum(file.size for file in self.files), "html": len(self.html), "body": len(self.body)}
        return max(sizes, key=lambda option: sizes[option])

    def option_of(self, recipient: str) -> str:
        """The option that names this recipient; the connector's field where none does."""
        for option in ("to", "cc", "bcc"):
            if any(with_ascii_domain(each.address) == recipient for each in getattr(self, option)):
                return option
        return "cc"


class MessageReader:
    """Reads messages from options, and collects all problems with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.missing: list[Problem] = []
        """Files that do not exist: in check mode an earlier task may be going to make them."""
        self._where = ""
        self._files: dict[tuple[str, str, str], AttachedFile] = {}

    def read(self, written: Mapping[str, Any], where: str = "") -> Message:
        """One message; where there are problems, it must not be used."""
        self._where = where
        params = {option: written.get(option) for option in MESSAGE}
        boxes = {option: self._mailboxes(option, params[option]) for option in ("to", "cc", "bcc")}
        if not any(boxes.values()) and not any(params[option] for option in boxes):
            self._report("to", "is required, unless cc or bcc names somebody")
        if sum(map(len, boxes.values())) > MOST_RECIPIENTS:
            self._report("to", f"must name at most {MOST_RECIPIENTS} recipients, with cc and bcc")
        if params["subject"] is None:
            self._report("subject", "is required")
        else:
            self._check("subject", SUBJECT, params["subject"])
        for option in ("body", "html"):
            text = params[option] or ""
            if len(text) > LONGEST_BODY or "\0" in text or not _is_unicode(text):
                allowed = f"must be at most {LONGEST_BODY} characters of valid text without NUL; attach more as a file"
                self._report(option, allowed)
        reply_to = self._mailboxes("reply_to", [params["reply_to"]] if params["reply_to"] else [])
        self._check("headers", checks.headers, params["headers"] or {})
        return Message(
            to=boxes["to"],
            cc=boxes["cc"],
            bcc=boxes["bcc"],
            subject=params["subject"] or "",
            body=params["body"] or "",
            html=params["html"] or "",
            reply_to=reply_to[0] if reply_to else None,
            headers={str(name): str(content) for name, content in (params["headers"] or {}).items()},
            files=self._attachments(params["attachments"] or []),
        )

    def _mailboxes(self, option: str, texts: list[str] | None) -> tuple[Mailbox, ...]:
        found = []
        for position, text in enumerate(texts or [], 1):
            item = "" if option == "reply_to" else f"item {position} "
            if len(text) > LONGEST_RECIPIENT:
                self._report(option, f"{item}must be at most {LONGEST_RECIPIENT} characters, with the name")
                continue
            named = _NAMED.match(text.strip())
            shown = (named["plain"] if named["quoted"] is None else _unquoted(named["quoted"])).strip() if named else ""
            mailbox = Mailbox(named["address"].strip() if named else text.strip(), shown)
            if not checks.is_address(mailbox.address):
                self._report(option, item + _ADDRESS)
                continue
            problems = checks.run_check(checks.address, mailbox.address, self._where, option)
            problems += checks.run_check(SHOWN_NAME, shown, self._where, option) if shown else []
            for problem in problems:
                self._report(option, item + problem.message)
            found.append(mailbox)
        return tuple(found)

    def _attachments(self, written: list[Any]) -> tuple[AttachedFile, ...]:
        if len(written) > MOST_ATTACHMENTS:
            self._report("attachments", f"must be at most {MOST_ATTACHMENTS} files")
            return ()
        found = (self._attachment(f"item {position}", each) for position, each in enumerate(written, 1))
        return tuple(each for each in found if each)

    def _attachment(self, item: str, written: Any) -> AttachedFile | None:
        given = {"path": written} if isinstance(written, str) else written
        is_known = isinstance(given, Mapping) and given.keys() <= _FILE_OPTIONS and isinstance(given.get("path"), str)
        if not is_known or not all(isinstance(each, (str, type(None))) for each in given.values()):
            self._report("attachments", f"{item} must be a path, or a dictionary of path, name and content_type")
            return None
        path = os.path.expanduser(given["path"])
        name = given.get("name") or os.path.basename(path.rstrip("/"))
        content_type = given.get("content_type") or _content_type(name)
        for check, value, what in (
            (checks.absolute_path, path, ""),
            (FILE_NAME, name, "name: "),
            (CONTENT_TYPE, content_type, "content_type: "),
        ):
            for problem in checks.run_check(check, value, "", ""):
                self._report("attachments", f"{item} {what}{problem.message}")
                return None
        key = (path, name, content_type)
        try:
            return self._files.get(key) or self._files.setdefault(key, attach(*key))
        except UnusableFile as error:
            if error.is_missing:
                self.missing.append(Problem(self._where, "attachments", f"{item} ({path}) does not exist"))
            else:
                self._report("attachments", f"{item} ({path}) {error}")
            return None

    def _check(self, option: str, check: checks.Check, value: Any) -> None:
        self.problems += checks.run_check(check, value, self._where, option)

    def _report(self, option: str, allowed: str) -> None:
        self.problems.append(Problem(self._where, option, allowed))


def _content_type(name: str) -> str:
    kind, encoding = _TYPES.guess_type(name)
    if encoding == "gzip":
        return "application/gzip"
    is_usable = kind and not encoding and not kind.startswith(("message/", "multipart/"))
    return kind if kind and is_usable else "application/octet-stream"


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
