# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replies of real servers, each given in its phase to a whole test, and what the finished result says.

`pytest -s` shows the figures by phase and the wrong ones. The set-aside replies are only judged, and only counted,
where MAILROOM_SET_ASIDE is set.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import pytest
import replies
from fuzz import entries
from peers.connectors import job as connector_job
from replies import Reply

from ansible_collections.mailroom.core.plugins.module_utils._check.credentials import RejectedCredentials
from ansible_collections.mailroom.core.plugins.module_utils._check.imap import ImapCheck
from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds, CheckContext
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.result import Result
from ansible_collections.mailroom.core.plugins.module_utils._check.smtp import SmtpCheck
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret


class Floor(NamedTuple):
    """How many replies must be right, and how many of those that are called certain may be wrong."""

    right: int
    certain_wrong: int


# The gathered replies are only diagnosed, in the tests of verdicts: what carries them there is the same for all.
FLOORS = {"given": Floor(130, 1)}

_OK = b"250 2.0.0 Ok\r\n"
_EHLO = b"250-mail.example.com\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
_CAPABILITIES = b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n{tag} OK done\r\n"
# What a good server says, phase by phase.
_SMTP = {
    "greeting": (b"220 mail.example.com ESMTP\r\n",),
    "ehlo": (_EHLO,),
    "starttls": (b"220 2.0.0 Ready\r\n", _EHLO),
    "auth": (b"235 2.7.0 Ok\r\n",),
    "sender": (_OK,),
    "recipient": (_OK,),
    "data": (b"354 Go ahead\r\n",),
    "message": (_OK,),
}
_IMAP = {
    "greeting": (b"* OK IMAP4rev1 ready\r\n",),
    "capability": (_CAPABILITIES,),
    "starttls": (b"{tag} OK go\r\n", _CAPABILITIES),
    # imaplib asks for the capabilities once more, and the password follows in a line of its own.
    "auth": (_CAPABILITIES, b"+ \r\n", b"{tag} OK in\r\n"),
    "select": (b"* 0 EXISTS\r\n{tag} OK done\r\n",),
}
_DEPTHS = {"sender": "envelope", "recipient": "envelope", "data": "send", "message": "send"}
_UNENCRYPTED = ("plain", "plainnoauth")
_NOBODY_SIGNS_IN = ("noauth", "plainnoauth")


def _said(reply: Reply) -> bytes:
    """The reply as it comes over the wire."""
    lines = [f"{{tag}} {line}" if reply.protocol == "imap" and line[:2] != "* " else line for line in reply.lines]
    return "".join(f"{line}\r\n" for line in lines).encode("gbk" if reply.setup == "gbk" else "utf-8")


def _script(reply: Reply) -> bytes:
    """A server that is good up to the phase of the reply."""
    parts: list[bytes] = []
    for phase, good in (_SMTP if reply.protocol == "smtp" else _IMAP).items():
        if phase == reply.phase:
            before = good[:2] if (reply.protocol, phase) == ("imap", "auth") else ()
            return entries.BETWEEN.join([*parts, *before, _said(reply)])
        is_skipped = phase == "starttls" or (phase == "auth" and reply.setup in _NOBODY_SIGNS_IN)
        parts += () if is_skipped else good
    raise ValueError(reply.phase)


def _job(reply: Reply) -> Job:
    security = "starttls" if reply.setup == "starttls" else "none" if reply.setup in _UNENCRYPTED else "tls"
    signs_in = reply.setup not in _NOBODY_SIGNS_IN
    server = {
        "host": "mail.example.net",
        "port": 465 if reply.protocol == "smtp" else 993,
        "security": security,
        "validate_certs": True,
        "auth": "password" if signs_in else "none",
        "ehlo_name": "client.example.net",
        **({"username": "carol@example.net"} if signs_in else {}),
    }
    addresses = {"from_address": "carol@example.net", "test_address": "dave@example.net"}
    secrets = {f"{reply.protocol}.password": Secret(entries.PASSWORD)} if signs_in else {}
    return connector_job("played", {**addresses, reply.protocol: server}, secrets)


def play(reply: Reply) -> Result:
    """A whole test of a server that gives this reply."""
    job, depth = _job(reply), _DEPTHS.get(reply.phase, "login")
    context = CheckContext.of(job, Bounds(depth, timeout=5, deadline=5), RejectedCredentials())
    check_type = SmtpCheck if reply.protocol == "smtp" else ImapCheck
    check = check_type(context, job.endpoints()[0])
    check.session_type = entries.scripted(check.session_type, _script(reply))
    result = Result("played", depth)
    result.endpoints += check.run()
    return result


class Played(NamedTuple):
    """A reply and what came of it."""

    reply: Reply
    verdict: str
    certainty: str

    @property
    def is_right(self) -> bool:
        return self.verdict in self.reply.verdicts

    @property
    def is_certain(self) -> bool:
        return self.certainty == "certain"


def _play_all(name: str) -> list[Played]:
    found = []
    for reply in replies.read(name):
        result = play(reply)
        observation = result.endpoints[0].observation
        phase = "message" if reply.phase == "data" else reply.phase
        assert observation is not None, f"{reply.id} did not stop the test"
        assert observation.phase == phase, f"{reply.id} stopped the test in the phase {observation.phase}"
        finding = result.diagnosis()
        found.append(Played(reply, finding.verdict, finding.certainty))
    return found


def _figures(name: str, played: Sequence[Played]) -> str:
    """A table by phase: how many are right, how many of the certain ones are wrong, how many right ones are certain."""
    rows = []
    phases = dict.fromkeys(f"{each.reply.protocol} {each.reply.phase}" for each in played)
    for phase in (*phases, "all"):
        some = [each for each in played if phase in ("all", f"{each.reply.protocol} {each.reply.phase}")]
        right, certain = [each for each in some if each.is_right], [each for each in some if each.is_certain]
        wrong = [each for each in certain if not each.is_right]
        sure = [each for each in right if each.is_certain]
        share = f"{100 * len(right) / len(some):5.1f} %"
        rows.append(
            f"{phase:16} {len(right):4} of {len(some):4} {share:>8} {len(wrong):8} of {len(certain):4}"
            f" {len(sure):8} of {len(right):4}"
        )
    head = f"{name:16} {'right':>12} {'':>8} {'wrong if certain':>16} {'certain if right':>16}"
    return "\n".join([head, *rows])


@pytest.mark.parametrize("name", FLOORS)
def test_replies_get_the_verdict_of_an_administrator(name: str) -> None:
    played = _play_all(name)
    print(f"\n{_figures(name, played)}")
    for each in played:
        if not each.is_right:
            reply = each.reply
            print(f"{reply.id} {reply.protocol} {reply.phase}: {each.verdict} ({each.certainty}), not {reply.expected}")
            print(f"    {reply.reply[:200]}")
    right = sum(each.is_right for each in played)
    certain_wrong = sum(each.is_certain and not each.is_right for each in played)
    assert right >= FLOORS[name].right
    assert certain_wrong <= FLOORS[name].certain_wrong


def test_set_aside_replies_are_counted_where_asked_for() -> None:
    if os.environ.get("MAILROOM_SET_ASIDE"):
        print(f"\n{_figures('set_aside', _play_all('set_aside'))}")
