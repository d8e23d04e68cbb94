# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The applications that are configured by an API, by name.

They are imported one by one, because only what is found to be imported is sent to a host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .api.airflow import Airflow
from .api.keepnet import Keepnet
from .api.privacyidea import Privacyidea
from .api.zabbix import Zabbix
from .api_target import ApiTarget
from .interface import specs_of

_TARGETS: tuple[ApiTarget, ...] = (Airflow(), Keepnet(), Privacyidea(), Zabbix())

API_TARGETS: Mapping[str, ApiTarget] = {each.name: each for each in _TARGETS}


def api_option_specs() -> dict[str, dict[str, Any]]:
    return specs_of(option for target in _TARGETS for option in target.options)


def api_key_specs() -> dict[str, dict[str, Any]]:
    """What the option `target` takes of any application."""
    return specs_of(option for target in _TARGETS for option in target.keys)
