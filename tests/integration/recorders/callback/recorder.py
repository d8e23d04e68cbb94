# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback plugin that records every result as it reaches callbacks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Appends each result to the file that RECORDER_CALLBACK names."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorder"

    def _record(self, result: Any, **_more: Any) -> None:
        content = result.result if hasattr(result, "result") else result._result
        with Path(os.environ["RECORDER_CALLBACK"]).open("a", encoding="utf-8") as file:
            json.dump(content, file, default=str)
            file.write("\n")

    v2_runner_on_ok = _record
    v2_runner_on_failed = _record
    v2_runner_item_on_ok = _record
    v2_runner_item_on_failed = _record
