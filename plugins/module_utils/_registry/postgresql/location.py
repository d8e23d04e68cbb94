# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Parses `postgresql://[user@]host[:port][,host2[:port2]]/database[?parameter=…]`.

A message never repeats what was written: whoever puts a password where it does not belong should not read it in a log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import unquote

from ..._errors import RegistryError

SCHEME = "postgresql://"
DEFAULT_SCHEMA = "mailroom"
CONNECT_SECONDS = "10"

_LONGEST = 2000
_LONGEST_NAME = 63
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}\Z")
_HOST_AND_PORT = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%a-z0-9]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9_.:%-]{1,255}|/[!-+\--~]{1,100})\Z")
"""A name, an address, or the folder of a Unix socket."""
_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PASSWORDS = ("password", "sslpassword")
_PASSWORD = re.compile("password *=", re.IGNORECASE)
"""A parameter that has become part of something else, which messages may show."""
_NO_PASSWORD = "must not hold a password: give registry_password, or use a password file (passfile)"
# What libpq knows, but for passwords, what is in the path, and what is this collection's own or the session's.
_PARAMETERS = frozenset(
    "host hostaddr port user passfile require_auth channel_binding connect_timeout application_name keepalives"
    " keepalives_idle keepalives_interval keepalives_count tcp_user_timeout sslmode sslnegotiation sslcert sslkey"
    " sslcertmode sslrootcert sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version ssl_max_protocol_version"
    " gssencmode krbsrvname gsslib gssdelegation service target_session_attrs load_balance_hosts"
    " min_protocol_version max_protocol_version".split()
)


@dataclass(frozen=True)
class Location:
    """A schema in a database."""

    shown: str
    """How messages name it."""
    schema: str
    parameters: Mapping[str, str] = field(repr=False)
    """What libpq is given to connect."""


def parse_location(text: str) -> Location:
    """The location, or one sentence that says what is allowed."""
    _check_characters(text)
    netloc, _slash, tail = text[len(SCHEME) :].partition("/")
    path, _mark, query = tail.partition("?")
    if "?" in netloc or not path:
        _refuse("must name a database: postgresql://host/database")
    if "/" in path or "@" in path:
        _refuse("must name one database behind one /, with a / or @ in its name percent-encoded")
    user, at, hosts = netloc.rpartition("@")
    if ":" in user or "@" in user:
        _refuse(_NO_PASSWORD)
    parameters = {**({"user": _name(user, "user")} if at else {}), **_hosts(hosts), "dbname": _name(path, "database")}
    for key, value in _pairs(query):
        if key in parameters:
            _refuse(f"names {key} twice")
        parameters[key] = value
    if ":" in parameters.get("user", ""):
        _refuse(_NO_PASSWORD)
    schema = parameters.pop("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.match(schema):
        _refuse("must give a schema of 1 to 63 lower-case letters, digits or underscores, which begins with no digit")
    shown = f"{SCHEME}{netloc}/{path}" + (f"?schema={schema}" if schema != DEFAULT_SCHEMA else "")
    defaults = {"sslmode": "verify-full", "connect_timeout": CONNECT_SECONDS, "application_name": "mailroom.core"}
    # Over a Unix socket libpq has no use for sslmode, and which hosts it finds in its environment is not known here.
    return Location(shown, schema, {**defaults, **parameters, "client_encoding": "UTF8"})


def _check_characters(text: str) -> None:
    if len(text) > _LONGEST:
        _refuse(f"must be at most {_LONGEST} characters long")
    if not text.isascii():
        _refuse("must be ASCII: write other characters percent-encoded, and an international host as xn--…")
    if _CONTROL.search(text) or " " in text:
        _refuse("must not contain spaces, line breaks or other control characters")
    if not text.startswith(SCHEME):
        _refuse("must begin with postgresql://")
    if "#" in text or _ESCAPED.search(text):
        _refuse("holds a # or a % that must be percent-encoded (%23, %25)")


def _hosts(netloc: str) -> dict[str, str]:
    if not netloc:
        return {}
    hosts, ports = [], []
    for each in netloc.split(","):
        parts = _HOST_AND_PORT.match(each)
        host = unquote(parts["ipv6"] or parts["host"]) if parts else ""
        port = (parts["port"] or "") if parts else ""
        if not _HOST.match(host):
            _refuse("must give each host as a name or an address, IPv6 in brackets, with a port from 1 to 65535")
        if port and not 1 <= int(port) <= 65535:
            _refuse("must give ports from 1 to 65535")
        hosts.append(host)
        ports.append(port)
    return {"host": ",".join(hosts), **({"port": ",".join(ports)} if any(ports) else {})}


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = []
    for each in query.split("&") if query else ():
        key, equals, value = each.partition("=")
        if key in _PASSWORDS:
            _refuse(f"must not hold {key}: give registry_password, or use a password file (passfile)")
        if key != "schema" and key not in _PARAMETERS:
            _refuse(f"has a parameter that is not allowed; allowed are schema, {', '.join(sorted(_PARAMETERS))}")
        if not equals or not value:
            _refuse(f"gives no value for {key}")
        pairs.append((key, _decoded(value, key)))
    return pairs


def _name(text: str, what: str) -> str:
    name = _decoded(text, what)
    if not name or len(name.encode()) > _LONGEST_NAME:
        _refuse(f"must give a {what} of 1 to {_LONGEST_NAME} bytes")
    return name


def _decoded(text: str, what: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        _refuse(f"must percent-encode {what} as UTF-8")
    if _PASSWORD.search(decoded):
        _refuse(_NO_PASSWORD)
    if _CONTROL.search(decoded):
        _refuse(f"must not have control characters in {what}")
    return decoded


def _refuse(what: str) -> NoReturn:
    raise RegistryError(f"registry {what}.")
