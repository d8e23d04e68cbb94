# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The type of a token, and the HTTP interface that token sources use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .._connector.secret import Secret


@dataclass(frozen=True)
class Token:
    """An access token, and its claims, which are not secret."""

    secret: Secret
    claims: Mapping[str, Any] = field(default_factory=dict)


class Response(Protocol):
    """The part of an HTTP response that token sources use."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...

    @property
    def text(self) -> str: ...

    def raise_for_status(self) -> None: ...


class Http(Protocol):
    """The part of an HTTP client that token sources and msal use."""

    def get(self, url: str, params: Any = None, headers: Any = None, **more: Any) -> Response: ...

    def post(self, url: str, data: Any = None, params: Any = None, headers: Any = None, **more: Any) -> Response: ...
