# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which refusal of Microsoft Graph stands for which verdict. They are matched as "STATUS CODE"."""

from __future__ import annotations

from .line import CERTAIN, LIKELY, LOOK_FIRST, POSSIBLE, Line
from .observation import PERHAPS_ACCEPTED

_SAYS = " It says: {text}"
_PERMISSIONS = (
    "In this order: does the application have Mail.Send (and Mail.ReadBasic.All or more to read) as an application"
    " permission of Microsoft Graph, with admin consent granted; does an application access policy or the scope of"
    " RBAC for Applications leave {mailbox} out (Test-ServicePrincipalAuthorization shows it); is it the right"
    " tenant."
)

_LATER = "Graph did not answer as it should ({text}): try again in some minutes."

GRAPH_LINES: tuple[Line, ...] = (
    Line("throttled", POSSIBLE, "graph", phases="message", text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST),
    Line("response_timeout", LIKELY, "timeout", phases="mailbox|delivery", remedy=_LATER),
    Line("connection_reset", LIKELY, ("reset", "closed"), phases="mailbox", remedy=_LATER),
    Line(
        "protocol_error",
        LIKELY,
        "protocol",
        phases="mailbox",
        remedy="What answers at {host} port {port} is most likely not Microsoft Graph: check graph.url. {text}",
    ),
    Line("throttled", CERTAIN, "graph", reply="429 "),
    Line(
        "auth_rejected",
        LIKELY,
        "graph",
        reply="401 ",
        remedy=(
            "Graph does not accept the token: it is for another service or cloud (see cloud, scope and graph.url), or"
            f" this host's clock is wrong.{_SAYS}"
        ),
    ),
    Line(
        "sender_rejected",
        CERTAIN,
        "graph",
        reply="403 ErrorSendAsDenied",
        remedy=(
            f"{{mailbox}} may not send as this from_address: grant it Send As in Exchange, or leave from_address at"
            f" the mailbox's own.{_SAYS}"
        ),
    ),
    Line("mailbox_denied", LIKELY, "graph", reply="403 ", remedy=f"{_PERMISSIONS}{_SAYS}"),
    Line(
        "mailbox_missing",
        CERTAIN,
        "graph",
        reply="404 MailboxNotEnabledForRESTAPI",
        remedy=(
            "{mailbox} has no mailbox in the cloud: it is a guest, has no Exchange Online licence, was deleted, or"
            f" still lives on premises.{_SAYS}"
        ),
    ),
    Line("message_too_large", CERTAIN, "graph", reply="413 |... ErrorMessageSizeExceeded"),
    Line("mailbox_full", CERTAIN, "graph", reply="... ErrorQuotaExceeded"),
    Line("recipient_rejected", CERTAIN, "graph", reply="... ErrorInvalidRecipients"),
    Line(
        "mailbox_missing",
        LIKELY,
        "graph",
        reply="404 ",
        remedy=(
            "The tenant knows no mailbox {mailbox}: check graph.mailbox (its main address or object id), tenant_id and"
            f" cloud.{_SAYS}"
        ),
    ),
    Line("message_rejected", LIKELY, "graph", phases="message", reply="4.. "),
    Line(
        "throttled",
        POSSIBLE,
        "graph",
        reply="5.. ",
        remedy=f"Graph has trouble of its own: try again in some minutes.{_SAYS}",
    ),
    Line(
        "protocol_error",
        LIKELY,
        "graph",
        remedy=f"What answers at {{host}} port {{port}} is most likely not Microsoft Graph: check graph.url.{_SAYS}",
    ),
)
