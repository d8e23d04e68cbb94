# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mail administrator would say of each fault: where it is, its verdict, and how certain that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from peers import imap, smtp

CERTAIN, LIKELY, POSSIBLE, ANY = "certain", "likely", "possible", ""

SECTION_5 = """
    ok config_invalid dns_not_found dns_temporary connect_refused connect_timeout connect_unreachable
    connection_reset proxy_failed greeting_timeout greeting_rejected client_blocked protocol_error response_timeout
    security_mismatch starttls_missing starttls_refused starttls_injection tls_untrusted tls_name_mismatch
    tls_expired tls_not_yet_valid tls_version tls_handshake tls_timeout auth_required auth_unsupported auth_rejected
    auth_disabled auth_temporary token_endpoint token_tenant token_client token_secret token_expired_secret
    token_certificate token_consent token_user token_mfa token_policy token_throttled mailbox_missing mailbox_denied
    mailbox_full sender_rejected recipient_rejected relay_denied message_too_large message_rejected throttled
    delivery_timeout host_not_ready internal_error
""".split()
OF_TOKENS_AND_GRAPH = {name for name in SECTION_5 if name.startswith("token_")}
OF_SENDING = {"message_rejected", "delivery_timeout"}


class Expected(NamedTuple):
    """The phase that fails, the verdict, and how certain it is; more than one where the server's pace decides."""

    phases: frozenset[str]
    verdicts: frozenset[str]
    certainty: str

    def fits(self, phase: str, verdict: str, certainty: str) -> bool:
        """Whether this is what was expected."""
        return phase in self.phases and verdict in self.verdicts and self.certainty in (ANY, certainty)


def expect(phases: str, verdicts: str, certainty: str = CERTAIN) -> Expected:
    """Phases and verdicts in a word each, or in several."""
    return Expected(frozenset(phases.split() or [""]), frozenset(verdicts.split()), certainty)


OK = expect("", "ok")
# Plain text instead of a handshake: whether it is read with the reply to STARTTLS or after it is up to the network.
PLAIN_TEXT = expect("tls", "starttls_injection security_mismatch")

# The phase of a result for each phase of a script, as far as a test of this depth goes; it does not matter how the
# server behaves in any other phase, nor whether it knows how to say good-bye.
SMTP_PHASES = {
    **{name: name for name in ("greeting", "ehlo", "starttls", "tls", "auth")},
    "ehlo_tls": "ehlo",
    "auth_step": "auth",
    "auth_end": "auth",
    "mail": "sender",
    "rcpt": "recipient",
}
IMAP_PHASES = {
    **{name: name for name in ("greeting", "capability", "starttls", "tls", "auth", "select")},
    "capability_tls": "capability",
    "auth_step": "auth",
    "auth_end": "auth",
}


def _behaviours(phase: str) -> dict[str, Expected]:
    timeout = {"greeting": "greeting_timeout", "tls": "tls_timeout"}.get(phase, "response_timeout")
    late, gone = expect(phase, timeout, LIKELY), expect(phase, "connection_reset", LIKELY)
    # A reset before the first word may be met while still connecting.
    reset = expect("greeting tcp", "connection_reset", LIKELY) if phase == "greeting" else gone
    noise = PLAIN_TEXT if phase == "tls" else expect(phase, "protocol_error", LIKELY)
    return {
        "silent": late,
        "drip": PLAIN_TEXT if phase == "tls" else late,
        "hang_up": gone,
        "reset": reset,
        **dict.fromkeys(("garbage", "flood", "endless_lines"), noise),
    }


def _everywhere(phases: Iterable[str], of_result: Mapping[str, str]) -> dict[str, Expected]:
    return {
        f"{phase}_{name}": expected if phase in of_result else OK
        for phase in phases
        for name, expected in _behaviours(of_result.get(phase, "")).items()
    }


def _each(phase: str, table: Mapping[str, tuple[str, str]]) -> dict[str, Expected]:
    of_result = {**SMTP_PHASES, **IMAP_PHASES}
    return {
        f"{phase}_{name}": expect(of_result[phase], verdict, certainty)
        for words, (verdict, certainty) in table.items()
        for name in words.split()
    }


_CERTIFICATES = {
    **dict.fromkeys(("near_end", "with_intermediate"), OK),
    **dict.fromkeys(("expired", "expired_intermediate"), expect("tls", "tls_expired")),
    "not_yet_valid": expect("tls", "tls_not_yet_valid"),
    **dict.fromkeys(("wrong_name", "no_names", "no_address"), expect("tls", "tls_name_mismatch")),
    **dict.fromkeys(
        ("other_ca", "self_signed", "missing_intermediate", "sha1", "sha1_intermediate", "loose_ca"),
        expect("tls", "tls_untrusted"),
    ),
}
_UNFIT_SCRAM = (
    "one_iteration no_iterations too_many_iterations wrong_nonce short_nonce error nothing extension not_text"
    " not_base64"
)
_BOTH = {
    **{f"certificate_{name}": expected for name, expected in _CERTIFICATES.items()},
    **{f"certificate_{name}_starttls": expected for name, expected in _CERTIFICATES.items()},
    **dict.fromkeys(("scram_wrong_signature", "scram_no_signature"), expect("auth", "auth_rejected")),
    **{f"scram_{name}": expect("auth", "protocol_error", LIKELY) for name in _UNFIT_SCRAM.split()},
    **dict.fromkeys(("too_many_challenges", "endless_challenges"), expect("auth", "protocol_error", LIKELY)),
    **dict.fromkeys(("tls_1_1", "tls_refused_version"), expect("tls", "tls_version")),
    "implicit_tls_silent": expect("tls", "tls_timeout", LIKELY),
    "implicit_tls_hang_up": expect("tls", "connection_reset", LIKELY),
    "implicit_tls_reset": expect("tls tcp", "connection_reset", LIKELY),  # before or after the first word
    **dict.fromkeys(("implicit_tls_alert", "tls_alert"), expect("tls", "tls_handshake", LIKELY)),
    "implicit_tls_garbage": expect("tls", "security_mismatch"),
    "tls_plain_text": PLAIN_TEXT,
    "plain_port_for_tls": OK,
    "tls_port_for_plain": expect("greeting", "security_mismatch"),
    # With TLS 1.3 the refusal of a client comes after the client's side of the handshake is over.
    "client_certificate_needed": expect("tls greeting", "tls_handshake", LIKELY),
    "speaks_http": expect("greeting", "greeting_timeout", LIKELY),
    **{f"speaks_{name}": expect("greeting", "protocol_error") for name in ("ssh", "pop3")},
    "speaks_mysql": expect("greeting", "protocol_error", LIKELY),
    "slow": OK,
    "no_starttls": expect("starttls", "starttls_missing"),
    "starttls_injection": expect("tls starttls", "starttls_injection"),
    "odd_case": OK,
}

# A client that is not known by the name it gives is told so (550, 501): another command does not help it. 421 means the
# same everywhere.
_HELLO = {"name_refused syntax": ("client_blocked", ANY), "busy": ("throttled", POSSIBLE)}
_AUTH = {
    "exchange_tenant_disabled exchange_mailbox_disabled exchange_security_defaults": ("auth_disabled", CERTAIN),
    "exchange_retired": ("auth_disabled", CERTAIN),
    "exchange_conditional_access": ("auth_disabled", LIKELY),
    "exchange_unsuccessful": ("auth_rejected", LIKELY),
    "app_password rejected rejected_bare": ("auth_rejected", CERTAIN),
    "too_weak encryption_needed": ("auth_unsupported", CERTAIN),
    "line_too_long not_supported not_enabled": ("auth_unsupported", CERTAIN),
    "temporary": ("auth_temporary", CERTAIN),
    "transition": ("auth_unsupported", ANY),  # RFC 4954: sign in once with PLAIN; waiting does not help
    "too_many_connections": ("throttled", ANY),
    "too_many_attempts": ("throttled", CERTAIN),
}
_MAIL = {
    "auth_needed exchange_not_authenticated": ("auth_required", CERTAIN),
    "starttls_needed": ("security_mismatch", ANY),  # credentials are given: it is encryption that is missing
    "exchange_send_as_denied exchange_send_as_denied_store not_owned rejected": ("sender_rejected", CERTAIN),
    "domain_not_found": ("sender_rejected", ANY),
    "too_large": ("message_too_large", CERTAIN),
    "storage": ("throttled", CERTAIN),
    "busy": ("throttled", LIKELY),
    "throttled": ("throttled", ANY),
}
_RCPT = {
    "unknown_user": ("recipient_rejected", CERTAIN),
    "relay_denied relay_denied_550 exchange_relay_denied": ("relay_denied", CERTAIN),
    "auth_needed": ("auth_required", LIKELY),
    "mailbox_full mailbox_full_now": ("mailbox_full", CERTAIN),
    "greylisted too_many": ("throttled", CERTAIN),
    "throttled": ("throttled", ANY),
    "storage": ("throttled", CERTAIN),
    "busy": ("throttled", POSSIBLE),
}
_GREETING = {
    "busy too_many temporary": ("throttled", CERTAIN),
    "blocklisted": ("client_blocked", CERTAIN),
    "refused": ("greeting_rejected", CERTAIN),
}
SMTP_EXPECTED: dict[str, Expected] = {
    **_everywhere([phase for phase in smtp.PHASES if phase not in ("helo", "noop")], SMTP_PHASES),
    **_BOTH,
    **_each("greeting", _GREETING),
    "ehlo_not_known": expect("starttls", "starttls_missing"),
    **_each("ehlo", _HELLO),
    **_each("starttls", {"temporary not_known syntax policy busy": ("starttls_refused", CERTAIN)}),
    "ehlo_tls_not_known": expect("auth", "auth_unsupported"),
    **_each("ehlo_tls", _HELLO),
    **_each("auth_end", _AUTH),
    **_each("mail", _MAIL),
    **_each("rcpt", _RCPT),
    **{f"data_{name}": OK for name in ("no_recipients", "storage", "rejected", "busy")},
    **{f"message_{name}": OK for name in ("too_large", "spam", "policy", "from_refused", "throttled", "storage")},
    **{f"message_{name}": OK for name in ("mailbox_full", "busy")},
    "login_not_base64": expect("auth", "protocol_error", LIKELY),
    "speaks_imap": expect("greeting", "protocol_error"),
    "greeting_endless": expect("greeting", "protocol_error", LIKELY),
    "greeting_many_lines": OK,
    "greeting_not_a_reply": expect("greeting", "protocol_error", LIKELY),
    "ehlo_other_codes": expect("ehlo starttls", "protocol_error starttls_missing client_blocked", ANY),
    "ehlo_many_lines": expect("ehlo", "protocol_error", LIKELY),
    **dict.fromkeys(("no_auth", "unknown_auth", "helo_only"), expect("auth", "auth_unsupported")),
    **dict.fromkeys(("auth_with_equals", "starttls_last", "auth_needed", "shutting_down"), OK),
}

_IMAP_AUTH = {
    "failed_bare web_login": ("auth_rejected", LIKELY),
    "failed alert expired": ("auth_rejected", CERTAIN),
    "unauthorized contact": ("auth_disabled", LIKELY),
    "privacy not_enabled": ("auth_disabled", CERTAIN),
    "unavailable in_use": ("auth_temporary", CERTAIN),
    "limit": ("throttled", ANY),  # "Too many simultaneous connections": as 432 4.3.2 in SMTP
    "bad": ("auth_unsupported", CERTAIN),  # as 500 in SMTP: the credentials were not judged
    "bye": ("throttled", CERTAIN),  # too many failed attempts, it says
    "bye_unavailable": ("auth_temporary", ANY),
}
# No such mailbox is only what a server says that knows it.
_SELECT = {
    "nonexistent nonexistent_bare": ("mailbox_missing", CERTAIN),
    "no_permission": ("mailbox_denied", CERTAIN),
    "over_quota": ("mailbox_full", CERTAIN),
    "unavailable": ("throttled", ANY),
    "alert server_bug": ("mailbox_denied throttled", ANY),
    "not_connected": ("mailbox_denied", LIKELY),
    "bye": ("connection_reset throttled", ANY),
}
IMAP_EXPECTED: dict[str, Expected] = {
    **_everywhere([phase for phase in imap.PHASES if phase not in ("search", "status", "noop", "close")], IMAP_PHASES),
    **_BOTH,
    # The first line is a good greeting; it is the reply to CAPABILITY that does not end.
    "greeting_endless_lines": expect("greeting capability", "protocol_error", LIKELY),
    **_each("greeting", {"bye": ("greeting_rejected", CERTAIN), "bye_unavailable bye_alert": ("throttled", LIKELY)}),
    **_each("starttls", {"no bad": ("starttls_refused", CERTAIN)}),
    **_each("auth_end", _IMAP_AUTH),
    **_each("select", _SELECT),
    "login_not_base64": Expected(frozenset(["", "auth"]), frozenset(["ok", "protocol_error"]), ANY),
    "speaks_smtp": expect("greeting", "protocol_error"),
    "greeting_not_imap": expect("greeting", "protocol_error", LIKELY),
    **dict.fromkeys(("login_disabled", "no_auth", "unknown_auth"), expect("auth", "auth_disabled")),
    **dict.fromkeys(("login_disabled_starttls", "greeting_alert", "quota_unknown"), OK),
    # Somebody is signed in already: nobody has refused the credentials, and there is no STARTTLS any more.
    "preauth": Expected(frozenset(["", "auth"]), frozenset(["ok", "auth_unsupported"]), ANY),
    "preauth_starttls": expect(
        "greeting starttls", "starttls_injection starttls_missing starttls_refused protocol_error", ANY
    ),
    "huge_literal": expect("capability", "response_timeout protocol_error", LIKELY),
    "huge_literal_list": expect("select", "protocol_error", LIKELY),
    "many_untagged": expect("select", "protocol_error", LIKELY),
    "wrong_tag": expect("capability", "protocol_error", LIKELY),
    "no_tagged_reply": expect("select", "response_timeout", LIKELY),
    "no_such_mailbox": expect("select", "mailbox_missing"),
}
EXPECTED = {("smtp", name): expected for name, expected in SMTP_EXPECTED.items()} | {
    ("imap", name): expected for name, expected in IMAP_EXPECTED.items()
}
