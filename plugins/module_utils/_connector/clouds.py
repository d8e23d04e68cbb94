# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Microsoft's clouds: their URLs for signing in, and the resources that tokens are requested for."""

from __future__ import annotations

from typing import NamedTuple

MAIL_PROTOCOLS = ("smtp", "imap")


class Cloud(NamedTuple):
    """One cloud: a token of one is not valid in another."""

    authority: str
    graph: str
    outlook: str

    def resource(self, protocol: str) -> str:
        """The resource that a token for a protocol is requested for."""
        return self.outlook if protocol in MAIL_PROTOCOLS else self.graph


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


def authority_url(cloud: str, authority: str) -> str:
    """The sign-in URL: the declared one, else the cloud's."""
    return (authority or CLOUDS[cloud].authority).rstrip("/")


def graph_url(cloud: str, url: str) -> str:
    """The URL of Graph: the declared one, else the cloud's."""
    return (url or CLOUDS[cloud].graph).rstrip("/")


def token_scope(cloud: str, protocol: str) -> str:
    """The scope of a token where none is declared.

    It depends on the cloud only: graph.url and the host of a mail server may be private addresses, which are no
    resource names. For a cloud that is not in the table the scope must be declared.
    """
    return f"{CLOUDS[cloud].resource(protocol)}/.default"
