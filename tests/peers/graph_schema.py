# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and types of what Microsoft Graph v1.0 takes for mail, and a check of requests against them.

The names and types are those of Microsoft's public CSDL schema (https://github.com/microsoftgraph/msgraph-metadata,
published under the MIT licence); `attachmentItem` is from its documentation.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Mapping

ENUMERATIONS: Mapping[str, tuple[str, ...]] = {
    "bodyType": ("text", "html"),
    "importance": ("low", "normal", "high"),
    "inferenceClassificationType": ("focused", "other"),
    "attachmentType": ("file", "item", "reference"),
}
TYPES: Mapping[str, Mapping[str, str]] = {
    "message": {
        "attachments": "Collection(attachment)",
        "bccRecipients": "Collection(recipient)",
        "body": "itemBody",
        "bodyPreview": "Edm.String",
        "categories": "Collection(Edm.String)",
        "ccRecipients": "Collection(recipient)",
        "changeKey": "Edm.String",
        "conversationId": "Edm.String",
        "conversationIndex": "Edm.Binary",
        "createdDateTime": "Edm.DateTimeOffset",
        "extensions": "Collection(extension)",
        "flag": "followupFlag",
        "from": "recipient",
        "hasAttachments": "Edm.Boolean",
        "id": "Edm.String",
        "importance": "importance",
        "inferenceClassification": "inferenceClassificationType",
        "internetMessageHeaders": "Collection(internetMessageHeader)",
        "internetMessageId": "Edm.String",
        "isDeliveryReceiptRequested": "Edm.Boolean",
        "isDraft": "Edm.Boolean",
        "isRead": "Edm.Boolean",
        "isReadReceiptRequested": "Edm.Boolean",
        "lastModifiedDateTime": "Edm.DateTimeOffset",
        "multiValueExtendedProperties": "Collection(multiValueLegacyExtendedProperty)",
        "parentFolderId": "Edm.String",
        "receivedDateTime": "Edm.DateTimeOffset",
        "replyTo": "Collection(recipient)",
        "sender": "recipient",
        "sentDateTime": "Edm.DateTimeOffset",
        "singleValueExtendedProperties": "Collection(singleValueLegacyExtendedProperty)",
        "subject": "Edm.String",
        "toRecipients": "Collection(recipient)",
        "uniqueBody": "itemBody",
        "webLink": "Edm.String",
    },
    "itemBody": {
        "content": "Edm.String",
        "contentType": "bodyType",
    },
    "recipient": {
        "emailAddress": "emailAddress",
    },
    "emailAddress": {
        "address": "Edm.String",
        "name": "Edm.String",
    },
    "internetMessageHeader": {
        "name": "Edm.String",
        "value": "Edm.String",
    },
    "followupFlag": {
        "completedDateTime": "dateTimeTimeZone",
        "dueDateTime": "dateTimeTimeZone",
        "flagStatus": "followupFlagStatus",
        "startDateTime": "dateTimeTimeZone",
    },
    "fileAttachment": {
        "contentBytes": "Edm.Binary",
        "contentId": "Edm.String",
        "contentLocation": "Edm.String",
        "contentType": "Edm.String",
        "id": "Edm.String",
        "isInline": "Edm.Boolean",
        "lastModifiedDateTime": "Edm.DateTimeOffset",
        "name": "Edm.String",
        "size": "Edm.Int32",
    },
    "mailFolder": {
        "childFolderCount": "Edm.Int32",
        "childFolders": "Collection(mailFolder)",
        "displayName": "Edm.String",
        "id": "Edm.String",
        "isHidden": "Edm.Boolean",
        "messageRules": "Collection(messageRule)",
        "messages": "Collection(message)",
        "multiValueExtendedProperties": "Collection(multiValueLegacyExtendedProperty)",
        "parentFolderId": "Edm.String",
        "singleValueExtendedProperties": "Collection(singleValueLegacyExtendedProperty)",
        "totalItemCount": "Edm.Int32",
        "unreadItemCount": "Edm.Int32",
    },
    "attachmentItem": {
        "attachmentType": "attachmentType",
        "contentId": "Edm.String",
        "contentType": "Edm.String",
        "isInline": "Edm.Boolean",
        "name": "Edm.String",
        "size": "Edm.Int64",
    },
}
# Parameters of actions; their names are told apart without regard to case.
ACTIONS: Mapping[str, Mapping[str, str]] = {
    "sendMail": {"Message": "message", "SaveToSentItems": "Edm.Boolean"},
    "createUploadSession": {"AttachmentItem": "attachmentItem"},
    "send": {},
}
NAMESPACE = "microsoft.graph"


class NotInSchema(Exception):
    """A name or a type is not one of the schema's."""


def check_action(name: str, body: object) -> dict[str, object]:
    """The parameters of an action by their names in the schema; the first one must be there."""
    if not isinstance(body, dict):
        raise NotInSchema("The request body must be an object.")
    names = {parameter.lower(): parameter for parameter in ACTIONS[name]}
    found: dict[str, object] = {}
    for given, value in body.items():
        parameter = names.get(given.lower())
        if not parameter:
            raise NotInSchema(f"The parameter '{given}' in the request payload is not valid for the action '{name}'.")
        check(ACTIONS[name][parameter], value, given)
        found[parameter] = value
    for parameter in list(ACTIONS[name])[:1]:
        if found.get(parameter) is None:
            raise NotInSchema(f"The parameter '{parameter}' of the action '{name}' must not be null.")
    return found


def check(kind: str, value: object, place: str) -> None:
    """Raises `NotInSchema` where a value does not have this type."""
    if value is None:
        return
    if kind.startswith("Collection("):
        if not isinstance(value, list):
            raise NotInSchema(f"'{place}' must be an array.")
        for item in value:
            check(kind[len("Collection(") : -1], item, place)
    elif kind in TYPES or kind == "attachment":
        _check_object(kind, value, place)
    elif kind in ENUMERATIONS:
        if value not in ENUMERATIONS[kind]:
            raise NotInSchema(f"'{place}' must be one of {', '.join(ENUMERATIONS[kind])}.")
    elif kind in _SIMPLE and not _SIMPLE[kind](value):
        raise NotInSchema(f"Cannot convert the value of '{place}' to the expected type '{kind}'.")


def _check_object(kind: str, value: object, place: str) -> None:
    if not isinstance(value, dict):
        raise NotInSchema(f"'{place}' must be an object.")
    if kind == "attachment":
        kind = "fileAttachment"
        if value.get("@odata.type", "").lstrip("#") != f"{NAMESPACE}.{kind}":
            raise NotInSchema(f"'{place}' needs the annotation @odata.type of an attachment's type.")
    for name, inner in value.items():
        if name.startswith("@odata.") or "@odata." in name:
            continue
        if name not in TYPES[kind]:
            raise NotInSchema(f"The property '{name}' does not exist on type '{NAMESPACE}.{kind}'.")
        check(TYPES[kind][name], inner, name)


def _is_binary(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True


def _is_moment(value: object) -> bool:
    try:
        dt.datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return False
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_SIMPLE: Mapping[str, Callable[[object], bool]] = {
    "Edm.String": lambda value: isinstance(value, str),
    "Edm.Boolean": lambda value: isinstance(value, bool),
    "Edm.Int32": _is_number,
    "Edm.Int64": _is_number,
    "Edm.Binary": _is_binary,
    "Edm.DateTimeOffset": _is_moment,
}
