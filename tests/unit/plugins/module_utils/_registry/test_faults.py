# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed in mid-write, and many at once: the registry is whole, in its old or its new state."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

import pytest
from cryptography.fernet import Fernet

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose, State, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Reader, Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite import file as sqlite_file
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite import schema

from .processes import Link, count_calls, die_at_call, forked
from .samples import ask_file, carry_out, change, declare, entry, everything, mode, open_registry, request

MEMBERS = tuple(f"member_{number}" for number in range(3))
ALERTS = Purpose("alerts")
KILLED = -9
HELD = r"The registry {path} cannot be {verb}: another task has held it for [0-9.]+ seconds\."


def generation(number: int) -> Request:
    """A change of all members, the default and a purpose that only makes sense as a whole."""
    entries = [entry(name, f"{number} of {name}", description=str(number)) for name in MEMBERS]
    turn = MEMBERS[number % len(MEMBERS)]
    return request(*entries, default=turn, bind={ALERTS: turn, Purpose("turn", str(number)): turn}, purge_purposes=True)


def generation_in(reader: Reader) -> int:
    """Which generation a look at the registry shows, after a check that nothing of another is in it."""
    state = reader.load(Wanted())
    numbers = {str(connector.settings["description"]) for connector in state.connectors.values()}
    assert len(numbers) == 1, f"a mixture of generations: {numbers}"
    number = int(numbers.pop())
    turn = MEMBERS[number % len(MEMBERS)]
    assert tuple(state.connectors) == MEMBERS
    assert state.default == turn
    assert state.bindings == {ALERTS: turn, Purpose("turn", str(number)): turn}
    for name, connector in state.connectors.items():
        (token,) = connector.secrets.values()
        assert reader.open_secret(str(token)).reveal() == f"{number} of {name}"
        (*_older, newest) = reader.history([connector])[name]
        assert (newest["revision"], newest["after"]["description"]) == (connector.revision, str(number))
    return number


def generation_of(registry: Registry) -> int:
    with registry.reading() as reader:
        return generation_in(reader)


def advance(registry: Registry) -> int:
    """Replace what is there by the next generation, in one transaction."""
    with registry.writing() as writer:
        number = generation_in(writer) + 1
        carry_out(writer, generation(number))
    return number


def assert_sound(path: Path) -> None:
    assert ask_file(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask_file(path, "PRAGMA foreign_key_check") == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


def made(path: Path, folder_mode: int) -> Registry:
    path.parent.chmod(folder_mode)
    registry = open_registry(path)
    change(registry, generation(0))
    return registry


@pytest.fixture
def registry(path: Path) -> Registry:
    return made(path, 0o700)


@pytest.fixture(params=[0o700, 0o1777], ids=["own folder", "folder that everybody may add to"])
def registry_anywhere(path: Path, request: pytest.FixtureRequest) -> Registry:
    """Journals are kept otherwise where others may make files beside them."""
    return made(path, request.param)


class TestKilled:
    def test_change_killed_at_a_random_moment_leaves_a_whole_generation(
        self, registry_anywhere: Registry, path: Path
    ) -> None:
        """Also while SQLite itself is at work, which the tests below do not interrupt."""
        registry = registry_anywhere
        chance = random.Random()
        journal = path.with_name("registry.db-journal")
        caught_writing = 0

        def keep_changing(link: Link) -> None:
            while True:
                link.tell(str(advance(registry)))

        turn = 0
        while turn < 8 or not caught_writing:
            turn += 1
            with forked(keep_changing) as child:
                last_told = int(child.hear() or "-1")
                # Not a wait for something: the moment is what varies.
                time.sleep(chance.uniform(0, 0.02))
                while turn % 4 == 0 and not journal.exists():
                    pass
                child.kill()
                last_told = int([str(last_told), *child.hear_all()][-1])
            caught_writing += journal.exists()
            assert generation_of(registry) in (last_told, last_told + 1)
            assert_sound(path)

    def test_change_killed_at_any_step_leaves_a_whole_generation(
        self, registry_anywhere: Registry, path: Path, stride: int
    ) -> None:
        registry = registry_anywhere
        steps = count_calls(lambda: advance(registry))
        number = generation_of(registry)
        survived = 0
        for step in _spread(steps, 25, stride):
            with forked(lambda link, step=step: _die_while(step, lambda: advance(registry))) as child:
                assert child.wait() == KILLED
            found = generation_of(registry)
            assert found in (number, number + 1)
            survived += found - number
            number = found
        assert_sound(path)
        assert survived < 10, "a change is to be seen at its very end only"

    def test_first_change_killed_at_any_step_can_be_continued(self, tmp_path: Path, stride: int) -> None:
        """Whatever is left of registry and key file, the next task goes on from there."""

        def make(path: Path) -> Callable[[], object]:
            return lambda: declare(open_registry(path, key=None), entry("a", "swordfish"), default="a")

        steps = count_calls(make(tmp_path / "whole" / "registry.db"))
        left_over: set[tuple[bool, bool]] = set()
        for step in _spread(steps, 30, stride):
            path = tmp_path / str(step) / "registry.db"
            key_file = path.with_name("registry.db.key")
            with forked(lambda link, step=step, path=path: _die_while(step, make(path))) as child:
                assert child.wait() == KILLED
            left_over.add((path.exists(), key_file.exists()))
            assert everything(open_registry(path, key=None)).default in (None, "a")
            _assert_goes_on(path, key_file)
        assert left_over >= {(True, False), (True, True)}

    @pytest.mark.parametrize("moment", ["fdopen", "fsync"])
    def test_first_change_killed_while_the_key_file_is_filled_can_be_continued(self, path: Path, moment: str) -> None:
        key_file = path.with_name("registry.db.key")

        def make(link: Link) -> None:
            setattr(os, moment, lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
            declare(open_registry(path, key=None), entry("a", "swordfish"), default="a")

        with forked(make) as child:
            assert child.wait() == KILLED
        assert (key_file.stat().st_size > 0) is (moment == "fsync")
        assert everything(open_registry(path, key=None)) == State()
        _assert_goes_on(path, key_file)

    def test_first_change_killed_at_a_random_moment_can_be_continued(self, tmp_path: Path) -> None:
        chance = random.Random()
        for turn in range(10):
            path = tmp_path / str(turn) / "registry.db"

            def make(link: Link, path: Path = path) -> None:
                link.tell()
                declare(open_registry(path, key=None), entry("a", "swordfish"), default="a")

            with forked(make) as child:
                child.hear()
                time.sleep(chance.uniform(0, 0.02))
                child.kill()
            assert everything(open_registry(path, key=None)).default in (None, "a")
            _assert_goes_on(path, path.with_name("registry.db.key"))

    def test_migration_killed_at_any_step_leaves_the_old_or_the_new_schema(
        self, registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
    ) -> None:
        old, new = len(schema.MIGRATIONS), len(schema.MIGRATIONS) + 1
        more = tuple(f"CREATE TABLE more_{number} (text)" for number in range(10))
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, more))
        copy = Path(shutil.copy(path, path.with_name("copy.db")))
        steps = count_calls(lambda: _migrate(open_registry(copy)))
        versions = []
        for step in _spread(steps, 40, stride):
            with forked(lambda link, step=step: _die_while(step, lambda: _migrate(registry))) as child:
                assert child.wait() == KILLED
            versions += ask_file(path, "PRAGMA user_version")[0]
            assert generation_of(registry) == 0
            tables = ask_file(path, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'more_%'")
            assert tables == [(len(more) if versions[-1] == new else 0,)]
        assert_sound(path)
        assert versions == sorted(versions)
        assert set(versions) == {old, new}
        assert versions.count(old) > len(more) // stride


def _spread(steps: int, parts: int, stride: int) -> list[int]:
    """Numbers of steps from the first to the last, with the last ones all among them."""
    return sorted({*range(1, steps + 1, max(1, steps // parts) * stride), *range(max(1, steps - 8), steps + 1)})


def _migrate(registry: Registry) -> None:
    with registry.writing():
        pass


def _die_while(step: int, body: Callable[[], object]) -> None:
    die_at_call(step)
    body()
    # What a profiler calls itself is not counted before: whoever comes here was to die at the very end.
    die_at_call(1)
    len(())


def _assert_goes_on(path: Path, key_file: Path) -> None:
    registry = open_registry(path, key=None)
    declare(registry, entry("a", "swordfish"), entry("b", "second"), default="b")
    with registry.reading() as reader:
        state = reader.load(Wanted())
        tokens = [str(token) for each in state.connectors.values() for token in each.secrets.values()]
        assert [reader.open_secret(token).reveal() for token in tokens] == ["swordfish", "second"]
    assert (mode(path.parent), mode(path), mode(key_file)) == (0o700, 0o600, 0o600)
    assert Fernet(key_file.read_text().strip())
    assert_sound(path)


def hold_lock(registry: Registry) -> Callable[[Link], None]:
    """Declare the connector `first`, and commit when told."""

    def hold(link: Link) -> None:
        with registry.writing() as writer:
            carry_out(writer, request(entry("first")))
            link.tell()
            link.hear()

    return hold


class TestManyAtOnce:
    @pytest.mark.parametrize(("writers", "changes", "everybody_may_add"), [(6, 4, False), (12, 2, True)])
    def test_many_writers_lose_nothing(
        self, tmp_path: Path, writers: int, changes: int, everybody_may_add: bool
    ) -> None:
        """Also where the registry, its folder and its key file are not there yet when they all begin."""
        path = tmp_path / "new" / "registry.db"
        if everybody_may_add:
            path.parent.mkdir()
            path.parent.chmod(0o1777)
        registry = open_registry(path, key=None)

        def write(link: Link, writer: int) -> None:
            link.hear()
            for turn in range(changes):
                own = entry(f"own_{writer}_{turn}", f"password {writer} {turn}")
                with registry.writing() as transaction:
                    shared = transaction.load(Wanted(frozenset(["shared"]))).connectors.get("shared")
                    counted = int(shared.settings["description"]) + 1 if shared else 1
                    carry_out(transaction, request(own, entry("shared", f"{counted}", description=str(counted))))

        with ExitStack() as stack:
            children = [
                stack.enter_context(forked(lambda link, writer=number: write(link, writer)))
                for number in range(writers)
            ]
            for child in children:
                child.tell()
            assert [child.wait() for child in children] == [0] * writers
        state = everything(registry)
        assert state.connectors["shared"].settings["description"] == str(writers * changes)
        assert state.connectors["shared"].revision == writers * changes
        assert len(state.connectors) == writers * changes + 1
        with registry.reading() as reader:
            assert len(reader.history([state.connectors["shared"]])["shared"]) == writers * changes
            loaded = reader.load(Wanted()).connectors
            for writer in range(writers):
                for turn in range(changes):
                    (token,) = loaded[f"own_{writer}_{turn}"].secrets.values()
                    assert reader.open_secret(str(token)).reveal() == f"password {writer} {turn}"
        assert_sound(path)

    def test_many_writers_that_move_the_default_leave_one(self, registry: Registry, path: Path) -> None:
        def move(link: Link, writer: int) -> None:
            for turn in range(6):
                change(registry, Request(default=MEMBERS[(writer + turn) % len(MEMBERS)]))

        with ExitStack() as stack:
            children = [
                stack.enter_context(forked(lambda link, writer=number: move(link, writer))) for number in range(6)
            ]
            assert [child.wait() for child in children] == [0] * 6
        assert ask_file(path, "SELECT count(*) FROM connector WHERE is_default") == [(1,)]

    def test_several_that_migrate_do_it_once(
        self, registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE more (text)",)))
        with ExitStack() as stack:
            children = [stack.enter_context(forked(lambda link: change(registry, generation(1)))) for dummy in range(6)]
            assert [child.wait() for child in children] == [0] * 6
        assert generation_of(registry) == 1
        assert ask_file(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]

    def test_readers_see_whole_states_while_others_write(self, registry_anywhere: Registry) -> None:
        registry = registry_anywhere

        def keep_changing(link: Link) -> None:
            for _dummy in range(10):
                advance(registry)

        def keep_reading(link: Link) -> None:
            seen = [generation_of(registry)]
            link.tell()
            while seen[-1] < 20:
                seen.append(generation_of(registry))
            assert seen == sorted(seen)

        with forked(keep_reading) as reader:
            reader.hear()
            with forked(keep_changing) as one, forked(keep_changing) as other:
                assert [child.wait() for child in (one, other, reader)] == [0, 0, 0]

    def test_a_reader_keeps_its_view(self, registry: Registry) -> None:
        def change_it(link: Link) -> None:
            link.hear()
            advance(registry)

        with forked(change_it) as child:
            with registry.reading() as reader:
                assert generation_in(reader) == 0
                child.tell()
                child.watch_it_wait()
                assert generation_in(reader) == 0
            assert child.wait() == 0
        assert generation_of(registry) == 1


class TestWaiting:
    def test_a_writer_waits_for_the_one_that_writes(self, registry: Registry) -> None:
        def follow(link: Link) -> None:
            link.tell()
            with registry.writing() as writer:
                assert "first" in writer.load(Wanted()).connectors
                carry_out(writer, request(entry("second")))

        with forked(hold_lock(registry)) as holder:
            holder.hear()
            with forked(follow) as follower:
                follower.hear()
                follower.watch_it_wait()
                assert set(everything(registry).connectors) == set(MEMBERS)
                holder.tell()
                assert (holder.wait(), follower.wait()) == (0, 0)
        assert set(everything(registry).connectors) == {*MEMBERS, "first", "second"}

    def test_writer_killed_while_it_holds_the_lock_blocks_nobody(self, registry: Registry) -> None:
        with forked(hold_lock(registry)) as holder:
            holder.hear()
            holder.kill()
        assert advance(registry) == 1

    def test_writer_goes_on_waiting_while_others_commit(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However slow the machine is and however many are before it: only a standstill is a failure."""

        def hold_and_commit(link: Link) -> None:
            while True:
                with registry.writing() as writer:
                    carry_out(writer, generation(generation_in(writer) + 1))
                    link.tell()
                    if link.hear() == "last":
                        break

        with forked(hold_and_commit) as holder:
            holder.hear()
            clock = iter(range(10**9))
            naps = iter(range(10**9))

            def nap(_seconds: float) -> None:
                """Each takes as long as nobody would wait, and one change is committed meanwhile."""
                holder.tell("last" if next(naps) == 20 else "")
                holder.hear()

            monkeypatch.setattr(sqlite_file.time, "monotonic", lambda: next(clock) * (sqlite_file.WAIT_SECONDS - 1))
            monkeypatch.setattr(sqlite_file.time, "sleep", nap)
            change(registry, Request(default=MEMBERS[0]))
            monkeypatch.undo()
            assert next(naps) > 20
            assert holder.wait() == 0

    @pytest.mark.parametrize("seconds", [0, 0.05])
    def test_writer_gives_up_when_the_lock_is_held_too_long(
        self, registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
    ) -> None:
        with forked(hold_lock(registry)) as holder:
            holder.hear()
            monkeypatch.setattr(sqlite_file, "WAIT_SECONDS", seconds)
            with pytest.raises(RegistryError) as refused:
                declare(registry, entry("second"))
            assert re.fullmatch(HELD.format(path=path, verb="changed"), str(refused.value))
            holder.tell()
            assert holder.wait() == 0
        assert set(everything(registry).connectors) == {*MEMBERS, "first"}

    def test_looking_whether_the_registry_exists_does_not_give_the_lock_away(
        self, registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process loses its locks on a file when it closes the file, however it has opened it."""

        def hold(link: Link) -> None:
            with registry.writing() as writer:
                carry_out(writer, request(entry("first")))
                registry.exists()
                link.tell()
                link.hear()

        with forked(hold) as holder:
            holder.hear()
            monkeypatch.setattr(sqlite_file, "WAIT_SECONDS", 0)
            with pytest.raises(RegistryError):
                declare(registry, entry("second"))
            holder.tell()
            assert holder.wait() == 0
        assert set(everything(registry).connectors) == {*MEMBERS, "first"}

    def test_reader_gives_up_when_a_commit_takes_too_long(
        self, registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def hold(link: Link) -> None:
            sqlite3.connect(path, isolation_level=None).execute("BEGIN EXCLUSIVE")
            link.tell()
            link.hear()

        with forked(hold) as holder:
            holder.hear()
            monkeypatch.setattr(sqlite_file, "WAIT_SECONDS", 0.05)
            with pytest.raises(RegistryError) as refused:
                everything(registry)
            assert re.fullmatch(HELD.format(path=path, verb="read"), str(refused.value))
        assert generation_of(registry) == 0

    def test_exclusive_lock_excludes_other_exclusive_locks_only(self, registry: Registry) -> None:
        def follow(link: Link) -> None:
            link.tell()
            with registry.exclusive():
                assert generation_of(registry) == 1

        with registry.exclusive(), forked(follow) as follower:
            follower.hear()
            assert advance(registry) == 1
            with forked(lambda link: everything(registry)) as reader:
                assert reader.wait() == 0
            assert not follower.is_gone
        # The lock ends with the block, and with the process that held it.
        with registry.exclusive():
            pass

    def test_a_task_has_minutes_by_default(self) -> None:
        assert sqlite_file.WAIT_SECONDS >= 60
