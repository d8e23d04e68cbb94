# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The applications that are configured by files, by name.

They are imported one by one, because only what is found to be imported is sent to a host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .files.accuknox import AccuknoxValues
from .files.alertmanager import Alertmanager
from .files.django import Django
from .files.dma import Dma
from .files.evoluteiq import Evoluteiq
from .files.fetchmail import Fetchmail
from .files.generic import Env, Json, Template, Yaml
from .files.getmail import Getmail
from .files.gitea import Gitea
from .files.gitlab import Gitlab
from .files.grafana import Grafana
from .files.kianda import Kianda
from .files.mailman3 import Mailman3
from .files.mbsync import Mbsync
from .files.monit import Monit
from .files.msmtp import Msmtp
from .files.nextcloud import Nextcloud
from .files.nullmailer import Nullmailer
from .files.postfix import Postfix
from .files.privilege_manager import PrivilegeManager
from .files.redmine import Redmine
from .files.vaultwarden import Vaultwarden
from .interface import FileTarget, specs_of

_TARGETS: tuple[FileTarget, ...] = (
    AccuknoxValues(),
    Alertmanager(),
    Django(),
    Dma(),
    Env(),
    Evoluteiq(),
    Fetchmail(),
    Getmail(),
    Gitea(),
    Gitlab(),
    Grafana(),
    Json(),
    Kianda(),
    Mailman3(),
    Mbsync(),
    Monit(),
    Msmtp(),
    Nextcloud(),
    Nullmailer(),
    Postfix(),
    PrivilegeManager(),
    Redmine(),
    Template(),
    Vaultwarden(),
    Yaml(),
)

FILE_TARGETS: Mapping[str, FileTarget] = {each.name: each for each in _TARGETS}


def option_specs() -> dict[str, dict[str, Any]]:
    return specs_of(option for target in _TARGETS for option in target.options)
