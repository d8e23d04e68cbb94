# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server for HTTPS answers, remembers, and fails as it is told."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from peers.ca import CertificateZoo
from peers.https import CHANGES, FAULTS, HttpsServer, Request, Response, Route, as_json
from peers.net import PeerFailed
from servers.peers.web import Web

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix


class Echo(HttpsServer):
    """Says who is there."""

    def routes(self) -> tuple[Route, ...]:
        return (Route("hello", "POST", "/hello/([^/]+)", self._hello), Route("bye", "GET", "/bye", self._bye))

    def who(self, request: Request) -> str:
        return request.arguments[0] if request.arguments else ""

    def _hello(self, request: Request, name: str) -> Response:
        return as_json({"hello": name, "at_once": request.at_once})

    def _bye(self, request: Request) -> Response:
        return as_json({"bye": True})


@pytest.fixture
def echo(zoo: CertificateZoo) -> Iterator[Echo]:
    """A running server."""
    with Echo(zoo) as server:
        yield server


@pytest.fixture
def web(zoo: CertificateZoo) -> Web:
    """A client that does not wait long."""
    return Web(zoo, seconds=0.5)


def test_it_answers_and_remembers(echo: Echo, zoo: CertificateZoo) -> None:
    connection = http.client.HTTPSConnection("localhost", echo.port, timeout=60, context=zoo.trusting())
    for name in ("J%C3%B6rg", "b"):  # on one connection
        connection.request("POST", f"/hello/{name}?a=1&b=", b"x=1&y=%20", {"Authorization": "Bearer abc", "X-Y": "z"})
        assert connection.getresponse().read()
    connection.close()
    first, second = echo.requests
    assert (first.method, first.path, first.operation, first.arguments) == (
        "POST",
        "/hello/J%C3%B6rg",
        "hello",
        ("J\u00f6rg",),
    )
    assert (first.query, first.form, first.bearer) == ({"a": "1", "b": ""}, {"x": "1", "y": " "}, "abc")
    assert first.headers["x-y"] == "z"
    assert second.arguments == ("b",)
    assert "abc" not in repr(first) + repr(echo.requests)


def test_a_body_in_chunks(echo: Echo, zoo: CertificateZoo) -> None:
    connection = http.client.HTTPSConnection("localhost", echo.port, timeout=60, context=zoo.trusting())
    connection.request("POST", "/hello/a", iter([b"abc", b"def"]), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert echo.requests[0].body == b"abcdef"


def test_what_is_not_known(echo: Echo, web: Web) -> None:
    assert web.get(f"{echo.url}/nowhere").status == 404
    assert web.get(f"{echo.url}/hello/a").status == 404
    assert [request.operation for request in echo.requests] == ["", ""]


def test_other_certificates(zoo: CertificateZoo, web: Web) -> None:
    with Echo(zoo, certificate="expired") as server, pytest.raises(ssl.SSLCertVerificationError):
        web.get(f"{server.url}/bye")


def test_plain_http(web: Web) -> None:
    with Echo(None) as server:
        assert web.get(f"{server.url}/bye").json == {"bye": True}
        with pytest.raises(PeerFailed):
            server.ca_file  # noqa: B018


def test_failures_are_for_some(echo: Echo, web: Web) -> None:
    def statuses() -> list[int]:
        addresses = ("/hello/a", "/hello/b")
        return [web.post(echo.url + path, {}).status for path in addresses] + [web.get(f"{echo.url}/bye").status]

    echo.fail("html_500", at="hello", who="b")
    assert statuses() == [200, 500, 200]
    with echo.failing("unavailable", times=2):
        assert statuses() == [503, 503, 200]
    assert statuses() == [200, 500, 200]
    echo.works()
    assert statuses() == [200, 200, 200]
    for wrong in ({"name": "nonsense"}, {"name": "silent", "at": "nowhere"}):
        with pytest.raises(ValueError, match="has no"):
            echo.fail(**wrong)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("throttled", (429, {"retry-after": "7"}, b"temporarily")),
        ("throttled_briefly", (429, {"retry-after": "1"}, b"temporarily")),
        ("unavailable", (503, {}, b"temporarily")),
        ("html_500", (500, {"content-type": "text/html; charset=utf-8"}, b"<html>")),
        ("html_200", (200, {"content-type": "text/html; charset=utf-8"}, b"<html>")),
        ("empty", (200, {"content-length": "0"}, b"")),
        ("not_json", (200, {"content-type": "application/json"}, b'{"access_token": ')),
        ("not_an_object", (200, {}, b"[")),
        ("redirect", (307, {}, b"")),
        ("redirect_loop", (302, {"location": "?again"}, b"")),
        ("wrong_content_type", (200, {"content-type": "text/html"}, b'{"bye": true}')),
    ],
)
def test_faulty_answers(echo: Echo, web: Web, name: str, expected: tuple[int, dict[str, str], bytes]) -> None:
    status, headers, body = expected
    with echo.failing(name):
        answer = web.get(f"{echo.url}/bye")
    assert (answer.status, body in answer.body) == (status, True)
    assert headers.items() <= answer.headers.items()


def test_a_redirect_to_another_host(echo: Echo, web: Web) -> None:
    with echo.failing("redirect", at="bye"):
        answer = web.get(f"{echo.url}/bye")
    assert answer.headers["location"] == f"https://127.0.0.1:{echo.port}/elsewhere"
    assert web.get(answer.headers["location"]).status == 404
    assert [request.path for request in echo.requests] == ["/bye", "/elsewhere"]


@pytest.mark.parametrize("line", [b"GET //[ HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_requests_that_are_none(echo: Echo, zoo: CertificateZoo, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", echo.port), timeout=60) as sock:
        secured = zoo.trusting().wrap_socket(sock, server_hostname="localhost")
        secured.sendall(line)
        assert secured.recv(100).startswith(b"HTTP/1.1 400 ")
        secured.close()


def test_a_date_to_retry_after(echo: Echo, web: Web) -> None:
    with echo.failing("throttled_date"):
        answer = web.get(f"{echo.url}/bye")
    ahead = email.utils.parsedate_to_datetime(answer.headers["retry-after"]).timestamp() - time.time()
    assert 0 < ahead <= 8


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("silent", TimeoutError),
        ("half", http.client.IncompleteRead),
        ("endless_headers", http.client.HTTPException),
        ("reset", ConnectionError),
        ("closed", http.client.RemoteDisconnected),
        ("not_http", http.client.BadStatusLine),
    ],
)
def test_faulty_connections(echo: Echo, web: Web, name: str, error: type[Exception]) -> None:
    with echo.failing(name), pytest.raises(error):
        web.get(f"{echo.url}/bye")


@pytest.mark.parametrize(("name", "amount"), [("endless", 10**7), ("slow", 3)])
def test_bodies_without_an_end(echo: Echo, zoo: CertificateZoo, name: str, amount: int) -> None:
    connection = http.client.HTTPSConnection("localhost", echo.port, timeout=60, context=zoo.trusting())
    with echo.failing(name):
        connection.request("GET", "/bye")
        assert len(connection.getresponse().read(amount)) == amount
    connection.close()


def test_every_fault_is_tried() -> None:
    tried = {"throttled_date", "endless", "slow"}
    for test in (test_faulty_answers, test_faulty_connections):
        tried |= {row[0] for row in test.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert tried == {*FAULTS, *CHANGES}


def test_requests_wait(echo: Echo, zoo: CertificateZoo) -> None:
    web = Web(zoo)
    answers: list[int] = []

    def ask() -> None:
        answers.append(web.post(f"{echo.url}/hello/a", {}).json["at_once"])

    threads = [threading.Thread(target=ask) for _number in range(3)]
    with echo.paused():
        for thread in threads:
            thread.start()
        echo.await_waiting(3)
        assert not answers
    for thread in threads:
        thread.join()
    assert sorted(answers) == [1, 2, 3]
    assert echo.most_at_once == 3
    with pytest.raises(PeerFailed, match="0 requests wait"):
        echo.await_waiting(1, seconds=0.01)


def test_errors_of_a_service_are_not_lost(zoo: CertificateZoo, web: Web) -> None:
    class Broken(Echo):
        """Has a defect."""

        def _bye(self, request: Request) -> Response:
            raise ZeroDivisionError

    server = Broken(zoo).start()
    with pytest.raises(http.client.RemoteDisconnected):
        web.get(f"{server.url}/bye")
    with pytest.raises(ZeroDivisionError):
        server.stop()
