# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files with replies of real servers: their shape, and the verdict of each."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import replies
from replies import COLUMNS, NAMES, Reply

from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation
from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES

PHASES = {
    "smtp": {"greeting", "ehlo", "starttls", "auth", "sender", "recipient", "data", "message"},
    "imap": {"greeting", "capability", "starttls", "auth", "select"},
}
SETUPS = {"", "starttls", "plain", "noauth", "plainnoauth", "gbk"}
KNOWN = {*REMEDIES, "client_blocked", "host_not_ready"}


def _all() -> list[Reply]:
    return [reply for name in NAMES for reply in replies.read(name)]


@pytest.mark.parametrize("name", NAMES)
def test_each_line_has_all_columns(name: str) -> None:
    head, *lines = replies.table(name)
    assert tuple(head) == COLUMNS
    assert [line for line in lines if len(line) != len(COLUMNS)] == []
    assert [reply.id for reply in replies.read(name) if not (reply.reply and reply.why and reply.source)] == []


def test_protocols_phases_and_setups_are_known() -> None:
    unknown = [
        reply.id for reply in _all() if reply.phase not in PHASES.get(reply.protocol, ()) or reply.setup not in SETUPS
    ]
    assert unknown == []


def test_verdicts_are_known() -> None:
    assert {verdict for reply in _all() for verdict in reply.verdicts} - KNOWN == set()


def test_no_id_and_no_reply_is_there_twice() -> None:
    for counted in (Counter(reply.id for reply in _all()), Counter((each.protocol, each.reply) for each in _all())):
        assert [item for item, count in counted.items() if count > 1] == []


# What a rule of the words alone gets wrong.
KNOWN_TO_BE_WRONG = {"r922"}


def _observation(reply: Reply) -> Observation:
    phase = "message" if reply.phase == "data" else reply.phase
    if reply.protocol == "imap":
        status, code, text = re.match(r"(?:\* )?(\w+)( \[[A-Z]+[^\]]*\])? ?(.*)", reply.lines[-1], re.DOTALL).groups("")  # type: ignore[union-attr]
        return Observation("reply", phase, "imap", None, status + code, text)
    code, enhanced = re.match(r"(\d{3})[ -](?:(\d\.\d+\.\d+) )?", reply.reply).groups("")  # type: ignore[union-attr]
    text = " ".join(re.sub(r"^\d{3}[ -]?(\d\.\d+\.\d+ )?", "", line) for line in reply.lines)
    return Observation("reply", phase, "smtp", int(code), enhanced, text)


def test_each_reply_has_the_verdict_of_an_administrator() -> None:
    wrong = {
        reply.id: (reply.reply[:100], found, reply.expected)
        for name in ("given", "gathered")
        for reply in replies.read(name)
        for found in [diagnose(_observation(reply)).verdict]
        if found not in reply.verdicts
    }
    assert {identifier: why for identifier, why in wrong.items() if identifier not in KNOWN_TO_BE_WRONG} == {}
    assert wrong.keys() == KNOWN_TO_BE_WRONG
