# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which providers stop accepting passwords, and when. Data only; kept as announced at the date given."""

from __future__ import annotations

from typing import NamedTuple

from .._connector.domain import canonical
from .._connector.resolved import Protocol


class Retirement(NamedTuple):
    """What a provider has announced about signing in with a password."""

    hosts: tuple[str, ...]
    protocols: tuple[str, ...]
    announced: str
    text: str


RETIREMENTS: tuple[Retirement, ...] = (
    Retirement(
        (".office365.com", ".outlook.com"),
        ("smtp",),
        "2026-01-27",
        "Microsoft turns SMTP sign-in by password off by default at the end of December 2026, and will announce in"
        " the second half of 2027 when it ends for good: move to oauth2 or graph",
    ),
    Retirement(
        (".office365.com", ".outlook.com"),
        ("imap",),
        "2022-10-01",
        "Microsoft no longer accepts passwords over IMAP: move to oauth2 or graph",
    ),
)


def retirement_of(host: str, protocol: Protocol) -> Retirement | None:
    name = f".{canonical(host)}"
    return next(
        (each for each in RETIREMENTS if protocol in each.protocols and name.endswith(each.hosts)),
        None,
    )
