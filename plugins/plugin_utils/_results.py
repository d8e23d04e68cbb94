# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Reads the input of the filters that render the results of tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.module_utils._report.model import (
    MALFORMED,
    Report,
    Result,
    parse_report,
    parse_results,
)


def read_results(filter_name: str, given: Any) -> list[Result]:
    """The results of mailroom.core.connector_test."""
    try:
        if isinstance(given, list):
            return parse_results(given)
    except MALFORMED:
        pass
    raise AnsibleFilterError(
        f"mailroom.core.{filter_name}: the input must be the results of mailroom.core.connector_test"
    )


def read_report(filter_name: str, given: Any) -> Report:
    """The results of several hosts, each a dictionary with `results` and more by its name."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        if isinstance(given, Mapping):
            return parse_report(now, given)
    except MALFORMED:
        pass
    raise AnsibleFilterError(
        f"mailroom.core.{filter_name}: the input must be a dictionary by the names of hosts, each with the results of"
        " mailroom.core.connector_test"
    )
