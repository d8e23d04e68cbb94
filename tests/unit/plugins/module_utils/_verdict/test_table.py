# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables: complete, reachable line by line, and harmless to fill."""

from __future__ import annotations

import re
import string
from itertools import chain, product

import pytest
import replies
import update_fragments
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._verdict.connection_rules import CONNECTION_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import (
    NO_RULE,
    diagnose,
    matches,
    rules_for,
)
from ansible_collections.mailroom.core.plugins.module_utils._verdict.google_rules import GOOGLE_TOKEN_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.graph_rules import GRAPH_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.imap_rules import IMAP_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.microsoft_rules import MICROSOFT_TOKEN_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import (
    KINDS,
    PERHAPS_ACCEPTED,
    Kind,
    Observation,
)
from ansible_collections.mailroom.core.plugins.module_utils._verdict.rule import OTHER_REPLIES, Rule
from ansible_collections.mailroom.core.plugins.module_utils._verdict.smtp_rules import SMTP_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.token_rules import (
    REFUSED_TOKEN_RULES,
    TOKEN_CONNECTION_RULES,
    TOKEN_RULES,
)

# Section 5 of the contract.
GROUPS = {
    "fine": "ok",
    "configuration": "config_invalid",
    "host": "host_not_ready",
    "name and network": "dns_not_found dns_temporary connect_refused connect_timeout connect_unreachable"
    " connection_reset proxy_failed",
    "talking": "greeting_timeout greeting_rejected client_blocked protocol_error response_timeout",
    "encryption": "security_mismatch starttls_missing starttls_refused starttls_injection tls_untrusted"
    " tls_name_mismatch tls_expired tls_not_yet_valid tls_version tls_handshake tls_timeout",
    "signing in": "auth_required auth_unsupported auth_rejected auth_disabled auth_temporary token_endpoint"
    " token_tenant token_client token_secret token_expired_secret token_certificate token_consent token_user"
    " token_mfa token_policy token_throttled",
    "mailbox": "mailbox_missing mailbox_denied mailbox_full",
    "sending": "sender_rejected recipient_rejected relay_denied message_too_large message_rejected throttled"
    " delivery_timeout",
    "ours": "internal_error",
}
REPLY_RULES = [
    *((("smtp", phase), rules) for phase, rules in SMTP_RULES.items()),
    *((("imap", phase), rules) for phase, rules in IMAP_RULES.items()),
    (("", ""), OTHER_REPLIES),
]
RULES: list[Rule] = [
    *CONNECTION_RULES,
    *GRAPH_RULES,
    *MICROSOFT_TOKEN_RULES,
    *GOOGLE_TOKEN_RULES,
    *TOKEN_CONNECTION_RULES,
    *TOKEN_RULES,
    *REFUSED_TOKEN_RULES,
    *(rule for _where, rules in REPLY_RULES for rule in rules),
]
# The lines of others: token errors.
OF_OTHERS = {name for name in REMEDIES if name.startswith("token_")} | {"ok"}

PHASES = ("", *"dns tcp tls greeting ehlo capability starttls auth sender recipient message select".split())
CERTIFICATE_CODES = (9, 10, 18, 20, 62, 63, 64, 66, 67, 79, 85, 92)
CODES = (421, 432, 450, 451, 452, 454, 500, 501, 504, 523, 530, 534, 535, 538, 550, 551, 552, 553, 554)
ENHANCED = (
    "",
    *"5.1.1 5.7.9 4.1.8 4.2.2 4.3.2 5.2.2 5.2.3 5.3.4 4.7.1 5.7.1 5.7.3 5.7.8 5.7.10 5.7.13 5.7.25 5.7.30".split(),
    *"5.7.57 5.7.139 5.7.606 5.7.705 5.2.252".split(),
)
RESPONSES = (
    *("NO", "BAD", "BYE", "BYE [UNAVAILABLE]"),
    *(f"NO [{code}]" for code in "UNAVAILABLE INUSE LIMIT PRIVACYREQUIRED EXPIRED CONTACTADMIN".split()),
    *(f"NO [{code}]" for code in "AUTHORIZATIONFAILED NONEXISTENT TRYCREATE NOPERM OVERQUOTA SERVERBUG".split()),
)
TEXTS = (
    "",
    "PROTOCOL_VERSION",
    "CERTIFICATE_REQUIRED",
    "A client certificate is required",
    "SmtpClientAuthentication is disabled",
    "security defaults",
    "Application-specific password required",
    "Authentication required",
    "Permission denied",
    "Relay access denied",
    "Too many connections",
    "Web login required",
    "IMAP access is disabled for this account",
    "User is authenticated but not connected",
    "Mailbox is locked",
    "Must issue a STARTTLS command first",
    "Sender address rejected: not owned by user",
    "Client host blocked using zen.spamhaus.org",
    "Helo command rejected: need fully-qualified hostname",
    "Temporary authentication failure",
    "The user credentials were incorrect",
    "Recipient address rejected: User unknown",
    "Message size exceeds fixed limit",
    "Your password is too simple",
    "The service is closed to you: see HL:ITC",
    "The access token has expired, send an expired token no more",
)


def _signals() -> list[Observation]:
    plain = [Observation(kind, phase) for kind, phase in product(KINDS, PHASES)]
    certificates = [Observation("certificate", "tls", code=code) for code in CERTIFICATE_CODES]
    lost = [Observation(kind, "message", text=PERHAPS_ACCEPTED) for kind in ("timeout", "closed", "protocol")]
    tls = [Observation("tls", "tls", text=text) for text in TEXTS]
    smtp = [
        Observation("reply", phase, "smtp", code, enhanced, text)
        for phase, code in product(PHASES, CODES)
        for enhanced, text in (*product(ENHANCED, ("",)), *product(("",), TEXTS))
    ]
    imap = [
        Observation("reply", phase, "imap", None, response, text)
        for phase, response, text in product(PHASES, RESPONSES, TEXTS)
    ]
    # The one rule that looks for an enhanced code and words at once.
    both = Observation("reply", "auth", "smtp", 535, "5.7.139", "The user credentials were incorrect")
    return [*plain, *certificates, *lost, *tls, *smtp, both, *imap]


def test_the_table_has_exactly_the_verdicts_of_the_contract() -> None:
    described = update_fragments.read_descriptions("verdicts")
    assert {name: described[name]["group"] for name in REMEDIES} == {
        name: group for group, names in GROUPS.items() for name in names.split()
    }


def test_every_verdict_but_ok_has_a_remedy() -> None:
    assert [name for name, remedy in REMEDIES.items() if not remedy] == ["ok"]


def test_every_line_leads_to_a_verdict_of_the_table_and_every_verdict_has_a_line() -> None:
    of_servers = (*CONNECTION_RULES, *GRAPH_RULES, *(rule for _where, rules in REPLY_RULES for rule in rules))
    assert {rule.verdict for rule in of_servers} == set(REMEDIES) - OF_OTHERS
    assert {line.certainty for _where, lines in REPLY_RULES for line in lines} == {"certain", "likely", "possible"}


GRAPH_CODES = (
    *("InvalidAuthenticationToken", "ErrorAccessDenied", "ErrorSendAsDenied", "MailboxNotEnabledForRESTAPI"),
    *("ErrorMessageSizeExceeded", "ErrorQuotaExceeded", "ErrorInvalidRecipients", "ErrorInvalidUser", "UnknownError"),
)


def _of_graph() -> list[Observation]:
    lost = Observation("graph", "message", "graph", 502, "", PERHAPS_ACCEPTED)
    trouble = [Observation(kind, "mailbox", "graph") for kind in ("timeout", "closed", "protocol")]
    statuses = (302, 400, 401, 403, 404, 413, 429, 500, 503)
    return [
        lost,
        *trouble,
        *(
            Observation("graph", phase, "graph", status, code)
            for phase, status, code in product(("mailbox", "message"), statuses, GRAPH_CODES)
        ),
    ]


@pytest.mark.parametrize(
    ("lines", "observations"), [(CONNECTION_RULES, _signals()), (GRAPH_RULES, _of_graph())], ids=["mail", "graph"]
)
def test_every_line_is_the_first_that_fits_something(lines: tuple[Rule, ...], observations: list[Observation]) -> None:
    reached = {id(next((line for line in lines if matches(line, observation)), None)) for observation in observations}
    dead = [line for line in lines if id(line) not in reached]
    assert not dead


@pytest.mark.parametrize(
    ("phase", "status", "code", "verdict"),
    [
        ("mailbox", 401, "InvalidAuthenticationToken", "auth_rejected"),
        ("mailbox", 404, "ErrorInvalidUser", "mailbox_missing"),
        ("mailbox", 404, "ResourceNotFound", "mailbox_missing"),
        ("mailbox", 404, "MailboxNotEnabledForRESTAPI", "mailbox_missing"),
        ("mailbox", 429, "ApplicationThrottled", "throttled"),
        ("mailbox", 503, "", "throttled"),
        ("mailbox", 200, "", "protocol_error"),
        ("message", 403, "ErrorAccessDenied", "mailbox_denied"),
        ("message", 403, "ErrorSendAsDenied", "sender_rejected"),
        ("message", 400, "ErrorInvalidRecipients", "recipient_rejected"),
        ("message", 400, "ErrorMimeContentInvalidBase64String", "message_rejected"),
        ("message", 400, "ErrorMessageSizeExceeded", "message_too_large"),
        ("message", 413, "", "message_too_large"),
        ("message", 507, "ErrorQuotaExceeded", "mailbox_full"),
    ],
)
def test_error_of_graph_has_its_verdict(phase: str, status: int, code: str, verdict: str) -> None:
    assert diagnose(Observation("graph", phase, "graph", status, code, "No")).verdict == verdict


def test_message_that_graph_may_have_accepted_is_not_to_be_sent_again() -> None:
    finding = diagnose(Observation("graph", "message", "graph", 502, "", PERHAPS_ACCEPTED))
    assert (finding.verdict, finding.certainty) == ("throttled", "possible")
    assert "before sending it again" in finding.remedy


def test_connection_to_graph_that_ends_is_graphs_trouble_where_the_mailbox_is_read() -> None:
    mailbox, message = (diagnose(Observation("closed", phase, "graph")) for phase in ("mailbox", "message"))
    assert "Graph did not answer" in mailbox.remedy
    assert "Graph did not answer" not in message.remedy


LONGER_CODES = (
    ("auth", 550, "5.7.301", "auth_disabled"),
    ("sender", 550, "5.7.570", "auth_required"),
    ("sender", 550, "5.3.40", "message_too_large"),
    ("recipient", 554, "5.2.252", "mailbox_full"),
    ("recipient", 454, "4.7.12", "relay_denied"),
)


def test_enhanced_code_is_matched_as_a_whole() -> None:
    observations = [(Observation("reply", row[0], "smtp", row[1], row[2], "No"), row[3]) for row in LONGER_CODES]
    assert [observation for observation, verdict in observations if diagnose(observation).verdict == verdict] == []


def _fields(remedy: str) -> set[str]:
    return {str(name) for _text, name, _spec, _conversion in string.Formatter().parse(remedy) if name is not None}


OWN_REMEDIES = {remedy for name, remedy in REMEDIES.items() if name not in OF_OTHERS}


def test_remedy_names_only_what_can_be_known() -> None:
    known = "host port security better_security username protocol phase text offered issuer names not_after"
    known += " size_limit speaks mailbox"
    remedies = OWN_REMEDIES | {line.remedy for line in (*CONNECTION_RULES, *GRAPH_RULES)}
    assert [remedy for remedy in remedies if _fields(remedy) - set(known.split())] == []


HOSTILE = st.text(st.sampled_from("{}!:.[]0a\n\r\x00\x1b é"), max_size=20)


@given(
    st.sampled_from(_signals()),
    HOSTILE,
    st.dictionaries(
        st.sampled_from("host port names issuer not_after offered text phase username extra".split()),
        HOSTILE | st.none() | st.integers() | st.lists(HOSTILE, max_size=3),
    ),
)
def test_any_facts_and_any_text_fill_a_remedy(observation: Observation, text: str, facts: dict[str, object]) -> None:
    finding = diagnose(observation.with_context(text=text, facts=facts))
    assert finding.verdict in REMEDIES
    assert finding.remedy
    assert "\n" not in diagnose(observation.with_context(text=text)).remedy


def test_a_servers_braces_stay_what_they_are() -> None:
    observation = Observation("reply", "greeting", "smtp", 554, "", "go {away} {0.__class__} {text} {")
    assert diagnose(observation).remedy.endswith("The server says: go {away} {0.__class__} {text} {")


@pytest.mark.parametrize("code", [10, 20, 62])
@pytest.mark.parametrize("facts", [{}, {"issuer": "", "names": (), "not_after": ""}], ids=["no facts", "empty facts"])
def test_what_is_not_known_of_a_certificate_is_left_out(code: int, facts: dict[str, object]) -> None:
    remedy = diagnose(
        Observation("certificate", "tls", "smtp", code, facts={"host": "mail.example.com", **facts})
    ).remedy
    assert [gap for gap in ("not known", "()", "{") if gap in remedy] == []


def test_every_kind_has_a_rule_that_fits_whatever_else_was_observed() -> None:
    def has_one(kind: Kind, phase: str, protocol: str) -> bool:
        rules = rules_for(Observation(kind, phase, protocol))
        return any(kind in rule.kinds and not (rule.phases or rule.reply or rule.text) for rule in rules)

    every = product(KINDS, PHASES, ("smtp", "imap", "graph"))
    assert [(kind, phase, protocol) for kind, phase, protocol in every if not has_one(kind, phase, protocol)] == []


def test_every_kind_in_the_tables_is_one_that_is_observed() -> None:
    assert {kind for line in RULES for kind in line.kinds} == set(KINDS)


def test_an_observation_without_a_line_is_our_own_error_and_not_certain() -> None:
    finding = diagnose(Observation("never heard of", "auth", text="five"))  # type: ignore[arg-type]
    assert finding[:2] == (NO_RULE.verdict, NO_RULE.certainty) == ("internal_error", "possible")
    assert all(word in finding.remedy for word in ("never heard of", "auth", "five"))


def test_a_mail_that_could_not_be_removed_has_a_verdict() -> None:
    finding = diagnose(
        Observation("not_removed", "delivery", "imap", text="INBOX can only be read", facts={"username": "ann"})
    )
    assert (finding.verdict, finding.certainty) == ("mailbox_denied", "likely")
    assert "INBOX can only be read" in finding.remedy


def test_each_reply_rule_is_the_first_that_fits_some_reply() -> None:
    real = [reply for name in ("given", "gathered") for reply in replies.read(name)]
    smtp = [
        re.match(r"(\d{3})[ -](?:(\d\.\d+\.\d+) )?(.*)", each.reply, re.DOTALL)
        for each in real
        if each.protocol == "smtp"
    ]
    imap = [
        re.match(r"(?:\* )?(\w+(?: \[[A-Z]+\])?) ?(.*)", each.reply, re.DOTALL)
        for each in real
        if each.protocol == "imap"
    ]
    said = [
        *(Observation("reply", phase, "smtp", int(it[1]), it[2] or "", it[3]) for phase in PHASES for it in smtp if it),
        *(Observation("reply", phase, "imap", None, it[1], it[2]) for phase in PHASES for it in imap if it),
    ]
    waiting = {id(line): (where, line) for where, lines in REPLY_RULES[:-1] for line in lines}
    for observation in chain(said, _signals()):
        waiting.pop(id(next(line for line in rules_for(observation) if matches(line, observation))), None)
        if not waiting:
            break
    assert [*waiting.values()] == []
