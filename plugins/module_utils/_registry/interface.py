# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a registry can do, wherever its connectors live."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from .._connector.plan import Plan
from .._connector.secret import Secret
from .._connector.state import Connector, Proof, State, Wanted


class Migration(NamedTuple):
    """The secrets that are still to be sealed anew, each with its connector and field."""

    due: list[str]
    """Those that an earlier release has sealed, bound to nothing, and that the next writer binds when it commits."""
    put_off: list[str]
    """Those of an earlier release that stay as they are: their key or the library is missing, or they do not open."""
    not_rotated: list[str]
    """Those that keep a rotation from happening: their key is not among the several that are given."""


class Reader(ABC):
    """One consistent look at a registry."""

    @abstractmethod
    def load(self, wanted: Wanted) -> State:
        """The connectors and bindings asked for, as far as they exist."""

    @abstractmethod
    def purpose_names(self) -> list[str]:
        """All purposes that are bound, for a tenant or for everybody."""

    @abstractmethod
    def is_same_secret(self, token: str, secret: Secret) -> bool:
        """Whether a stored secret, named by a token that was loaded here, is the given one; it is not opened."""

    @abstractmethod
    def is_foreign(self, token: str) -> bool:
        """Whether a stored secret was not sealed as what it is kept as; False where its key is missing."""

    @abstractmethod
    def open_secret(self, token: str) -> Secret:
        """The stored secret that a token names; one that is foreign is refused."""

    @abstractmethod
    def check_sealing(self, plan: Plan) -> None:
        """Fail where a plan's secrets could not be sealed: for want of a key, the right key or the library."""

    @abstractmethod
    def migration(self) -> Migration:
        """What a writer does with the secrets that an earlier release has sealed."""

    @abstractmethod
    def needs_resealing(self) -> bool:
        """Whether secrets are sealed with another key than the one that seals now."""

    @abstractmethod
    def history(self, connectors: Sequence[Connector]) -> dict[str, list[dict[str, Any]]]:
        """Each connector's revisions by its name, the oldest first."""

    @abstractmethod
    def registry_id(self) -> str:
        """What tells this registry from every other one."""

    @abstractmethod
    def wrote_file(self, path: str, content: Secret) -> bool:
        """Whether just this content is recorded as written to a file; False without the key that recorded it."""


class Writer(Reader):
    """A transaction: nobody else writes until it ends, and it ends whole or without a trace."""

    @abstractmethod
    def apply(self, plan: Plan) -> None:
        """Carry out a plan that was made from what this transaction loaded."""

    @abstractmethod
    def prove(self, connector: Connector, proof: Proof) -> None:
        """Keep that mail was sent with a connector's settings, unless later ones are proven already."""

    @abstractmethod
    def reseal(self) -> None:
        """Seal every secret with the key that seals now."""

    @abstractmethod
    def record_file(self, path: str, content: Secret) -> None:
        """Record what was written to a file, as a fingerprint; without a key there is no record."""

    @abstractmethod
    def forget_file(self, path: str) -> None:
        """Drop the record of a file, if there is one."""


class Registry(ABC):
    """Where connectors live."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Reader]:
        """Look without changing anything; a registry that does not exist yet is an empty one."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Writer]:
        """Change in one transaction, which is committed when the block ends without an exception.

        Secrets that an earlier release has sealed are sealed anew with it, as far as their keys are there.
        """

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """Hold off other tasks that want to be alone with this registry; reading and writing go on."""

    @abstractmethod
    def check_writable(self, *, seals: bool = False) -> None:
        """Fail where `writing` would for want of the right to write, with the same message. Nothing is written.

        What seals a secret may have to make the key, too.
        """

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a registry yet."""
