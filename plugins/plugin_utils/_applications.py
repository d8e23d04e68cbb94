# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Lists applications whose settings are out of date, one line each, and those that can be compared."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from typing import Any


def outdated_applications(
    found: Mapping[str, Any],
    *,
    hosts: Collection[str] | None = None,
    other_than: Collection[str] = (),
    compared: Collection[Mapping[str, Any]] = (),
    compared_on: str = "",
) -> list[str]:
    """One line for each application that is recorded for one of the hosts, and for none of the others.

    Those in `compared`, entries of mailroom_apps on one host, are left out.
    """
    there = {(compared_on, str(each["app"]), posixpath.normpath(str(each["path"]))) for each in compared}
    return [
        line
        for host, app, place, line in _lines(found)
        if (hosts is None or host in hosts) and host not in other_than and (host, app, place) not in there
    ]


def comparable_applications(
    entries: Collection[Mapping[str, Any]], changed: Mapping[str, Any], found: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The entries of mailroom_apps or mailroom_apis whose connector is stored, and not only going to be created.

    `changed` is what the module connectors would change, `found` what is stored.
    """
    purposes = {purpose: each["name"] for each in found["connectors"] for purpose in each["purposes"]}
    purposes.update(dict.fromkeys(changed["diff"]["before"].get("purposes", {})))
    purposes.update(changed["diff"]["after"].get("purposes", {}))

    def connector_of(entry: Mapping[str, Any]) -> Any:
        purpose, tenant = entry.get("purpose"), entry.get("tenant")
        bound = purposes.get(f"{purpose}@{tenant}") if tenant else None
        return entry.get("connector") or bound or purposes.get(purpose) or changed["default"]

    return [
        each
        for each in entries
        if each.get("state") in ("absent", "forgotten") or connector_of(each) not in changed["created"]
    ]


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Each application that is not current, with its line."""
    listed = [(entry["name"], each) for entry in found["connectors"] for each in entry.get("applications") or ()]
    left = [(each["connector"], each) for each in found.get("orphaned_applications") or ()]
    for connector, each in listed + left:
        # Without the key of the registry it is not known.
        if each["current"] is not False:
            continue
        host, app, place = each["host"], each["app"], each["place"]
        purpose = f"{each['purpose']}@{each['tenant']}" if each["tenant"] else each["purpose"]
        what = f"connector {connector}" + (f", for purpose {purpose}" if purpose else "")
        state = (
            f"has settings of {what}, which is deleted"
            if (connector, each) in left
            else f"has other settings than it would be given now, of {what}"
        )
        written = f"written {each['written_at']} by {each['written_by']}"
        yield host, app, place, f"{app} {place} on {host}: {state} ({written})"
