# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers and servers that are killed, servers that are stopped, disks that are full: nothing is half done."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from peers.net import PeerFailed
from peers.postgresql import Postgres, new_schema
from unit.plugins.module_utils._registry.samples import carry_out, declare, entry, everything, request

from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.database import REASONS
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.writer import Writer

from .conftest import Place


@pytest.fixture
def own_place() -> Iterator[Place]:
    """On a server that a test may stop."""
    with Postgres() as server:
        place = Place(server, new_schema())
        place.over_socket().set_up()
        declare(place.over_socket(), entry("a", "secret"), default="a")
        yield place


def send_changes(writer: Writer) -> None:
    """Half of what a task does: its rows have reached the server."""
    carry_out(writer, request(entry("a", "another secret"), entry("b"), default="b"))
    assert writer.connector_count() == 2


class TestKilledWriter:
    def test_it_leaves_nothing_behind_and_holds_nobody_up(self, place: Place) -> None:
        declare(place.over_socket(), entry("a", "secret"), default="a")
        before = everything(place.over_socket())
        forking = multiprocessing.get_context("fork")
        here, there = forking.Pipe()
        writer = forking.Process(target=_write_and_wait, args=(place.over_socket(), there), daemon=True)
        writer.start()
        assert here.recv() == "sent"
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        assert everything(place.over_socket()) == before
        assert declare(place.over_socket(), entry("b")).created == ["b"]


def _write_and_wait(registry: Registry, told: Any) -> None:
    with registry.writing() as writer:
        send_changes(writer)
        told.send("sent")
        signal.pause()


class TestStoppedServer:
    def test_killed_during_a_change_it_has_changed_nothing(self, own_place: Place) -> None:
        before = everything(own_place.over_socket())
        with pytest.raises(RegistryError) as failed:
            _change_while_the_server_is_killed(own_place)
        assert " cannot be changed: the connection was lost, and nothing was changed (" in str(failed.value)
        assert "\n" not in str(failed.value)
        own_place.server.start()
        assert everything(own_place.over_socket()) == before
        assert declare(own_place.over_socket(), entry("b")).created == ["b"]

    def test_stopped_while_it_is_read_it_is_one_sentence(self, own_place: Place) -> None:
        with pytest.raises(RegistryError) as failed:
            _read_while_the_server_is_stopped(own_place)
        assert " cannot be read: the connection was lost (" in str(failed.value)
        assert "\n" not in str(failed.value)
        with pytest.raises(RegistryError, match=" cannot be reached: "):
            everything(own_place.over_socket())


def _change_while_the_server_is_killed(place: Place) -> None:
    with place.over_socket().writing() as writer:
        send_changes(writer)
        place.server.kill()
        writer.connector_count()


def _read_while_the_server_is_stopped(place: Place) -> None:
    with place.over_socket().reading() as reader:
        reader.connector_count()
        # As `pg_ctl stop -m immediate` does.
        place.server.end(signal.SIGQUIT)
        reader.connector_count()


class SmallDisk:
    """A file system of two MiB, on which a server has a tablespace."""

    def __init__(self, server: Postgres) -> None:
        self._folder = server.folder / "small"
        self._folder.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(self._folder)], capture_output=True, check=False
        )
        if mounted.returncode:
            raise PeerFailed(f"a small tmpfs cannot be mounted, which takes root: {mounted.stderr.decode()}")
        self.tablespace = self._folder / "tablespace"
        self.tablespace.mkdir()
        shutil.chown(self.tablespace, server.user, server.user)
        self._filler = self._folder / "filler"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def free(self) -> None:
        self._filler.unlink()

    def close(self) -> None:
        subprocess.run(["umount", str(self._folder)], check=True)


@pytest.fixture
def small_disk(own_place: Place) -> Iterator[SmallDisk]:
    """The connectors' tables are on it."""
    disk = SmallDisk(own_place.server)
    try:
        own_place.admin(f"CREATE TABLESPACE small LOCATION '{disk.tablespace}'")
        own_place.admin("ALTER TABLE {s}.connector SET TABLESPACE small")
        yield disk
    finally:
        own_place.server.end()
        disk.close()


def test_a_full_disk_is_named_and_nothing_is_changed(own_place: Place, small_disk: SmallDisk) -> None:
    registry = own_place.over_socket()
    before = everything(registry)
    many = [entry(f"many{number}", description="x" * 900) for number in range(100)]
    small_disk.fill()
    with pytest.raises(RegistryError) as failed:
        declare(registry, *many)
    assert str(failed.value).endswith(f" cannot be changed: {REASONS['53100']}.")
    assert everything(registry) == before
    small_disk.free()
    assert len(declare(registry, *many).created) == len(many)
