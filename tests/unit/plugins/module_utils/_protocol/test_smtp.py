# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading of SMTP replies."""

from __future__ import annotations

import pytest
from fuzz import entries

from ansible_collections.mailroom.core.plugins.module_utils._check.result import EndpointResult


def _result(*parts: bytes, mechanisms: tuple[str, ...] = ()) -> EndpointResult:
    server = {"security": "none", "mechanisms": mechanisms}
    return entries._probed(entries.SmtpCheck, server, entries.BETWEEN.join(parts)).endpoints[0]


GREETING = b"220 mail.example.com ESMTP\r\n"
HELLO = b"250-mail.example.com\r\n250 AUTH PLAIN LOGIN\r\n"
# Reply to AUTH, code, enhanced code, text.
REPLIES: tuple[tuple[bytes, int, str, str], ...] = (
    (b"535 5.7.8 Error: authentication failed\r\n", 535, "5.7.8", "5.7.8 Error: authentication failed"),
    (b"535 Incorrect\r\n", 535, "", "Incorrect"),
    (b"535\r\n", 535, "", ""),
    (b"535 5.7.8\r\n", 535, "5.7.8", "5.7.8"),
    (b"535-5.7.8 Not\r\n535 5.7.8 accepted\r\n", 535, "5.7.8", "5.7.8 Not\n5.7.8 accepted"),
    (b"535 5.7.139 Authentication unsuccessful\n", 535, "5.7.139", "5.7.139 Authentication unsuccessful"),
    (b"535 \x1b[31mred\x07\r\n", 535, "", "?[31mred?"),
    (b"535 gr\xc3\xbcn \xff\r\n", 535, "", "grün \ufffd"),
)


@pytest.mark.parametrize(("reply", "code", "enhanced", "text"), REPLIES)
def test_replies(reply: bytes, code: int, enhanced: str, text: str) -> None:
    observation = _result(GREETING, HELLO, reply).observation
    assert observation is not None
    assert (observation.kind, observation.code, observation.enhanced, observation.text) == (
        "reply",
        code,
        enhanced,
        text,
    )


@pytest.mark.parametrize("reply", [b"\r\n", b"hello\r\n", b"99 no\r\n", b"600 no\r\n", b"-35 no\r\n", b"5\r\n"])
def test_what_is_no_reply_is_a_protocol_error(reply: bytes) -> None:
    for parts in ((reply,), (GREETING, reply), (GREETING, HELLO, reply)):
        observation = _result(*parts).observation
        assert observation is not None
        assert observation.kind == "protocol"


@pytest.mark.parametrize("reply", [b"250 2.0.0 Ok\r\n", b"354 Go on\r\n"])
def test_a_reply_that_is_no_answer_to_a_sign_in_refuses_nobody(reply: bytes) -> None:
    observation = _result(GREETING, HELLO, reply).observation
    assert observation is not None
    assert observation.kind == "protocol"


def test_long_capabilities_are_read_to_their_end() -> None:
    many = b"".join(b"250-X-EXTENSION-%d\r\n" % number for number in range(200))
    result = _result(GREETING, b"250-mail\r\n" + many + b"250 AUTH PLAIN\r\n", b"535 No\r\n")
    assert result.observation is not None
    assert result.observation.kind == "reply"


def test_a_server_without_ehlo_is_greeted_with_helo() -> None:
    result = _result(GREETING, b"502 What\r\n", b"250 mail\r\n")
    assert result.observation is not None
    assert (result.observation.kind, result.observation.phase) == ("no_mechanism", "auth")
    assert result.to_dict()["capabilities"] == {"before_tls": []}


def test_more_challenges_than_a_mechanism_has_end() -> None:
    result = _result(GREETING, HELLO, *[b"334 VXNlcm5hbWU6\r\n"] * 20, mechanisms=("LOGIN",))
    assert result.observation is not None
    assert result.observation.kind == "protocol"


def test_a_failure_skips_what_would_have_come() -> None:
    phases = {phase.phase: phase.status for phase in _result(GREETING, HELLO, b"535 No\r\n").record.phases}
    expected = {"greeting": "ok", "ehlo": "ok", "auth": "fail", "sender": "skipped", "recipient": "skipped"}
    assert phases == expected | {name: status for name, status in phases.items() if name in ("config", "dns", "tcp")}
