# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Checks of single values. Each returns the value as it is stored, or raises what is allowed.

No message repeats the value: a password may have slipped into any field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from .._errors import Problem
from .domain import MAX_NAME_LENGTH, DomainError, check_characters, to_ascii
from .suggest import did_you_mean

Check = Callable[[Any], Any]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_EXCEPT_NEWLINE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
MAX_CONNECTOR_NAME_LENGTH = 50

_IDENTIFIER = re.compile(rf"[A-Za-z0-9_]{{1,{MAX_CONNECTOR_NAME_LENGTH}}}\Z")
_PURPOSE = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}\Z")
_LOCAL_PART = re.compile(r"[^\s\x00-\x20\x7f<>()\[\]\\,;:\"@.]+(?:\.[^\s\x00-\x20\x7f<>()\[\]\\,;:\"@.]+)*\Z")
_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}\Z")
_ENDPOINT = re.compile(r"([a-z][a-z0-9]*)://(\[[^\]]*\]|[^/:;?#\[\]]*)(?:[:;]([0-9]{1,5}))?/?\Z", re.IGNORECASE)
_HTTPS_URL = re.compile(r"(https://[^/]*)(/[!-~]*)\Z")
_SCOPE = re.compile(r"%[A-Za-z0-9_.-]{1,32}\Z")
_TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,199}\Z")
_VISIBLE = re.compile(r"[!-~]{1,200}\Z")

_MAX_ADDRESS_LENGTH = 254

_SET_BY_MESSAGE = frozenset(
    "from to cc bcc reply-to sender subject date message-id mime-version content-type content-transfer-encoding".split()
)
_SET_BY_SYSTEM = frozenset("received return-path delivered-to dkim-signature authentication-results".split())
_SET_BY_SYSTEM_PREFIXES = ("content-", "resent-")


class InvalidValueError(ValueError):
    """A value is not allowed; the text says what is allowed."""


def run_check(check: Check, value: Any, where: str, field: str) -> list[Problem]:
    """Run a check on a value and return its problems: none or one."""
    try:
        check(value)
    except InvalidValueError as error:
        return [Problem(where, field, str(error))]
    return []


def _require_text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValueError("must be text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidValueError("must be valid Unicode text") from None
    return value


def text(max_length: int, *, lines: bool = False) -> Check:
    """Free text of 1 to `longest` characters, on one line unless `lines`."""
    forbidden = _CONTROL_EXCEPT_NEWLINE if lines else _CONTROL
    allowed = f"must be 1 to {max_length} characters" + (
        " without control characters" if lines else " on one line, without control characters"
    )

    def check(value: Any) -> str:
        value = _require_text(value)
        if not 1 <= len(value) <= max_length or forbidden.search(value):
            raise InvalidValueError(allowed)
        if not value.strip():
            raise InvalidValueError(f"{allowed}, and not blanks alone")
        return str(value)

    return check


def secret_text(max_length: int) -> Check:
    """A secret, neither stripped nor converted."""

    def check(value: Any) -> str:
        value = _require_text(value)
        if not value:
            raise InvalidValueError(
                "must not be empty; leave it out to keep the stored value, or name it in clear to remove it"
            )
        if len(value) > max_length or "\x00" in value:
            raise InvalidValueError(f"must be at most {max_length} characters without NUL")
        return str(value)

    return check


def number(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return check


def date(value: Any) -> str:
    from datetime import date as calendar_date

    allowed = "must be a date such as 2027-05-31"
    if not _DATE.match(_require_text(value)):
        raise InvalidValueError(allowed)
    try:
        return calendar_date.fromisoformat(value).isoformat()
    except ValueError:
        raise InvalidValueError(allowed) from None


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidValueError("must be true or false")
    return value


def one_of(*choices: str, synonyms: Mapping[str, str] | None = None) -> Check:
    """One of these words. `synonyms` maps other words to the choice that each stands for, for suggestions."""
    allowed = "must be one of " + ", ".join(choices)

    def check(value: Any) -> str:
        if value not in choices:
            raise InvalidValueError(
                allowed + (did_you_mean(value, choices, synonyms or {}) if isinstance(value, str) else "")
            )
        return str(value)

    return check


def list_of(each: Check, max_items: int) -> Check:
    """A list without duplicates, whose items all pass the check `each`."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > max_items:
            raise InvalidValueError(f"must be a list of at most {max_items} items")
        items: list[Any] = []
        for position, item in enumerate(value):
            try:
                kept = each(item)
            except InvalidValueError as error:
                raise InvalidValueError(f"item {position + 1} {error}") from None
            if kept in items:
                raise InvalidValueError(f"item {position + 1} is a duplicate")
            items.append(kept)
        return items

    return check


def pattern(expression: re.Pattern[str], allowed: str) -> Check:
    def check(value: Any) -> str:
        if not expression.match(_require_text(value)):
            raise InvalidValueError(allowed)
        return str(value)

    return check


connector_name = pattern(_IDENTIFIER, f"must be 1 to {MAX_CONNECTOR_NAME_LENGTH} letters, digits or underscores")
purpose_name = pattern(_PURPOSE, "must be 1 to 100 letters, digits or any of _ . -")
tenant_name = text(100)
_user_text = text(320)
tenant_id = pattern(_TENANT_ID, "must be a tenant's id or domain name, in ASCII (xn--…)")
client_id = pattern(_VISIBLE, "must be 1 to 200 visible ASCII characters without spaces")


def _is_ipv6(value: str) -> bool:
    import ipaddress

    address, percent, scope = value.partition("%")
    if percent and not _SCOPE.match(percent + scope):
        return False
    try:
        return ipaddress.ip_address(address).version == 6
    except ValueError:
        return False


def _is_domain(value: str) -> bool:
    try:
        ascii_name = to_ascii(value)
    except DomainError:
        return False
    labels = ascii_name.split(".")
    if len(ascii_name) > MAX_NAME_LENGTH or _NUMBER.match(labels[-1]):
        return False
    return all(_LABEL.match(label) for label in labels)


def _check_characters(name: str) -> None:
    try:
        check_characters(name)
    except DomainError as error:
        raise InvalidValueError(str(error)) from None


def _stored_host(value: str) -> str:
    """Check a host by the rules of all releases: a stored value stays usable until it is changed."""
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if len(value) <= MAX_NAME_LENGTH and (_IPV4.match(value) or (":" in bare and _is_ipv6(bare)) or _is_domain(value)):
        return bare
    raise InvalidValueError("must be a host name or an IP address, without scheme, port or path")


def host(value: Any) -> str:
    """A host's name or address; an IPv6 address may stand in brackets."""
    value = _require_text(value)
    _check_characters(value)
    return _stored_host(value)


def stored_address(value: Any) -> str:
    """Check a bare mail address by the rules of all releases: a stored value stays usable until it is changed."""
    value = _require_text(value)
    local, at, domain = value.rpartition("@")
    is_valid = at and len(value) <= _MAX_ADDRESS_LENGTH and len(local.encode()) <= 64 and not _CONTROL.search(value)
    if is_valid and _LOCAL_PART.match(local) and _is_domain(domain):
        return str(value)
    raise InvalidValueError("must be a mail address such as alerts@example.com, without a display name")


def address(value: Any) -> str:
    """A bare mail address: no display name, no angle brackets, and no encoded word."""
    value = _require_text(value)
    local, _at, domain = value.rpartition("@")
    _check_characters(domain)
    if "=?" in local:
        raise InvalidValueError("must be a mail address without =?, which begins an encoded word")
    stored_address(value)
    if len(local.encode()) + len("@") + len(to_ascii(domain)) > _MAX_ADDRESS_LENGTH:
        raise InvalidValueError(f"must have at most {_MAX_ADDRESS_LENGTH} characters once its domain is in ASCII")
    return str(value)


def is_address(value: object) -> bool:
    """Whether mail can be sent to or from this, which may be the name of a user."""
    try:
        stored_address(value)
    except InvalidValueError:
        return False
    return True


def user_name(value: Any) -> str:
    """A user name; one that is a mail address must be a valid one, since mail may be sent from it or to it."""
    value = _user_text(value)
    try:
        return address(value)
    except InvalidValueError:
        if is_address(value):
            raise
    return str(value)


class ParsedUrl(NamedTuple):
    scheme: str
    host: str
    port: int | None


def parse_url(value: Any, schemes: tuple[str, ...], allowed: str, *, semicolon: bool = False) -> ParsedUrl:
    """Parse `scheme://host[:port]`; credentials in it are refused."""
    value = _require_text(value)
    if "@" in value:
        raise InvalidValueError(f"{allowed}; it cannot contain a user or password")
    match = _ENDPOINT.match(value)
    if not match or match.group(1).lower() not in schemes or (";" in value and not semicolon):
        raise InvalidValueError(allowed)
    port = int(match.group(3)) if match.group(3) else None
    try:
        host_name = _stored_host(match.group(2))
        if port is not None:
            number(1, 65535)(port)
    except InvalidValueError:
        _check_characters(match.group(2))
        raise InvalidValueError(allowed) from None
    return ParsedUrl(match.group(1).lower(), host_name, port)


def smtp_uri(value: Any) -> str:
    _check_characters(parse_smtp_uri(value).host)
    return str(value)


def parse_smtp_uri(value: Any) -> ParsedUrl:
    allowed = "must be smtp://host, smtp://host:port, smtps://host or smtps://host:port"
    return parse_url(value, ("smtp", "smtps"), allowed, semicolon=True)


_PROXY = "must be socks5://host:port or http://host:port"


def proxy(value: Any) -> str:
    _scheme, name, port = parse_proxy(value)
    if not port:
        raise InvalidValueError(_PROXY)
    _check_characters(name)
    return str(value)


def parse_proxy(value: Any) -> tuple[str, str, int]:
    """The scheme, host and port of a proxy, by the rules of all releases; port 0 where it has none."""
    url = parse_url(value, ("socks5", "http"), _PROXY)
    return url.scheme, url.host, url.port or 0


def https_origin(value: Any) -> str:
    _check_characters(parse_url(value, ("https",), "must be https://host or https://host:port, without a path").host)
    return str(value)


def https_url(value: Any) -> str:
    value = _require_text(value)
    allowed = "must be an https:// address with a path, without user or password"
    match = _HTTPS_URL.match(value)
    if len(value) > 2000 or not match or "@" in match.group(1):
        raise InvalidValueError(allowed)
    _check_characters(parse_url(match.group(1), ("https",), allowed).host)
    return str(value)


def absolute_path(value: Any) -> str:
    value = _require_text(value)
    if not value.startswith("/") or len(value) > 4096 or _CONTROL.search(value):
        raise InvalidValueError("must be an absolute path")
    return str(value)


def stored_headers(value: Any) -> dict[str, str]:
    """Check custom headers by the rules of all releases: stored values stay usable until they are changed."""
    if not isinstance(value, dict) or len(value) > 50:
        raise InvalidValueError("must be a dictionary of at most 50 headers")
    kept: dict[str, str] = {}
    for name, content in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.match(name):
            raise InvalidValueError("a header's name must be 1 to 76 visible ASCII characters without a colon")
        if name.lower() in _SET_BY_MESSAGE:
            raise InvalidValueError(f"{name} is set by the message itself")
        if name.lower() in (other.lower() for other in kept):
            raise InvalidValueError(f"{name} is given twice")
        is_number = isinstance(content, int) and not isinstance(content, bool)
        try:
            kept[name] = str(text(2048)(str(content) if is_number else content))
        except InvalidValueError:
            allowed = "must be 1 to 2048 characters on one line, without control characters, and not blanks alone"
            raise InvalidValueError(f"{name} {allowed}") from None
    return kept


def headers(value: Any) -> dict[str, str]:
    """Custom headers: none that the message itself or the mail system sets."""
    kept = stored_headers(value)
    for name in kept:
        if name.lower() in _SET_BY_SYSTEM or name.lower().startswith(_SET_BY_SYSTEM_PREFIXES):
            raise InvalidValueError(f"{name} is set by the mail system")
    return kept


def managed_identity(value: Any) -> str:
    try:
        return str(client_id(value))
    except InvalidValueError:
        raise InvalidValueError("must be system or a client id") from None


def certificate(value: Any) -> str:
    value = secret_text(65536)(value)
    if "-----BEGIN CERTIFICATE-----" not in value or "PRIVATE KEY-----" not in value:
        raise InvalidValueError("must be PEM text that holds a private key and its certificate")
    return str(value)


def service_account(value: Any) -> str:
    """A Google service account key, serialized in one form so that equal keys compare equal."""
    allowed = "must be a Google service account key in JSON, with type, client_email and private_key"
    try:
        written = value if isinstance(value, str) else json.dumps(value)
        value = json.loads(secret_text(65536)(written))
    except InvalidValueError:
        raise
    except (TypeError, ValueError, RecursionError):
        raise InvalidValueError(allowed) from None
    if not isinstance(value, dict) or value.get("type") != "service_account":
        raise InvalidValueError(allowed)
    if not all(isinstance(value.get(key), str) and value[key] for key in ("client_email", "private_key")):
        raise InvalidValueError(allowed)
    if "token_uri" in value:
        try:
            https_url(value["token_uri"])
        except InvalidValueError as error:
            raise InvalidValueError(f"its token_uri {error}") from None
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
