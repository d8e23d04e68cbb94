# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Prometheus Alertmanager: the smtp_ settings among the global ones of its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from email.utils import formataddr
from typing import Any, NamedTuple, NoReturn

from ..._connector.resolved import TlsTrust
from ..._errors import DeclarationError, FieldMessage, MissingLibrary, Problem
from ..formats import managed_block
from ..interface import Sender

_IMPLICIT_TLS = 465
_OURS = "smtp_"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


class Alertmanager(managed_block.ManagedBlockTarget):
    """The alert dispatcher of Prometheus, which sends alerts as mail."""

    name = "alertmanager"
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(("from_address", "from_name", "smtp.mechanisms", "smtp.client_cert"))

    def unsupported_values(self, sender: Sender) -> Iterator[FieldMessage]:
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

    def render(self, text: str, sender: Sender) -> str:
        text = managed_block.restored(text)
        if not text.endswith("\n"):
            text += "\n"
        named = sender.password_file if sender.password else ""
        lines = [*_yaml_of(_settings(sender))]
        before = _read(text)
        place = _place_for(text, before)
        indented = [*place.opening, *(f"{place.indent}{line}" for line in lines)]
        written = managed_block.inserted(text, place.position, indented, place.aside, named)
        if not _holds(written, before, lines):
            _refuse("must have its global settings in block style, each on a line of its own")
        return written

    def password_text(self, sender: Sender) -> str | None:
        # Without a line break at the end, which older versions would take for a part of the password.
        return sender.password.reveal() if sender.password else None


def _settings(sender: Sender) -> dict[str, Any]:
    """The settings of Alertmanager by name."""
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


def _tls(trust: TlsTrust) -> Iterator[tuple[str, Any]]:
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


class _Configuration(NamedTuple):
    """A configuration as pairs of YAML nodes. They are never constructed as data: aliases could make that endless."""

    others: list[tuple[Any, Any]]
    key: Any
    """The one of the global settings, None where there are none."""

    settings: Any
    """The node of the global settings."""

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        return list(self.settings.value) if isinstance(self.settings, _yaml().MappingNode) else []

    @property
    def ours(self) -> list[tuple[Any, Any]]:
        return [pair for pair in self.pairs if _is_ours(pair[0])]

    @property
    def others_within(self) -> list[tuple[Any, Any]]:
        return [pair for pair in self.pairs if not _is_ours(pair[0])]


def _is_ours(key: Any) -> bool:
    return isinstance(key.value, str) and key.value.startswith(_OURS)


def _place_for(text: str, configuration: _Configuration) -> _Place:
    key, settings = configuration.key, configuration.settings
    if key is None:
        return _Place(text.count("\n"), "  ", ("global:",))
    if not configuration.pairs:
        return _Place(key.end_mark.line + 1, "  ")
    first = settings.value[0][0].start_mark
    return _Place(first.line, " " * first.column, aside=frozenset(_lines_of_ours(text, settings)))


def _lines_of_ours(text: str, mapping: Any) -> Iterator[int]:
    """The numbers of the lines of settings that are replaced; each setting ends where the next begins."""
    lines = text.split("\n")
    starts = [key.start_mark.line for key, _value in mapping.value]
    for (key, _value), start, end in zip(mapping.value, starts, [*starts[1:], mapping.end_mark.line]):
        if _is_ours(key):
            # YAML counts lines that end in other ways, too; whether these were the right ones is seen afterwards.
            numbers = range(start, min(end, len(lines)))
            yield from (number for number in numbers if lines[number].strip() and lines[number].lstrip()[0] != "#")


def _holds(written: str, before: _Configuration, lines: Sequence[str]) -> bool:
    """Whether the written text parses as these settings and everything that was there before but ours."""
    try:
        after = _read(written)
    except DeclarationError:
        return False
    ours = _nodes("\n".join(lines)).value
    expected = (before.others, before.others_within, ours)
    return all(map(_are_same, expected, (after.others, after.others_within, after.ours)))


def _are_same(expected: Sequence[tuple[Any, Any]], found: Sequence[tuple[Any, Any]]) -> bool:
    """Compare YAML nodes, each two of them once: by aliases, few lines can stand for more than can be gone through."""
    if len(expected) != len(found):
        return False
    remaining = [nodes for pairs in zip(expected, found) for nodes in zip(*pairs)]
    seen = set()
    while remaining:
        one, other = remaining.pop()
        if (id(one), id(other)) in seen:
            continue
        seen.add((id(one), id(other)))
        if one.tag != other.tag or isinstance(one.value, str) != isinstance(other.value, str):
            return False
        if isinstance(one.value, str):
            if one.value != other.value:
                return False
            continue
        if len(one.value) != len(other.value):
            return False
        for inner in zip(one.value, other.value):
            remaining += zip(*inner) if isinstance(inner[0], tuple) else [inner]
    return True


def _read(text: str) -> _Configuration:
    """Parse the configuration; an error shows nothing of its content."""
    yaml = _yaml()
    root = _nodes(text)
    if root is None:
        return _Configuration([], None, None)
    if not isinstance(root, yaml.MappingNode):
        _refuse("is no configuration of alertmanager")
    found = [pair for pair in root.value if pair[0].value == "global"]
    others = [pair for pair in root.value if pair[0].value != "global"]
    key, settings = found[0] if found else (None, None)
    if len(found) > 1:
        _refuse("has global settings in more than one place")
    if settings is not None and not isinstance(settings, yaml.MappingNode) and settings.tag != _NULL:
        _refuse("is no configuration of alertmanager")
    configuration = _Configuration(others, key, settings)
    if any(pair[0].tag == _MERGE for pair in (configuration.pairs if found else others)):
        _refuse("takes global settings from elsewhere (<<), write them in full")
    return configuration


def _nodes(text: str) -> Any:
    yaml = _yaml()
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The others come from impossible escapes. Its own words would show what stands there.
        mark = getattr(error, "problem_mark", None)
        return _refuse(f"is no valid YAML{f', line {mark.line + 1}' if mark else ''}")
    except RecursionError:
        return _refuse("is nested too deeply")


def _yaml_of(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield f"{key}:"
            yield from (f"  {line}" for line in _yaml_of(value))
        elif isinstance(value, bool):
            yield f"{key}: {str(value).lower()}"
        else:
            quoted = _yaml().safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))
            yield f"{key}: {quoted}".rstrip("\n")


def _refuse(what: str) -> NoReturn:
    raise DeclarationError([Problem("", "path", what)])


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as missing:
        raise MissingLibrary("PyYAML", "to write settings of Alertmanager", str(missing)) from None
    return yaml
