# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Keepnet's API takes, by its public OpenAPI description: types, lengths, and nothing that it does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_INT32 = 2**31


class Field(NamedTuple):
    """One property of a request."""

    kind: type
    least: int = 0
    most: int = 2**20
    required: bool = False
    nullable: bool = False


_OPTIONAL = Field(str, most=200, nullable=True)
SETTING: Mapping[str, Field] = {
    "name": Field(str, 1, 64, required=True),
    "serverAddress": Field(str, 1, 200, required=True),
    "serverPort": Field(str, 1, 10, required=True),
    "userName": Field(str, 1, 200, required=True),
    "password": Field(str, 1, 200, required=True),
    "useAuthentication": Field(bool),
    "useSSL": Field(bool),
    "hasSMTPRelay": Field(bool),
    "replyTo": _OPTIONAL,
    "errorTo": _OPTIONAL,
    "cc": _OPTIONAL,
    "bcc": _OPTIONAL,
    "customHeader": Field(str, most=2048, nullable=True),
    "statusId": Field(int, nullable=True),
    "availableForRequests": Field(list, nullable=True),
}
AVAILABLE_FOR: Mapping[str, Field] = {"type": Field(str), "resourceId": Field(str, nullable=True)}
SEARCH: Mapping[str, Field] = {
    "filter": Field(dict, required=True),
    "pageNumber": Field(int, 1, required=True),
    "pageSize": Field(int, 1, required=True),
    "orderBy": Field(str, 1, required=True),
    "ascending": Field(bool, required=True),
}
TEST: Mapping[str, Field] = {
    "from": Field(str, nullable=True),
    "fromName": Field(str, nullable=True),
    "to": Field(str, nullable=True),
    "message": Field(str, nullable=True),
    "phishingTypeId": Field(int),
}


def problems(body: Any, fields: Mapping[str, Field]) -> Iterator[str]:
    """What the service would complain about."""
    if not isinstance(body, dict):
        yield "The body must be an object."
        return
    yield from (f"The field {name} is unknown." for name in body.keys() - fields.keys())
    for name, field in fields.items():
        if name in body:
            yield from (f"The field {name} {what}." for what in [_problem(body[name], field)] if what)
        elif field.required:
            yield f"The field {name} is required."


def _problem(value: Any, field: Field) -> str:
    if value is None:
        return "" if field.nullable else "cannot be null"
    if type(value) is not field.kind:
        return "has the wrong type"
    if field.kind is int:
        return "" if field.least <= value < _INT32 else "is out of range"
    fits = field.kind is bool or field.least <= len(value) <= field.most
    return "" if fits else "has the wrong length"
