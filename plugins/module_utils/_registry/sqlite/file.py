# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The file of a SQLite registry: where it may lie, whose turn it is to write, and how SQLite opens it.

SQLite opens its files by path. That is safe here because nobody who is not trusted can rename or replace what the
checked folders hold (see `_files`). What he can do in a folder with the sticky bit is to add files, and SQLite would
take a `-journal` or `-wal` that lies beside the registry for its own. So in such a folder both names are taken before
SQLite looks: by empty files, which SQLite counts as none and, in the journal mode set here, never deletes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from ..._errors import RegistryError
from ..._files import (
    Folder,
    UnsafePath,
    check_can_add,
    check_file,
    create_file,
    open_file,
    open_folder,
    status,
    trusted_owners,
)
from .schema import APPLICATION_ID

WAIT_SECONDS = 120
"""How long a task waits while the registry stands still. As long as others commit changes it goes on waiting."""

MOST_BYTES = 1 << 30

_OTHERS_WRITE = 0o022
_JOURNAL, _LOG = "-journal", "-wal"
_BESIDE = (_JOURNAL, _LOG, "-shm")
_TURN = (1 << 30) + 1024
"""The byte that a writer locks while it is its turn, behind those that SQLite locks."""

_CHANGE_COUNTER = (4, 24)
"""Length and place of the number that SQLite counts up with each commit."""

# What the long queries of a task may take, counted in SQLite's steps and not by the clock: more than any that ends.
_STEPS = 5_000_000
_STEPS_PER_BYTE = 20
_STEPS_AT_ONCE = 100_000

_LONGEST_PATH = 500
_LONGEST_NAME = 255 - len(_JOURNAL)
_PLAIN = frozenset(range(33, 127)) - frozenset(b"%?#")


class HeldFolder:
    """A lock on a folder, which nobody else gets as long as this process lives."""

    def check(self) -> None:
        """Nothing ends it early."""


class SqliteFile:
    """The file at a path, which nobody but root and the user that runs the task may be able to change."""

    def __init__(self, path: str) -> None:
        if "\0" in path:
            raise RegistryError("registry must be a path without NUL characters.")
        if path.startswith("~"):
            raise RegistryError(
                "registry begins with ~, and the user that runs the task has no such home directory: give an absolute"
                " path."
            )
        folder, name = os.path.split(path)
        if not path.startswith("/") or name in ("", ".", ".."):
            raise RegistryError("registry must be the absolute path of a file, or begin with ~/.")
        self.path = path
        self._folder, self._name = folder, name
        self._owners = trusted_owners()

    def exists(self) -> bool:
        """Whether there is more than an empty file. It is never opened: closing it would end this process's locks."""
        with self._explaining("read"), ExitStack() as stack:
            folder = self._enter(stack)
            size = self._size(folder) if folder else 0
        return size > 0

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection in a transaction, None where there is no registry yet."""
        database = None
        with ExitStack() as stack:
            with self._explaining("read"):
                folder = self._enter(stack)
                size = self._size(folder) if folder else 0
                if folder and size:
                    database = stack.enter_context(closing(self._connect(folder, size)))
                    database.execute("BEGIN")
                    self._check_mark(database, folder)
            with self._explaining_database("read"):
                yield database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection that holds the write lock. What is done is committed where the block ends without an error."""
        with ExitStack() as stack:
            with self._explaining("changed"):
                folder = stack.enter_context(open_folder(self._folder, self._owners, create=True))
                self._real_path(folder)
                with suppress(FileExistsError):
                    os.close(create_file(folder, self._name))
                descriptor = open_file(folder, self._name, os.O_RDWR, self._owners, _OTHERS_WRITE)
                # Closed after SQLite's connection, which would lose its locks.
                stack.callback(os.close, descriptor)
                database = stack.enter_context(closing(self._begin_to_write(folder, descriptor)))
                self._check_mark(database, folder)
            with self._explaining_database("changed"):
                try:
                    yield database
                    database.execute("COMMIT")
                except BaseException:
                    if database.in_transaction:
                        database.execute("ROLLBACK")
                    raise

    def check_writable(self) -> None:
        """Fail where `writing` would for want of the right to write; nothing is locked and nothing made.

        Not within a transaction: to close the file would give away this process's locks on it.
        """
        with ExitStack() as stack, self._explaining("changed"):
            folder = self._enter(stack)
            if folder is None:
                check_can_add(self._nearest_folder(stack).descriptor)
                return
            if status(folder, self._name) is None:
                check_can_add(folder.descriptor)
                return
            os.close(open_file(folder, self._name, os.O_RDWR, self._owners, _OTHERS_WRITE))
            if not self._may_write(folder):
                raise RegistryError(self._sentence("changed", _reasons()["readonly"]))

    @contextmanager
    def exclusive(self) -> Iterator[HeldFolder]:
        """Its folder is locked: to open and close the registry's own file would give away the locks on it."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(open_folder(self._folder, self._owners))
                held = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.descriptor)
            except UnsafePath as unsafe:
                raise RegistryError(f"The registry {self.path} cannot be locked: {unsafe}.") from None
            except OSError as error:
                raise RegistryError(f"The folder {self._folder} cannot be locked: {error.strerror}.") from None
            stack.callback(os.close, held)
            fcntl.flock(held, fcntl.LOCK_EX)
            yield HeldFolder()

    def _enter(self, stack: ExitStack) -> Folder | None:
        try:
            return stack.enter_context(open_folder(self._folder, self._owners))
        except FileNotFoundError:
            return None

    def _nearest_folder(self, stack: ExitStack) -> Folder:
        """The first folder above that exists, in which those that are missing would be made."""
        path = self._folder
        while True:
            path = os.path.dirname(path)
            with suppress(FileNotFoundError):
                return stack.enter_context(open_folder(path, self._owners))

    def _may_write(self, folder: Folder) -> bool:
        """Whether the file and a journal beside it can be written."""
        return os.access(self._real_path(folder), os.W_OK) and os.access(folder.path, os.W_OK)

    def _real_path(self, folder: Folder) -> str:
        path = os.path.join(folder.path, self._name)
        if len(os.fsencode(path)) > _LONGEST_PATH or len(os.fsencode(self._name)) > _LONGEST_NAME:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return path

    def _size(self, folder: Folder) -> int:
        """The size of a file that was checked, 0 where there is none."""
        found = status(folder, self._name)
        if found is None:
            return 0
        check_file(self.path, found, self._owners, _OTHERS_WRITE)
        if not os.access(self._real_path(folder), os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return found.st_size

    def _begin_to_write(self, folder: Folder, descriptor: int) -> sqlite3.Connection:
        """A connection that holds the write lock.

        SQLite gives up all locks of this process on the file whenever it has read, except in the locking mode for a
        shared folder, in which it keeps its own: there a task that waits must not have read yet.
        """
        size = os.fstat(descriptor).st_size
        if folder.others_may_add:
            self._wait_for_turn(descriptor)
            database = self._connect(folder, size)
        else:
            database = self._connect(folder, size)
            try:
                self._wait_for_turn(descriptor)
            except BaseException:
                database.close()
                raise
        try:
            database.execute("BEGIN IMMEDIATE")
        except BaseException:
            database.close()
            raise
        return database

    def _wait_for_turn(self, descriptor: int) -> None:
        """Wait for other writers, as long as they commit changes: SQLite's own waiting ends after a time."""
        counter: bytes | None = None
        deadline = 0.0
        while True:
            with suppress(BlockingIOError, PermissionError):
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _TURN)
                return
            now, before, counter = time.monotonic(), counter, os.pread(descriptor, *_CHANGE_COUNTER)
            if counter != before:
                deadline = now + WAIT_SECONDS
            elif now >= deadline:
                raise RegistryError(self._sentence("changed", _held()))
            time.sleep(random.uniform(0.01, 0.05))  # noqa: S311  not for security

    def _connect(self, folder: Folder, size: int) -> sqlite3.Connection:
        path = self._real_path(folder)
        if size > MOST_BYTES:
            raise RegistryError(f"{self.path} is larger than any registry: {size} bytes.")
        self._check_files_beside(folder)
        quoted = "".join(chr(octet) if octet in _PLAIN else f"%{octet:02x}" for octet in os.fsencode(path))
        uri = f"file:{quoted}?mode={'rw' if self._may_write(folder) else 'ro'}"
        database = sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
        try:
            harden(database, size)
            if folder.others_may_add:
                # Then not even a journal that is played back is deleted, and a log that others have put beside a
                # registry which may only be read cannot be opened. Both locks end with the connection.
                database.execute("PRAGMA locking_mode = EXCLUSIVE")
                database.execute("PRAGMA journal_mode = TRUNCATE")
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("PRAGMA synchronous = EXTRA")
        except BaseException:
            database.close()
            raise
        return database

    def _check_files_beside(self, folder: Folder) -> None:
        """Refuse a journal that is not ours, and leave no room for one where others may add files."""
        for suffix in _BESIDE:
            # Who may not write the registry opens it read-only, so that no journal changes it.
            if folder.others_may_add and suffix in (_JOURNAL, _LOG) and self._may_write(folder):
                try:
                    os.close(create_file(folder, self._name + suffix))
                except OSError as error:
                    if error.errno not in (errno.EEXIST, errno.EACCES, errno.EROFS):
                        raise
            found = status(folder, self._name + suffix)
            if found:
                check_file(self.path + suffix, found, self._owners, _OTHERS_WRITE)

    def _check_mark(self, database: sqlite3.Connection, folder: Folder) -> None:
        # Asked first: with that SQLite undoes what a killed task has begun, which may have been all there is.
        mark = database.execute("PRAGMA application_id").fetchone()[0]
        found = status(folder, self._name)
        if mark != APPLICATION_ID and found and found.st_size:
            raise RegistryError(f"{self.path} is a database, but not a registry of mailroom.core.")

    @contextmanager
    def _explaining(self, verb: str) -> Iterator[None]:
        """What keeps the file from being opened, as a sentence."""
        try:
            with self._explaining_database(verb):
                yield
        except UnsafePath as unsafe:
            raise RegistryError(self._sentence(verb, str(unsafe))) from None
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
                reason = f"{reason} for the user {_user()}; use become: true, or a registry of your own (registry: ~/…)"
            raise RegistryError(self._sentence(verb, reason)) from None

    @contextmanager
    def _explaining_database(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            reason = next((reason for sign, reason in _reasons().items() if sign in text), text)
            cannot_write = "readonly" in text or "unable to open" in text
            with suppress(OSError):
                if verb == "read" and cannot_write and os.stat(self.path + _JOURNAL):
                    reason = (
                        "a task was cut off while it changed it, and this user may not undo that; have a user who may"
                        " write it run a task"
                    )
            raise RegistryError(self._sentence(verb, reason)) from None

    def _sentence(self, verb: str, reason: str) -> str:
        return f"The registry {self.path} cannot be {verb}: {reason}."


def harden(database: sqlite3.Connection, size: int) -> None:
    """Take what a file of some size holds for data from outside: no code in it runs, no query on it is endless."""
    left = (_STEPS + _STEPS_PER_BYTE * size) // _STEPS_AT_ONCE

    def has_run_too_long() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    database.set_progress_handler(has_run_too_long, _STEPS_AT_ONCE)
    database.text_factory = _text
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")


def _reasons() -> dict[str, str]:
    return {
        "not a database": "the file is no registry",
        "malformed": "the file is damaged; put back a copy",
        "interrupted": "the file is damaged, so that a query does not end; put back a copy",
        "locked": _held(),
        "full": "the disk is full",
        "unable to open": "no journal can be made beside it; its folder may be full or not writable",
        "readonly": "it is read-only for this user, or on a read-only file system",
    }


def _held() -> str:
    return f"another task has held it for {WAIT_SECONDS} seconds"


def _text(octets: bytes) -> str:
    """What is no UTF-8 is kept, so that the row that holds it can be named."""
    return octets.decode("utf-8", "surrogateescape")


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
