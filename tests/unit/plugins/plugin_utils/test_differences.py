# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diff of connectors in lines for people."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.plugin_utils._differences import MAX_LENGTH, differences


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({}, {}, []),
        ({}, {"connectors": {"a": {"name": "a"}}}, ["connector a: is new"]),
        ({"connectors": {"a": {"name": "a"}}}, {}, ["connector a: is deleted"]),
        (
            {"connectors": {"a": {"imap": {"mailbox": "INBOX"}, "enabled": False}}},
            {"connectors": {"a": {"imap": {"mailbox": "Requests", "port": 993}}}},
            [
                "connector a: imap.mailbox: INBOX -> Requests",
                "connector a: enabled: false -> (none)",
                "connector a: imap.port: (none) -> 993",
            ],
        ),
        (
            {"connectors": {"a": {"smtp": {"password": "(stored)"}}}},
            {"connectors": {"a": {"smtp": {"password": "(changed)"}}}},
            ["connector a: smtp.password: (stored) -> (changed)"],
        ),
        ({"default": None}, {"default": "a"}, ["default: (none) -> a"]),
        (
            {"registry_key": "(stored)"},
            {"registry_key": "(changed)"},
            ["the registry key: is changed"],
        ),
        (
            {"purposes": {"alerts": "a", "old": "b"}},
            {"purposes": {"alerts": "b", "new@acme": "a"}},
            ["purpose alerts: a -> b", "purpose old: b -> (none)", "purpose new@acme: (none) -> a"],
        ),
    ],
)
def test_lines(before: dict[str, Any], after: dict[str, Any], lines: list[str]) -> None:
    assert sorted(differences(before, after)) == sorted(lines)


def test_a_line_stays_one_short_line() -> None:
    (line,) = differences(
        {"connectors": {"a": {"signature": "one\ntwo\x1b[31m"}}}, {"connectors": {"a": {"signature": "x" * 1000}}}
    )
    old, _arrow, new = line.removeprefix("connector a: signature: ").partition(" -> ")
    assert old == r'"one\ntwo\u001b[31m"'
    assert new == "x" * (MAX_LENGTH - 3) + "..."


def test_new_connector_shows_its_fields_and_no_secret_where_details_are_wanted() -> None:
    new = {"name": "a", "smtp": {"host": "h", "port": 465, "password": "(changed)"}, "cc": ["b@example.com"]}
    assert differences({}, {"connectors": {"a": new}}, details=True) == [
        "connector a: is new",
        "connector a: smtp.host: h",
        "connector a: smtp.port: 465",
        "connector a: smtp.password: (set)",
        'connector a: cc: ["b@example.com"]',
    ]


def test_details_add_nothing_to_a_connector_that_is_changed_or_deleted() -> None:
    before = {"connectors": {"a": {"imap": {"mailbox": "INBOX"}}, "b": {"imap": {"mailbox": "INBOX"}}}}
    after = {"connectors": {"a": {"imap": {"mailbox": "Requests"}}}}
    assert differences(before, after, details=True) == differences(before, after)
