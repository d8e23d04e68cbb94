# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A token, and what those who ask for one need of HTTP, which is handed to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .._connector.secret import Secret


@dataclass(frozen=True)
class Token:
    """An access token, which is a secret, and what it says of itself, which is not."""

    secret: Secret
    claims: Mapping[str, Any] = field(default_factory=dict)


class Answer(Protocol):
    """What is needed of an answer over HTTP."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...

    @property
    def text(self) -> str: ...

    def raise_for_status(self) -> None: ...


class Http(Protocol):
    """What is needed of HTTP; also what msal asks of it."""

    def get(self, url: str, params: Any = None, headers: Any = None, **more: Any) -> Answer: ...

    def post(self, url: str, data: Any = None, params: Any = None, headers: Any = None, **more: Any) -> Answer: ...
