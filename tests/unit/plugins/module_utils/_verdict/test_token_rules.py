# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a token endpoint answers, and a refused token: the verdict, how certain it is, and what to do."""

from __future__ import annotations

import string
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._verdict import table
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose, matches, rules_for
from ansible_collections.mailroom.core.plugins.module_utils._verdict.google_rules import GOOGLE_TOKEN_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.microsoft_rules import MICROSOFT_TOKEN_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation
from ansible_collections.mailroom.core.plugins.module_utils._verdict.token_rules import (
    REFUSED_TOKEN_RULES,
    TOKEN_CONNECTION_RULES,
    TOKEN_RULES,
)

RULES = (*TOKEN_CONNECTION_RULES, *MICROSOFT_TOKEN_RULES, *GOOGLE_TOKEN_RULES, *TOKEN_RULES, *REFUSED_TOKEN_RULES)

# Microsoft's codes, as its reference of error codes groups them.
ENTRA: dict[str, str] = {
    "token_tenant": "90002 90038 900382 900432 9001023 50194",
    "token_client": "700016 700011 70001 7000112",
    "token_secret": "7000215 7000218 700025",
    "token_expired_secret": "7000222",
    "token_certificate": "700027 50012 700030 700021 700023 700024 70021 700211 700212 700213 5000819",
    "token_consent": "70011 28002 700022 500011 650057 65001 650056 90094",
    "token_user": "50034 51004 50020 50126 50056 50055 50057 50053",
    "token_mfa": "50076 50079 50072 50074 50158",
    "token_policy": "53003 530032 530035 53000 53001 53002",
    "token_throttled": "50196 90055 50033 90006 90024 90033",
}
CODES = [(code, verdict) for verdict, codes in ENTRA.items() for code in codes.split()]
ERRORS = (
    "invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope access_denied"
    " invalid_request temporarily_unavailable server_error invalid_resource invalid_tenant interaction_required"
    " consent_required login_required slow_down invalid_target device_only"
).split()
GOOGLE_ERRORS = "disabled_client deleted_client admin_policy_enforced org_internal".split()
TEXTS = (
    "",
    "Identity not found",
    "The certificate has expired",
    "Invalid JWT Signature.",
    "Invalid JWT: Token must be a short-lived token and in a reasonable timeframe. Check your iat and exp values",
    "Invalid grant: account not found",
)
TROUBLE = (
    "not_found name_temporary proxy refused unreachable certificate tls speaks_plain timeout reset closed protocol"
).split()


def _answer(error: str, text: str = "", code: int | None = 400, kind: str = "token") -> Observation:
    facts = {"token_server": "login.example.com", "client_id": "client-1", "scope": "mail", "token_user": "ann"}
    return Observation(kind, "token", "imap", code, error, text, facts)


def _signals() -> list[Observation]:
    entra = [_answer(f"invalid_client {code}") for code, _verdict in CODES]
    errors = [
        _answer(error, text, code, kind)
        for error, text, code, kind in product(
            ["", *ERRORS, *GOOGLE_ERRORS, "invalid_grant consent_required"],
            TEXTS,
            [None, 302, 400, 401, 404, 429, 500, 503],
            ["token", "token_google"],
        )
    ]
    certificates = [Observation("certificate", "token", code=code) for code in (10, 20, 62)]
    network = [Observation(kind, "token") for kind in (*TROUBLE, "no_identity_service")]
    refused = [Observation(f"token_refused{provider}", "auth") for provider in ("", "_microsoft", "_google")]
    return [*entra, *errors, *certificates, *network, *refused]


@pytest.mark.parametrize("error", ["invalid_client", "invalid_grant", "unauthorized_client"])
def test_code_of_microsoft_has_its_verdict_and_is_a_hint(error: str) -> None:
    findings = {code: diagnose(_answer(f"{error} {code}", f"AADSTS{code}: words")) for code, _verdict in CODES}
    assert {code: finding[:2] for code, finding in findings.items()} == {
        code: (verdict, "likely") for code, verdict in CODES
    }
    assert [code for code, finding in findings.items() if f"AADSTS{code}: words" not in finding.remedy] == []


def test_code_of_microsoft_is_compared_as_a_whole() -> None:
    codes = ("900021234", "7000215999", "5005", "9")
    assert {diagnose(_answer(f"device_only {code}")).verdict for code in codes} == {"token_endpoint"}


BY_ERROR = {
    "invalid_client": ("token_secret", "likely"),
    "invalid_grant": ("token_user", "likely"),
    "unauthorized_client": ("token_client", "certain"),
    "unsupported_grant_type": ("token_endpoint", "certain"),
    "invalid_scope": ("token_consent", "certain"),
    "access_denied": ("token_consent", "certain"),
    "invalid_tenant": ("token_tenant", "certain"),
    "consent_required": ("token_consent", "certain"),
    "invalid_grant consent_required": ("token_consent", "certain"),
    "interaction_required": ("token_mfa", "likely"),
    "temporarily_unavailable": ("token_throttled", "certain"),
    "server_error": ("token_endpoint", "likely"),
    "invalid_request": ("token_endpoint", "possible"),
    "invalid_clientele": ("token_endpoint", "possible"),
}


@pytest.mark.parametrize("code", [400, 401, None])
def test_error_of_oauth_has_its_verdict_whatever_the_status(code: int | None) -> None:
    assert {error: diagnose(_answer(error, "words", code))[:2] for error in BY_ERROR} == BY_ERROR


def test_a_client_that_signs_is_told_of_its_certificate() -> None:
    assert diagnose(_answer("invalid_client", "The assertion is bad")).verdict == "token_certificate"


BY_GOOGLE = {
    ("unauthorized_client", ""): "token_consent",
    ("access_denied", "Requested client not authorized."): "token_consent",
    ("invalid_grant", "Invalid JWT Signature."): "token_certificate",
    ("invalid_grant", "Invalid JWT: Token must be a short-lived token. Check your iat and exp"): "token_certificate",
    ("invalid_grant", "Invalid grant: account not found"): "token_client",
    ("invalid_grant", "Invalid email or User ID"): "token_user",
    ("invalid_client", "The OAuth client was not found."): "token_client",
    ("disabled_client", ""): "token_client",
    ("admin_policy_enforced", ""): "token_policy",
    ("invalid_scope", ""): "token_consent",
}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("invalid_client", "client_id (client-1)"),
        ("unauthorized_client", "(client-1) may not use this grant"),
        ("invalid_scope", "scope (mail)"),
        ("invalid_grant", "refused the user or the grant"),
    ],
)
def test_error_of_oauth_has_a_remedy_of_its_own(error: str, said: str) -> None:
    assert said in diagnose(_answer(error, "words")).remedy


def test_error_of_google_has_its_verdict() -> None:
    found = {(error, text): diagnose(_answer(error, text, kind="token_google")).verdict for error, text in BY_GOOGLE}
    assert found == BY_GOOGLE


def test_a_wrong_clock_is_told_apart_from_a_wrong_key() -> None:
    clock = diagnose(_answer("invalid_grant", "Check your iat and exp values", kind="token_google"))
    key = diagnose(_answer("invalid_grant", "Invalid JWT Signature.", kind="token_google"))
    assert "clock" in clock.remedy
    assert "clock" not in key.remedy


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(429, "token_throttled"), (404, "token_endpoint"), (500, "token_endpoint"), (302, "token_endpoint")],
)
def test_answer_without_an_error_is_judged_by_its_status(code: int, verdict: str) -> None:
    assert diagnose(_answer("", "an answer that is not JSON", code)).verdict == verdict


@pytest.mark.parametrize("kind", TROUBLE)
def test_trouble_on_the_way_is_the_token_endpoints_and_says_what_happened(kind: str) -> None:
    facts = {"token_server": "login.example.com:8443"}
    # What is known where this kind is observed: the certificate that was shown, and the step in which it happened.
    facts |= {"certificate": {"issuer": "CN=Example Root CA"}}.get(kind, {})
    facts |= dict.fromkeys({"step"} if kind in ("timeout", "reset", "closed") else (), "answering")
    finding = diagnose(Observation(kind, "token", "smtp", text="what happened", facts=facts))
    assert finding.verdict == "token_endpoint"
    assert "login.example.com:8443" in finding.remedy
    assert "not known" not in finding.remedy
    assert diagnose(Observation(kind, "tcp", "smtp", text="what happened")).verdict != "token_endpoint"


@pytest.mark.parametrize(("code", "word"), [(10, "expired"), (62, "does not match"), (20, "oauth2.ca_file")])
def test_trouble_with_the_token_endpoints_certificate_is_told_apart(code: int, word: str) -> None:
    assert word in diagnose(Observation("certificate", "token", code=code)).remedy


def test_an_expired_issuer_of_the_token_endpoints_certificate_is_the_endpoints_trouble() -> None:
    finding = diagnose(Observation("issuer_expired", "token", code=10))
    assert finding.verdict == "token_endpoint"
    assert "expired" in finding.remedy


def test_a_file_that_cannot_be_used_is_the_declarations_fault() -> None:
    assert diagnose(Observation("config", "token", text="assertion_file /x cannot be read")).verdict == "config_invalid"


def test_a_machine_without_an_identity_is_told_so() -> None:
    finding = diagnose(Observation("no_identity_service", "token", text="no answer in time"))
    assert (finding.verdict, finding.certainty) == ("token_endpoint", "likely")
    assert "managed_identity works only" in finding.remedy


def test_remedy_for_exchange_names_the_causes_in_order() -> None:
    facts = {"claims": "aud x; roles y", "client_id": "client-1", "username": "ann@example.com"}
    finding = diagnose(
        Observation("token_refused_microsoft", "auth", "imap", None, "NO", "AUTHENTICATE failed.", facts)
    )
    assert (finding.verdict, finding.certainty) == ("auth_rejected", "likely")
    words = (
        "aud x; roles y",
        "New-ServicePrincipal -AppId client-1",
        "Enterprise applications",
        "Add-MailboxPermission -Identity ann@example.com",
        "Set username (ann@example.com)",
        "aud is not the address of Outlook",
        "AUTHENTICATE failed.",
    )
    places = [finding.remedy.find(word) for word in words]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("provider", ["_google", ""])
def test_remedy_for_other_servers_does_not_mention_exchange(provider: str) -> None:
    finding = diagnose(Observation(f"token_refused{provider}", "auth", "imap", None, "NO", "Refused."))
    assert finding.verdict == "auth_rejected"
    assert "Exchange" not in finding.remedy
    assert "Refused." in finding.remedy


def test_every_rule_is_the_first_that_fits_some_observation() -> None:
    reached = {
        id(next((rule for rule in rules_for(observation) if matches(rule, observation)), None))
        for observation in _signals()
    }
    assert not [line for line in RULES if id(line) not in reached]


def test_every_verdict_about_tokens_has_a_rule() -> None:
    about_tokens = {name for name in table.REMEDIES if name.startswith("token_")}
    assert {rule.verdict for rule in RULES} == {*about_tokens, "auth_rejected"}


def _speaks_of(remedy: str) -> set[str]:
    return {str(name) for _text, name, _spec, _conversion in string.Formatter().parse(remedy) if name is not None}


KNOWN = (
    "text username issuer names token_server token_user client_id tenant_id cloud scope claims service_account"
    " managed_identity step"
)
REMEDIES = {rule.remedy for rule in RULES} | {
    remedy for name, remedy in table.REMEDIES.items() if name.startswith("token_")
}


def test_remedy_about_tokens_names_only_what_can_be_known() -> None:
    assert [remedy for remedy in REMEDIES if _speaks_of(remedy) - set(KNOWN.split())] == []


def test_no_remedy_blames_the_password_alone() -> None:
    assert not [remedy for remedy in REMEDIES if "wrong password" in remedy]


HOSTILE = st.text(st.sampled_from("{}!:.[]0a\n\r\x00\x1b é"), max_size=20)


@given(
    st.sampled_from(_signals()),
    HOSTILE,
    HOSTILE,
    st.dictionaries(
        st.sampled_from(KNOWN.split()), HOSTILE | st.none() | st.integers() | st.lists(HOSTILE, max_size=3)
    ),
)
def test_any_answer_is_judged(observation: Observation, enhanced: str, text: str, facts: dict[str, object]) -> None:
    finding = diagnose(observation.with_context(enhanced=enhanced, text=text, facts=facts))
    assert finding.verdict.startswith(("token_", "auth_rejected"))
    assert finding.remedy
    assert "\n" not in finding.remedy
