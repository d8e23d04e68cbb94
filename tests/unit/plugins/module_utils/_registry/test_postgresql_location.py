# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a registry in PostgreSQL is, as it is written, and what is said where that is malformed."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._errors import MissingLibrary, RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.location import parse_location
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import open_registry

from .samples import KEY, everything

ALWAYS = {"client_encoding": "UTF8", "application_name": "mailroom.core", "connect_timeout": "10"}
VERIFIED = {**ALWAYS, "sslmode": "verify-full"}


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("postgresql://db.example.com/mail", {"host": "db.example.com"}),
        ("postgresql://robot@db.example.com:6432/mail", {"user": "robot", "host": "db.example.com", "port": "6432"}),
        ("postgresql://one,two:5433/mail", {"host": "one,two", "port": ",5433"}),
        ("postgresql://[2001:db8::1]:5433,[::1]/mail", {"host": "2001:db8::1,::1", "port": "5433,"}),
        ("postgresql:///mail?host=/run/postgresql", {"host": "/run/postgresql"}),
        ("postgresql://%2Frun%2FPostgreSQL/mail", {"host": "/run/PostgreSQL"}),
        ("postgresql://r%40b%C3%B6t@db/mail", {"user": "r@böt", "host": "db"}),
        ("postgresql://db/mail?sslmode=require", {"host": "db", "sslmode": "require"}),
        ("postgresql://db/mail?sslrootcert=%2Fetc%2Fca%20new.pem", {"host": "db", "sslrootcert": "/etc/ca new.pem"}),
        (
            "postgresql://a,b/mail?target_session_attrs=read-write",
            {"host": "a,b", "target_session_attrs": "read-write"},
        ),
        ("postgresql:///mail?service=mail&user=robot", {"service": "mail", "user": "robot"}),
    ],
)
def test_what_libpq_is_given(text: str, parameters: dict[str, str]) -> None:
    location = parse_location(text)
    assert location.parameters == {**VERIFIED, "dbname": "mail", **parameters}
    assert location.schema == "mailroom"


def test_a_schema_is_the_collections_own_parameter() -> None:
    location = parse_location("postgresql://db/mail?schema=acme_2&sslcert=/etc/cert.pem")
    assert location.schema == "acme_2"
    assert "schema" not in location.parameters
    assert location.shown == "postgresql://db/mail?schema=acme_2"


MALFORMED = {
    "postgres://db/mail": "must begin with postgresql://",
    "postgresql:db/mail": "must begin with postgresql://",
    "postgresql://db": "must name a database: postgresql://host/database",
    "postgresql://db/": "must name a database: postgresql://host/database",
    "postgresql://db?sslmode=require": "must name a database: postgresql://host/database",
    "postgresql://db/mail/more": "must name one database behind one /, with a / or @ in its name percent-encoded",
    "postgresql://robot:swordfish@db/mail": "must not hold a password: give registry_password, or use a password file"
    " (passfile)",
    "postgresql://robot:sword/fish@db/mail": "must name one database behind one /, with a / or @ in its name"
    " percent-encoded",
    "postgresql://robot:sword@fish@db/mail": "must not hold a password: give registry_password, or use a password file"
    " (passfile)",
    "postgresql://robot:swordfish/mail": "must give each host as a name or an address, IPv6 in brackets, with a port"
    " from 1 to 65535",
    "postgresql://db/mail?password=swordfish": "must not hold password: give registry_password, or use a password file"
    " (passfile)",
    "postgresql://db/mail?sslpassword=swordfish": "must not hold sslpassword: give registry_password, or use a password"
    " file (passfile)",
    "postgresql://db:0/mail": "must give ports from 1 to 65535",
    "postgresql://db:65536/mail": "must give ports from 1 to 65535",
    "postgresql://db,/mail": "must give each host as a name or an address, IPv6 in brackets, with a port from 1 to"
    " 65535",
    "postgresql://@db/mail": "must give a user of 1 to 63 bytes",
    f"postgresql://db/{'m' * 64}": "must give a database of 1 to 63 bytes",
    "postgresql://db/m%0Aail": "must not have control characters in database",
    "postgresql://db/m%FFail": "must percent-encode database as UTF-8",
    "postgresql://db/mail\n": "must not contain spaces, line breaks or other control characters",
    "postgresql://db/mail\r\nx": "must not contain spaces, line breaks or other control characters",
    "postgresql://db/my mail": "must not contain spaces, line breaks or other control characters",
    "postgresql://dß/mail": "must be ASCII: write other characters percent-encoded, and an international host as xn--…",
    "postgresql://db/mail#x": "holds a # or a % that must be percent-encoded (%23, %25)",
    "postgresql://db/100%": "holds a # or a % that must be percent-encoded (%23, %25)",
    "postgresql://db/mail?sslmode": "gives no value for sslmode",
    "postgresql://db/mail?sslmode=": "gives no value for sslmode",
    "postgresql://db/mail?sslmode=disable&sslmode=require": "names sslmode twice",
    "postgresql://robot@db/mail?user=root": "names user twice",
    "postgresql://db/mail?schema=a&schema=b": "names schema twice",
    "postgresql://db/mail?schema=Mail": "must give a schema of 1 to 63 lower-case letters, digits or underscores, which"
    " begins with no digit",
    "postgresql://db/mail?schema=pg_mail": "must give a schema of 1 to 63 lower-case letters, digits or underscores,"
    " which begins with no digit",
    f"postgresql://db/{'m' * 2000}": "must be at most 2000 characters long",
    **dict.fromkeys(
        (
            "postgresql://robot%3Aswordfish@db/mail",
            "postgresql://robot%3aswordfish@db/mail",
            "postgresql://db/mail?user=robot:swordfish",
            "postgresql://db/mail&password=swordfish",
            "postgresql://db/mail;password=swordfish",
            "postgresql://db/mail%3Fpassword=swordfish",
            "postgresql://db/mail%3FPASSWORD%3Dswordfish",
            "postgresql://password=swordfish@db/mail",
            "postgresql://db/mail?sslmode=require%26password=swordfish",
        ),
        "must not hold a password: give registry_password, or use a password file (passfile)",
    ),
}


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_malformed_is_refused_in_one_sentence_that_repeats_none_of_it(text: str) -> None:
    with pytest.raises(RegistryError) as refused:
        open_registry(text, Secret(KEY), "")
    assert str(refused.value) == f"registry {MALFORMED[text]}."


@pytest.mark.parametrize("parameter", ["dbname", "options", "swordfish", "client_encoding", "replication"])
def test_an_unknown_parameter_is_refused_and_not_repeated(parameter: str) -> None:
    with pytest.raises(RegistryError) as refused:
        parse_location(f"postgresql://db/mail?{parameter}=x")
    message = str(refused.value)
    assert message.startswith("registry has a parameter that is not allowed; allowed are schema, application_name, ")
    assert "swordfish" not in message


def test_a_library_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingLibrary) as missing:
        everything(open_registry("postgresql://db.example.com/mail", Secret(KEY), ""))
    message = str(missing.value)
    assert message.startswith("The Python library psycopg is needed for a registry in PostgreSQL and cannot be ")
    assert "python3-psycopg" in message
    assert "\n" not in message


def test_a_library_that_is_too_old_is_named_with_the_oldest_that_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psycopg.__version__", "3.0.18")
    with pytest.raises(MissingLibrary, match=r"psycopg 3\.1\.7 or newer is needed .*3\.0\.18 is too old"):
        everything(open_registry("postgresql://db.example.com/mail", Secret(KEY), ""))
