# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Whether a failed sign-in refused the credential. It is decided by protocol codes: accounts get locked by repetition.

Where a credential was sent, and nothing says that it was not judged or may be tried again, it counts as refused: some
servers answer a wrong password by closing the connection, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection

from .._verdict.observation import Observation, Refused

# SMTP: the command or the mechanism is not known, so that nobody looked at the credential.
_SMTP_UNKNOWN = (500, 502, 503, 504)
_SMTP_NEEDS_ENCRYPTION = (530, 538)
_SMTP_MALFORMED = 501
_WRONG_CREDENTIALS = ".7.8"  # of an enhanced code; some servers give it with 454, which they should not
_SMTP_AUTH_IS_OFF = "smtpclientauthentication is disabled"  # Exchange has one code, 5.7.139, for this and for others

# IMAP: response codes of RFC 5530. They count at the beginning of a reply only.
_IMAP_TEMPORARY = ("[UNAVAILABLE", "[INUSE", "[LIMIT", "[SERVERBUG")
_IMAP_NEEDS_ENCRYPTION = "[PRIVACYREQUIRED"
_IMAP_NOT_AUTHORIZED = "[AUTHORIZATIONFAILED"

# SCRAM: errors of RFC 5802 that say nothing of the password.
SCRAM_NOT_JUDGED = (
    "no-resources",
    "extensions-not-supported",
    "server-does-support-channel-binding",
    "channel-binding-not-supported",
    "unsupported-channel-binding-type",
)
SCRAM_ERRORS = (
    *SCRAM_NOT_JUDGED,
    "invalid-encoding",
    "invalid-proof",
    "channel-bindings-dont-match",
    "unknown-user",
    "invalid-username-encoding",
    "other-error",
)

# Token endpoints: what passes. Numbers are Microsoft's (AADSTS).
_TOKEN_TEMPORARY = frozenset(
    ("temporarily_unavailable", "slow_down", "server_error", "50033", "50196", "90006", "90024", "90033", "90055")
)
# What the credential may not be used for, which says nothing of another scope.
_TOKEN_SCOPE = frozenset(
    (
        *("invalid_scope", "invalid_resource", "invalid_target", "consent_required", "access_denied"),
        *("28002", "65001", "70011", "90094", "500011", "650056", "650057", "700022"),
    )
)
_HTTP_TEMPORARY = (408, 425, 429)


def refused_sign_in(observation: Observation, *, is_encrypted: bool, was_sent: bool) -> Refused:
    """What an attempt to sign in says of the credential; `was_sent` tells whether anything made of it went out."""
    if observation.kind == "reply" and observation.code is None:
        return _by_imap(observation, is_encrypted, was_sent)
    if observation.kind == "reply":
        return _by_smtp(observation, is_encrypted, was_sent)
    if observation.kind == "refused_proof":
        return "" if observation.enhanced in SCRAM_NOT_JUDGED else "everywhere"
    return "everywhere" if was_sent else ""


def refused_token(status: int | None, words: Collection[str]) -> Refused:
    """What the answer of a token endpoint says of the credential: its HTTP status, its error and its numbers."""
    if (status or 0) >= 500 or status in _HTTP_TEMPORARY or not _TOKEN_TEMPORARY.isdisjoint(words):
        return ""
    return "everywhere" if _TOKEN_SCOPE.isdisjoint(words) else "here"


def refused_user(observation: Observation) -> bool:
    """Whether a token endpoint refused the user (RFC 6749, 5.2), and not the application or what it asks for."""
    return observation.refused == "everywhere" and "invalid_grant" in observation.enhanced.split()


def _by_smtp(observation: Observation, is_encrypted: bool, was_sent: bool) -> Refused:
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


def _by_imap(observation: Observation, is_encrypted: bool, was_sent: bool) -> Refused:
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
