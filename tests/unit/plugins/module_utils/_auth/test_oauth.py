# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._auth import oauth, passwords
from ansible_collections.mailroom.core.plugins.module_utils._auth.oauth import (
    OAuthBearer,
    TokenMechanism,
    XOAuth2,
    choose_token_mechanism,
    explain_token_refusal,
)
from ansible_collections.mailroom.core.plugins.module_utils._auth.tokens import Token
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
MECHANISMS = pytest.mark.parametrize("mechanism", [OAuthBearer, XOAuth2])
REASON = {"status": "invalid_token", "schemes": "bearer", "scope": "https://mail.google.com/"}


def _kind(error: pytest.ExceptionInfo[ProbeError]) -> str:
    return error.value.observation.kind


def test_oauthbearer_says_what_the_rfc_does() -> None:
    mechanism = OAuthBearer("user@example.com", Secret(TOKEN), "server.example.com", 143)
    # RFC 7628, section 4.1.
    assert base64.b64encode(mechanism.initial_response()) == (
        b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxb"
        b"VRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )


def test_xoauth2_says_what_google_documents() -> None:
    mechanism = XOAuth2("someuser@example.com", Secret("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"))
    assert base64.b64encode(mechanism.initial_response()) == (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRX"
        b"VZMjl0Q2cBAQ=="
    )


def test_commas_and_equals_signs_in_a_name_are_escaped() -> None:
    assert OAuthBearer("a=b,c", Secret(TOKEN)).initial_response().startswith(b"n,a=a=3Db=2Cc,\x01auth=")
    assert XOAuth2("a=b,c", Secret(TOKEN)).initial_response().startswith(b"user=a=b,c\x01")


@MECHANISMS
@pytest.mark.parametrize("username", ["a\x01auth=Bearer x", "a\r\nb", "a\x00", "a\x7f", "a\u2028b"])
def test_a_name_cannot_end_its_field(mechanism: type[TokenMechanism], username: str) -> None:
    with pytest.raises(ProbeError) as stopped:
        mechanism(username, Secret(TOKEN)).initial_response()
    assert _kind(stopped) == "unfit_secret"


@MECHANISMS
@pytest.mark.parametrize("token", ["", "a b", "a\x01b", "a\r\nb", "tök"])
def test_a_token_cannot_end_its_field(mechanism: type[TokenMechanism], token: str) -> None:
    with pytest.raises(ProbeError) as stopped:
        mechanism("user", Secret(token)).check()
    assert _kind(stopped) == "unfit_secret"
    assert not token or token not in str(stopped.value)


@MECHANISMS
def test_somebody_must_sign_in(mechanism: type[TokenMechanism]) -> None:
    with pytest.raises(ProbeError) as stopped:
        mechanism("", Secret(TOKEN)).check()
    assert _kind(stopped) == "config"


@MECHANISMS
def test_a_name_beyond_ascii_is_sent_in_utf_8(mechanism: type[TokenMechanism]) -> None:
    assert "jörg@example.com".encode() in mechanism("jörg@example.com", Secret(TOKEN)).initial_response()


@pytest.mark.parametrize(("mechanism", "dummy_response"), [(OAuthBearer, b"\x01"), (XOAuth2, b"")])
def test_the_servers_reason_is_answered_and_kept(mechanism: type[TokenMechanism], dummy_response: bytes) -> None:
    signing_in = mechanism("user", Secret(TOKEN))
    signing_in.initial_response()
    assert signing_in.respond(json.dumps({**REASON, "other": "x"}).encode()) == dummy_response
    assert signing_in.error_details == REASON
    observation = signing_in.add_error_details(Observation("reply", "auth", "smtp", 535, "5.7.8", "Refused"))
    assert observation.text == "Refused (status invalid_token, schemes bearer, scope https://mail.google.com/)"


@MECHANISMS
def test_a_second_challenge_is_out_of_place(mechanism: type[TokenMechanism]) -> None:
    signing_in = mechanism("user", Secret(TOKEN))
    signing_in.respond(b"")
    with pytest.raises(ProbeError) as stopped:
        signing_in.respond(b"")
    assert _kind(stopped) == "protocol"


@MECHANISMS
def test_without_a_reason_a_refusal_stays_what_it_is(mechanism: type[TokenMechanism]) -> None:
    observation = Observation("reply", "auth", "imap", None, "NO", "AUTHENTICATE failed.")
    signing_in = mechanism("user", Secret(TOKEN))
    assert signing_in.add_error_details(observation) is observation
    signing_in.respond(b"[1]")
    assert signing_in.add_error_details(observation) is observation


@given(
    st.sampled_from([OAuthBearer, XOAuth2]),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.sampled_from("aA1:{}\n\x00é\ud800"), max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["status", "schemes", "scope", "x"]), inner, max_size=4)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_reason_is_survived(mechanism: type[TokenMechanism], challenge: bytes) -> None:
    signing_in = mechanism("user", Secret(TOKEN))
    signing_in.respond(challenge)
    assert set(signing_in.error_details) <= set(oauth.ERROR_DETAILS)
    assert all(value.isprintable() or not value for value in signing_in.error_details.values())


@MECHANISMS
def test_a_token_that_comes_back_is_hidden(mechanism: type[TokenMechanism]) -> None:
    signing_in = mechanism("user", Secret(TOKEN))
    for form in (TOKEN, base64.b64encode(signing_in.initial_response()).decode()):
        again = mechanism("user", Secret(TOKEN))
        again.respond(json.dumps({"status": f"x{form}x"}).encode())
        assert again.error_details["status"] == "x********x"
    assert TOKEN not in repr(vars(signing_in))


def test_the_standard_is_preferred() -> None:
    assert choose_token_mechanism(["PLAIN", "XOAUTH2", "OAUTHBEARER"], ()) is OAuthBearer
    assert choose_token_mechanism(["PLAIN", "XOAUTH2"], ()) is XOAuth2
    assert choose_token_mechanism(["XOAUTH2", "OAUTHBEARER"], ["XOAUTH2", "PLAIN"]) is XOAuth2


@pytest.mark.parametrize(
    ("offered", "allowed"),
    [(["PLAIN", "LOGIN"], []), ([], []), (["XOAUTH2"], ["OAUTHBEARER"]), (["XOAUTH2"], ["PLAIN"])],
)
def test_no_common_way_is_told_as_for_passwords(offered: list[str], allowed: list[str]) -> None:
    with pytest.raises(ProbeError) as stopped:
        choose_token_mechanism(offered, allowed)
    with pytest.raises(ProbeError) as by_password:
        passwords.choose_password_mechanism([], [])
    assert stopped.value.observation == by_password.value.observation


CLAIMS = {"aud": "https://outlook.office365.com", "roles": ["IMAP.AccessAsApp"], "exp": 0}
REFUSALS = (
    Observation("reply", "auth", "smtp", 535, "5.7.3", "Authentication unsuccessful"),
    Observation("reply", "auth", "smtp", 535, "5.7.8", "Bad credentials"),
    Observation("reply", "auth", "smtp", 535, "", "no"),
    Observation("reply", "auth", "imap", None, "NO", "AUTHENTICATE failed."),
    Observation("reply", "auth", "imap", None, "NO [AUTHENTICATIONFAILED]", "Invalid credentials"),
)
OTHERS = (
    Observation("reply", "auth", "smtp", 535, "5.7.139", "SmtpClientAuthentication is disabled"),
    Observation("reply", "auth", "smtp", 535, "5.7.30", "Basic authentication is not supported"),
    Observation("reply", "auth", "smtp", 454, "4.7.0", "Temporary"),
    Observation("reply", "auth", "imap", None, "NO [UNAVAILABLE]", "Later"),
    Observation("reply", "auth", "imap", None, "BAD", "What"),
    Observation("closed", "auth", "imap"),
)


@pytest.mark.parametrize("observation", REFUSALS)
@pytest.mark.parametrize(("provider", "kind"), [("microsoft", "_microsoft"), ("google", "_google"), ("other", "")])
def test_a_refused_token_is_told_with_its_claims(observation: Observation, provider: str, kind: str) -> None:
    told = explain_token_refusal(observation, Token(Secret(TOKEN), CLAIMS), provider)
    assert told.kind == f"token_refused{kind}"
    assert (told.text, told.code) == (observation.text, observation.code)
    assert told.facts["claims"] == (
        "aud https://outlook.office365.com; roles IMAP.AccessAsApp; exp 1970-01-01T00:00:00Z"
    )
    assert TOKEN not in repr(told)


@pytest.mark.parametrize("observation", OTHERS)
def test_another_reason_stays_what_it_is(observation: Observation) -> None:
    assert explain_token_refusal(observation, Token(Secret(TOKEN)), "microsoft").kind == observation.kind
