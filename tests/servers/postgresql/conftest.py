# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schema of its own for each test, in the one server of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from peers.fixtures import zoo
from peers.postgresql import SUPERUSER, Postgres, new_schema, shared_server
from unit.plugins.module_utils._module.conftest import default_registry, own_surroundings, play, registry_path
from unit.plugins.module_utils._registry import samples

from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

__all__ = ["default_registry", "empty_place", "own_surroundings", "place", "play", "registry_path", "server", "zoo"]


@dataclass(frozen=True)
class Place:
    """A schema, and the ways that lead to it."""

    server: Postgres
    schema: str

    def over_socket(self, user: str = SUPERUSER, key: str | None = samples.KEY) -> Registry:
        return samples.open_database(self.server.socket_location(self.schema, user), key)

    def over_tcp(self, port: int | None = None, more: str = "") -> Registry:
        location = self.server.location(self.schema, port=port, more=more)
        return samples.open_database(location, samples.KEY, self.server.password)

    def admin(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the superuser; {s} stands for the schema."""
        return self.server.admin(statement.replace("{s}", self.schema), values or None)


@pytest.fixture(scope="session")
def server() -> Postgres:
    return shared_server()


@pytest.fixture
def empty_place(server: Postgres) -> Place:
    """A schema that does not exist yet."""
    return Place(server, new_schema())


@pytest.fixture
def place(empty_place: Place) -> Place:
    """A registry without connectors."""
    empty_place.over_socket().set_up()
    return empty_place
