# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a refusal of Microsoft Graph means. It is matched as "STATUS CODE"."""

from __future__ import annotations

from .observation import PERHAPS_ACCEPTED
from .rule import CERTAIN, IT_SAYS, LIKELY, LOOK_FIRST, POSSIBLE, Rule

_PERMISSIONS = (
    "In this order: does the application have Mail.Send (and Mail.ReadBasic.All or more to read) as an application"
    " permission of Microsoft Graph, with admin consent granted; does an application access policy or the scope of"
    " RBAC for Applications leave {mailbox} out (Test-ServicePrincipalAuthorization shows it); is it the right"
    " tenant."
)
_LATER = "Graph did not answer as it should ({text}): try again in some minutes."
GRAPH_RULES: tuple[Rule, ...] = (
    Rule("throttled", POSSIBLE, "graph", phases=("message",), text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST),
    Rule("response_timeout", LIKELY, "timeout", phases=("mailbox", "delivery"), remedy=_LATER),
    Rule("connection_reset", LIKELY, ("reset", "closed"), phases=("mailbox",), remedy=_LATER),
    Rule(
        "protocol_error",
        LIKELY,
        "protocol",
        phases=("mailbox",),
        remedy="What answers at {host} port {port} is most likely not Microsoft Graph: check graph.url. {text}",
    ),
    Rule("throttled", CERTAIN, "graph", reply="429 "),
    Rule(
        "auth_rejected",
        LIKELY,
        "graph",
        reply="401 ",
        remedy=(
            "Graph does not accept the token: it is for another service or cloud (see cloud, scope and graph.url), or"
            f" this host's clock is wrong.{IT_SAYS}"
        ),
    ),
    Rule(
        "sender_rejected",
        CERTAIN,
        "graph",
        reply="403 ErrorSendAsDenied",
        remedy=(
            f"{{mailbox}} may not send as this from_address: grant it Send As in Exchange, or leave from_address at"
            f" the mailbox's own.{IT_SAYS}"
        ),
    ),
    Rule("mailbox_denied", LIKELY, "graph", reply="403 ", remedy=f"{_PERMISSIONS}{IT_SAYS}"),
    Rule(
        "mailbox_missing",
        CERTAIN,
        "graph",
        reply="404 MailboxNotEnabledForRESTAPI",
        remedy=(
            "{mailbox} has no mailbox in the cloud: it is a guest, has no Exchange Online licence, was deleted, or"
            f" still lives on premises.{IT_SAYS}"
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
            "The tenant knows no mailbox {mailbox}: check graph.mailbox (its main address or object id), tenant_id and"
            f" cloud.{IT_SAYS}"
        ),
    ),
    Rule("message_rejected", LIKELY, "graph", phases=("message",), reply="4.. "),
    Rule(
        "throttled",
        POSSIBLE,
        "graph",
        reply="5.. ",
        remedy=f"Graph has trouble of its own: try again in some minutes.{IT_SAYS}",
    ),
    Rule(
        "protocol_error",
        LIKELY,
        "graph",
        remedy=f"What answers at {{host}} port {{port}} is most likely not Microsoft Graph: check graph.url.{IT_SAYS}",
    ),
)
