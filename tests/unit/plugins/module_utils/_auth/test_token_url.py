# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest

from .answers import Http, as_json, granted, obtain, refusal, stopped

BLOCK = {"client_id": "client:1 ü", "token_url": "https://login.example.com/oauth/token"}
SECRET = {"client_secret": "s+%41:/ secret"}
UNKNOWN = as_json({"error": "invalid_client", "error_description": "Unknown s+%41:/ secret"}, 401)


def test_the_header_is_tried_first_encoded_as_the_rfc_wants() -> None:
    http = Http(token=granted())
    assert obtain(http, BLOCK, SECRET).secret.reveal() == "the-access-token"
    asked = http.asked[0]
    assert asked.form == {"grant_type": "client_credentials"}
    scheme, _space, pair = asked.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"client%3A1+%C3%BC:s%2B%2541%3A%2F+secret")


def test_a_server_that_does_not_see_the_header_is_asked_by_the_form() -> None:
    http = Http(token=[UNKNOWN, granted()])
    assert obtain(http, {**BLOCK, "scope": "mail"}, SECRET).secret.reveal() == "the-access-token"
    assert http.forms()[1] == {
        "grant_type": "client_credentials",
        "scope": "mail",
        "client_id": "client:1 ü",
        "client_secret": "s+%41:/ secret",
    }
    assert "Authorization" not in http.asked[1].headers


@pytest.mark.parametrize("error", ["invalid_scope", "unauthorized_client", "invalid_request", "server_error"])
def test_any_other_refusal_is_final(error: str) -> None:
    http = Http(token=refusal(error))
    assert stopped(http, BLOCK, SECRET).enhanced == error
    assert len(http.asked) == 1


def test_a_client_that_is_unknown_either_way_is_refused_and_its_secret_hidden() -> None:
    http = Http(token=UNKNOWN)
    signal = stopped(http, BLOCK, SECRET)
    assert (signal.kind, signal.code, signal.enhanced) == ("token", 401, "invalid_client")
    assert signal.text == "Unknown ********"
    assert len(http.asked) == 2
    assert signal.facts["token_url"] == BLOCK["token_url"]


def test_a_user_may_sign_in_besides() -> None:
    http = Http(token=granted())
    obtain(http, {**BLOCK, "username": "ann"}, {**SECRET, "password": "password-of-ann"})
    assert http.forms()[0] == {"grant_type": "password", "username": "ann", "password": "password-of-ann"}


def test_without_a_secret_nothing_is_asked() -> None:
    http = Http(token=granted())
    signal = stopped(http, BLOCK, {})
    assert (signal.kind, signal.text) == ("config", "oauth2.client_secret is required beside token_url")
    assert http.asked == []
