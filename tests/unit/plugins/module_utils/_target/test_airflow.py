# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an Airflow connection an update touches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._target.api.airflow import Airflow
from ansible_collections.mailroom.core.plugins.module_utils._target.api_client import ApiError
from ansible_collections.mailroom.core.plugins.module_utils._target.api_target import Place, Wanted

SECRET = Secret("Rumpelstilzchen")
FIELDS: dict[str, Any] = {
    "conn_type": "smtp",
    "host": "mail.example.com",
    "port": 587,
    "login": "alice@example.com",
    "disable_ssl": True,
    "disable_tls": False,
    "ssl_context": "default",
    "from_email": "alice@example.com",
    "auth_type": "basic",
}


class Api:
    """An API that holds one connection, and remembers what it is asked."""

    def __init__(self, **extra: Any) -> None:
        self.found = {
            "conn_type": "smtp",
            "host": "mail.example.com",
            "port": 587,
            "login": "alice@example.com",
            "password": "***",
            "description": "Of somebody",
            "schema": None,
            "extra": json.dumps({"disable_ssl": True, "from_email": "alice@example.com", **extra}),
        }
        self.asked: list[tuple[str, str, Any]] = []

    def get(self, _path: str) -> Any:
        return self.found

    def request(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, body))

    def error(self, message: str) -> ApiError:
        return ApiError(message)


def update(api: Any, changed: set[str], secret: Secret | None = SECRET, **fields: Any) -> None:
    stored = Airflow().read(api, Place({"name": "mail"}))
    assert stored is not None
    Airflow().update(api, stored, Wanted({**FIELDS, **fields}, secret), frozenset(changed))


def test_what_airflow_takes_for_granted_is_no_difference() -> None:
    stored = Airflow().read(Api(), Place({"name": "mail"}))  # type: ignore[arg-type]
    assert stored is not None
    assert stored.differing(Wanted(FIELDS)) == set()


def test_connection_of_another_type_is_refused_and_nothing_of_it_said() -> None:
    api: Any = Api(account="somebody")
    api.found["conn_type"] = "postgres"
    with pytest.raises(ApiError) as refused:
        Airflow().read(api, Place({"name": "mail"}))
    assert str(refused.value) == "target.name: mail is a connection of another type than smtp or imap."


@pytest.mark.parametrize("extra", ["a text", "[1]", '{"a": ' * 100 + "1" + "}" * 100])
def test_extra_that_cannot_be_kept_is_refused(extra: str) -> None:
    api: Any = Api()
    api.found["extra"] = extra
    with pytest.raises(ApiError, match="extra of the connection mail is no JSON object"):
        Airflow().read(api, Place({"name": "mail"}))


def test_column_is_changed_alone() -> None:
    api = Api(timeout=30)
    update(api, {"host"}, host="other.example.com")
    sent = {"connection_id": "mail", "conn_type": "smtp", "host": "other.example.com"}
    assert api.asked == [("PATCH", "/api/v2/connections/mail?update_mask=host", sent)]


def test_other_keys_of_extra_stay_and_tokens_go() -> None:
    api = Api(timeout=30, access_token="***", auth_type="oauth2")
    update(api, {"auth_type", "password"})
    ((method, path, body),) = api.asked
    assert (method, path) == ("PATCH", "/api/v2/connections/mail?update_mask=password&update_mask=extra")
    extra = json.loads(body["extra"])
    assert (extra["timeout"], extra["auth_type"], "access_token" in extra) == (30, "basic", False)
    assert body["password"] == SECRET.reveal()


@pytest.mark.parametrize("masked", ["***", {"proxy": [{"key": "***"}]}, "ldap://reader:***@example.com", {"***": 1}])
@pytest.mark.parametrize(("changed", "secret"), [({"from_email"}, SECRET), ({"password"}, None)])
def test_secret_of_others_in_extra_is_never_lost(changed: set[str], secret: Secret | None, masked: Any) -> None:
    api = Api(relay_password=masked)
    with pytest.raises(ApiError, match="holds secrets in relay_password of extra as well"):
        update(api, changed, secret)
    assert api.asked == []
    update(api, {"host"})
    assert "extra" not in api.asked[0][2]


def test_masked_text_beside_extra_is_not_made_anew() -> None:
    api = Api()
    api.found["description"] = "Signs in as alice:***"
    with pytest.raises(ApiError, match="holds secrets in description of the connection as well"):
        update(api, {"login", "password"}, None, login="")
    assert api.asked == []


def test_password_is_cleared_by_making_the_connection_anew() -> None:
    api = Api(timeout=30)
    update(api, {"login", "password"}, None, login="")
    (removed, made) = api.asked
    assert removed[:2] == ("DELETE", "/api/v2/connections/mail")
    assert made[:2] == ("POST", "/api/v2/connections")
    assert (made[2]["password"], made[2]["description"], json.loads(made[2]["extra"])["timeout"]) == (
        None,
        "Of somebody",
        30,
    )


@pytest.mark.parametrize("answer", [{"status": True}, {"status": False}])
def test_what_it_says_of_a_test_is_redacted(answer: dict[str, Any]) -> None:
    api: Any = Api()
    api.redact = Redaction([SECRET])
    api.request = lambda *_asked: {**answer, "message": f"Sent {SECRET.reveal()}"}
    account: Any = type("Account", (), {"endpoints": (None,)})()
    tested = Airflow().test(api, Place({"name": "mail"}), account, Wanted(FIELDS, SECRET), "a@example.com")
    assert tested.text == "Sent ********"
