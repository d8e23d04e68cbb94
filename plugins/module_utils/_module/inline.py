# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Connectors that are declared in a task, for this task alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._check.job import Job
from .._connector.declaration import Declaration, parse_declaration
from .._connector.plan import Request
from .._connector.planning import make_plan
from .._connector.state import UNSTAMPED, State
from .._errors import DeclarationError, Problem
from .jobs import disabled_job, make_job

UNNAMED = "declaration"


def parse_inline(declared: Any) -> tuple[Declaration, list[Problem]]:
    """A connector that is declared in a task, and the problems with it."""
    if not isinstance(declared, Mapping):
        return Declaration(UNNAMED), [Problem("", "declaration", "must be a dictionary")]
    return parse_declaration({**declared, "name": declared.get("name") or UNNAMED}, whole=True)


def inline_job(declared: Mapping[str, Any]) -> Job:
    """The job for an inline declaration, which never uses stored secrets."""
    declaration, problems = parse_inline(declared)
    if problems:
        raise DeclarationError(problems)
    plan = make_plan(Request((declaration,)), State(), lambda _token, _secret: False, UNSTAMPED)
    connector = plan.after.connectors[declaration.name]
    return make_job(connector, declaration.secrets) if connector.enabled else disabled_job(connector.name)
