# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Where the registry's keys come from."""

from __future__ import annotations

import base64
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Callable

from .._connector.secret import Secret
from .._errors import RegistryKeyError
from .._files import (
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
from .sealing import Key, KeyRing, load_fernet

_SEPARATORS = re.compile(r"[,\r\n]+")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=\Z")
_OTHERS = 0o077
_MOST_BYTES = 65536


class KeySource:
    """Where the keys come from: given as text, else kept in a file, which is made when it is needed, if it may be."""

    def __init__(self, given: Secret | None, path: str, *, may_make: bool = True, made_with: str = "") -> None:
        """`made_with` is the folder of the registry, which is made where it is missing."""
        self._given = given
        self._may_make = may_make
        self._made_with = made_with
        self._has_no_file = not path and not may_make
        self._owners = trusted_owners()
        self.path = path

    def ring(self) -> KeyRing | None:
        """The keys, or None where there are none yet."""
        if self._given is not None:
            return _parse(self._given.reveal(), "registry_key")
        octets = b""
        if self._has_no_file:
            return None
        with self._explaining("read"), suppress(FileNotFoundError), self._open_folder() as (folder, name):
            descriptor = open_file(folder, name, os.O_RDONLY, self._owners, _OTHERS)
            with os.fdopen(descriptor, "rb") as file:
                octets = file.read(_MOST_BYTES)
        try:
            text = octets.decode("ascii")
        except UnicodeDecodeError:
            raise RegistryKeyError(_malformed(f"registry_key_file {self.path}")) from None
        return _parse(text, f"registry_key_file {self.path}") if text.strip() else None

    def check(self) -> None:
        """Fail now where sealing would fail for want of the library or of a key, before one is made."""
        load_fernet()
        if not self._may_make and self.ring() is None:
            raise RegistryKeyError(self._nothing_given("A secret is to be sealed"))

    def check_file(self) -> None:
        """Fail where somebody else may have put the file of the keys there, or may use it. It need not exist."""
        if self._given is not None or self._has_no_file:
            return
        with self._explaining("read"):
            try:
                with self._open_folder() as (folder, name):
                    found = status(folder, name)
            except OSError as error:
                # A task that needs no key needs no right to look at it.
                if error.errno in (errno.ENOENT, errno.EACCES):
                    return
                raise
            if found:
                check_file(self.path, found, self._owners, _OTHERS)

    def check_can_make(self, on_missing_folder: Callable[[str], object] | None = None) -> None:
        """Fail where `make` would for want of the right to, or of the folder, unless `on_missing_folder` is told."""
        if not self._may_make:
            return
        folder_path = os.path.dirname(self.path)
        with self._explaining("made"):
            try:
                with self._open_folder() as (folder, name):
                    if status(folder, name):
                        os.close(open_file(folder, name, os.O_RDWR, self._owners, _OTHERS))
                    else:
                        check_can_add(folder.descriptor)
            except FileNotFoundError:
                if os.path.normpath(folder_path) == os.path.normpath(self._made_with):
                    return
                if on_missing_folder is None:
                    raise
                on_missing_folder(f"registry_key_file: is in a folder that does not exist yet: {folder_path}")

    def make(self) -> KeyRing:
        """Make the key file with a new key. An empty file, as a task killed here leaves it, is filled."""
        if not self._may_make:
            return self.needed()
        key = base64.urlsafe_b64encode(os.urandom(32))
        with self._explaining("made"), self._open_folder() as (folder, name):
            try:
                descriptor = create_file(folder, name)
            except FileExistsError:
                descriptor = open_file(folder, name, os.O_RDWR, self._owners, _OTHERS)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not file.read(_MOST_BYTES).strip():
                    file.truncate(0)
                    file.seek(0)
                    file.write(key + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.descriptor)
            try:
                os.fsync(listed)
            finally:
                os.close(listed)
        return self.needed()

    @contextmanager
    def _open_folder(self) -> Iterator[tuple[Folder, str]]:
        folder, name = os.path.split(self.path)
        if not folder.startswith("/") or name in ("", ".", "..") or "\0" in self.path:
            raise UnsafePath("it must be the absolute path of a file, or begin with ~/")
        with open_folder(folder, self._owners) as opened:
            yield opened, name

    @contextmanager
    def _explaining(self, verb: str) -> Iterator[None]:
        try:
            yield
        except UnsafePath as unsafe:
            raise RegistryKeyError(f"registry_key_file {self.path} cannot be used: {unsafe}.") from None
        except OSError as error:
            raise RegistryKeyError(f"registry_key_file {self.path} cannot be {verb}: {error.strerror}.") from None

    def needed(self) -> KeyRing:
        """The keys, which something is sealed with already."""
        ring = self.ring()
        if ring is None and not self._may_make:
            raise RegistryKeyError(self._nothing_given("The registry holds secrets that are sealed"))
        if ring is None:
            raise RegistryKeyError(
                "The registry holds secrets, and the key they are sealed with is missing: give registry_key, or"
                f" put back registry_key_file {self.path}."
            )
        return ring

    def _nothing_given(self, why: str) -> str:
        missing = f"registry_key_file {self.path} holds none" if self.path else "give registry_key or registry_key_file"
        return f"{why}, and there is no key: {missing}. For a registry in a database none is made."


def _parse(text: str, source: str) -> KeyRing:
    parts = [part.strip() for part in _SEPARATORS.split(text) if part.strip()]
    if not parts or not all(_KEY.match(part) for part in parts):
        raise RegistryKeyError(_malformed(source))
    return KeyRing([Key(part) for part in parts])


def _malformed(source: str) -> str:
    return (
        f"{source} must hold one or more Fernet keys (32 bytes in URL-safe base64), separated by commas or line breaks."
    )
