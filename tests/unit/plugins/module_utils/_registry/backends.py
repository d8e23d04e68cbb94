# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The back-ends that the contract of a registry is tested on, each with a way to look at and change its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from peers.postgresql import DATABASE, SUPERUSER, new_schema, shared_server
from psycopg.types.string import TextLoader

from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from . import samples


class Backend(ABC):
    """A place for one registry, empty at first. A folder is there for what it needs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @abstractmethod
    def open(self, keys: str | None = samples.KEY) -> Registry:
        """The registry with these keys, or with those that it has made itself."""

    @abstractmethod
    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Query the tables without the collection."""

    @abstractmethod
    def edit(self, statement: str, *values: Any) -> None:
        """Change the tables as somebody does who may write them and has no key; each value is a `?`."""

    @abstractmethod
    def content(self) -> object:
        """All that is stored, to be compared: equal only where nothing was written."""

    def has_key_file(self) -> bool:
        """Whether the registry has made itself a key."""
        return False

    def another(self) -> Backend:
        """A second, empty registry of the same kind."""
        return type(self)(self._folder / "another")

    def edit_settings(self, name: str, block: str, changes: Mapping[str, Any]) -> None:
        """Change fields in a connector's row from outside; None removes one."""
        ((text,),) = self.query(f"SELECT settings FROM connector WHERE name = '{name}'")
        self.edit("UPDATE connector SET settings = ? WHERE name = ?", samples.edited(text, block, changes), name)


class Sqlite(Backend):
    @property
    def path(self) -> Path:
        return self._folder / "registry" / "registry.db"

    def open(self, keys: str | None = samples.KEY) -> Registry:
        return samples.open_registry(self.path, keys)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return samples.ask_file(self.path, statement)

    def edit(self, statement: str, *values: Any) -> None:
        samples.edit_file(self.path, statement, *values)

    def content(self) -> object:
        return samples.folder_content(self._folder)

    def has_key_file(self) -> bool:
        return Path(f"{self.path}.key").exists()


_MODEL = "model_of_all"


@cache
def _script() -> str:
    """What a registry sets up in a schema, to be run at once for each further one."""
    return "; ".join(samples.open_database(shared_server().socket_location(_MODEL)).set_up())


class Postgresql(Backend):
    """A schema of its own in the one server of the run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = shared_server()
        self.schema = new_schema()
        self.server.admin(_script().replace(_MODEL, self.schema))

    @property
    def location(self) -> str:
        return self.server.socket_location(self.schema)

    def open(self, keys: str | None = samples.KEY) -> Registry:
        return samples.open_database(self.location, keys)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self._execute(statement)

    def edit(self, statement: str, *values: Any) -> None:
        self._execute(statement.replace("?", "%s"), values)

    def content(self) -> object:
        tables = [name for (name,) in self.query(f"SELECT tablename FROM pg_tables WHERE schemaname = '{self.schema}'")]
        return {table: sorted(map(str, self.query(f"SELECT * FROM {table}"))) for table in tables}

    def _execute(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        given = {"host": str(self.server.folder), "port": self.server.port, "user": SUPERUSER, "dbname": DATABASE}
        with psycopg.connect(options=f"-c search_path={self.schema}", **given) as connection:
            # Documents as text, as they are edited.
            connection.adapters.register_loader("jsonb", TextLoader)
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


BACKENDS: dict[str, type[Backend]] = {"sqlite": Sqlite, "postgresql": Postgresql}
