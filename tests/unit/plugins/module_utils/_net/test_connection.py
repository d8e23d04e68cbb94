# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to a server, and what is recorded of it."""

from __future__ import annotations

import pytest
from peers import net
from peers.ca import CertificateZoo
from peers.proxies import Socks5Proxy
from peers.scripted import ScriptedServer

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import Proxy, TlsTrust
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.connection import Connection, Target
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> CertificateZoo:
    return CertificateZoo(tmp_path_factory.mktemp("certificates"))


def _server(zoo: CertificateZoo, certificate: str = "good") -> ScriptedServer:
    return ScriptedServer(lambda talk: talk.send("hello\r\n"), tls=zoo[certificate].server_context())


def _connection(
    port: int, trust: TlsTrust | None = None, proxy: Proxy | None = None, record: Record | None = None
) -> Connection:
    return Connection(Target("localhost", port, trust, proxy), Clock(60, 60), Redaction(), record)


def _opened(connection: Connection) -> Observation:
    with pytest.raises(ProbeError) as stopped, connection.describe_refused_certificate(Connection.open):
        connection.open()
    return stopped.value.observation


def _phases(record: Record) -> list[tuple[str, str]]:
    return [(each.phase, each.status) for each in record.phases]


def test_an_encrypted_connection_is_recorded_phase_by_phase(zoo: CertificateZoo) -> None:
    record = Record("smtp")
    with _server(zoo) as server:
        connection = _connection(server.port, TlsTrust(ca_file=str(zoo.ca_file)), record=record)
        connection.open()
        assert connection.stream.readline() == b"hello\r\n"
        connection.close()
    assert _phases(record) == [("config", "ok"), ("dns", "ok"), ("tcp", "ok"), ("tls", "ok")]
    assert (connection.address, connection.is_encrypted, connection.is_open) == ("127.0.0.1", True, False)
    assert connection.tls is not None
    assert "localhost" in connection.tls["names"]


def test_a_connection_without_trust_is_not_encrypted() -> None:
    record = Record("smtp")
    with ScriptedServer(lambda talk: talk.send("hello\r\n")) as server:
        connection = _connection(server.port, record=record)
        connection.open()
        assert connection.stream.readline() == b"hello\r\n"
        with pytest.raises(ProbeError) as stopped:
            connection.start_tls()
        connection.close()
    assert stopped.value.observation.kind == "internal"
    assert (connection.is_encrypted, connection.tls) == (False, None)
    assert _phases(record)[:3] == [("config", "ok"), ("dns", "ok"), ("tcp", "ok")]


def test_a_file_that_cannot_be_used_stops_before_the_name_is_looked_up() -> None:
    record = Record("smtp")
    observation = _opened(_connection(25, TlsTrust(ca_file="/nowhere/ca.pem"), record=record))
    assert (observation.kind, observation.phase) == ("config", "config")
    assert _phases(record) == [("config", "fail")]


@pytest.mark.parametrize(
    ("certificate", "kind"),
    [("expired", "certificate"), ("other_ca", "certificate"), ("expired_intermediate", "issuer_expired")],
)
def test_a_refused_certificate_is_looked_at_in_a_second_handshake(
    certificate: str, kind: str, zoo: CertificateZoo
) -> None:
    record = Record("imap")
    with _server(zoo, certificate) as server:
        connection = _connection(server.port, TlsTrust(ca_file=str(zoo.ca_file)), record=record)
        observation = _opened(connection)
        assert server.connections == 2
        assert not any(server.received)
    assert (observation.kind, observation.phase, observation.protocol) == (kind, "tls", "imap")
    assert connection.tls is not None
    assert observation.facts["issuer"] == connection.tls["issuer"]
    assert (connection.is_open, connection.is_encrypted) == (False, False)
    assert _phases(record) == [("config", "ok"), ("dns", "ok"), ("tcp", "ok"), ("tls", "fail")]


def test_plain_text_after_the_reply_to_starttls_is_an_injection(zoo: CertificateZoo) -> None:
    with ScriptedServer(lambda talk: talk.send("220 Go on\r\n250 injected\r\n")) as server:
        connection = _connection(server.port, TlsTrust(ca_file=str(zoo.ca_file)))
        connection.connect()
        connection.stream.readline()
        with pytest.raises(ProbeError) as stopped:
            connection.start_tls(is_upgrade=True)
        connection.close()
    assert stopped.value.observation.kind == "injection"


def test_plain_text_instead_of_a_handshake_is_none(zoo: CertificateZoo) -> None:
    with ScriptedServer(lambda talk: talk.send("220 mail.example.com ESMTP\r\n")) as server:
        observation = _opened(_connection(server.port, TlsTrust(ca_file=str(zoo.ca_file))))
    assert observation.kind == "speaks_plain"


def test_whether_a_port_speaks_tls_is_tried_on_another_connection(zoo: CertificateZoo) -> None:
    for server, speaks_tls in ((_server(zoo), True), (ScriptedServer(lambda talk: talk.send("hello\r\n")), False)):
        with server:
            connection = _connection(server.port)
            connection.connect()
            assert connection.speaks_tls() is speaks_tls
            assert connection.is_open
            connection.close()


@pytest.mark.parametrize("is_there", [True, False])
def test_what_fails_on_the_way_to_a_proxy_is_the_proxys(zoo: CertificateZoo, *, is_there: bool) -> None:
    record = Record("smtp")
    with Socks5Proxy(mode="hang_up").server() as near, net.Refused() as closed:
        port = near.port if is_there else closed.port
        proxy = Proxy("socks5", "127.0.0.1", port)
        observation = _opened(_connection(25, TlsTrust(ca_file=str(zoo.ca_file)), proxy, record))
    assert (observation.kind, observation.phase) == ("proxy", "tcp")
    assert _phases(record) == [("config", "ok"), ("dns", "ok"), ("tcp", "fail")]
