# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which reply to a sign-in, and which answer of a token endpoint, refuses a credential."""

from __future__ import annotations

import re

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._auth.refusal import (
    SCRAM_ERRORS,
    SCRAM_PASSWORD_NOT_CHECKED,
    refused_sign_in,
    refused_token,
)
from ansible_collections.mailroom.core.plugins.module_utils._protocol.imap_client import reply_error
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import KINDS, Kind, Observation

SMTP: tuple[tuple[str, str], ...] = (
    ("535 5.7.8 Error: authentication failed", "everywhere"),
    ("535 Incorrect authentication data", "everywhere"),
    ("535 5.7.3 Authentication unsuccessful", "everywhere"),
    ("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.", "everywhere"),
    ("535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults", "everywhere"),
    ("535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.", "here"),
    ("535 5.7.139 smtpclientauthentication is DISABLED for the Mailbox.", "here"),
    ("550 5.7.30 Basic authentication is not supported for Client Submission.", "here"),
    ("534 5.7.9 Application-specific password required.", "everywhere"),
    ("534 5.7.14 Please log in via your web browser and then try again.", "everywhere"),
    ("525 5.7.13 Account disabled", "everywhere"),
    ("550 5.7.1 Access denied", "everywhere"),
    ("554 5.7.0 Too many failed attempts", "everywhere"),
    # The codes contradict each other, or the client: what is ambiguous is not tried again.
    ("535 4.7.0 Try again later", "everywhere"),
    ("454 5.7.8 No", "everywhere"),
    ("454 4.7.8 Error: authentication failed: Invalid user or password!", "everywhere"),
    ("504 5.7.4 No", "everywhere"),
    # The server says that it is temporary, whatever its words.
    ("421 4.7.0 Too many login attempts", ""),
    ("421 Wrong password, good-bye", ""),
    ("432 4.7.12 A password transition is needed", ""),
    ("451 4.7.0 Temporary server error", ""),
    ("454 4.7.0 Temporary authentication failure", ""),
    # Nobody looked at the credential.
    ("500 5.5.6 Authentication exchange line is too long", ""),
    ("502 5.5.1 Command not implemented", ""),
    ("503 5.5.1 Error: authentication not enabled", ""),
    ("504 5.5.4 Unrecognized authentication type", ""),
    ("504 Wrong password", ""),
    # The server could not read what it was sent, or says so.
    ("501 5.5.2 Cannot decode response", "here"),
    ("501 5.7.8 Bad credentials", "everywhere"),
)

IMAP: tuple[tuple[str, str, str], ...] = (
    ("NO", "[AUTHENTICATIONFAILED] Authentication failed.", "everywhere"),
    ("NO", "AUTHENTICATE failed.", "everywhere"),
    ("NO", "Temporary failure, try again later", "everywhere"),
    ("NO", "[ALERT] Application-specific password required", "everywhere"),
    ("NO", "[EXPIRED] The password has expired", "everywhere"),
    ("NO", "[CONTACTADMIN] Contact the administrator", "everywhere"),
    ("NO", "[AUTHORIZATIONFAILED] Not authorized", "here"),
    ("NO", "[UNAVAILABLE] Temporary authentication failure", ""),
    ("NO", "[unavailable] Wrong password", ""),
    ("NO", "[LIMIT] Too many connections", ""),
    ("NO", "[INUSE] In use", ""),
    ("NO", "[SERVERBUG] Internal error occurred", ""),
    # A code counts at the beginning only.
    ("NO", "Authentication failed for ann [UNAVAILABLE] now", "everywhere"),
    ("BAD", "Command not recognised", "here"),
    ("BAD", "[UNAVAILABLE] later", ""),
    ("BYE", "BYE Too many failed attempts", "everywhere"),
    ("BYE", "Good bye", "everywhere"),
    ("BYE", "BYE [UNAVAILABLE] Server is shutting down", ""),
)

SCRAM = [(error, "" if error in SCRAM_PASSWORD_NOT_CHECKED else "everywhere") for error in (*SCRAM_ERRORS, "")]
WITHOUT_REPLY: tuple[Kind, ...] = ("closed", "reset", "timeout", "protocol", "tls")


def _smtp(reply: str) -> Observation:
    code, text = reply.split(" ", 1)
    enhanced = re.match(r"[245]\.\d+\.\d+", text)
    return Observation("reply", "auth", "smtp", int(code), enhanced[0] if enhanced else "", text)


def _refused(observation: Observation) -> str:
    return refused_sign_in(observation, is_encrypted=True, was_sent=True)


def test_smtp_reply_refuses_a_credential_by_its_codes() -> None:
    assert tuple((reply, _refused(_smtp(reply))) for reply, _expected in SMTP) == SMTP


def test_imap_reply_refuses_a_credential_by_its_code() -> None:
    found = tuple((status, text, _refused(reply_error(status, text).observation)) for status, text, _expected in IMAP)
    assert found == IMAP


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize(
    "observation",
    [
        _smtp("530 5.7.0 Must issue a STARTTLS command first"),
        _smtp("538 5.7.11 Encryption required for requested authentication mechanism"),
        reply_error("NO", "[PRIVACYREQUIRED] Encryption is needed").observation,
    ],
    ids=str,
)
def test_a_server_that_wants_encryption_first_judged_nobody(observation: Observation, *, encrypted: bool) -> None:
    expected = "everywhere" if encrypted else ""
    assert refused_sign_in(observation, is_encrypted=encrypted, was_sent=True) == expected


def test_error_of_scram_refuses_a_credential_unless_it_was_not_judged() -> None:
    assert [
        (error, _refused(Observation("refused_proof", "auth", enhanced=error))) for error, _judged in SCRAM
    ] == SCRAM


@pytest.mark.parametrize("kind", WITHOUT_REPLY)
def test_a_connection_that_ends_after_a_credential_was_sent_refuses_it(kind: Kind) -> None:
    observation = Observation(kind, "auth", "smtp")
    assert refused_sign_in(observation, is_encrypted=True, was_sent=True) == "everywhere"
    assert refused_sign_in(observation, is_encrypted=True, was_sent=False) == ""


@pytest.mark.parametrize(
    "observation", [_smtp("501 5.5.2 No"), reply_error("BAD", "No").observation, reply_error("BYE", "No").observation]
)
def test_what_was_not_sent_is_not_refused(observation: Observation) -> None:
    assert refused_sign_in(observation, is_encrypted=True, was_sent=False) == ""


def test_no_text_of_a_server_makes_a_refusal_of_what_is_temporary() -> None:
    for text in ("wrong password", "account is locked", "535 5.7.8", "[AUTHENTICATIONFAILED]", "disabled"):
        assert refused_sign_in(_smtp(f"454 4.7.0 {text}"), is_encrypted=True, was_sent=True) == ""


def test_whatever_is_observed_after_a_credential_was_sent_has_an_answer() -> None:
    for kind in KINDS:
        assert refused_sign_in(Observation(kind), is_encrypted=True, was_sent=True) in ("", "here", "everywhere")


TOKENS: tuple[tuple[int | None, str, str], ...] = (
    (400, "invalid_grant", "everywhere"),
    (400, "invalid_grant 50126", "everywhere"),
    (400, "invalid_grant 50053", "everywhere"),
    (401, "invalid_client", "everywhere"),
    (401, "invalid_client 7000215", "everywhere"),
    (400, "unauthorized_client", "everywhere"),
    (400, "invalid_request", "everywhere"),
    (400, "", "everywhere"),
    (404, "", "everywhere"),
    (302, "", "everywhere"),
    (200, "", "everywhere"),
    (400, "invalid_scope", "here"),
    (400, "invalid_grant 65001", "here"),
    (400, "invalid_resource 500011", "here"),
    (400, "temporarily_unavailable", ""),
    (400, "slow_down", ""),
    (400, "invalid_grant 50196", ""),
    (400, "server_error 90033", ""),
    (408, "", ""),
    (429, "", ""),
    (429, "invalid_client", ""),
    (500, "", ""),
    (503, "invalid_grant", ""),
)


def test_answer_of_a_token_endpoint_refuses_a_credential_by_status_and_error() -> None:
    found = tuple((status, words, refused_token(status, words.split())) for status, words, _expected in TOKENS)
    assert found == TOKENS
