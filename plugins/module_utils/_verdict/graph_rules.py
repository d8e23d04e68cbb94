# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Rules for errors of Microsoft Graph, which are matched as "STATUS CODE"."""

from __future__ import annotations

from .observation import PERHAPS_ACCEPTED
from .rule import CERTAIN, CHECK_BEFORE_RESENDING, LIKELY, POSSIBLE, Rule

GRAPH_SAYS = " Graph says: {text}"

_PERMISSIONS = (
    "Check in this order: does the application have Mail.Send (to read: Mail.ReadBasic.All or more) as an application"
    " permission of Microsoft Graph, with admin consent granted; does an application access policy or the scope of"
    " RBAC for Applications exclude {mailbox} (see Test-ServicePrincipalAuthorization); is tenant_id the tenant of the"
    " mailbox."
)
_LATER = "Graph did not answer as expected ({text}): try again in a few minutes."
GRAPH_RULES: tuple[Rule, ...] = (
    Rule("throttled", POSSIBLE, "graph", phases=("message",), text=PERHAPS_ACCEPTED, remedy=CHECK_BEFORE_RESENDING),
    Rule("response_timeout", LIKELY, "timeout", phases=("mailbox", "delivery"), remedy=_LATER),
    Rule("connection_reset", LIKELY, ("reset", "closed"), phases=("mailbox",), remedy=_LATER),
    Rule(
        "protocol_error",
        LIKELY,
        "protocol",
        phases=("mailbox",),
        remedy="The server at {host} port {port} is most likely not Microsoft Graph: check graph.url. Error: {text}",
    ),
    Rule("throttled", CERTAIN, "graph", reply="429 "),
    Rule(
        "auth_rejected",
        LIKELY,
        "graph",
        reply="401 ",
        remedy=(
            "Graph does not accept the token: it is for another service or cloud (check cloud, scope and graph.url), or"
            f" this host's clock is wrong.{GRAPH_SAYS}"
        ),
    ),
    Rule(
        "sender_rejected",
        CERTAIN,
        "graph",
        reply="403 ErrorSendAsDenied",
        remedy=(
            f"{{mailbox}} may not send as this from_address: grant it Send As in Exchange, or set from_address to the"
            f" mailbox's own address.{GRAPH_SAYS}"
        ),
    ),
    Rule("mailbox_denied", LIKELY, "graph", reply="403 ", remedy=f"{_PERMISSIONS}{GRAPH_SAYS}"),
    Rule(
        "mailbox_missing",
        CERTAIN,
        "graph",
        reply="404 MailboxNotEnabledForRESTAPI",
        remedy=(
            "{mailbox} has no mailbox in the cloud: it is a guest, has no Exchange Online licence, was deleted, or"
            f" is still on premises.{GRAPH_SAYS}"
        ),
    ),
    Rule("message_too_large", CERTAIN, "graph", reply="413 |... ErrorMessageSizeExceeded"),
    Rule("mailbox_full", CERTAIN, "graph", reply="... ErrorQuotaExceeded"),
    Rule("recipient_rejected", CERTAIN, "graph", reply="... ErrorInvalidRecipients"),
    Rule(
        "mailbox_missing",
        LIKELY,
        "graph",
        reply="404 ",
        remedy=(
            "The tenant has no mailbox {mailbox}: check graph.mailbox (the main address or the object id), tenant_id"
            f" and cloud.{GRAPH_SAYS}"
        ),
    ),
    Rule("message_rejected", LIKELY, "graph", phases=("message",), reply="4.. "),
    Rule(
        "throttled",
        POSSIBLE,
        "graph",
        reply="5.. ",
        remedy=f"Graph has an internal error: try again in a few minutes.{GRAPH_SAYS}",
    ),
    Rule(
        "protocol_error",
        LIKELY,
        "graph",
        remedy=f"The server at {{host}} port {{port}} is most likely not Microsoft Graph: check graph.url.{GRAPH_SAYS}",
    ),
)
