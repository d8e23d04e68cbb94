# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module registry: make a registry, migrate it, grant its use, and fill it from another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._argspec import ArgumentSpec
from .._connector.secret import Secret
from .._errors import DeclarationError, MailroomError, Problem, RegistryError
from .._registry.registry import Content, Records, Registry, default_key_file, is_database, open_registry
from .._registry.writer import Writer
from .shared_options import named_registry, registry_options, shared_option
from .task import Task, run

_OPTIONS = re.compile(r"(?<![\w./-])registry_(?=(key|key_file|password)\b)")
_BEFORE_PROBLEM = re.compile(r"\Aregistry (?=must |has |holds |gives |names )")


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "state": {"type": "str", "choices": ["present"], "default": "present"},
            "copy_from": {"type": "path"},
            "copy_from_key": {"type": "str", "no_log": True},
            "copy_from_key_file": {"type": "path", "no_log": False},
            "copy_from_password": {"type": "str", "no_log": True},
            "grant_read": {"type": "list", "elements": "str"},
            "grant_write": {"type": "list", "elements": "str"},
        },
        required_by=dict.fromkeys(("copy_from_key", "copy_from_key_file", "copy_from_password"), ("copy_from",)),
    )
    return options.merge(registry_options())


def run_module() -> None:
    run(Task(argument_spec()), _registry)


def _registry(module: Task) -> dict[str, Any]:
    params = module.params
    roles = (_roles(params, "grant_read"), _roles(params, "grant_write"))
    registry = named_registry(module)
    source = _source(module, registry) if params["copy_from"] else None
    content, records = _read_source(source) if source else (None, None)
    is_missing = bool(registry.missing())
    # A registry that holds something else is refused before its tables or grants change.
    is_copied = content is not None and (is_missing or _is_to_be_filled(registry, content))
    statements = registry.setup_statements(*roles) if module.check_mode else registry.set_up(*roles)
    found = registry.empty() if module.check_mode and is_missing else registry
    if content and records and is_copied and not module.check_mode:
        is_copied = registry.write(lambda writer: _fill(registry, writer, content, records))
    return {
        "changed": bool(statements) or is_copied,
        "registry": _describe(registry, found, module),
        **({"statements": statements} if module.check_mode else {}),
    }


def _roles(params: dict[str, Any], option: str) -> list[str]:
    roles = list(dict.fromkeys(params[option] or []))
    if any(not role or len(role.encode()) > 63 or not role.isprintable() for role in roles):
        raise DeclarationError([Problem("", option, "must be names of PostgreSQL roles, 1 to 63 bytes each")])
    return roles


def _source(module: Task, registry: Registry) -> Registry:
    """The registry that is copied. Its keys are those of this one, where none are given."""
    params = module.params
    location, password = params["copy_from"], params["copy_from_password"]
    key, key_file = params["copy_from_key"], params["copy_from_key_file"]
    if not key and not key_file:
        key = shared_option(module, "registry_key")
        if is_database(location):
            key_file = shared_option(module, "registry_key_file") or (
                "" if is_database(registry.shown) else default_key_file(registry.shown)
            )
    with _naming_copy_from():
        source = open_registry(
            location, Secret(key) if key else None, key_file or "", Secret(password) if password else None
        )
    if source.shown == registry.shown:
        raise DeclarationError([Problem("", "copy_from", "must be another registry than the one it is copied to")])
    if not source.exists():
        raise RegistryError(f"The registry {source.shown}, which copy_from names, does not exist.")
    return source


def _read_source(source: Registry) -> tuple[Content, Records]:
    with _naming_copy_from(), source.reading() as reader:
        content = reader.content()
        return content, reader.records(content)


@contextmanager
def _naming_copy_from() -> Iterator[None]:
    """Tell what is wrong with the source by the options for it."""
    try:
        yield
    except MailroomError as error:
        text = _OPTIONS.sub("copy_from_", _BEFORE_PROBLEM.sub("", str(error)))
        raise RegistryError(f"copy_from: {text}") from None


def _is_to_be_filled(registry: Registry, content: Content) -> bool:
    with registry.reading() as reader:
        return reader.is_empty() or _refuse_unless_equal(registry, reader.content(), content)


def _fill(registry: Registry, writer: Writer, content: Content, records: Records) -> bool:
    if not writer.is_empty():
        return _refuse_unless_equal(registry, writer.content(), content)
    writer.fill(content, records)
    return True


def _refuse_unless_equal(registry: Registry, found: Content, content: Content) -> bool:
    """False, since nothing is to be copied, or an error."""
    if not found.is_same(content):
        raise RegistryError(
            f"The registry {registry.shown} is not empty and holds something else than the one that copy_from names:"
            " nothing was copied."
        )
    return False


def _describe(registry: Registry, found: Registry, module: Task) -> dict[str, Any]:
    with found.reading() as reader:
        described = {"connectors": reader.connector_count(), "keys": reader.key_ids()}
        described["id"] = reader.registry_id() if found.version() else None
    is_writable = True
    try:
        registry.check_writable()
    except RegistryError:
        is_writable = module.check_mode and found is not registry
    return {
        "backend": registry.backend_name,
        "schema_version": found.version(),
        "writable": is_writable,
        **described,
    }
