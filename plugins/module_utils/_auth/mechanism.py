# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A way to sign in: what the client says first, and what it answers. No network here."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .._connector.redaction import Redaction
from .._connector.secret import Secret
from .._verdict.observation import Observation
from .saslprep import saslprep


class Mechanism(ABC):
    """One sign-in with a SASL mechanism, from its first word to its end."""

    name: str

    def __init__(self, username: str, secret: Secret, *, redact: Redaction | None = None) -> None:
        self.has_used_secret = False
        """Whether anything was said that is made of the secret."""
        self.username = username
        self.secret = secret
        self._redact = redact

    def redact(self, said: bytes | str) -> str:
        """What the server says while signing in, fit to be shown."""
        return (self._redact or Redaction([self.secret]))(said)

    def check(self) -> None:
        """Stop before anything is sent where the user's name or password cannot be used to sign in."""
        saslprep(self.username, "username")
        saslprep(self.secret.reveal(), "password")

    def first(self) -> bytes | None:
        """What the client says unasked, or None where it waits for the server."""
        return None

    @abstractmethod
    def answer(self, challenge: bytes, /) -> bytes:
        """The answer to a challenge."""

    def explained(self, observation: Observation) -> Observation:
        """A refusal, with what the server has told during the sign-in."""
        return observation

    def succeeded(self) -> None:  # noqa: B027  most mechanisms have nothing to add
        """The server says that the sign-in succeeded; stop where it did not prove what it had to."""
