# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading of IMAP responses."""

from __future__ import annotations

import pytest
from fuzz import entries

from ansible_collections.mailroom.core.plugins.module_utils._check.result import EndpointResult
from ansible_collections.mailroom.core.plugins.module_utils._protocol.imap_client import reply_error, response_code

CODES = {
    "[AUTHENTICATIONFAILED] Authentication failed.": "[AUTHENTICATIONFAILED]",
    "[authenticationfailed] Authentication failed.": "[AUTHENTICATIONFAILED]",
    "select failed: [NONEXISTENT] Unknown mailbox": "[NONEXISTENT]",
    "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready": "[CAPABILITY]",
    "[WEBALERT https://accounts.example.com/signin] Web login required.": "[WEBALERT]",
    "[UNKNOWN-CTE] what": "[UNKNOWN-CTE]",
    "AUTHENTICATE failed.": "",
    "": "",
    "[": "",
    "[]": "",
    "[no end": "",
}


@pytest.mark.parametrize(("text", "code"), CODES.items())
def test_response_codes(text: str, code: str) -> None:
    assert response_code(text) == code


def test_a_status_goes_before_its_code() -> None:
    assert reply_error("NO", "[LIMIT] Too many").observation.enhanced == "NO [LIMIT]"
    assert reply_error("BAD", "What").observation.enhanced == "BAD"


def _result(*parts: bytes, security: str = "none", mechanisms: tuple[str, ...] = ()) -> EndpointResult:
    server = {"security": security, "mechanisms": mechanisms}
    return entries._probed(entries.ImapCheck, server, entries.BETWEEN.join(parts)).endpoints[0]


GREETING = b"* OK IMAP4rev1 ready\r\n"
START = entries.GOOD_IMAP[1][:3]
IN = entries.GOOD_IMAP[1][:4]
# Phase, what has been said before, the reply, its kind and code.
REPLIES: tuple[tuple[str, tuple[bytes, ...], bytes, str, str], ...] = (
    ("greeting", (), b"* BYE [UNAVAILABLE] later\r\n", "reply", "BYE [UNAVAILABLE]"),
    ("greeting", (), b"* BYE\r\n", "reply", "BYE"),
    ("greeting", (), b"* NO\r\n", "protocol", ""),
    ("greeting", (), b"*\r\n", "protocol", ""),
    ("greeting", (), b"\r\n", "protocol", ""),
    ("capability", (GREETING,), b"{tag} BAD what\r\n", "reply", "BAD"),
    ("capability", (GREETING,), b"other OK what\r\n", "protocol", ""),
    ("capability", (GREETING,), b"* BYE [UNAVAILABLE] later\r\n", "reply", "BYE [UNAVAILABLE]"),
    ("auth", START, b"{tag} NO [AUTHENTICATIONFAILED] no\r\n", "reply", "NO [AUTHENTICATIONFAILED]"),
    ("auth", START, b"{tag} NO [UNAVAILABLE] later\r\n", "reply", "NO [UNAVAILABLE]"),
    ("auth", START, b"{tag} BAD what\r\n", "reply", "BAD"),
    ("auth", START, b"* BYE [UNAVAILABLE] later\r\n", "reply", "BYE [UNAVAILABLE]"),
    ("select", IN, b"{tag} NO [NONEXISTENT] no\r\n", "reply", "NO [NONEXISTENT]"),
    ("select", IN, b"{tag} NO [NOPERM] no\r\n", "reply", "NO [NOPERM]"),
    ("select", IN, b"* BYE Server is shutting down\r\n", "reply", "BYE"),
)


@pytest.mark.parametrize(("phase", "before", "reply", "kind", "code"), REPLIES)
def test_imap_reply_is_parsed(phase: str, before: tuple[bytes, ...], reply: bytes, kind: str, code: str) -> None:
    observation = _result(*before, reply).observation
    assert observation is not None
    assert (observation.phase, observation.kind, observation.enhanced) == (phase, kind, code)
    assert not observation.text.startswith(("b'", 'b"'))


def test_a_challenge_that_is_not_base64_is_a_protocol_error() -> None:
    observation = _result(*entries.GOOD_IMAP[0][:3], b"+ !a!\r\n", mechanisms=("LOGIN",)).observation
    assert observation is not None
    assert observation.kind == "protocol"


CAPABLE = {
    "odd case": (b"* capability imap4rev1 logindisabled\r\n{tag} ok done\r\n", "login_disabled_unencrypted"),
    "disabled": (b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n{tag} OK done\r\n", "login_disabled_unencrypted"),
    "only others": (
        b"* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2\r\n{tag} OK done\r\n",
        "login_disabled_unencrypted",
    ),
}


@pytest.mark.parametrize(("reply", "kind"), CAPABLE.values(), ids=CAPABLE)
def test_capabilities(reply: bytes, kind: str) -> None:
    observation = _result(GREETING, reply).observation
    assert observation is not None
    assert observation.kind == kind


def test_only_a_mechanism_that_is_named_is_used() -> None:
    observation = _result(*START[:2], mechanisms=("CRAM-MD5",)).observation
    assert observation is not None
    assert observation.kind == "no_mechanism"


@pytest.mark.parametrize("password", ["pässword", "line\nbreak", "carriage\rreturn"])
def test_a_password_that_the_command_login_cannot_carry_stops(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "PASSWORD", password)
    result = _result(*entries.GOOD_IMAP[1])
    assert result.observation
    assert (result.observation.kind, result.observation.phase) == ("unfit_secret", "auth")


def test_preauthenticated_connection_is_not_refused() -> None:
    result = _result(b"* PREAUTH hello\r\n", *entries.GOOD_IMAP[0][1:])
    assert result.observation
    assert (result.observation.kind, result.observation.refused) == ("preauth", "")


def test_a_mailbox_that_is_nearly_full_is_a_warning() -> None:
    quota = b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 500 512)\r\n{tag} OK done\r\n'
    warned = _result(*entries.GOOD_IMAP[1][:6], quota)
    fine = _result(*entries.GOOD_IMAP[1])
    assert "mailbox_full" in {warning.code for warning in warned.warnings}
    assert "mailbox_full" not in {warning.code for warning in fine.warnings}


QUOTAS = {
    "no root": b"{tag} OK done\r\n",
    "refused": b"{tag} NO what\r\n",
    "garbage": b"* QUOTAROOT (((\r\n* QUOTA ((\r\n{tag} OK done\r\n",
    "not numbers": b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE a b)\r\n{tag} OK done\r\n',
    "too few": b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 1)\r\n{tag} OK done\r\n',
    "no limit": b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 5 0)\r\n{tag} OK done\r\n',
    "messages only": b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (MESSAGE 5 6)\r\n{tag} OK done\r\n',
}


@pytest.mark.parametrize("reply", QUOTAS.values(), ids=QUOTAS)
def test_a_quota_that_cannot_be_read_is_none(reply: bytes) -> None:
    result = _result(*entries.GOOD_IMAP[1][:6], reply)
    assert result.observation is None
    assert "mailbox_full" not in {warning.code for warning in result.warnings}


@pytest.mark.parametrize("parts", entries.GOOD_IMAP)
def test_lines_that_end_with_lf_alone_are_read(parts: tuple[bytes, ...]) -> None:
    """Verdicts, cause 12: some servers (GNU imap4d) end lines so."""
    result = _result(*(part.replace(b"\r\n", b"\n") for part in parts))
    assert result.observation == _result(*parts).observation
    assert [(each.phase, each.status) for each in result.record.phases] == [
        (each.phase, each.status) for each in _result(*parts).record.phases
    ]


def test_a_refusal_in_a_line_that_ends_with_lf_alone_is_read() -> None:
    observation = _result(
        *(part.replace(b"\r\n", b"\n") for part in START), b"{tag} NO [AUTHENTICATIONFAILED] no\n"
    ).observation
    assert observation is not None
    assert (observation.kind, observation.enhanced) == ("reply", "NO [AUTHENTICATIONFAILED]")
