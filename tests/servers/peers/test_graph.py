# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for mail in Microsoft Graph."""

from __future__ import annotations

import base64
import dataclasses
import email.policy
import threading
import uuid
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from peers import graph_schema
from peers.ca import CertificateZoo
from peers.cloud import Cloud
from peers.graph import Graph
from peers.mail import MailServer
from servers.peers.web import Answer, Web

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

ALICE, BOB = "alice@example.com", "bob@example.com"
EVERYTHING = ("Mail.Send", "Mail.ReadWrite")


def _to(*addresses: str) -> list[dict[str, Any]]:
    return [{"emailAddress": {"address": address}} for address in addresses]


def _message(**more: Any) -> dict[str, Any]:
    return {
        "subject": "Gr\u00fc\u00dfe",
        "body": {"contentType": "text", "content": "Hello.\n"},
        "toRecipients": _to(BOB),
        **more,
    }


def _mime(**headers: str) -> tuple[bytes, str]:
    message, identity = EmailMessage(policy=email.policy.SMTP), f"<{uuid.uuid4().hex}@example.com>"
    for name, value in {"From": ALICE, "To": BOB, "Subject": "MIME", "Message-ID": identity, **headers}.items():
        message[name] = value
    message.set_content("Hello.\n")
    return message.as_bytes(), identity


@dataclasses.dataclass
class Caller:
    """Asks Graph with a token."""

    cloud: Cloud
    token: str

    @property
    def web(self) -> Web:
        """The client below."""
        return Web(self.cloud.zoo, seconds=10)

    def post(self, path: str, value: object, user: str = ALICE) -> Answer:
        """Sends JSON."""
        return self.web.send(self.url(path, user), value, self.token)

    def mime(self, path: str, content: bytes, user: str = ALICE) -> Answer:
        """Sends base64 as text."""
        return self.ask("POST", path, content, {"Content-Type": "text/plain"}, user)

    def get(self, path: str, user: str = ALICE, **query: str) -> Answer:
        """Reads."""
        return self.web.get(self.url(path, user), {"Authorization": f"Bearer {self.token}"}, **query)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Any = None, user: str = ALICE) -> Answer:
        """Anything else."""
        return self.web.ask(
            method, self.url(path, user), body, {"Authorization": f"Bearer {self.token}", **(headers or {})}
        )

    def url(self, path: str, user: str) -> str:
        """An address of a mailbox."""
        return f"{self.cloud.graph.url}/v1.0/users/{user}{path}"


def caller(cloud: Cloud, *roles: str, **options: Any) -> Caller:
    """Somebody with these permissions."""
    app = cloud.entra.add_app(roles=roles, **options)
    scope = "https://graph.microsoft.com/.default"
    form = {"client_id": app.client_id, "client_secret": app.secret, "grant_type": "client_credentials", "scope": scope}
    address = f"{cloud.entra.url}/{cloud.entra.tenant_id}/oauth2/v2.0/token"
    return Caller(cloud, Web(cloud.zoo).post(address, form).json["access_token"])


@pytest.fixture
def alone(zoo: CertificateZoo) -> Iterator[Cloud]:
    """Services that keep their mail in memory."""
    with Cloud(zoo=zoo) as services:
        yield services


def code(answer: Answer) -> tuple[int, str]:
    """Status and code of a refusal in Graph's form."""
    error = answer.json["error"]
    assert set(error) == {"code", "message", "innerError"}
    assert set(error["innerError"]) == {"date", "request-id", "client-request-id"}
    assert answer.headers["request-id"] == error["innerError"]["request-id"]
    return answer.status, error["code"]


def test_json_makes_the_round_trip(cloud: Cloud, mail_server: MailServer) -> None:
    graph = caller(cloud, *EVERYTHING)
    identity = f"<{uuid.uuid4().hex}@example.com>"
    value = _message(
        internetMessageId=identity,
        ccRecipients=_to(ALICE),
        bccRecipients=_to("uma@example.com"),
        replyTo=[{"emailAddress": {"address": "answers@example.com", "name": "Answers, please"}}],
        internetMessageHeaders=[{"name": "X-Purpose", "value": "alerts"}],
        attachments=[
            {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": "a.txt",
                "contentType": "text/plain",
                "contentBytes": base64.b64encode(b"content").decode(),
            }
        ],
    )
    answer = graph.post("/sendMail", {"message": value, "saveToSentItems": True})
    assert (answer.status, answer.body) == (202, b"")
    message = mail_server.wait_for("bob", "Message-ID", identity)
    assert (message["Subject"], message["From"], message["Bcc"]) == ("Gr\u00fc\u00dfe", ALICE, None)
    assert (message["X-Purpose"], message["Reply-To"]) == ("alerts", '"Answers, please" <answers@example.com>')
    assert message.get_body(("plain",)).get_content() == "Hello.\r\n"  # type: ignore[union-attr]
    assert [part.get_filename() for part in message.iter_attachments()] == ["a.txt"]
    assert mail_server.wait_for("uma", "Message-ID", identity)["Bcc"] is None
    accepted = cloud.graph.accepted[-1]
    assert (accepted.recipients, accepted.save_to_sent, accepted.mime) == ([BOB, ALICE, "uma@example.com"], True, False)
    # The inbox of Graph is the one of Dovecot.
    (found,) = graph.get("/messages", BOB, **{"$filter": f"internetMessageId eq '{identity}'"}).json["value"]
    assert (found["subject"], found["isDraft"], found["hasAttachments"]) == ("Gr\u00fc\u00dfe", False, True)
    assert graph.ask("DELETE", f"/messages/{found['id']}", user=BOB).status == 204
    assert identity not in {one["Message-ID"] for one in mail_server.messages("bob")}
    for user in ("bob", "alice", "uma"):
        mail_server.empty(user)


def test_mime_makes_the_round_trip(cloud: Cloud, mail_server: MailServer) -> None:
    graph = caller(cloud, *EVERYTHING)
    content, identity = _mime(Bcc="uma@example.com", **{"X-Own": "kept"})
    wrapped = base64.encodebytes(content)
    assert graph.mime("/sendMail", wrapped).status == 202
    message = mail_server.wait_for("bob", "Message-ID", identity)
    assert (message["X-Own"], message["Bcc"]) == ("kept", None)
    assert mail_server.wait_for("uma", "Message-ID", identity)
    assert cloud.graph.accepted[-1].mime
    assert [one["Message-ID"] for one in cloud.graph.messages(ALICE, "sentitems")] == [identity]
    for user in ("bob", "uma"):
        mail_server.empty(user)


def test_mail_in_memory(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    assert graph.post("/sendMail", {"Message": _message(), "SaveToSentItems": False}).status == 202
    assert graph.post("/microsoft.graph.sendMail", {"message": _message()}).status == 202
    hidden = _mime(Bcc=f"uma@example.com, {ALICE}", **{"X-Own": "kept"})[0]
    hidden = hidden.replace(b"uma@example.com, ", b"uma@example.com,\r\n\t")  # on two lines
    assert graph.mime("/sendMail", base64.b64encode(hidden), BOB).status == 403
    assert graph.mime("/sendMail", base64.b64encode(hidden)).status == 202
    (received,) = alone.graph.messages("uma@example.com")
    assert (received["Bcc"], received["X-Own"], len(alone.graph.messages(ALICE, "inbox"))) == (None, "kept", 1)
    assert [one["Subject"] for one in alone.graph.messages(BOB, "inbox")] == ["Gr\u00fc\u00dfe"] * 2 + ["MIME"]
    assert len(alone.graph.messages(ALICE, "sentitems")) == 2
    folder = graph.get("/mailFolders/Inbox", BOB).json
    assert (folder["displayName"], folder["totalItemCount"]) == ("Inbox", 3)
    assert len(graph.get("/mailFolders").json["value"]) == 4
    assert graph.get(f"/mailFolders/{folder['id']}", BOB).status == 200
    assert code(graph.get("/mailFolders/nowhere")) == (404, "ErrorItemNotFound")


def test_users_by_object_id(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    assert graph.post("/sendMail", {"message": _message()}, alone.graph.object_id(ALICE)).status == 202
    assert alone.graph.accepted[0].mailbox == ALICE


def test_drafts_and_large_attachments(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    draft = graph.post("/messages", _message())
    assert (draft.status, draft.json["isDraft"], draft.json["parentFolderId"]) == (201, True, "drafts")
    path = f"/messages/{draft.json['id']}"
    size = 5 * 2**20
    item = {"AttachmentItem": {"attachmentType": "file", "name": "big.bin", "size": size}}
    session = graph.post(f"{path}/attachments/createUploadSession", item)
    assert (session.status, session.json["nextExpectedRanges"]) == (201, ["0-"])
    content, url = bytes(range(256)) * (size // 256), session.json["uploadUrl"]

    def put(first: int, last: int, **headers: str) -> Answer:
        place = {"Content-Range": f"bytes {first}-{last - 1}/{size}", "Content-Type": "application/octet-stream"}
        return graph.web.ask("PUT", url, content[first:last], {**place, **headers})

    half = 3 * 2**20
    assert put(0, half, Authorization=f"Bearer {graph.token}").status == 401
    assert put(half, size).status == 416
    assert put(0, half).json["nextExpectedRanges"] == [f"{half}-"]
    assert put(half, size).status == 201
    assert put(half, size).status == 404
    assert graph.post(f"{path}/send", {}).status == 202
    (part,) = alone.graph.messages(BOB, "inbox")[0].iter_attachments()
    assert (part.get_filename(), part.get_payload(decode=True)) == ("big.bin", content)
    assert not alone.graph.messages(ALICE, "drafts")
    assert code(graph.post(f"{path}/send", {})) == (404, "ErrorItemNotFound")


def test_small_attachments_and_drafts_of_mime(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    content, identity = _mime()
    draft = graph.mime("/messages", base64.b64encode(content))
    assert draft.json["internetMessageId"] == identity
    path = f"/messages/{draft.json['id']}"
    value = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.bin", "contentBytes": "AAEC"}
    assert graph.post(f"{path}/attachments", value).json["size"] == 3
    item = {"AttachmentItem": {"attachmentType": "file", "name": "a.bin", "size": 3}}
    answer = graph.post(f"{path}/attachments/createUploadSession", item)
    assert code(answer) == (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")
    assert graph.ask("POST", f"{path}/send", headers={"Content-Length": "0"}).status == 202
    assert alone.graph.messages(BOB, "inbox")[0]["Message-ID"] == identity
    assert len(list(alone.graph.messages(BOB, "inbox")[0].iter_attachments())) == 1


def test_messages_are_found_and_removed(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    identities = [_mime()[1], "<it's@example.com>"]
    for identity in identities:
        graph.mime("/sendMail", base64.b64encode(_mime(**{"Message-ID": identity})[0]))
    for identity in identities:
        escaped = identity.replace("'", "''")
        query = {"$filter": f"internetMessageId eq '{escaped}'", "$select": "id,internetMessageId"}
        for path in ("/messages", "/mailFolders/inbox/messages"):
            (found,) = graph.get(path, BOB, **query).json["value"]
            assert found["internetMessageId"] == identity
        assert set(found) == {"id", "internetMessageId"}
        assert not graph.get("/mailFolders/drafts/messages", BOB, **query).json["value"]
    assert len(graph.get("/messages", BOB, **{"$top": "1"}).json["value"]) == 1
    whole = graph.get(f"/messages/{found['id']}", BOB).json
    assert (whole["body"]["content"].strip(), "internetMessageHeaders" in whole) == ("Hello.", False)
    headers = graph.get(f"/messages/{found['id']}", BOB, **{"$select": "internetMessageHeaders"}).json
    assert {"name": "To", "value": BOB} in headers["internetMessageHeaders"]
    assert graph.get(f"/messages/{found['id']}/$value", BOB).body.startswith(b"From: alice@example.com\r\n")
    assert graph.ask("DELETE", f"/mailFolders/inbox/messages/{found['id']}", user=BOB).status == 204
    assert len(alone.graph.messages(BOB, "deleteditems")) == 1
    (other,) = graph.get("/mailFolders/inbox/messages", BOB).json["value"]
    assert graph.ask("POST", f"/messages/{other['id']}/permanentDelete", user=BOB).status == 204
    assert len(alone.graph.messages(BOB)) == 1
    assert code(graph.get(f"/messages/{other['id']}", BOB)) == (404, "ErrorItemNotFound")
    answer = graph.get("/messages", BOB, **{"$filter": "contains(subject,'x')"})
    assert code(answer) == (400, "ErrorInvalidUrlQueryFilter")
    assert code(graph.get("/messages", BOB, **{"$select": "nonsense"})) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"message": _message(Subject="x")}, "Subject"),
        ({"message": _message(subject=5)}, "subject"),
        ({"message": _message(body="text")}, "body"),
        ({"message": _message(body={"contentType": "plain", "content": ""})}, "contentType"),
        ({"message": _message(toRecipients=_to(BOB)[0])}, "toRecipients"),
        ({"message": _message(toRecipients=[{"address": BOB}])}, "address"),
        ({"message": _message(isRead="yes")}, "isRead"),
        ({"message": _message(importance="urgent")}, "importance"),
        ({"message": _message(sentDateTime="yesterday")}, "sentDateTime"),
        ({"message": _message(attachments=[{"name": "a"}])}, "@odata.type"),
        (
            {
                "message": _message(
                    attachments=[{"@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": "a b"}]
                )
            },
            "contentBytes",
        ),
        ({"message": _message(), "saveToSentItems": "true"}, "saveToSentItems"),
        ({"message": _message(), "save": True}, "save"),
        ({"message": None}, "Message"),
        ({}, "Message"),
        ([], "object"),
    ],
)
def test_names_and_types_are_checked(alone: Cloud, body: object, wrong: str) -> None:
    answer = caller(alone, *EVERYTHING).post("/sendMail", body)
    assert code(answer) == (400, "RequestBodyRead")
    assert wrong in answer.json["error"]["message"]
    assert not alone.graph.accepted


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"toRecipients": []}, "ErrorInvalidRecipients"),
        ({"toRecipients": _to("not an address")}, "ErrorInvalidRecipients"),
        ({"internetMessageHeaders": [{"name": "Sender", "value": "x"}]}, "InvalidInternetMessageHeader"),
    ],
)
def test_messages_that_cannot_be_sent(alone: Cloud, change: dict[str, Any], expected: str) -> None:
    answer = caller(alone, *EVERYTHING).post("/sendMail", {"message": _message(**change)})
    assert code(answer) == (400, expected)


def test_mime_that_is_none(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    for content in (_mime()[0], b"AAA"):
        assert code(graph.mime("/sendMail", content)) == (400, "ErrorMimeContentInvalidBase64String")
    assert code(graph.mime("/sendMail", base64.b64encode(b"Subject: Nobody\r\n\r\n"))) == (
        400,
        "ErrorInvalidRecipients",
    )
    answer = graph.ask("POST", "/sendMail", b"x", {"Content-Type": "message/rfc822"})
    assert answer.status == 415
    assert code(graph.ask("POST", "/sendMail", b"{", {"Content-Type": "application/json"})) == (400, "BadRequest")


def test_who_the_mail_is_from(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    value = {"message": _message(**{"from": _to("team@example.com")[0]})}
    assert code(graph.post("/sendMail", value)) == (403, "ErrorSendAsDenied")
    content, _identity = _mime(From="team@example.com")
    assert code(graph.mime("/sendMail", base64.b64encode(content))) == (403, "ErrorSendAsDenied")
    alone.graph.send_as[ALICE] = {"team@example.com"}
    assert graph.post("/sendMail", value).status == 202
    assert alone.graph.accepted[0].sender == "team@example.com"


def test_sizes(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    alone.graph.largest_request, alone.graph.largest_message = 5000, 2000
    long = {"message": _message(body={"contentType": "text", "content": "x" * 3000})}
    assert code(graph.post("/sendMail", long)) == (400, "ErrorMessageSizeExceeded")
    long["message"]["body"]["content"] *= 2
    assert code(graph.post("/sendMail", long)) == (413, "RequestEntityTooLarge")


def test_tokens_are_checked(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    expired = caller(alone, *EVERYTHING, lifetime=-10)
    with alone.entra.failing("wrong_audience"):
        elsewhere = caller(alone, *EVERYTHING)
    texts = {
        "expired": expired,
        "audience": elsewhere,
        "cannot be read": dataclasses.replace(graph, token="nonsense"),
        "empty": dataclasses.replace(graph, token=""),
    }
    for text, wrong in texts.items():
        answer = wrong.get("/mailFolders/inbox")
        assert code(answer) == (401, "InvalidAuthenticationToken")
        assert text in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("role", "permitted"),
    [
        ("Mail.Send", {"sendMail"}),
        ("Mail.ReadBasic.All", {"folder", "list"}),
        ("Mail.ReadBasic", {"folder", "list"}),
        ("Mail.Read", {"folder", "list"}),
        ("Mail.ReadWrite", {"folder", "list", "draft", "delete"}),
        ("User.Read.All", set()),
    ],
)
def test_permissions(alone: Cloud, role: str, permitted: set[str]) -> None:
    graph = caller(alone, role)
    answers = {
        "sendMail": graph.post("/sendMail", {"message": _message()}),
        "folder": graph.get("/mailFolders/inbox"),
        "list": graph.get("/messages"),
        "draft": graph.post("/messages", _message()),
        "delete": graph.ask("DELETE", "/messages/unknown"),
    }
    assert {name for name, answer in answers.items() if answer.status != 403} == permitted
    for answer in answers.values():
        if answer.status == 403:
            assert code(answer) == (403, "ErrorAccessDenied")


def test_reading_without_the_text(alone: Cloud) -> None:
    caller(alone, *EVERYTHING).post("/sendMail", {"message": _message()})
    basic = caller(alone, "Mail.ReadBasic.All")
    (found,) = basic.get("/messages", BOB).json["value"]
    assert {"body", "bodyPreview"} & set(found) == set()
    assert found["subject"]
    assert code(basic.get("/messages", BOB, **{"$select": "body"})) == (403, "ErrorAccessDenied")
    assert code(basic.get(f"/messages/{found['id']}/$value", BOB)) == (403, "ErrorAccessDenied")


def test_permitted_without_a_role(alone: Cloud) -> None:
    graph = caller(alone, rbac={"Mail.Send": [ALICE]})
    issued = alone.tokens.find(graph.token)
    assert issued
    assert "roles" not in issued.claims
    assert graph.post("/sendMail", {"message": _message()}).status == 202
    assert code(graph.post("/sendMail", {"message": _message()}, BOB)) == (403, "ErrorAccessDenied")
    assert code(graph.get("/mailFolders/inbox")) == (403, "ErrorAccessDenied")


def test_an_access_policy(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING, mailboxes=[BOB])
    assert graph.post("/sendMail", {"message": _message()}, BOB).status == 202
    answer = graph.post("/sendMail", {"message": _message()})
    assert code(answer) == (403, "ErrorAccessDenied")
    assert "policy" in answer.json["error"]["message"]


def test_users_without_a_mailbox(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    found = {
        user: code(graph.get("/mailFolders/inbox", f"{user}@example.com")) for user in ("nobody", "onprem", "guest")
    }
    assert found == {
        "nobody": (404, "ErrorInvalidUser"),
        "onprem": (404, "MailboxNotEnabledForRESTAPI"),
        "guest": (404, "ResourceNotFound"),
    }


@pytest.mark.parametrize("name", Graph.SCENARIOS)
def test_scenarios(alone: Cloud, name: str) -> None:
    graph = caller(alone, *EVERYTHING)
    alone.graph.fail(name, at="sendMail", who=ALICE)
    answer = graph.post("/sendMail", {"message": _message()})
    failure = Graph.SCENARIOS[name]
    if failure:
        assert code(answer) == (failure.status, failure.code)
        assert ("retry-after" in answer.headers) == (failure.status in (429, 503))
    else:
        assert answer.status == 403
        assert answer.body == b"" or isinstance(answer.json["error"], str)
    assert graph.post("/sendMail", {"message": _message()}, BOB).status == 202
    assert graph.get("/mailFolders/inbox").status == 200
    assert [accepted.mailbox for accepted in alone.graph.accepted] == [BOB]


def test_throttled_only_once(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    alone.graph.fail("ApplicationThrottled", times=1)
    statuses = [graph.post("/sendMail", {"message": _message()}).status for _attempt in range(2)]
    assert statuses == [429, 202]


def test_four_at_once_per_mailbox(alone: Cloud) -> None:
    graph, statuses = caller(alone, *EVERYTHING), []

    def send(user: str) -> None:
        statuses.append(graph.post("/sendMail", {"message": _message()}, user).status)

    threads = [threading.Thread(target=send, args=(user,)) for user in (*[ALICE] * 4, BOB)]
    with alone.graph.paused():
        for thread in threads:
            thread.start()
        alone.graph.await_waiting(5)
        answer = graph.get("/mailFolders/inbox")
        assert code(answer) == (429, "ApplicationThrottled")
        assert (answer.headers["retry-after"], "MailboxConcurrency" in answer.json["error"]["message"]) == ("1", True)
    for thread in threads:
        thread.join()
    assert statuses == [202] * 5
    assert graph.get("/mailFolders/inbox").status == 200


def test_tokens_for_its_own_address(alone: Cloud) -> None:
    app = alone.entra.add_app(roles=EVERYTHING)
    form = {"client_id": app.client_id, "client_secret": app.secret, "grant_type": "client_credentials"}
    address = f"{alone.entra.url}/{alone.entra.tenant_id}/oauth2/v2.0/token"
    token = Web(alone.zoo).post(address, {**form, "scope": f"{alone.graph.url}/.default"}).json["access_token"]
    assert Caller(alone, token).get("/mailFolders/inbox").status == 200


def test_nowhere(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    assert code(graph.get("/calendar")) == (400, "BadRequest")
    client = graph.ask("GET", "/nowhere", headers={"client-request-id": "mine"}).json["error"]["innerError"]
    assert client["client-request-id"] == "mine"


def test_the_schema_has_the_names_of_the_answers(alone: Cloud) -> None:
    graph = caller(alone, *EVERYTHING)
    graph.post("/sendMail", {"message": _message()})
    (message,) = graph.get("/messages", BOB).json["value"]
    for kind, value in {"message": message, "mailFolder": graph.get("/mailFolders/inbox").json}.items():
        graph_schema.check(kind, value, kind)
