# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Zabbix: a media type of the type e-mail, by JSON-RPC at the frontend, tested by the server."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..._connector.secret import Secret
from ..._errors import FieldMessage
from ..._net.connection import Connection
from ..._net.connection import Target as Server
from ..._net.https import Origin
from ..._verdict.observation import ProbeError
from ..api_client import ApiClient, ApiError, parse_json
from ..api_target import ApiTarget, Fields, Login, Place, Stored, Tested, Wanted
from ..interface import Account, Option
from ..mail_replies import observation_in

SERVER_PORT = 10051
_SECURITY = {"none": "0", "starttls": "1", "tls": "2"}
_FIELDS = (
    *("smtp_server", "smtp_port", "smtp_security", "smtp_verify_peer", "smtp_verify_host", "smtp_helo", "smtp_email"),
    *("smtp_authentication", "username"),
)
_EMAIL = "0"
_HEADER = b"ZBXD\x01"
_MAX_ANSWER = 64 * 1024
_HEADER_FROM = (6, 4)
"""The version from which on the token is sent in a header."""
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/@]{1,253})(?::([0-9]{1,5}))?\Z")
_NOT_SIGNED_IN = re.compile(
    "not authori[sz]ed|session terminated|incorrect user name|re-login|api token", re.IGNORECASE
)
_NO_RIGHT = re.compile("permission", re.IGNORECASE)


class Zabbix(ApiTarget):
    """The password is shown to those who may write it, so it is compared; its server tests what is stored."""

    name = "zabbix"
    title = "Zabbix"
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(("from_address", "from_name", "smtp.ehlo_name"))
    options = (Option("server"),)
    readback = "clear"
    secret_field = "passwd"
    shows_whether_stored = True
    destination = frozenset(_FIELDS) - {"smtp_helo", "smtp_email"}
    logins = (frozenset(("username", "password")), frozenset(("token",)))
    right = "the user type Super admin"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        yield from super().unsupported_values(account)
        if not account.connector.author:
            yield "from_address", f"is required by {self.title}"
        if re.search('[<>"]', account.connector.from_name):
            yield "from_name", f'cannot hold any of < > " in {self.title}'
        server = account.options.get("server")
        if server and not _server(str(server)):
            yield "options.server", "must be host or host:port"
        limits = {"smtp.host": (account.smtp.host, 255), "smtp.username": (account.smtp.username, 255)}
        limits["smtp.password"] = (account.password.reveal() if account.password else "", 255)
        for field, (value, limit) in limits.items():
            if len(value) > limit:
                yield field, f"must be at most {limit} characters in {self.title}"

    def sign_in(self, api: ApiClient, login: Login) -> None:
        session = _Rpc(api)
        version = str(session.call("apiinfo.version", []))
        token = login.token
        if not token and login.password:
            given = {"username": login.username, "password": login.password.reveal()}
            token = api.issued_token(session.call("user.login", given))
        numbers = tuple(int(each) for each in re.findall(r"\d{1,4}", version)[:2])
        api.session = {"token": token, "in_header": numbers >= _HEADER_FROM, "ends": not login.token}

    def sign_out(self, api: ApiClient) -> None:
        if api.session.get("ends"):
            _Rpc(api).call("user.logout", [])

    def fields(self, _place: Place, account: Account) -> Fields:
        smtp, connector = account.smtp, account.connector
        is_checked = smtp.security != "none" and smtp.trust.validate
        signs_in = smtp.auth == "password"
        fields = {
            "smtp_server": smtp.host,
            "smtp_port": str(smtp.port),
            "smtp_security": _SECURITY[smtp.security],
            "smtp_verify_peer": "1" if is_checked else "0",
            "smtp_verify_host": "1" if is_checked else "0",
            "smtp_email": f"{connector.from_name} <{connector.author}>" if connector.from_name else connector.author,
            "smtp_authentication": "1" if signs_in else "0",
            "username": smtp.username if signs_in else "",
        }
        return {**fields, **({"smtp_helo": smtp.ehlo_name} if smtp.ehlo_name else {})}

    def read(self, api: ApiClient, place: Place) -> Stored | None:
        found = _Rpc(api).call("mediatype.get", {"filter": {"name": [place.name]}, "output": "extend"})
        if not isinstance(found, list) or not found:
            return None
        media = found[0] if isinstance(found[0], dict) else {}
        if str(media.get("type")) != _EMAIL:
            raise ApiError(f"target.name: {place.name} is a media type of another kind than e-mail.")
        if self.secret_field not in media:
            raise api.error(f"login: the account may not do this in Zabbix: it needs {self.right}")
        fields = {name: str(media.get(name, "")) for name in _FIELDS}
        return Stored(str(media.get("mediatypeid")), fields, Secret(str(media[self.secret_field])))

    def create(self, api: ApiClient, place: Place, wanted: Wanted) -> None:
        address = str(wanted.fields["smtp_email"]).rstrip(">")
        helo = {"smtp_helo": address.rpartition("@")[2] or "localhost"}
        secret = {self.secret_field: wanted.secret.reveal()} if wanted.secret else {}
        _Rpc(api).call("mediatype.create", {"type": _EMAIL, "name": place.name, **helo, **wanted.fields, **secret})

    def update(self, api: ApiClient, stored: Stored, wanted: Wanted, changed: frozenset[str]) -> None:
        secret = {self.secret_field: wanted.secret.reveal() if wanted.secret else ""}
        fields = {name: value for name, value in {**wanted.fields, **secret}.items() if name in changed}
        _Rpc(api).call("mediatype.update", {"mediatypeid": stored.id, **fields})

    def remove(self, api: ApiClient, stored: Stored) -> None:
        _Rpc(api).call("mediatype.delete", [stored.id])

    def test(self, api: ApiClient, place: Place, account: Account, _wanted: Wanted, to: str) -> Tested:
        """The server sends a mail with what is stored, and hands on what the mail server says."""
        host, port = _test_server(place)
        if not api.session["ends"] and not Origin("http", host, 0).is_loopback:
            text = "An API token is not sent unencrypted, as the test does to options.server: sign in as a user."
            return Tested("not_supported", text)
        stored = self.read(api, place)
        token = api.session["token"]
        request = {
            "request": "alert.send",
            "sid": token.reveal() if token else "",
            "data": {
                "mediatypeid": stored.id if stored else "",
                "sendto": to,
                "subject": "Test of a mail connector",
                "message": f"Zabbix sends through the mail connector {account.name}.",
            },
        }
        answer = _ask_server(api, host, port, request)
        text = api.redact(str(answer.get("info") or ""))
        if answer.get("response") == "success":
            return Tested("ok", text, is_of_stored=True)
        return Tested("failed", text, observation_in(text, account.smtp))


class _Rpc:
    """Calls of the frontend's API."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def call(self, method: str, params: Any) -> Any:
        """The result of a call, or the error in one sentence."""
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        token = self._api.session.get("token")
        if token and self._api.session.get("in_header"):
            self._api.headers["Authorization"] = f"Bearer {token.reveal()}"
        elif token:
            body["auth"] = token.reveal()
        answer = self._api.request("POST", "/api_jsonrpc.php", body)
        if not isinstance(answer, dict) or not ("result" in answer or isinstance(answer.get("error"), dict)):
            raise self._api.error("url: what answers there is not the API of Zabbix")
        if "result" in answer:
            return answer["result"]
        error = answer["error"]
        words = " ".join(str(error.get(name) or "") for name in ("message", "data")).strip()
        if _NOT_SIGNED_IN.search(words):
            raise self._api.error("login: Zabbix does not accept it", words=words)
        if _NO_RIGHT.search(words):
            raise self._api.error(f"login: the account may not do this in Zabbix: it needs {Zabbix.right}", words=words)
        raise self._api.error(f"url: Zabbix refuses {method}", words=words)


def _server(text: str) -> tuple[str, int] | None:
    found = _SERVER.match(text)
    port = int(found.group(2) or SERVER_PORT) if found else 0
    return (found.group(1).strip("[]"), port) if found and 1 <= port <= 65535 else None


def _test_server(place: Place) -> tuple[str, int]:
    """Where the server is; its protocol is not encrypted, so that another host has to be named."""
    named = place.options.get("server")
    found = _server(str(named)) if named else None
    if found:
        return found
    host = urlsplit(place.url).hostname or ""
    if not Origin("http", host, 0).is_loopback:
        raise ApiError(
            "options.server: is required to test from another host than Zabbix's own: the session goes there"
            " unencrypted, as it does from Zabbix's frontend."
        )
    return host, SERVER_PORT


def _ask_server(api: ApiClient, host: str, port: int, request: Mapping[str, Any]) -> dict[str, Any]:
    body = json.dumps(request).encode()
    server = Server(host, port, only_loopback=Origin("http", host, 0).is_loopback)
    connection = Connection(server, api.clock, api.redact)
    try:
        connection.open()
        stream = connection.stream
        stream.sendall(_HEADER + struct.pack("<II", len(body), 0) + body)
        head = stream.read(len(_HEADER) + 8)
        length = struct.unpack("<I", head[5:9])[0]
        if head[:5] != _HEADER or length > _MAX_ANSWER:
            raise ApiError(f"options.server: what answers at {host} port {port} is not a Zabbix server.")
        answer = parse_json(stream.read(length))
    except ProbeError as error:
        text = api.redact(error.observation.text)
        raise ApiError(f"options.server: the Zabbix server at {host} port {port} does not answer ({text}).") from None
    except (ValueError, struct.error):
        raise ApiError(f"options.server: what answers at {host} port {port} is not a Zabbix server.") from None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}
