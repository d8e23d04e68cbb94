# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What examples/awx declares."""

from __future__ import annotations

import re
from typing import Any

import places
import yaml

EXAMPLE = places.ROOT / "examples" / "awx"
PROJECT = EXAMPLE / "project"
CONFIGURE = EXAMPLE / "configure.yml"


class _Loader(yaml.SafeLoader):
    """Takes what is not to be templated as it stands."""


_Loader.add_constructor("!unsafe", lambda loader, node: node.value)


def tasks() -> list[dict[str, Any]]:
    """The tasks of configure.yml."""
    (play,) = yaml.load(CONFIGURE.read_text(encoding="utf-8"), Loader=_Loader)
    steps: list[dict[str, Any]] = play["tasks"]
    return steps


def declared(module: str) -> dict[str, dict[str, Any]]:
    """The objects that the tasks of a module of awx.awx declare, by their names."""
    objects = [task[f"awx.awx.{module}"] for task in tasks() if f"awx.awx.{module}" in task]
    return {one["name"].removeprefix("Mail connectors: "): one for one in objects}


def credential_names(template: dict[str, Any]) -> list[str]:
    """The credentials of a job template, where hosts have registries of their own and not one in a database."""
    names = re.findall("'([^']+)'", template["credentials"])
    return ["Mail registry", *names] if "awx_registry_credentials" in template["credentials"] else names
