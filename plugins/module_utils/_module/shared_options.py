# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Defines the options that all modules share, and opens the registry."""

from __future__ import annotations

import os
import pwd
from datetime import datetime, timezone
from typing import Any, Protocol

from ansible.module_utils.common.parameters import env_fallback

from .._argspec import ArgumentSpec
from .._connector import checks
from .._connector.secret import Secret
from .._connector.state import Stamp
from .._errors import DeclarationError
from .._registry import registry as _registry
from .._registry.registry import Registry

DEFAULT_REGISTRY = "/var/lib/mailroom/registry.db"

_ENVIRONMENT = {
    "registry": "MAILROOM_REGISTRY",
    "registry_password": "MAILROOM_REGISTRY_PASSWORD",
    "registry_key": "MAILROOM_REGISTRY_KEY",
    "registry_key_file": "MAILROOM_REGISTRY_KEY_FILE",
    "actor": "MAILROOM_ACTOR",
}


def registry_options() -> ArgumentSpec:
    return ArgumentSpec(
        {
            "registry": {"type": "path", "default": DEFAULT_REGISTRY, **_from_environment("registry")},
            "registry_password": {"type": "str", "no_log": True, **_from_environment("registry_password")},
            "registry_key": {"type": "str", "no_log": True, **_from_environment("registry_key")},
            "registry_key_file": {"type": "path", "no_log": False, **_from_environment("registry_key_file")},
            "actor": {"type": "str", **_from_environment("actor")},
        }
    )


class Written(Protocol):
    """A module with its options as parsed and as written."""

    params: dict[str, Any]
    written: dict[str, Any]
    check_mode: bool

    def warn(self, warning: str) -> None: ...


def shared_option(module: Written, option: str) -> str:
    """A registry option; the environment also replaces an empty one, which Ansible itself does not do."""
    if module.written.get(option) or option not in module.written:
        return str(module.params[option] or "")
    return os.path.expanduser(os.environ.get(_ENVIRONMENT[option], ""))


def registry_files(module: Written) -> list[str]:
    """The paths of the registry, its journal and its key file, whether they exist or not."""
    return _registry.registry_files(_location(module), shared_option(module, "registry_key_file"))


def open_registry(module: Written) -> Registry:
    """Open the registry of the module's options.

    In check mode an empty one stands for what an earlier task of the play may be going to make or install.
    """
    registry = named_registry(module)
    missing = registry.missing() if module.check_mode else ""
    if missing:
        module.warn(missing)
        return registry.empty()
    return registry


def named_registry(module: Written) -> Registry:
    """Open the registry of the module's options, whether it exists or not. Empty ones count as left out."""
    given, password = shared_option(module, "registry_key"), shared_option(module, "registry_password")
    return _registry.open_registry(
        _location(module),
        Secret(given) if given else None,
        shared_option(module, "registry_key_file"),
        Secret(password) if password else None,
    )


def _location(module: Written) -> str:
    return shared_option(module, "registry") or DEFAULT_REGISTRY


def host_option() -> dict[str, Any]:
    """The option for the name under which what happens on a host is recorded."""
    return {"host": {"type": "str"}}


def recorded_host(module: Written) -> str:
    """The name of this host for records: the one given, as roles give that of the inventory, else its own."""
    host = module.params["host"] or os.uname().nodename or "localhost"
    problems = checks.run_check(checks.text(255), host, "", "host")
    if problems:
        raise DeclarationError(problems)
    return str(host)


def stamp(module: Written) -> Stamp:
    """The current time, and the actor to record."""
    actor = shared_option(module, "actor")
    if not actor:
        user = os.geteuid()
        try:
            actor = pwd.getpwuid(user).pw_name
        except KeyError:
            actor = f"uid {user}"
    problems = checks.run_check(checks.text(100), actor, "", "actor")
    if problems:
        raise DeclarationError(problems)
    return Stamp(datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), actor)


def _from_environment(option: str) -> dict[str, Any]:
    return {"fallback": (env_fallback, [_ENVIRONMENT[option]])}
