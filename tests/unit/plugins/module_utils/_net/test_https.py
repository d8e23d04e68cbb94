# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP on our own connections: limits, trust, proxies, and no influence from outside."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers.ca import CertificateZoo
from peers.https import FAULTS, HttpsServer, Request, Response, Route, as_json
from peers.proxies import HttpProxy, Socks5Proxy
from peers.scripted import ScriptedServer, Talk

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import Proxy, TlsTrust
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._net import connection
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.dial import Address
from ansible_collections.mailroom.core.plugins.module_utils._net.https import LARGEST_BODY, HttpClient
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

SECRET = "hunter2-not-to-be-seen"
PROXIES: dict[str, Any] = {"socks5": Socks5Proxy, "http": HttpProxy}


class Echo(HttpsServer):
    """Answers with what it was asked."""

    def routes(self) -> tuple[Route, ...]:
        return tuple(Route("echo", method, "/.*", self._echo) for method in ("GET", "POST", "PUT"))

    def _echo(self, request: Request) -> Response:
        told = {"path": request.path, "query": dict(request.query), "form": request.form, "length": len(request.body)}
        more = {"Connection": "close"} if request.path == "/last" else {"X-Answer": "yes"}
        return as_json({**told, "headers": dict(request.headers)}, 200, more)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> CertificateZoo:
    return CertificateZoo(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(zoo: CertificateZoo) -> Iterator[Echo]:
    with Echo(zoo) as echo:
        yield echo


@pytest.fixture
def client(zoo: CertificateZoo) -> Iterator[HttpClient]:
    made = _client(zoo)
    yield made
    made.close()


def _client(
    zoo: CertificateZoo, proxy: Proxy | None = None, record: Record | None = None, timeout: float = 5
) -> HttpClient:
    return HttpClient(Clock(10, timeout), Redaction(), TlsTrust(ca_file=str(zoo.ca_file)), proxy, record)


def _stopped(act: Callable[[], object]) -> Observation:
    with pytest.raises(ProbeError) as stopped:
        act()
    assert SECRET not in repr(stopped.value.observation)
    assert SECRET not in str(stopped.value)
    return stopped.value.observation


def _scripted(zoo: CertificateZoo, answer: bytes) -> ScriptedServer:
    def script(talk: Talk) -> None:
        while talk.line():
            pass
        talk.send(answer)
        talk.close()

    return ScriptedServer(script, tls=zoo.good.server_context())


def _got(zoo: CertificateZoo, answer: bytes) -> Any:
    with _scripted(zoo, answer) as server:
        client = _client(zoo)
        try:
            return client.get(f"https://localhost:{server.port}/")
        finally:
            client.close()


def test_a_form_is_sent_and_an_answer_read(server: Echo, client: HttpClient) -> None:
    answer = client.post(f"{server.url}/a%20b", data={"x": "ö &"}, params={"q": "1 2"}, headers={"Accept": "any"})
    told = answer.json()
    assert (answer.status_code, answer.headers.get("x-answer")) == (200, "yes")
    assert (told["path"], told["query"], told["form"]) == ("/a%20b", {"q": "1 2"}, {"x": "ö &"})
    assert told["headers"]["host"] == f"localhost:{server.port}"
    assert told["headers"]["accept"] == "any"
    assert "user-agent" not in told["headers"]


@pytest.mark.parametrize("data", ["text ü", "text ü".encode()])
def test_a_text_is_sent_as_it_is(data: object, server: Echo, client: HttpClient) -> None:
    told = client.post(f"{server.url}/", data=data, headers={"Content-Type": "application/soap+xml"}).json()
    assert told["length"] == 7
    assert told["headers"]["content-type"] == "application/soap+xml"


def test_a_header_beyond_latin_1_is_sent(server: Echo, client: HttpClient) -> None:
    assert client.get(f"{server.url}/", headers={"X-AnchorMailbox": "upn:łucja@example.com"}).status_code == 200


def test_a_large_body_arrives_whole(server: Echo, client: HttpClient) -> None:
    assert client.request("PUT", f"{server.url}/", b"x" * 3_000_001).json()["length"] == 3_000_001


def test_one_connection_serves_several_requests(server: Echo, client: HttpClient) -> None:
    for _time in range(3):
        client.get(f"{server.url}/")
    assert _connections(server) == 1
    assert client.connection is not None
    assert client.connection.address == "127.0.0.1"
    assert client.connection.tls is not None
    assert "localhost" in client.connection.tls["names"]


def test_a_connection_of_which_the_server_takes_leave_is_not_used_again(server: Echo, client: HttpClient) -> None:
    for _time in range(2):
        client.get(f"{server.url}/last")
    assert _connections(server) == 2


def test_a_connection_that_has_ended_meanwhile_is_opened_anew(zoo: CertificateZoo, client: HttpClient) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with _scripted(zoo, answer) as server:
        for _time in range(3):
            assert client.get(f"https://localhost:{server.port}/").content == b"ok"
            _await(client._is_stale)
        assert server.connections == 3


def _await(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end


def _connections(server: HttpsServer) -> int:
    if server._server is None:
        raise AssertionError("the server does not run")
    return server._server.connections


def test_an_answer_in_chunks_is_put_together(zoo: CertificateZoo) -> None:
    chunks = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: t\r\n\r\n"
    assert _got(zoo, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks).text == "hello world"


@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_an_answer_may_end_with_the_connection(size: int, zoo: CertificateZoo) -> None:
    assert _got(zoo, b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * size).content == b"x" * size


MALFORMED = {
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
    "empty line": b"\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a negative chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
    "a chunk without a size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "a huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\nhello\r\n",
    "a huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nhello",
    "an endless line": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
    "an endless status": b"HTTP/1.1 " + b"2" * 70_000 + b"\r\n\r\n",
    "a body above the limit": b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (LARGEST_BODY + 1024 * 1024),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_http_is_told_as_such(name: str, zoo: CertificateZoo) -> None:
    observation = _stopped(lambda: _got(zoo, MALFORMED[name]))
    assert observation.kind == "protocol"
    assert observation.text


def test_an_answer_that_is_cut_off_counts_for_nothing(zoo: CertificateZoo) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"access_token": "' + SECRET.encode()
    observation = _stopped(lambda: _got(zoo, answer))
    assert (observation.kind, observation.facts["step"]) == ("closed", "answering")


def test_an_answer_does_not_show_its_body(zoo: CertificateZoo) -> None:
    answer = _got(zoo, b"HTTP/1.0 200 OK\r\n\r\n" + SECRET.encode())
    assert SECRET not in repr(answer)


@pytest.mark.parametrize("name", ["silent", "slow", "endless", "endless_headers", "reset", "closed", "half"])
def test_a_bad_server_is_given_up_on(name: str, server: Echo, zoo: CertificateZoo) -> None:
    client = _client(zoo, timeout=0.5 if name in ("silent", "slow") else 60)
    with server.failing(name):
        observation = _stopped(lambda: client.get(f"{server.url}/"))
    client.close()
    expected = {"silent": "timeout", "slow": "timeout", "reset": "(reset|closed)", "closed": "closed", "half": "closed"}
    assert re.fullmatch(expected.get(name, "protocol"), observation.kind)


def test_no_redirect_is_followed(server: Echo, client: HttpClient) -> None:
    for name in ("redirect", "redirect_loop"):
        with server.failing(name):
            answer = client.post(f"{server.url}/", data={"client_secret": SECRET})
        assert answer.status_code in (302, 307)
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["not_json", "html_200", "empty"])
def test_what_is_not_json_is_told_as_such(name: str, server: Echo, client: HttpClient) -> None:
    with server.failing(name):
        answer = client.get(f"{server.url}/")
    assert _stopped(answer.json).kind == "protocol"


def test_a_failure_raises_what_msal_expects(server: Echo, client: HttpClient) -> None:
    client.get(f"{server.url}/").raise_for_status()
    with server.failing("html_500"), pytest.raises(Exception, match="500"):
        client.get(f"{server.url}/").raise_for_status()
    assert "html_500" in FAULTS


REFUSED_ADDRESSES = (
    "http://mail.example.com/token",
    "http://192.0.2.1/token",
    "http://localhost.example.com/token",
    "ftp://localhost/token",
    "localhost/token",
    "https://",
    "https://user:pass@localhost/token",
    "https://localhost:99999/token",
    "https://[::1/token",
    "https://localhost:x/",
)


@pytest.mark.parametrize("url", REFUSED_ADDRESSES)
def test_only_https_is_spoken(url: str, client: HttpClient) -> None:
    assert _stopped(lambda: client.get(url)).kind == "protocol"


def test_over_plain_http_nothing_is_posted(client: HttpClient) -> None:
    observation = _stopped(lambda: client.post("http://127.0.0.1:1/", data={"client_secret": SECRET}))
    assert observation.text == "the URL does not begin with https://"


def test_this_machine_is_read_over_plain_http_and_past_the_proxy(zoo: CertificateZoo) -> None:
    with Echo(None) as plain, HttpProxy().server() as near:
        client = _client(zoo, Proxy("http", "127.0.0.1", near.port))
        assert client.get(f"{plain.url}/metadata").json()["path"] == "/metadata"
        client.close()
        assert near.connections == 0


def test_localhost_that_is_another_machine_is_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(addresses: list[Address], _clock: Clock) -> tuple[socket.socket, Address]:
        return socket.create_connection(addresses[0].sockaddr), Address(socket.AF_INET, ("192.0.2.1", 80))

    monkeypatch.setattr(connection, "connect", connect)
    monkeypatch.setattr(
        connection, "resolve", lambda _host, port, _clock: [Address(socket.AF_INET, ("127.0.0.1", port))]
    )
    with Echo(None) as plain:
        client = HttpClient(Clock(10, 5), Redaction())
        client.plain_to_loopback = True
        observation = _stopped(lambda: client.post(f"http://localhost:{plain.port}/", data={"password": SECRET}))
        assert observation.text.startswith("localhost stands for 192.0.2.1, which is not this machine")
        assert (plain.requests, client.connection and client.connection.is_open) == ([], False)


@pytest.mark.parametrize("path", ["/a b", "/ä", "/a\x01b"])
def test_a_path_is_sent_in_ascii(path: str, server: Echo, client: HttpClient) -> None:
    assert client.get(f"{server.url}{path}").json()["path"].isascii()


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\r\nY": "b"}, {"X": "a\nb"}])
def test_nothing_is_slipped_into_a_request(headers: dict[str, str], server: Echo, client: HttpClient) -> None:
    assert _stopped(lambda: client.get(f"{server.url}/", headers=headers)).kind == "protocol"
    assert server.requests == []


@pytest.mark.parametrize(("certificate", "code"), [("expired", 10), ("wrong_name", 62), ("other_ca", 20)])
def test_a_certificate_that_is_refused_is_shown(certificate: str, code: int, zoo: CertificateZoo) -> None:
    with Echo(zoo, certificate=certificate) as server:
        client = _client(zoo)
        observation = _stopped(lambda: client.post(f"{server.url}/", data={"client_secret": SECRET}))
        assert server.requests == []
    assert (observation.kind, observation.code) == ("certificate", code)
    assert observation.facts["step"] == "starting encryption"
    assert client.connection is not None
    assert client.connection.tls is not None
    assert observation.facts["fingerprint_sha256"] == client.connection.tls["fingerprint_sha256"]


@pytest.mark.parametrize("scheme", PROXIES)
def test_a_server_is_reached_through_a_proxy(scheme: str, server: Echo, zoo: CertificateZoo) -> None:
    peer = PROXIES[scheme]("ann", SECRET, routes={"mail.example.com": "127.0.0.1"})
    with peer.server() as near:
        client = _client(zoo, Proxy(scheme, "127.0.0.1", near.port, "ann", Secret(SECRET)))
        assert client.get(f"https://mail.example.com:{server.port}/").status_code == 200
        client.close()
    assert [(request.host, request.port) for request in peer.requests] == [("mail.example.com", server.port)]


@pytest.mark.parametrize("mode", ["hang_up", "garbage"])
@pytest.mark.parametrize("scheme", PROXIES)
def test_a_bad_proxy_is_told(scheme: str, mode: str, zoo: CertificateZoo) -> None:
    with PROXIES[scheme](mode=mode).server() as near:
        client = _client(zoo, Proxy(scheme, "127.0.0.1", near.port))
        assert _stopped(lambda: client.get("https://mail.example.com/")).kind == "proxy"


def test_the_environment_has_no_influence(server: Echo, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "/nowhere")
    assert client.get(f"{server.url}/").status_code == 200


def test_phases_are_noted_where_they_are_wanted(server: Echo, zoo: CertificateZoo) -> None:
    record = Record("graph")
    client = _client(zoo, record=record)
    client.connect(server.url)
    client.get(f"{server.url}/")
    client.close()
    statuses = [(phase.phase, phase.status) for phase in record.phases]
    assert statuses == [("config", "ok"), ("dns", "ok"), ("tcp", "ok"), ("tls", "ok")]
    assert _connections(server) == 1


def test_a_phase_that_fails_is_noted(zoo: CertificateZoo) -> None:
    record = Record("graph")
    with Echo(zoo, certificate="expired") as server:
        observation = _stopped(lambda: _client(zoo, record=record).connect(server.url))
    assert (observation.phase, observation.protocol) == ("tls", "graph")
    statuses = [(phase.phase, phase.status) for phase in record.phases]
    assert statuses == [("config", "ok"), ("dns", "ok"), ("tcp", "ok"), ("tls", "fail")]


def test_without_a_record_an_error_names_the_step_and_no_phase(zoo: CertificateZoo) -> None:
    """A token is asked for within a phase of its own, which names the error."""
    with Echo(zoo, certificate="expired") as server:
        observation = _stopped(lambda: _client(zoo).connect(server.url))
    assert (observation.phase, observation.facts["step"]) == ("", "starting encryption")


def test_nothing_goes_beyond_the_deadline(server: Echo, zoo: CertificateZoo) -> None:
    client = HttpClient(Clock(0, 5), Redaction(), TlsTrust(ca_file=str(zoo.ca_file)))
    assert _stopped(lambda: client.get(f"{server.url}/")).kind == "timeout"


def test_a_name_that_is_none_is_told(client: HttpClient) -> None:
    assert _stopped(lambda: client.get(f"https://{'ä' * 80}.example.com/")).kind == "not_found"
