# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a database is reached: TLS, passwords, several hosts, and what is said where it cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers.ca import CertificateZoo
from peers.postgresql import DATABASE, SUPERUSER, Postgres, new_schema
from unit.plugins.module_utils._registry.samples import KEY, declare, entry, everything, open_database

from ansible_collections.mailroom.core.plugins.module_utils._errors import MailroomError, RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.location import parse_location

from .conftest import Place


@pytest.fixture(scope="module")
def encrypted(zoo: CertificateZoo) -> Iterator[Postgres]:
    """A server whose certificate is for localhost, and is shown to all."""
    with Postgres() as server:
        files = {
            "ssl_cert_file": server.copy(zoo.good.certificate_file, "server.pem"),
            "ssl_key_file": server.copy(zoo.good.key_file, "server.key"),
            "ssl_ca_file": server.copy(zoo.client_ca_file, "client_ca.pem"),
        }
        for name, path in files.items():
            server.admin(f"ALTER SYSTEM SET {name} = '{path}'")
        server.admin("ALTER SYSTEM SET ssl = on")
        server.admin("SELECT pg_reload_conf()")
        server.admin("SELECT pg_sleep_for('0.2 seconds')")
        yield server


def refusal(location: str, password: str | None) -> str:
    with pytest.raises(MailroomError) as refused:
        everything(open_database(location, KEY, password))
    message = str(refused.value)
    assert "\n" not in message
    assert not password or password not in message
    return message


def test_the_certificate_is_checked_unless_it_is_written_otherwise(encrypted: Postgres, zoo: CertificateZoo) -> None:
    schema = new_schema()
    open_database(encrypted.socket_location(schema)).set_up()
    base = f"postgresql://{SUPERUSER}@localhost:{encrypted.port}/{DATABASE}?schema={schema}"
    assert everything(open_database(f"{base}&sslrootcert={zoo.ca_file}", KEY, encrypted.password)).connectors == {}
    assert everything(open_database(f"{base}&sslmode=require", KEY, encrypted.password)).connectors == {}
    assert re.search(r"root certificate file .* does not exist", refusal(base, encrypted.password))
    assert "certificate verify failed" in refusal(f"{base}&sslrootcert={zoo.other_ca_file}", encrypted.password)
    other_name = base.replace("@localhost", "@ip6-localhost")
    wrong = refusal(f"{other_name}&hostaddr=127.0.0.1&sslrootcert={zoo.ca_file}", encrypted.password)
    assert "does not match host name" in wrong


def test_a_server_without_tls_is_refused(place: Place) -> None:
    location = f"postgresql://{SUPERUSER}@127.0.0.1:{place.server.port}/{DATABASE}?schema={place.schema}"
    assert "server does not support SSL" in refusal(f"{location}&sslrootcert=/etc/hostname", place.server.password)


def test_a_socket_needs_no_tls_and_no_password(place: Place) -> None:
    assert parse_location(place.server.socket_location(place.schema)).parameters["sslmode"] == "verify-full"
    assert everything(place.over_socket()).connectors == {}


def test_a_password_file_is_libpqs_own(place: Place, tmp_path: Path) -> None:
    passfile = tmp_path / "passfile"
    passfile.write_text(f"*:*:*:*:{place.server.password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    location = place.server.location(place.schema, more=f"&passfile={passfile}")
    assert everything(open_database(location)).connectors == {}


def test_what_is_wrong_is_said_in_one_sentence(place: Place) -> None:
    server = place.server
    assert "password authentication failed" in refusal(server.location(place.schema), "swordfish-7f3a")
    assert "no password supplied" in refusal(server.location(place.schema), None)
    missing = server.location(place.schema).replace(f"/{DATABASE}?", "/nothing_here?")
    assert 'database "nothing_here" does not exist' in refusal(missing, server.password)
    assert "Connection refused" in refusal(server.location(place.schema, port=1), server.password)
    invalid = server.location(place.schema, more="&target_session_attrs=whatever")
    assert "whatever" in refusal(invalid, server.password)


def test_the_words_of_the_server_are_redacted(place: Place) -> None:
    message = refusal(place.server.location(place.schema), "authentication")
    assert "FATAL: password ******** failed for user" in message


def test_a_server_that_only_reads_reads_and_says_that_it_does_not_write(place: Place) -> None:
    registry = place.over_socket()
    declare(registry, entry("a"))
    role = new_schema()
    place.server.add_role(role)
    registry.set_up([role], [role])
    place.admin(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    reading = place.over_socket(role)
    assert list(everything(reading).connectors) == ["a"]
    for attempt in (reading.check_writable, lambda: declare(reading, entry("b"))):
        with pytest.raises(RegistryError, match=r"this server only reads, .* target_session_attrs=read-write\.$"):
            attempt()


def test_the_server_that_writes_is_found_among_several(place: Place) -> None:
    """The first refuses connections, as one that is gone does."""
    location = place.server.location(place.schema, more="&target_session_attrs=read-write")
    several = location.replace("127.0.0.1", "127.0.0.1:1,127.0.0.1")
    assert declare(open_database(several, KEY, place.server.password), entry("a")).created == ["a"]
