# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry in PostgreSQL, over TCP with a password, on a server of this host that writes to the disk for certain."""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import sys
import typing as t
from pathlib import Path

import cases
import declared
from scene import HERE, Scene
from timing import Case

sys.path.insert(0, str(HERE.parent))

from peers.postgresql import Postgres

SIZES = (100, 100_000)
MOST_GROWTH = 1.2
WRITERS, WRITER_TURNS = 50, 4
READERS, READER_TURNS = 100, 2
SETTINGS = {"log_statement": "none", "fsync": "on"}


class Shared:
    """Registries in a server, one in each schema."""

    def __init__(self, scene: Scene, server: Postgres) -> None:
        self._scene, self._server = scene, server
        self.key_file = _private(scene.folder / "shared.key", base64.urlsafe_b64encode(os.urandom(32)).decode())
        self._passfile = _private(scene.folder / "passfile", f"*:*:*:*:{server.password}")

    def registry(self, schema: str, count: int = 0) -> str:
        """The location of a new registry with so many connectors."""
        location = self._server.location(schema, more=f"&passfile={self._passfile}")
        options = {"registry": location, "registry_key_file": str(self.key_file)}
        self._scene.play(self._scene.playbook(f"make_{schema}", "mailroom.core.registry", options))
        if count:
            self._scene.fill(location, count, str(self.key_file))
            self._server.admin("VACUUM ANALYZE")
        return location

    def empty(self, schema: str) -> None:
        tables = ", ".join(f"{schema}.{table}" for table in ("connector", "secret", "purpose", "revision"))
        self._server.admin(f"TRUNCATE {tables}")

    def playbook(self, name: str, module: str, location: str, options: dict[str, t.Any]) -> Path:
        place = {"registry": location, "registry_key_file": str(self.key_file)}
        return self._scene.playbook(name, module, {**place, **options})


def many(scene: Scene, shared: Shared) -> list[Case]:
    """1000 connectors in one task."""
    everything = scene.declare("shared_everything", declared.entries(cases.COUNT))
    options = {"connectors": everything}
    same, fresh = shared.registry("same", cases.COUNT), shared.registry("fresh")
    unchanged = shared.playbook("shared_unchanged", "mailroom.core.connectors", same, options)
    created = shared.playbook("shared_created", "mailroom.core.connectors", fresh, options)
    return [
        Case(f"{cases.COUNT} connectors unchanged", lambda number: scene.play(unchanged), target=1.5),
        Case(
            f"{cases.COUNT} connectors created",
            lambda number: scene.play(created),
            prepare=lambda number: shared.empty("fresh"),
            target=2.0,
        ),
    ]


def one(scene: Scene, shared: Shared) -> list[Case]:
    """One connector changed in registries of growing size."""
    found = []
    for size in SIZES:
        location = shared.registry(f"size_{size}", size)
        options = {"name": declared.entry(42)["name"], "description": "Round {{ round }}"}
        playbook = shared.playbook(f"shared_one_in_{size}", "mailroom.core.connector", location, options)
        found.append(Case(f"one connector changed in {size:,}".replace(",", " "), _in_rounds(scene, playbook)))
    return found


def crowds(scene: Scene, shared: Shared) -> None:
    """Prints what many at once cost, beside the same on a file."""
    file = scene.registry("crowd")
    scene.fill(file, SIZES[0])
    places = {"PostgreSQL": (shared.registry("crowd", SIZES[0]), str(shared.key_file)), "SQLite": (str(file), "")}
    for kind, count, turns in (("writers", WRITERS, WRITER_TURNS), ("readers", READERS, READER_TURNS)):
        for backend, place in places.items():
            done = _crowd(scene, kind, *place, str(count), str(turns))
            wait, rate = statistics.median(done["waits"]), len(done["waits"]) / done["elapsed"]
            lost = f", {done['lost']} changes lost" if kind == "writers" else ""
            what = f"{count} {kind} at once, {backend}"
            print(f"{what:44} {rate:7.0f} transactions a second, median {wait * 1000:.0f} ms{lost}", flush=True)


def _crowd(scene: Scene, *words: str) -> dict[str, t.Any]:
    environment = {**scene.environment, "PYTHONPATH": str(scene.collections)}
    command = [sys.executable, str(HERE / "crowd.py"), *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, t.Any] = json.loads(done.stdout)
    return found


def _in_rounds(scene: Scene, playbook: Path) -> t.Callable[[int], None]:
    return lambda number: scene.play(playbook, round=number)


def _private(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path
