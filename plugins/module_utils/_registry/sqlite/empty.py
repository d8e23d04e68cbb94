# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What stands for a registry that is not there yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from ..._errors import RegistryError
from ..storage import Backend, Storage, Turn, WritableStorage
from .storage import SqliteStorage, migrated_copy


class EmptyBackend(Backend):
    """What stands for a registry that is not there yet, in check mode."""

    name = "sqlite"

    def __init__(self, shown: str) -> None:
        self._shown = shown

    @property
    def shown(self) -> str:
        return self._shown

    def exists(self) -> bool:
        return False

    def version(self) -> int:
        return 0

    def setup_statements(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:  # noqa: ARG002
        return []

    def set_up(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:  # noqa: ARG002
        return []

    @contextmanager
    def reading(self) -> Iterator[Storage]:
        with migrated_copy(None, 0) as copy:
            yield SqliteStorage(copy)

    def writing(self) -> AbstractContextManager[WritableStorage]:
        raise RegistryError(f"The registry {self._shown} cannot be changed: there is none.")

    def exclusive(self) -> AbstractContextManager[Turn]:
        raise RegistryError(f"The registry {self._shown} cannot be changed: there is none.")

    def check_writable(self) -> None:
        """What is not there yet may be made by an earlier task of the play."""
