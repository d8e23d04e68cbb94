# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Reads connectors from the registry of the controller, for plugins that run there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._connector import checks
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Wanted
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError, Problem, RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._module.connector_info import argument_spec, read_connectors
from ansible_collections.mailroom.core.plugins.module_utils._module.shared_options import (
    DEFAULT_REGISTRY,
    named_registry,
)
from ansible_collections.mailroom.core.plugins.module_utils._module.stored import load_connectors, open_secrets
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import is_database

REGISTRY_OPTIONS = ("registry", "registry_key", "registry_key_file", "registry_password")


class PluginTask:
    """The options of a plugin, in the form that those of a module have."""

    check_mode = False

    def __init__(self, options: Iterable[str], params: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        """`options` are those of the module in whose place the plugin does something."""
        self.params = {name: params.get(name) for name in options}
        registry = str(self.params["registry"] or DEFAULT_REGISTRY)
        # A user's folder, as a module has it.
        self.params["registry"] = registry if is_database(registry) else os.path.expanduser(registry)  # noqa: PTH111  it never fails
        if self.params.get("registry_key_file"):
            self.params["registry_key_file"] = os.path.expanduser(str(self.params["registry_key_file"]))  # noqa: PTH111  the same
        self.written = {name: value for name, value in self.params.items() if value}
        self._warn = warn

    def warn(self, warning: str) -> None:
        self._warn(warning)


def read_connector(params: Mapping[str, Any], warn: Callable[[str], None], *, secrets: bool) -> dict[str, Any]:
    """The connector of a name or a purpose as connector_info returns it, on demand with its opened secrets."""
    task = PluginTask(argument_spec().options, params, warn)
    registry, name = named_registry(task), task.params["name"]
    if name is None and not task.params["purpose"]:
        raise problem("name", "must be the name of a connector where no purpose is given")
    if not registry.exists():
        raise RegistryError(f"There is no registry {registry.shown} on the controller, where this plugin reads it.")
    if name is not None:
        problems = checks.run_check(checks.connector_name, name, "", "name")
        if problems:
            raise DeclarationError(problems)
        with registry.reading() as reader:
            load_connectors(registry, reader, [name])
    (found,) = read_connectors(task)["connectors"]
    if not secrets:
        return dict(found)
    with registry.reading() as reader:
        connector = reader.load(Wanted(frozenset([found["name"]]))).connectors.get(found["name"])
        if connector is None or connector.revision != found["revision"]:
            raise RegistryError(f"connector {found['name']}: it was changed while it was read: look it up again.")
        for path, secret in open_secrets(reader, connector, connector.secrets).items():
            block, _dot, field = path.partition(".")
            found[block] = {**found[block], field: secret.reveal()}
    return dict(found)


def problem(option: str, message: str) -> DeclarationError:
    """The error for one option."""
    return DeclarationError([Problem("", option, message)])
