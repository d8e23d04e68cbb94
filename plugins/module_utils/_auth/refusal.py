# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Whether a failed sign-in refused the credential, decided by protocol codes. Repeating a refused one locks accounts.

A credential that was sent counts as refused unless the server says that it did not check it or that it may be tried
again: some servers answer a wrong password by closing the connection, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection

from .._verdict.observation import Observation, Refused

# SMTP: the command or the mechanism is unknown, so the server did not check the credential.
_SMTP_UNKNOWN = (500, 502, 503, 504)
_SMTP_NEEDS_ENCRYPTION = (530, 538)
_SMTP_MALFORMED = 501
_WRONG_CREDENTIALS = ".7.8"  # end of the enhanced code; some servers wrongly give it with 454
_SMTP_AUTH_IS_OFF = "smtpclientauthentication is disabled"  # TokenClient has one code, 5.7.139, for this and for others

# IMAP: response codes of RFC 5530. They count at the beginning of a reply only.
_IMAP_TEMPORARY = ("[UNAVAILABLE", "[INUSE", "[LIMIT", "[SERVERBUG")
_IMAP_NEEDS_ENCRYPTION = "[PRIVACYREQUIRED"
_IMAP_NOT_AUTHORIZED = "[AUTHORIZATIONFAILED"

# SCRAM: errors of RFC 5802 that do not mean a wrong password.
SCRAM_PASSWORD_NOT_CHECKED = (
    "no-resources",
    "extensions-not-supported",
    "server-does-support-channel-binding",
    "channel-binding-not-supported",
    "unsupported-channel-binding-type",
)
SCRAM_ERRORS = (
    *SCRAM_PASSWORD_NOT_CHECKED,
    "invalid-encoding",
    "invalid-proof",
    "channel-bindings-dont-match",
    "unknown-user",
    "invalid-username-encoding",
    "other-error",
)

# Token endpoints: temporary errors. Numbers are Microsoft's (AADSTS).
_TOKEN_TEMPORARY = frozenset(
    ("temporarily_unavailable", "slow_down", "server_error", "50033", "50196", "90006", "90024", "90033", "90055")
)
# Errors about the scope: the credential may work for another scope.
_TOKEN_SCOPE = frozenset(
    (
        *("invalid_scope", "invalid_resource", "invalid_target", "consent_required", "access_denied"),
        *("28002", "65001", "70011", "90094", "500011", "650056", "650057", "700022"),
    )
)
_HTTP_TEMPORARY = (408, 425, 429)


def refused_sign_in(observation: Observation, *, is_encrypted: bool, was_sent: bool) -> Refused:
    """Whether a failed sign-in refused the credential; `was_sent`: something derived from it was sent."""
    if observation.kind == "reply" and observation.code is None:
        return _refused_by_imap(observation, is_encrypted, was_sent)
    if observation.kind == "reply":
        return _refused_by_smtp(observation, is_encrypted, was_sent)
    if observation.kind == "refused_proof":
        return "" if observation.enhanced in SCRAM_PASSWORD_NOT_CHECKED else "everywhere"
    return "everywhere" if was_sent else ""


def refused_token(status: int | None, words: Collection[str]) -> Refused:
    """Whether a token endpoint refused the credential; `words` are its error and error codes."""
    if (status or 0) >= 500 or status in _HTTP_TEMPORARY or not _TOKEN_TEMPORARY.isdisjoint(words):
        return ""
    return "everywhere" if _TOKEN_SCOPE.isdisjoint(words) else "here"


def refused_user(observation: Observation) -> bool:
    """Whether a token endpoint refused the user (RFC 6749, 5.2), not the application or the scope."""
    return observation.refused == "everywhere" and "invalid_grant" in observation.enhanced.split()


def _refused_by_smtp(observation: Observation, is_encrypted: bool, was_sent: bool) -> Refused:
    code, enhanced = observation.code or 0, observation.enhanced
    is_about_security = enhanced.startswith("5.7.")
    if code < 500 and not enhanced.startswith("5.") and enhanced[1:] != _WRONG_CREDENTIALS:
        return ""
    if code in _SMTP_NEEDS_ENCRYPTION and not is_encrypted:
        return ""
    if code in _SMTP_UNKNOWN and not is_about_security:
        return ""
    if code == _SMTP_MALFORMED and not is_about_security:
        return "here" if was_sent else ""
    if enhanced == "5.7.30" or (enhanced == "5.7.139" and _SMTP_AUTH_IS_OFF in observation.text.lower()):
        return "here"
    return "everywhere"


def _refused_by_imap(observation: Observation, is_encrypted: bool, was_sent: bool) -> Refused:
    status = observation.enhanced.partition(" ")[0]
    text = observation.text.strip().upper()
    text = text[len("BYE ") :] if text.startswith("BYE ") else text
    if text.startswith(_IMAP_TEMPORARY) or (text.startswith(_IMAP_NEEDS_ENCRYPTION) and not is_encrypted):
        return ""
    if text.startswith(_IMAP_NOT_AUTHORIZED):
        return "here"
    if status == "BAD":
        return "here" if was_sent else ""
    return "everywhere" if status == "NO" or was_sent else ""
