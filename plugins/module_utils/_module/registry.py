# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The options that every module shares, and the registry that they name."""

from __future__ import annotations

import os
import pwd
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import env_fallback

from .._argspec import ArgumentSpec
from .._connector import checks
from .._connector.secret import Secret
from .._connector.state import Stamp
from .._errors import DeclarationError, MissingLibrary
from .._registry.interface import Registry
from .._registry.sealing import KeySource

DEFAULT_REGISTRY = "/var/lib/mailroom/registry.db"


def registry_options() -> ArgumentSpec:
    return ArgumentSpec(
        {
            "registry": {"type": "path", "default": DEFAULT_REGISTRY, **_from_environment("MAILROOM_REGISTRY")},
            "registry_key": {"type": "str", "no_log": True, **_from_environment("MAILROOM_REGISTRY_KEY")},
            "registry_key_file": {"type": "path", "no_log": False, **_from_environment("MAILROOM_REGISTRY_KEY_FILE")},
            "actor": {"type": "str", **_from_environment("MAILROOM_ACTOR")},
        }
    )


def open_registry(module: AnsibleModule) -> Registry:
    """The registry that the module's options name. Blank ones count as left out."""
    try:
        from .._registry.sqlite import SqliteRegistry
    except ImportError as missing:
        raise MissingLibrary("sqlite3", "to read the registry", str(missing)) from None
    path = module.params["registry"] or DEFAULT_REGISTRY
    given = module.params["registry_key"]
    keys = KeySource(Secret(given) if given else None, module.params["registry_key_file"] or f"{path}.key")
    if keys.is_exposed():
        module.warn(f"The registry's keys can be read by others than their owner: chmod 0600 {keys.path}")
    return SqliteRegistry(path, keys)


def stamp(module: AnsibleModule) -> Stamp:
    """Now, and who is recorded for it."""
    actor = module.params["actor"] or _operating_user()
    problems = checks.complaint(checks.text(100), actor, "", "actor")
    if problems:
        raise DeclarationError(problems)
    return Stamp(datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), actor)


def _operating_user() -> str:
    user = os.geteuid()
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"


def _from_environment(name: str) -> dict[str, Any]:
    return {"fallback": (env_fallback, [name])}
