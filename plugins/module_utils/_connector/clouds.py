# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Microsoft's clouds: where each signs in, and what its tokens are for."""

from __future__ import annotations

from typing import NamedTuple

MAIL = ("smtp", "imap")


class Cloud(NamedTuple):
    """One cloud. Tokens of one are of no use in another."""

    authority: str
    graph: str
    outlook: str

    def resource(self, protocol: str) -> str:
        """What a token for a protocol is asked for."""
        return self.outlook if protocol in MAIL else self.graph


CLOUDS: dict[str, Cloud] = {
    "global": Cloud(
        "https://login.microsoftonline.com", "https://graph.microsoft.com", "https://outlook.office365.com"
    ),
    "us_gov": Cloud("https://login.microsoftonline.us", "https://graph.microsoft.us", "https://outlook.office365.us"),
    "us_gov_dod": Cloud(
        "https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "https://outlook-dod.office365.us"
    ),
    "china": Cloud(
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "https://partner.outlook.cn",
    ),
}


def authority_of(cloud: str, authority: str) -> str:
    """Where to sign in: what was written, else the cloud's."""
    return (authority or CLOUDS[cloud].authority).rstrip("/")


def graph_of(cloud: str, url: str) -> str:
    """Where Graph is: what was written, else the cloud's."""
    return (url or CLOUDS[cloud].graph).rstrip("/")


def scope_of(cloud: str, protocol: str) -> str:
    """What a token is asked for unless a scope is written.

    It follows the cloud alone: graph.url and the host of a mail server say how the service is reached, such as over
    a private address, and not what it calls itself. Who reaches a cloud that is not in the table writes the scope.
    """
    return f"{CLOUDS[cloud].resource(protocol)}/.default"
