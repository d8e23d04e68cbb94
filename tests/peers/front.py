# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS in front of an application that speaks plain HTTP, as a reverse proxy does it; it can fail like `HttpsServer`."""

from __future__ import annotations

import http.client
from urllib.parse import urlencode, urlsplit

from peers.ca import CertificateZoo
from peers.https import HttpsServer, Request, Response, Route

_KEPT = ("authorization", "content-type", "accept")


class TlsFront(HttpsServer):
    """Hands every request on to the application at a URL."""

    def __init__(self, zoo: CertificateZoo, url: str) -> None:
        super().__init__(zoo)
        self._behind = urlsplit(url)

    def routes(self) -> tuple[Route, ...]:
        return tuple(Route("any", method, "/.*", self._forward) for method in ("GET", "POST", "PATCH", "PUT", "DELETE"))

    def _forward(self, request: Request) -> Response:
        connection = http.client.HTTPConnection(self._behind.hostname or "", self._behind.port, timeout=600)
        headers = {name: value for name, value in request.headers.items() if name in _KEPT}
        query = f"?{urlencode(request.query)}" if request.query else ""
        connection.request(request.method, request.path + query, request.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        kind = answer.headers.get("Content-Type") or "application/json"
        connection.close()
        return Response(answer.status, body, {"Content-Type": kind})
