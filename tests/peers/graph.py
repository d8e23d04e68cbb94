# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for mail in Microsoft Graph, with mailboxes that keep what they are given."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from typing import Any

from peers import graph_mail, graph_schema
from peers.ca import CertificateZoo
from peers.entra import GRAPH
from peers.graph_store import FOLDERS, Item, Store
from peers.https import Failure, HttpsServer, Request, Response, Route, as_json, as_text
from peers.mail import MailServer
from peers.tokens import Issued, Tokens
from peers.users import DOMAIN, USERS

AT_ONCE = 4
READ = ("Mail.ReadBasic.All", "Mail.ReadBasic", "Mail.Read", "Mail.ReadWrite")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "sendMail": ("Mail.Send",),
    "send": ("Mail.Send",),
    **dict.fromkeys(("getMessage", "listMessages", "getMailFolder", "listMailFolders"), READ),
    **dict.fromkeys(("createMessage", "deleteMessage", "addAttachment", "createUploadSession"), ("Mail.ReadWrite",)),
}
BODY_PARTS = {"body", "bodyPreview", "uniqueBody"}
SMALLEST_UPLOAD, LARGEST_UPLOAD = 3 * 2**20, 150 * 2**20
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
FILTER = re.compile(r"internetMessageId eq '((?:[^']|'')*)'")
EXPIRED = "Lifetime validation failed, the token is expired."
AUDIENCE = "Access token validation failure. Invalid audience."
NO_MAILBOX = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
TOO_MANY = "Application is over its MailboxConcurrency limit."


def _failures(*rows: tuple[str, int, str, str]) -> dict[str, Failure | None]:
    return {row[0]: Failure(*row) for row in rows}


_FAILURES = _failures(
    ("InvalidAuthenticationToken", 401, "InvalidAuthenticationToken", "The access token cannot be read."),
    ("InvalidAuthenticationToken_expired", 401, "InvalidAuthenticationToken", EXPIRED),
    ("InvalidAuthenticationToken_audience", 401, "InvalidAuthenticationToken", AUDIENCE),
    ("InvalidAuthenticationToken_empty", 401, "InvalidAuthenticationToken", "Access token is empty."),
    ("ErrorAccessDenied", 403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."),
    ("ErrorAccessDenied_policy", 403, "ErrorAccessDenied", "Blocked by the tenant's access policy for applications."),
    ("ErrorSendAsDenied", 403, "ErrorSendAsDenied", "The user account may not send as the address in From."),
    ("ErrorInvalidUser", 404, "ErrorInvalidUser", "The requested user is invalid."),
    ("ResourceNotFound", 404, "ResourceNotFound", "The resource could not be found."),
    ("ErrorItemNotFound", 404, "ErrorItemNotFound", "The specified object was not found in the store."),
    ("MailboxNotEnabledForRESTAPI", 404, "MailboxNotEnabledForRESTAPI", NO_MAILBOX),
    ("RequestEntityTooLarge", 413, "RequestEntityTooLarge", "The request is larger than the service takes."),
    ("ErrorMessageSizeExceeded", 400, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size."),
    ("ErrorMimeContentInvalidBase64String", 400, "ErrorMimeContentInvalidBase64String", "The MIME is not base64."),
    ("ErrorInvalidRecipients", 400, "ErrorInvalidRecipients", "At least one recipient is not valid."),
    ("ApplicationThrottled", 429, "ApplicationThrottled", "Application is over its quota of requests."),
    ("MailboxConcurrency", 429, "ApplicationThrottled", TOO_MANY),
    ("ServiceUnavailable", 503, "ServiceUnavailable", "The service is unavailable for a moment."),
)
_RETRY_AFTER = {"ApplicationThrottled": "7", "MailboxConcurrency": "1", "ServiceUnavailable": "5"}


class Denied(Exception):
    """Graph says no: the name of a scenario, or a code with its text."""

    def __init__(self, name: str, text: str = "", status: int = 400) -> None:
        super().__init__(name)
        self.failure = Failure(name, status, name, text) if text else _FAILURES[name]


@dataclasses.dataclass(frozen=True, repr=False)
class Accepted:
    """A message that Graph said 202 to."""

    mailbox: str
    sender: str
    recipients: list[str]
    message: EmailMessage
    save_to_sent: bool
    mime: bool  # whether it came as MIME, so that its headers are the client's own


@dataclasses.dataclass
class _Upload:
    mailbox: str
    item: Item
    about: Mapping[str, Any]
    content: bytearray


class Graph(HttpsServer):
    """Mail of Microsoft Graph v1.0."""

    SCENARIOS: Mapping[str, Failure | None] = {**_FAILURES, "no_error_body": None, "error_is_text": None}

    def __init__(
        self,
        zoo: CertificateZoo,
        tokens: Tokens,
        mail_server: MailServer | None = None,
        *,
        certificate: str = "good",
    ) -> None:
        super().__init__(zoo, certificate=certificate)
        self.tokens = tokens
        self.accepted: list[Accepted] = []
        self.audiences = set(GRAPH)
        self.largest_request = 4 * 2**20
        self.largest_message = 35 * 2**20
        self.without_mailbox = {
            f"onprem@{DOMAIN}": "MailboxNotEnabledForRESTAPI",
            f"guest@{DOMAIN}": "ResourceNotFound",
        }
        self.send_as: dict[str, set[str]] = {}  # more addresses that a mailbox may write in From
        self._addresses = {self.object_id(user.address): user.address for user in USERS.values()}
        self._store = Store(self._addresses.values(), mail_server)
        self._uploads: dict[str, _Upload] = {}

    @staticmethod
    def object_id(address: str) -> str:
        """The id of a user."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, address.lower()))

    def messages(self, mailbox: str, folder: str | None = None) -> list[EmailMessage]:
        """The messages of a mailbox or of one of its folders: inbox, drafts, sentitems, deleteditems."""
        return [item.message for item in self._store.items(mailbox, folder)]

    def routes(self) -> tuple[Route, ...]:
        """What is known of Graph here."""
        user = r"/v1\.0/users/([^/]+)"
        message = rf"{user}/messages/([^/]+)"
        folder = rf"{user}/mailFolders/([^/]+)"
        return (
            Route("sendMail", "POST", rf"{user}/(?:microsoft\.graph\.)?sendMail", self._send_mail),
            Route("createMessage", "POST", rf"{user}/messages", self._create),
            Route("listMessages", "GET", rf"{user}/messages()", self._list),
            Route("listMessages", "GET", rf"{folder}/messages", self._list),
            Route("getMessage", "GET", rf"{message}(/\$value)?", self._get),
            Route("getMessage", "GET", rf"{user}/mailFolders/[^/]+/messages/([^/]+)(/\$value)?", self._get),
            Route("deleteMessage", "DELETE", rf"{message}()", self._delete),
            Route("deleteMessage", "DELETE", rf"{user}/mailFolders/[^/]+/messages/([^/]+)()", self._delete),
            Route("deleteMessage", "POST", rf"{message}/(permanentDelete)", self._delete),
            Route("send", "POST", rf"{message}/send", self._send),
            Route("addAttachment", "POST", rf"{message}/attachments", self._attach),
            Route("createUploadSession", "POST", rf"{message}/attachments/createUploadSession", self._upload_session),
            Route("upload", "PUT", r"/upload/([^/]+)", self._upload),
            Route("getMailFolder", "GET", folder, self._folder),
            Route("listMailFolders", "GET", rf"{user}/mailFolders", self._folders),
        )

    def who(self, request: Request) -> str:
        """The address of the mailbox."""
        if not request.arguments:
            return ""
        if request.operation == "upload":
            upload = self._uploads.get(request.arguments[0])
            return upload.mailbox if upload else ""
        return self._address(request.arguments[0])

    def refused_at_once(self, request: Request) -> Response | None:
        """More than four at once for a mailbox."""
        return self._refusal(request, _FAILURES["MailboxConcurrency"]) if request.at_once > AT_ONCE else None

    def unknown(self, request: Request) -> Response:
        """A part of the address that is not known."""
        return self._refusal(request, Failure("", 400, "BadRequest", "Resource not found for the segment."))

    def fail_as(self, name: str, request: Request, answer: Callable[[Request], Response]) -> Response:
        """A refusal of Graph."""
        if name == "no_error_body":
            return Response(403)
        if name == "error_is_text":
            return as_json({"error": "denied", "error_description": "This is not how Graph writes errors."}, 403)
        return self._refusal(request, _FAILURES[name])

    def _refusal(self, request: Request, failure: Failure | None) -> Response:
        failure = failure or Failure("", 500, "InternalServerError", "")
        client = request.headers.get("client-request-id", str(uuid.uuid4()))
        inner = {
            "date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
            "request-id": str(uuid.uuid4()),
            "client-request-id": client,
        }
        headers = {"request-id": inner["request-id"], "client-request-id": client}
        if failure.name in _RETRY_AFTER:
            headers["Retry-After"] = _RETRY_AFTER[failure.name]
        body = {"error": {"code": failure.code, "message": failure.text, "innerError": inner}}
        return as_json(body, failure.status, headers)

    def _address(self, user: str) -> str:
        return self._addresses.get(user.lower(), user.lower())

    def _within(self, request: Request, user: str, work: Callable[[str, Issued], Response]) -> Response:
        """Does the work for a mailbox if the token permits it."""
        try:
            issued = self._token(request)
            if len(request.body) > self.largest_request:
                raise Denied("RequestEntityTooLarge")
            mailbox = self._address(user)
            self._permit(request, issued, mailbox)
            return work(mailbox, issued)
        except Denied as denied:
            return self._refusal(request, denied.failure)
        except graph_schema.NotInSchema as error:
            return self._refusal(request, Failure("", 400, "RequestBodyRead", str(error)))
        except graph_mail.NotAMessage as error:
            return self._refusal(request, Failure("", 400, error.code, str(error)))

    def _token(self, request: Request) -> Issued:
        if not request.bearer:
            raise Denied("InvalidAuthenticationToken_empty")
        issued = self.tokens.find(request.bearer)
        if not issued:
            raise Denied("InvalidAuthenticationToken")
        if issued.claims.get("aud") not in self.audiences:
            raise Denied("InvalidAuthenticationToken_audience")
        if not issued.is_current():
            raise Denied("InvalidAuthenticationToken_expired")
        return issued

    def _permit(self, request: Request, issued: Issued, mailbox: str) -> None:
        names = set(NEEDED[request.operation])
        entra = bool(names & _granted(issued))
        rbac = any(mailbox in {one.lower() for one in issued.permission.rbac.get(name, ())} for name in names)
        if not entra and not rbac:
            raise Denied("ErrorAccessDenied")
        if mailbox in self.without_mailbox:
            raise Denied(self.without_mailbox[mailbox])
        if mailbox not in self._store:
            raise Denied("ErrorInvalidUser")
        if not rbac and not issued.permission.opens(mailbox):
            raise Denied("ErrorAccessDenied_policy")

    def _send_mail(self, request: Request, user: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            if not _is_json(request):
                content = _mime(request)
                return self._accept(mailbox, graph_mail.parsed(content), content, save=True)
            body = graph_schema.check_action("sendMail", _json(request))
            message = graph_mail.from_json(_object(body["Message"]), mailbox)
            return self._accept(mailbox, message, None, save=body.get("SaveToSentItems") is not False)

        return self._within(request, user, work)

    def _accept(self, mailbox: str, message: EmailMessage, mime: bytes | None, *, save: bool) -> Response:
        recipients, sender = graph_mail.recipients(message), graph_mail.sender(message) or mailbox
        content = mime if mime is not None else message.as_bytes()
        if not recipients:
            raise Denied("ErrorInvalidRecipients")
        if sender.lower() not in {mailbox, *self.send_as.get(mailbox, ())}:
            raise Denied("ErrorSendAsDenied")
        if len(content) > self.largest_message:
            raise Denied("ErrorMessageSizeExceeded")
        self._store.deliver(mailbox, recipients, graph_mail.without_bcc(content))
        if save:
            self._store.add(mailbox, "sentitems", message)
        self.accepted.append(Accepted(mailbox, sender, recipients, message, save, mime is not None))
        return Response(202, headers={"request-id": str(uuid.uuid4())})

    def _create(self, request: Request, user: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            if _is_json(request):
                value = _object(_json(request))
                graph_schema.check("message", value, "message")
                message = graph_mail.from_json(value, mailbox)
            else:
                message = graph_mail.parsed(_mime(request))
            item = self._store.add(mailbox, "drafts", message)
            return as_json(self._described(request, mailbox, item, issued), 201)

        return self._within(request, user, work)

    def _item(self, mailbox: str, identity: str) -> Item:
        item = self._store.find(mailbox, identity)
        if not item:
            raise Denied("ErrorItemNotFound")
        return item

    def _draft(self, mailbox: str, identity: str) -> Item:
        item = self._item(mailbox, identity)
        if item.folder != "drafts":
            raise Denied("ErrorInvalidOperation", "The message is not a draft.")
        return item

    def _send(self, request: Request, user: str, identity: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            if request.body.strip():
                graph_schema.check_action("send", _json(request))
            item = self._draft(mailbox, identity)
            response = self._accept(mailbox, item.message, None, save=True)
            self._store.remove(mailbox, item, for_good=True)
            return response

        return self._within(request, user, work)

    def _attach(self, request: Request, user: str, identity: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            value = _object(_json(request))
            graph_schema.check("attachment", value, "attachment")
            content = base64.b64decode(value.get("contentBytes") or "")
            graph_mail.attach(self._draft(mailbox, identity).message, value, content)
            about = {name: text for name, text in value.items() if name != "contentBytes"}
            return as_json({**about, "id": uuid.uuid4().hex, "size": len(content)}, 201)

        return self._within(request, user, work)

    def _upload_session(self, request: Request, user: str, identity: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            about = _object(graph_schema.check_action("createUploadSession", _json(request))["AttachmentItem"])
            if not {"attachmentType", "name", "size"} <= set(about):
                raise Denied("ErrorInvalidParameter", "An attachment needs attachmentType, name and size.")
            if about["size"] < SMALLEST_UPLOAD:
                text = "The attachment is too small for an upload session."
                raise Denied("ErrorAttachmentSizeShouldNotBeLessThanMinimumSize", text)
            if about["size"] > LARGEST_UPLOAD:
                raise Denied("ErrorAttachmentSizeLimitExceeded", "The attachment is too large.", 413)
            upload = _Upload(mailbox, self._draft(mailbox, identity), about, bytearray())
            token = uuid.uuid4().hex
            self._uploads[token] = upload
            return as_json({"uploadUrl": f"{self.url}/upload/{token}", **_progress(upload)}, 201)

        return self._within(request, user, work)

    def _upload(self, request: Request, token: str) -> Response:
        upload = self._uploads.get(token)
        if not upload:
            return self._refusal(request, _FAILURES["ErrorItemNotFound"])
        if "authorization" in request.headers:  # the address is the permission, and the token would be another one's
            return self._refusal(request, _FAILURES["InvalidAuthenticationToken_audience"])
        match = RANGE.fullmatch(request.headers.get("content-range", ""))
        first, last, total = map(int, match.groups()) if match else (-1, -1, -1)
        if first != len(upload.content) or total != upload.about["size"] or last - first + 1 != len(request.body):
            return self._refusal(request, Failure("", 416, "InvalidContentRange", "This range is not expected."))
        if len(request.body) > self.largest_request:
            return self._refusal(request, _FAILURES["RequestEntityTooLarge"])
        upload.content += request.body
        if len(upload.content) < total:
            return as_json(_progress(upload))
        del self._uploads[token]
        graph_mail.attach(upload.item.message, upload.about, bytes(upload.content))
        return Response(201, headers={"Location": f"{self.url}/v1.0/attachments/{uuid.uuid4().hex}"})

    def _list(self, request: Request, user: str, folder: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            items = self._store.items(mailbox, _folder(folder) if folder else None)
            if "$filter" in request.query:
                match = FILTER.fullmatch(request.query["$filter"].strip())
                if not match:
                    raise Denied("ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.")
                wanted = match.group(1).replace("''", "'")
                items = [item for item in items if str(item.message["Message-ID"] or "").strip() == wanted]
            if "$top" in request.query:
                items = items[: int(request.query["$top"])]
            value = [self._described(request, mailbox, item, issued) for item in items]
            return as_json({"@odata.context": f"{self.url}/v1.0/$metadata#messages", "value": value})

        return self._within(request, user, work)

    def _get(self, request: Request, user: str, identity: str, raw: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            item = self._item(mailbox, identity)
            if not raw:
                return as_json(self._described(request, mailbox, item, issued))
            if _is_basic(issued):
                raise Denied("ErrorAccessDenied")
            return as_text(item.message.as_bytes().decode(errors="replace"), kind="text/plain")

        return self._within(request, user, work)

    def _described(self, request: Request, mailbox: str, item: Item, issued: Issued) -> dict[str, Any]:
        draft, basic = item.folder == "drafts", _is_basic(issued)
        value = graph_mail.to_json(item.message, identity=item.id, folder=item.folder, draft=draft, basic=basic)
        wanted = [name for name in request.query.get("$select", "").split(",") if name]
        unknown = set(wanted) - set(graph_schema.TYPES["message"])
        if unknown:
            text = f"Could not find a property named '{min(unknown)}' on type 'microsoft.graph.message'."
            raise Denied("BadRequest", text)
        if basic and BODY_PARTS & set(wanted):
            raise Denied("ErrorAccessDenied")
        if wanted:
            return {name: value.get(name) for name in {"id", *wanted}}
        del value["internetMessageHeaders"]  # these come only when they are asked for
        return value

    def _delete(self, request: Request, user: str, identity: str, for_good: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            self._store.remove(mailbox, self._item(mailbox, identity), for_good=bool(for_good))
            return Response(204)

        return self._within(request, user, work)

    def _folder(self, request: Request, user: str, folder: str) -> Response:
        return self._within(
            request, user, lambda mailbox, issued: as_json(self._folder_described(mailbox, _folder(folder)))
        )

    def _folders(self, request: Request, user: str) -> Response:
        def work(mailbox: str, issued: Issued) -> Response:
            return as_json({"value": [self._folder_described(mailbox, name) for name in FOLDERS]})

        return self._within(request, user, work)

    def _folder_described(self, mailbox: str, folder: str) -> dict[str, Any]:
        count = len(self._store.items(mailbox, folder))
        counts = {"childFolderCount": 0, "totalItemCount": count, "unreadItemCount": count}
        return {"id": folder, "displayName": FOLDERS[folder], "parentFolderId": "root", "isHidden": False, **counts}


def _granted(issued: Issued) -> set[str]:
    return {*issued.claims.get("roles", ()), *str(issued.claims.get("scp", "")).split()}


def _is_basic(issued: Issued) -> bool:
    """Whether the token reads messages, but not their text."""
    names = _granted(issued) | set(issued.permission.rbac)
    return not names & {"Mail.Read", "Mail.ReadWrite"}


def _folder(name: str) -> str:
    if name.lower() not in FOLDERS:
        raise Denied("ErrorItemNotFound")
    return name.lower()


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/plain"):
        raise Denied("RequestBodyRead", f"The content type '{kind}' is not supported here.", 415)
    return kind == "application/json"


def _json(request: Request) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(request.body)
    raise Denied("BadRequest", "Unable to read JSON request payload.")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise graph_schema.NotInSchema("The request body must be an object.")
    return value


def _mime(request: Request) -> bytes:
    try:
        return base64.b64decode(b"".join(request.body.split()), validate=True)
    except binascii.Error:
        raise Denied("ErrorMimeContentInvalidBase64String") from None


def _progress(upload: _Upload) -> dict[str, Any]:
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    return {"expirationDateTime": ends, "nextExpectedRanges": [f"{len(upload.content)}-"]}
