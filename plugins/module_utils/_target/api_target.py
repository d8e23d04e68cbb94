# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The interface of applications that are configured by an API."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from .._connector.resolved import ResolvedConnector
from .._connector.secret import Secret
from .._errors import FieldMessage
from .._verdict.observation import Observation
from .api_client import ApiClient
from .interface import Account, Application, Option

Fields = Mapping[str, Any]
_ABSENT = object()
"""Mail settings in an application's own words, without the secret."""

Readback = Literal["clear", "mask", "resend"]
"""What reading says of the secret: itself, or nothing; then an update may leave it out, or has to repeat it."""


@dataclass(frozen=True)
class Login:
    """Who signs in at the application."""

    username: str = ""
    password: Secret | None = None
    token: Secret | None = None
    client_id: str = ""
    client_secret: Secret | None = None

    def given(self) -> frozenset[str]:
        return frozenset(name for name, value in vars(self).items() if value)


@dataclass(frozen=True)
class Stored:
    """Mail settings as an application has them."""

    id: str
    fields: Fields
    """Those that a connector decides."""
    shown: Secret | None = None
    """What is shown in place of the secret: itself, a mask, or nothing."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """What else the object holds and an update has to repeat."""

    def differing(self, wanted: Wanted) -> set[str]:
        """The fields that are not as they are wanted, the secret apart."""
        return {name for name, value in wanted.fields.items() if self.fields.get(name, _ABSENT) != value}


@dataclass(frozen=True)
class Wanted:
    """Mail settings as a connector describes them."""

    fields: Fields
    secret: Secret | None = None


@dataclass(frozen=True)
class Tested:
    """What an application said of its own test."""

    status: Literal["ok", "failed", "not_supported"]
    text: str = ""
    """A sentence of ours, or its own words, which are redacted."""
    observation: Observation | None = None
    """What its words say of the mail server, where they do."""
    is_of_stored: bool = False
    """Whether the stored secret was tested, so that success proves it."""


@dataclass(frozen=True)
class Place:
    """What a task addresses in an application, and the application's own options."""

    keys: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""

    @property
    def name(self) -> str:
        return self.keys.get("name", "")

    @property
    def recorded(self) -> str:
        """How the registry records it."""
        return " ".join((self.url, *map("=".join, sorted(self.keys.items()))))


class ApiTarget(Application):
    """An application that is configured by an API: what differs between applications is mapping and calls."""

    title: ClassVar[str]
    """How messages call it."""

    readback: ClassVar[Readback]

    secret_field: ClassVar[str] = "password"
    """What it calls the secret."""

    masks: ClassVar[frozenset[str]] = frozenset()
    """What it shows in place of a secret and takes for "keep what is stored"."""

    shows_whether_stored: ClassVar[bool] = False
    """Whether reading says that no secret is stored."""

    destination: ClassVar[frozenset[str]]
    """The fields that say where the secret goes."""

    keys: ClassVar[tuple[Option, ...]] = (Option("name"),)
    """What `target` takes."""

    test_sends_secret: ClassVar[bool] = False
    """Whether its test is of what it is sent, the secret among it, instead of what it holds."""

    logins: ClassVar[tuple[frozenset[str], ...]]
    """The sets of options of `login` that it signs in with."""

    right: ClassVar[str]
    """What its account needs to be allowed."""

    def default_name(self, connector: ResolvedConnector) -> str:
        """What the object is called where `target.name` is left out."""
        return connector.name

    def key_problems(self, _keys: Mapping[str, str]) -> Iterator[FieldMessage]:
        """What is wrong with the keys of a place."""
        return iter(())

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if account.password and account.password.reveal() in self.masks:
            yield "smtp.password", f"is what {self.title} shows in place of a password, so it would not be stored"

    @abstractmethod
    def sign_in(self, api: ApiClient, login: Login) -> None:
        """Sign in: later requests carry what proves it."""

    def sign_out(self, api: ApiClient) -> None:
        """End what signing in has begun."""

    @abstractmethod
    def fields(self, place: Place, account: Account) -> Fields:
        """The mail settings of a connector in the application's words."""

    @abstractmethod
    def read(self, api: ApiClient, place: Place) -> Stored | None:
        """The mail settings as they are, None where there are none."""

    @abstractmethod
    def create(self, api: ApiClient, place: Place, wanted: Wanted) -> None:
        """Make the object."""

    @abstractmethod
    def update(self, api: ApiClient, stored: Stored, wanted: Wanted, changed: frozenset[str]) -> None:
        """Bring these fields to what is wanted; the secret field is among them where the secret is sent."""

    @abstractmethod
    def remove(self, api: ApiClient, stored: Stored) -> None:
        """Remove the object."""

    @abstractmethod
    def test(self, api: ApiClient, place: Place, account: Account, wanted: Wanted, to: str) -> Tested:
        """Have the application test the settings."""
