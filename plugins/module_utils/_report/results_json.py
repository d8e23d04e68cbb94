# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The report as JSON, with a versioned schema: docs/results.schema.json."""

from __future__ import annotations

import json
from dataclasses import asdict

from .model import Report
from .summary import summary

SCHEMA_VERSION = 1


def results_json(report: Report) -> str:
    """All results, with the names that connector_test and connector_info use."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "generated_at": report.generated_at,
        "summary": summary(report),
        "hosts": [asdict(host) for host in report.hosts],
        "results": [asdict(result) for result in report.results],
    }
    return json.dumps(content, indent=1, sort_keys=False) + "\n"
