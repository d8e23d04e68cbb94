# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the messages of a task are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._message.draft import Mailbox
from ansible_collections.mailroom.core.plugins.module_utils._module.mail_options import Message, MessageReader

MESSAGE: dict[str, Any] = {"to": ["bob@example.com"], "subject": "Hello"}


def read(**options: Any) -> tuple[Message, list[str]]:
    reader = MessageReader()
    message = reader.read({**MESSAGE, **options})
    return message, [str(problem) for problem in [*reader.problems, *reader.missing]]


BOXES = {
    "bob@example.com": Mailbox("bob@example.com"),
    " bob@example.com ": Mailbox("bob@example.com"),
    "<bob@example.com>": Mailbox("bob@example.com"),
    "Bob <bob@example.com>": Mailbox("bob@example.com", "Bob"),
    "Bob<bob@example.com>": Mailbox("bob@example.com", "Bob"),
    '"Smith, \\"Bob\\" \\\\" <bob@example.com>': Mailbox("bob@example.com", 'Smith, "Bob" \\'),
    '"Bob <bob@example.org>" <bob@example.com>': Mailbox("bob@example.com", "Bob <bob@example.org>"),
    "B\u00f6b < bob@example.com >": Mailbox("bob@example.com", "B\u00f6b"),
}


@pytest.mark.parametrize(("written", "mailbox"), BOXES.items())
def test_a_recipient_has_an_address_and_perhaps_a_name(written: str, mailbox: Mailbox) -> None:
    message, problems = read(to=[written])
    assert (message.to, problems) == ((mailbox,), [])


@pytest.mark.parametrize("option", ["to", "reply_to"])
def test_a_recipient_is_at_most_1000_characters(option: str) -> None:
    blanks = " " * (1000 - len("Bob<bob@example.com>"))
    allowed, longer = f"Bob{blanks}<bob@example.com>", f"Bob {blanks}<bob@example.com>"
    for text, expected in ((allowed, []), (longer, ["at most 1000 characters, with the name"])):
        _message, problems = read(**{option: [text] if option == "to" else text})
        assert [problem.partition("must be ")[2] for problem in problems] == expected


NOT_BOXES = (
    "",
    "Bob",
    "bob@",
    "Bob <bob>",
    "bob@example.com (Bob)",
    "a@example.com, b@example.com",
    "Bob <a@b.example> x",
)


@pytest.mark.parametrize("written", NOT_BOXES)
def test_what_is_no_address_is_refused_without_repeating_it(written: str) -> None:
    _message, problems = read(cc=["ann@example.com", written])
    (problem,) = problems
    assert problem.startswith("cc: item 2 must be a mail address such as alerts@example.com, or one with a name")
    assert not written or written not in problem


PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"to": None}, "to: is required, unless cc or bcc names somebody"),
    "no subject": ({"subject": None}, "subject: is required"),
    "long body": ({"body": "x" * 1_000_001}, "body: must be at most 1000000 characters"),
    "NUL": ({"html": "a\0b"}, "html: must be at most 1000000 characters of valid text without NUL"),
    "surrogate": ({"body": "\ud800"}, "body: must be at most 1000000 characters of valid text"),
    "header of the mail": ({"headers": {"Subject": "x"}}, "headers: Subject is set by the message itself"),
    "header of the system": ({"headers": {"Received": "x"}}, "headers: Received is set by the mail system"),
    "relative path": ({"attachments": ["report.csv"]}, "attachments: item 1 must be an absolute path"),
    "number": ({"attachments": [5]}, "attachments: item 1 must be a path, or a dictionary of path, name and"),
    "unknown": ({"attachments": [{"path": "/a", "nmae": "b"}]}, "attachments: item 1 must be a path, or a dictionary"),
    "name": (
        {"attachments": [{"path": "/a", "name": "../b"}]},
        "attachments: item 1 name: must be 1 to 255 characters",
    ),
    "type": (
        {"attachments": [{"path": "/a", "content_type": "message/rfc822"}]},
        "attachments: item 1 content_type: must be a media type such as application/pdf",
    ),
    "many": ({"attachments": ["/a"] * 101}, "attachments: must be at most 100 files"),
}


@pytest.mark.parametrize(("options", "says"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_names_the_option_and_what_is_allowed(options: dict[str, Any], says: str) -> None:
    _message, (problem,) = read(**options)
    assert problem.startswith(says)


TYPES = {
    "a.csv": "text/csv",
    "a.PDF": "application/pdf",
    "a.tar.gz": "application/gzip",
    "a.bz2": "application/octet-stream",
    "a.eml": "application/octet-stream",
    "a": "application/octet-stream",
}


@pytest.mark.parametrize(("name", "content_type"), TYPES.items())
def test_the_type_of_a_file_follows_from_its_name(tmp_path: Path, name: str, content_type: str) -> None:
    (tmp_path / name).touch()
    message, problems = read(attachments=[str(tmp_path / name)])
    assert problems == []
    assert [(file.name, file.content_type) for file in message.files] == [(name, content_type)]
