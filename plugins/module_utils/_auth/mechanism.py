# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The interface of a SASL mechanism: initial response and responses to challenges. No network here."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .._connector.redaction import Redaction
from .._connector.secret import Secret
from .._verdict.observation import Observation
from .saslprep import saslprep


class Mechanism(ABC):
    """One sign-in with a SASL mechanism."""

    name: str

    def __init__(self, username: str, secret: Secret, *, redact: Redaction | None = None) -> None:
        self.has_used_secret = False
        """Whether a response was derived from the secret."""
        self.username = username
        self.secret = secret
        self._redact = redact

    def redact(self, text: bytes | str) -> str:
        """Redact what the server says while signing in."""
        return (self._redact or Redaction([self.secret]))(text)

    def check(self) -> None:
        """Fail before anything is sent if the user name or password cannot be used to sign in."""
        saslprep(self.username, "username")
        saslprep(self.secret.reveal(), "password")

    def initial_response(self) -> bytes | None:
        """The initial response, or None if the server speaks first."""
        return None

    @abstractmethod
    def respond(self, challenge: bytes, /) -> bytes:
        """The response to a challenge."""

    def add_error_details(self, observation: Observation) -> Observation:
        """Add what the server said about its refusal during the sign-in."""
        return observation

    def verify_server(self) -> None:  # noqa: B027  most mechanisms do not authenticate the server
        """After a successful sign-in: fail if the server did not prove that it knows the password."""
