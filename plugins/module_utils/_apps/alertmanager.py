# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Prometheus Alertmanager: the smtp_ settings among the global ones of its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import formataddr
from typing import Any, NamedTuple, NoReturn

from .._errors import DeclarationError, MissingLibrary, Problem
from .._wire.tls import Trust
from . import block
from .beside import SettingsBesideOthers
from .sender import Finding, Sender

_IMPLICIT_TLS = 465
_OURS = "smtp_"


class Alertmanager(SettingsBesideOthers):
    """It sends alerts as mail."""

    name = "alertmanager"
    securities = ("none", "starttls", "tls")
    expresses = frozenset(("from_address", "from_name", "smtp.mechanisms", "smtp.client_cert"))

    def own_refusals(self, sender: Sender) -> Iterator[Finding]:
        server = sender.server
        if (server.security == "tls") != (server.port == _IMPLICIT_TLS):
            yield "smtp.port", f"must be {_IMPLICIT_TLS} in alertmanager where smtp.security is tls, and only there"
        if server.mechanisms and set(server.mechanisms) != {"PLAIN", "LOGIN"}:
            yield "smtp.mechanisms", "must be PLAIN and LOGIN in alertmanager, which takes what the server offers"
        if not sender.from_address:
            yield "from_address", "is required by alertmanager"
        if not sender.from_address.isascii():
            yield "from_address", "must be ASCII before the @ in alertmanager"
        if "{{" in sender.from_address + sender.from_name:
            yield "from_name", "cannot hold {{ in alertmanager, where it begins a template"
        if sender.password and sender.password.reveal() != sender.password.reveal().strip():
            yield "smtp.password", "cannot begin or end with white space in alertmanager"

    def write(self, text: str, sender: Sender) -> str:
        text = block.restored(text)
        if not text.endswith("\n"):
            text += "\n"
        named = sender.password_file if sender.password else ""
        settings = _settings(sender)
        expected = _expected(text, settings)
        place = _find(text)
        lines = [*place.opening, *(f"{place.indent}{line}" for line in _yaml_of(settings))]
        written = block.inserted(text, place.position, lines, place.aside, named)
        if not _says(written, expected):
            _refuse("must have its global settings in block style, each on a line of its own")
        return written

    def password_text(self, sender: Sender) -> str | None:
        # Without a line break at the end, which older versions would take for a part of the password.
        return sender.password.reveal() if sender.password else None


def _settings(sender: Sender) -> dict[str, Any]:
    """The settings in Alertmanager's words."""
    server = sender.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    settings: dict[str, Any] = {
        "smtp_smarthost": f"{host}:{server.port}",
        "smtp_from": formataddr((sender.from_name, sender.from_address)),
        # It stands for STARTTLS, which no server offers once the connection is encrypted.
        "smtp_require_tls": server.security == "starttls",
    }
    if server.ehlo_name:
        settings["smtp_hello"] = server.ehlo_name
    if sender.password:
        settings["smtp_auth_username"] = server.username
        settings["smtp_auth_password_file"] = sender.password_file
    tls = dict(_tls(server.trust)) if server.security != "none" else {}
    return {**settings, "smtp_tls_config": tls} if tls else settings


def _tls(trust: Trust) -> Iterator[tuple[str, Any]]:
    if not trust.validate:
        yield "insecure_skip_verify", True
    elif trust.ca_file:
        yield "ca_file", trust.ca_file
    if trust.client_cert:
        yield "cert_file", trust.client_cert
        yield "key_file", trust.client_key or trust.client_cert


class _Place(NamedTuple):
    """Where the settings go, and which lines they override."""

    position: int
    indent: str
    opening: tuple[str, ...] = ()
    aside: frozenset[int] = frozenset()


def _find(text: str) -> _Place:
    yaml = _yaml()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in root.value if root else ():
        if key.value != "global":
            continue
        if value.value and isinstance(value, yaml.MappingNode):
            first = value.value[0][0].start_mark
            return _Place(first.line, " " * first.column, aside=frozenset(_lines_of_ours(text, value)))
        return _Place(key.end_mark.line + 1, "  ")
    return _Place(text.count("\n"), "  ", ("global:",))


def _lines_of_ours(text: str, mapping: Any) -> Iterator[int]:
    """The lines of the settings that are replaced; each ends where the next begins."""
    lines = text.split("\n")
    starts = [key.start_mark.line for key, _value in mapping.value]
    for (key, _value), start, end in zip(mapping.value, starts, [*starts[1:], mapping.end_mark.line]):
        if str(key.value).startswith(_OURS):
            yield from (number for number in range(start, end) if _says_something(lines[number]))


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _expected(text: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be read afterwards: all that was there, but for the settings that are replaced."""
    data = _read(text)
    data = {} if data is None else data
    if not isinstance(data, dict) or not isinstance(data.get("global") or {}, dict):
        _refuse("is no configuration of alertmanager")
    others = {key: value for key, value in (data.get("global") or {}).items() if not str(key).startswith(_OURS)}
    return {**data, "global": {**others, **settings}}


def _says(text: str, expected: Mapping[str, Any]) -> bool:
    yaml = _yaml()
    try:
        return bool(yaml.safe_load(text) == expected)
    except yaml.YAMLError:
        return False


def _read(text: str) -> Any:
    yaml = _yaml()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Its own words would show what stands there.
        mark = getattr(error, "problem_mark", None)
        return _refuse(f"is no valid YAML{f', line {mark.line + 1}' if mark else ''}")


def _yaml_of(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield f"{key}:"
            yield from (f"  {line}" for line in _yaml_of(value))
        elif isinstance(value, bool):
            yield f"{key}: {str(value).lower()}"
        else:
            yield f"{key}: {_quoted(value)}"


def _quoted(value: str) -> str:
    return str(_yaml().safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))).rstrip("\n")


def _refuse(what: str) -> NoReturn:
    raise DeclarationError([Problem("", "path", what)])


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as missing:
        raise MissingLibrary("PyYAML", "to write settings of Alertmanager", str(missing)) from None
    return yaml
