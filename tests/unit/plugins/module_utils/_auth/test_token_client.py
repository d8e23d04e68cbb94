# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What token endpoints answer: tokens, refusals, and anything else; and that no secret is shown again."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._auth.token_client import LONGEST_TEXT, TokenClient
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import (
    Observation,
    ProbeError,
    probe_error,
)

from .answers import Answer, Http, as_json, granted, jwt, refusal

SECRET = 's+%41 :/ "quoted" é'
URL = "https://login.example.com:8443/token"


def _asked(answer: Answer | Exception, kind: str = "token") -> TokenClient:
    exchange = TokenClient(Http(token=answer), Redaction([Secret(SECRET)]), kind)
    exchange.post(URL, data={"client_secret": "another-secret", "client_assertion": b"assertion-bytes"})
    return exchange


def _refused(answer: Answer, kind: str = "token") -> Observation:
    exchange = _asked(answer, kind)
    with pytest.raises(ProbeError) as stopped:
        exchange.parse_token(exchange.last_json())
    return stopped.value.observation


def test_a_token_is_a_secret_and_its_claims_are_not() -> None:
    value = jwt(aud="https://outlook.office365.com", roles=["IMAP.AccessAsApp"], secret="x")
    exchange = _asked(granted(value))
    token = exchange.parse_token(exchange.last_json())
    assert token.secret.reveal() == value
    assert token.claims == {"aud": "https://outlook.office365.com", "roles": ["IMAP.AccessAsApp"]}
    assert value not in f"{token!r} {token}"


def test_claims_do_not_show_a_secret_that_was_sent() -> None:
    exchange = _asked(granted(jwt(aud=f"x {SECRET}", roles=["another-secret"])))
    assert exchange.parse_token(exchange.last_json()).claims == {"aud": "x ********", "roles": ["********"]}


def test_a_refusal_is_told_in_full() -> None:
    observation = _refused(refusal("invalid_client", 7000215, status=401, description="Wrong value."))
    assert (observation.kind, observation.code, observation.enhanced) == ("token", 401, "invalid_client 7000215")
    link = "https://login.microsoftonline.com/error?code=7000215"
    assert observation.text == f"AADSTS7000215: Wrong value. (trace_id t-1, correlation_id c-1, link {link})"
    assert observation.facts == {
        "token_server": "login.example.com:8443",
        "error": "invalid_client",
        "error_codes": ["7000215"],
        "trace_id": "t-1",
        "correlation_id": "c-1",
        "http_status": 401,
        "link": link,
    }


def test_a_long_description_does_not_push_the_rest_out() -> None:
    text = _refused(refusal("invalid_client", 7000215, description="x" * 5000)).text
    assert len(text) == LONGEST_TEXT
    assert text.endswith("code=7000215)")


def test_codes_are_found_in_the_description_too() -> None:
    observation = _refused(as_json({"error": "invalid_grant", "error_description": "AADSTS50126: No."}, 400))
    assert observation.enhanced == "invalid_grant 50126"


def test_a_refusal_without_a_description_is_told_by_its_error() -> None:
    assert _refused(as_json({"error": "invalid_client"}, 401)).text == "invalid_client"


def test_an_error_may_be_an_object() -> None:
    observation = _refused(as_json({"error": {"code": "BadRequest", "message": "No."}}, 400))
    assert (observation.enhanced, observation.text) == ("BadRequest", "No.")


def test_when_to_come_back_is_told() -> None:
    observation = _refused(as_json({"error": "temporarily_unavailable"}, 429, **{"Retry-After": "7"}))
    assert observation.text == "temporarily_unavailable (retry_after 7)"


def test_the_kind_says_whose_refusal_it_is() -> None:
    assert _refused(as_json({"error": "invalid_grant"}, 400), "token_google").kind == "token_google"


NO_TOKENS = {
    "nothing": Answer(""),
    "a page": Answer("<html>", 200),
    "a list": as_json(["access_token"]),
    "a text": as_json("access_token"),
    "no token": as_json({"token_type": "Bearer"}),
    "an empty token": granted(""),
    "a token that is none": as_json({"access_token": {"a": 1}}),
    "a token with a line end": granted("a\r\nb"),
    "a token with a space": granted("a b"),
    "a token with a control character": granted("a\x01b"),
    "a token beyond ASCII": granted("tökén"),
    "a huge token": granted("x" * 70_000),
    "another type": granted("abcdef", token_type="mac"),
    "a deep answer": Answer("[" * 100_000),
    "a redirect": Answer("", 302),
}


@pytest.mark.parametrize("name", NO_TOKENS)
def test_what_is_no_token_is_not_used(name: str) -> None:
    observation = _refused(NO_TOKENS[name])
    assert observation.kind == "token"
    assert observation.text
    assert observation.code == (302 if name == "a redirect" else None)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", None])
def test_the_type_may_be_written_in_any_way(kind: str | None) -> None:
    exchange = _asked(as_json({"access_token": "abc", "token_type": kind}))
    assert exchange.parse_token(exchange.last_json()).secret.reveal() == "abc"


ECHOED = (
    SECRET,
    quote_plus(SECRET),
    base64.b64encode(SECRET.encode()).decode(),
    json.dumps(SECRET)[1:-1],
    "another-secret",
    "assertion-bytes",
    jwt(sub="somebody"),
)


@pytest.mark.parametrize("echoed", ECHOED)
def test_a_secret_that_comes_back_is_hidden(echoed: str) -> None:
    answer = refusal("invalid_client", 7000215, description=f"<{echoed}>")
    observation = _refused(answer)
    assert echoed not in repr(observation)
    assert "<********" in observation.text
    failed = _asked(Answer("")).translate_error(ValueError(f"Bad <{echoed}>"))
    assert echoed not in f"{failed} {failed.observation!r}"


def test_a_token_in_an_answer_that_fails_is_hidden() -> None:
    exchange = _asked(granted("opaque-access-token", id_token="opaque-id-token"))
    failed = exchange.translate_error(ValueError("Bad opaque-access-token, opaque-id-token"))
    assert failed.observation.text == "ValueError: Bad ********, ********"


def test_a_secret_in_a_header_is_hidden() -> None:
    exchange = TokenClient(Http(token=Answer("")), Redaction())
    exchange.get(URL, headers={"X-IDENTITY-HEADER": "header-secret", "Authorization": "Basic basic-secret"})
    assert exchange.redact("header-secret, basic-secret, Basic basic-secret") == "********, ********, Basic ********"


def test_trouble_on_the_way_says_with_whom() -> None:
    with pytest.raises(ProbeError) as stopped:
        _asked(probe_error("refused", "Connection refused", step="connecting"))
    observation = stopped.value.observation
    assert (observation.kind, observation.text) == ("refused", "Connection refused")
    assert observation.facts == {"step": "connecting", "token_server": "login.example.com:8443"}


def test_a_secret_in_the_name_of_a_server_that_another_has_named_is_hidden() -> None:
    exchange = TokenClient(
        Http(token=[Answer(""), probe_error("certificate", f"not valid for {SECRET}")]), Redaction([Secret(SECRET)])
    )
    exchange.post(URL)
    with pytest.raises(ProbeError) as stopped:
        exchange.post(f"https://x.{quote(SECRET, safe='')}.example.org/token")
    assert stopped.value.observation.text == "not valid for ********"
    assert str(stopped.value) == "not valid for ********"
    assert stopped.value.observation.facts == {"token_server": "x.********.example.org"}


def test_the_name_of_the_server_that_was_declared_is_shown_even_where_it_is_the_password() -> None:
    exchange = TokenClient(
        Http(token=probe_error("refused", "Connection refused")), Redaction([Secret("login.example.com")])
    )
    with pytest.raises(ProbeError) as stopped:
        exchange.post(URL)
    assert stopped.value.observation.facts == {"token_server": "login.example.com:8443"}


TEXTS = st.text(st.sampled_from('aA1:.-_{}<>\\"%\n\x00\x1bé\ud800'), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
NAMES = "error error_description error_codes trace_id correlation_id suberror access_token token_type".split()


ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES, VALUES),
        "access_token": VALUES | st.just("a-good-token"),
        "token_type": VALUES | st.just("Bearer"),
    },
)


@given(ANSWERS, st.sampled_from([200, 302, 400, 429, 503]))
def test_any_json_is_survived_and_shows_no_secret(told: dict[str, object], status: int) -> None:
    exchange = _asked(as_json(told, status))
    try:
        token = exchange.parse_token(exchange.last_json())
    except ProbeError as stopped:
        observation = stopped.observation
        assert SECRET not in repr(observation)
        assert observation.text.isprintable()
        assert len(observation.text) <= LONGEST_TEXT
        assert len(observation.enhanced) < 300
    else:
        assert token.secret.reveal() == told["access_token"]


@given(st.binary(max_size=60))
def test_any_answer_is_survived(data: bytes) -> None:
    exchange = _asked(Answer(data.decode("utf-8", "replace"), 400))
    assert isinstance(exchange.translate_error(ValueError("x")), ProbeError)
