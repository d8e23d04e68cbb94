# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mail over Graph: what is asked, how often, and what is made of the answers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.message import EmailMessage, Message
from email.policy import SMTP
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.connectors import resolved

from ansible_collections.mailroom.core.plugins.module_utils._auth.tokens import Token
from ansible_collections.mailroom.core.plugins.module_utils._connector import checks
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import GraphSettings
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._message.compose import TEST_MAIL, Facts, Request, compose
from ansible_collections.mailroom.core.plugins.module_utils._message.graph import GraphMail
from ansible_collections.mailroom.core.plugins.module_utils._message.graph_message import SMALLEST_UPLOAD, graph_message
from ansible_collections.mailroom.core.plugins.module_utils._message.outgoing_mail import OutgoingMail
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.https import HttpResponse
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._protocol.graph import (
    LARGEST_RANGE,
    LARGEST_REQUEST,
    MAX_CONCURRENT_REQUESTS,
    GraphSession,
)
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import (
    PERHAPS_ACCEPTED,
    Observation,
    ProbeError,
    probe_error,
)

TOKEN = "eyJhbGciOi.not-to-be-seen.4f2xQ71Zz9"
BOX = "alice@example.com"
MESSAGE_ID = "<test.o'neil&co+#%@example.com>"
FULL: dict[str, Any] = {
    "from_address": BOX,
    "from_name": "Acme, Inc. \u2014 B\u00fccher & \u4f8b\u5b50 " * 4,
    "reply_to": "answers@b\u00fccher.example",
    "cc": ["one@example.org"],
    "bcc": ["hidden@example.org"],
    "headers": {"X-Team": "Caf\u00e9 \u2615 " * 30, "List-Id": "<alerts.example.com>"},
    "signature": "Acme & S\u00f6hne",
    "graph": {"mailbox": BOX},
}
Answer = Callable[[], HttpResponse]


def answer(status: int, body: Any = None, **headers: str) -> HttpResponse:
    message = Message()
    for name, text in headers.items():
        message[name.replace("_", "-")] = text
    return HttpResponse(status, message, b"" if body is None else json.dumps(body).encode())


def refused(status: int, code: str = "", **headers: str) -> HttpResponse:
    return answer(status, {"error": {"code": code, "message": "No."}}, **headers)


class Asked:
    """A request as it was asked."""

    def __init__(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        self.method, self.url, self.body, self.headers = method, urlsplit(url), body or b"", headers

    @property
    def what(self) -> str:
        return f"{self.method} {self.url.path.removeprefix('/v1.0/users/alice@example.com/')}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Http:
    """Answers in turn, the last one again and again; an exception is raised."""

    def __init__(self, *answers: HttpResponse | ProbeError) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    def request(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        self.asked.append(Asked(method, url, body, headers))
        given_answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given_answer, ProbeError):
            raise given_answer
        return given_answer

    @property
    def what(self) -> list[str]:
        return [each.what for each in self.asked]


def session_on(http: Any, deadline: float = 5.0, mailbox: str = BOX, *, saves: bool = True) -> GraphSession:
    endpoint = GraphSettings("graph", "graph.example.com", 443, "tls", mailbox=mailbox, save_to_sent=saves)
    session = GraphSession(endpoint, Clock(deadline, deadline), Record("graph"), Redaction())
    session._http = http
    session.sign_in(Token(Secret(TOKEN)))
    return session


def mail_on(http: Any, deadline: float = 5.0, *, save_to_sent: bool = True) -> GraphMail:
    return GraphMail(session_on(http, deadline, saves=save_to_sent))


def sample_mail(
    settings_of: Mapping[str, Any] | None = None, to: tuple[str, ...] = ("bob@example.com",)
) -> OutgoingMail:
    when = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    return compose(
        resolved(settings_of or FULL),
        Request(TEST_MAIL, to, Facts("alerts", "B\u00fccher " * 9), "<1@example.com>", when, include_copies=True),
    )


def with_files(*files: bytes) -> OutgoingMail:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Message-ID"] = BOX, "bob@example.com", "<big@example.com>"
    message.set_content("Look.")
    for number, content in enumerate(files):
        message.add_attachment(content, maintype="application", subtype="pdf", filename=f"B\u00fccher {number}.pdf")
    return OutgoingMail(message.as_bytes(), BOX, ("bob@example.com",), "<big@example.com>")


def stopped(act: Callable[[], object]) -> Observation:
    with pytest.raises(ProbeError) as caught:
        act()
    assert TOKEN not in repr(caught.value.observation)
    return caught.value.observation


def phases(mail: GraphMail) -> list[tuple[str, str]]:
    return [(each.phase, each.status) for each in mail._session.record.phases]


def test_a_letter_goes_as_it_is_with_whom_it_hides_named_for_graph_to_take_out() -> None:
    http = Http(answer(202, request_id="4f2x-1"))
    mail = mail_on(http)
    accepted = mail.send(sample_mail())
    assert accepted.text == "accepted (request-id 4f2x-1)"
    assert accepted.queue_id == ""
    assert http.what == ["POST sendMail"]
    assert base64.b64decode(http.asked[0].body) == sample_mail().naming_bcc()
    assert http.asked[0].headers["Content-Type"] == "text/plain"
    assert http.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert phases(mail) == [("message", "ok")]


def test_where_bounces_go_cannot_be_chosen_and_that_is_said() -> None:
    accepted = mail_on(Http(answer(202))).send(sample_mail({**FULL, "errors_to": "bounces@example.com"}))
    assert accepted.text == "accepted; Graph does not carry: errors_to"


def test_what_is_not_to_be_kept_is_described_instead() -> None:
    http = Http(answer(202))
    accepted = mail_on(http, save_to_sent=False).send(sample_mail())
    asked = http.asked[0].json
    assert http.what == ["POST sendMail"]
    assert asked["saveToSentItems"] is False
    told = asked["message"]
    assert told["subject"] == ("Test mail from " + "B\u00fccher " * 9).strip()
    assert told["from"]["emailAddress"] == {"name": str(FULL["from_name"]).strip(), "address": BOX}
    assert told["toRecipients"] == [{"emailAddress": {"address": "bob@example.com"}}]
    assert told["ccRecipients"] == [{"emailAddress": {"address": "one@example.org"}}]
    assert told["bccRecipients"] == [{"emailAddress": {"address": "hidden@example.org"}}]
    assert told["replyTo"] == [{"emailAddress": {"address": "answers@xn--bcher-kva.example"}}]
    assert told["internetMessageId"] == "<1@example.com>"
    assert [each["name"] for each in told["internetMessageHeaders"]] == ["X-Team"]
    assert told["body"]["contentType"] == "html"
    assert "S\u00f6hne" in told["body"]["content"]
    assert not {"sender", "attachments", "date"} & set(told)
    assert accepted.text == "accepted; Graph does not carry: Auto-Submitted, List-Id, the plain text alternative"


def test_graph_takes_five_headers_and_no_empty_list_of_them() -> None:
    many = {f"X-{number}": str(number) for number in range(7)}
    described = graph_message(sample_mail({**FULL, "headers": many}))
    assert [each["name"] for each in described.message["internetMessageHeaders"]] == ["X-0", "X-1", "X-2", "X-3", "X-4"]
    assert described.lost == ("Auto-Submitted", "X-5", "X-6", "the plain text alternative")
    assert "internetMessageHeaders" not in graph_message(sample_mail({**FULL, "headers": {}})).message


def test_nobody_is_written_to_whom_the_envelope_does_not_name() -> None:
    good = with_files()
    for recipients in ((), ("bob@example.com", "eve@example.com"), ("eve@example.com",)):
        http = Http(answer(202))
        odd = OutgoingMail(good.message, good.sender, recipients, good.message_id)
        assert stopped(lambda odd=odd, http=http: mail_on(http, save_to_sent=False).send(odd)).kind == "internal"
        assert http.asked == []


TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=120)


@settings(max_examples=settings().max_examples * 40 // 100)
@given(TEXTS.filter(lambda text: not checks.run_check(checks.text(200), text, "", "")), TEXTS.filter(str.strip))
def test_names_and_subjects_come_out_as_they_went_in(name: str, subject: str) -> None:
    facts = Facts("alerts", subject)
    when = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    made = compose(
        resolved({**FULL, "from_name": name}), Request(TEST_MAIL, ("bob@example.com",), facts, "<1@example.com>", when)
    )
    told = graph_message(made).message
    assert told["from"]["emailAddress"].get("name", "") == name.strip(" ")
    assert told["subject"] == TEST_MAIL.subject.format(name=subject).strip(" ")


def test_what_is_larger_than_a_request_goes_by_a_draft_and_large_files_by_uploads() -> None:
    files = [b"\x00small" * 5, bytes(range(256)) * (SMALLEST_UPLOAD // 256) + b"end", b"\xff" * (LARGEST_RANGE * 2)]
    url = "https://upload.example.com/box/4f2xQ71Zz9?authtoken=hidden-4711"
    http = Http(
        answer(201, {"id": "a/b=="}),
        answer(201, {}),
        answer(201, {"uploadUrl": url}),
        answer(201),
        answer(201, {"uploadUrl": url}),
        answer(200, {}),
        answer(201),
        answer(202),
    )
    mail = mail_on(http)
    mail.send(with_files(*files))
    draft = "POST messages/a%2Fb%3D%3D"
    assert http.what == [
        "POST messages",
        f"{draft}/attachments",
        f"{draft}/attachments/createUploadSession",
        "PUT /box/4f2xQ71Zz9",
        f"{draft}/attachments/createUploadSession",
        "PUT /box/4f2xQ71Zz9",
        "PUT /box/4f2xQ71Zz9",
        f"{draft}/send",
    ]
    assert all(len(each.body) <= LARGEST_REQUEST for each in http.asked)
    assert base64.b64decode(http.asked[1].json["contentBytes"]) == files[0]
    assert http.asked[4].json["AttachmentItem"]["name"] == "B\u00fccher 2.pdf"
    assert http.asked[4].json["AttachmentItem"]["size"] == len(files[2])
    puts = [each for each in http.asked if each.method == "PUT"]
    assert [each.body for each in puts] == [files[1], files[2][:LARGEST_RANGE], files[2][LARGEST_RANGE:]]
    total = len(files[2])
    assert puts[1].headers["Content-Range"] == f"bytes 0-{LARGEST_RANGE - 1}/{total}"
    assert puts[2].headers["Content-Range"] == f"bytes {LARGEST_RANGE}-{total - 1}/{total}"
    assert not any("Authorization" in each.headers or TOKEN in str(each.headers) for each in puts)


def test_a_large_message_is_kept_where_it_is_not_to_be_and_that_is_said() -> None:
    http = Http(
        answer(201, {"id": "1"}), answer(201, {"uploadUrl": "https://up.example.com/1"}), answer(201), answer(202)
    )
    accepted = mail_on(http, save_to_sent=False).send(with_files(b"x" * SMALLEST_UPLOAD))
    assert accepted.text.endswith("does not carry: save_to_sent, since the message is large")


def test_small_files_stand_in_a_message_that_is_not_to_be_kept() -> None:
    http = Http(answer(202))
    mail_on(http, save_to_sent=False).send(with_files(b"a", b"b"))
    contents = [base64.b64decode(each["contentBytes"]) for each in http.asked[0].json["message"]["attachments"]]
    assert contents == [b"a", b"b"]


BIG = with_files(b"x" * SMALLEST_UPLOAD)
DRAFT = (answer(201, {"id": "1"}), answer(201, {"uploadUrl": "https://up.example.com/u?hidden-4711"}))
SENDING = {"reset": probe_error("reset", "Connection reset"), "timeout": probe_error("timeout", "no answer in time")}


@pytest.mark.parametrize(
    ("answers", "last"),
    [
        ((answer(201, {"id": "1"}), refused(403, "ErrorAccessDenied")), "DELETE messages/1"),
        ((answer(201, {"id": "1"}), answer(200, {}), answer(204)), "DELETE messages/1"),
        ((*DRAFT, refused(416, "InvalidContentRange"), answer(204)), "DELETE messages/1"),
        ((*DRAFT, answer(200, {}), answer(204)), "DELETE messages/1"),
        ((*DRAFT, probe_error("reset", "Connection reset"), answer(204)), "DELETE messages/1"),
        ((*DRAFT, answer(201), refused(400, "ErrorInvalidRecipients"), answer(204)), "DELETE messages/1"),
        ((*DRAFT, answer(201), refused(403), refused(500)), "DELETE messages/1"),
        ((*DRAFT, answer(201), SENDING["reset"]), "POST messages/1/send"),
        ((*DRAFT, answer(201), SENDING["timeout"]), "POST messages/1/send"),
    ],
)
def test_a_draft_stays_only_where_it_may_have_been_sent(answers: tuple[Any, ...], last: str) -> None:
    http = Http(*answers)
    observation = stopped(lambda: mail_on(http).send(BIG))
    assert http.what[-1] == last
    assert http.what.count(last) == 1
    assert "hidden-4711" not in repr(observation)


def test_a_file_that_did_not_arrive_whole_is_not_sent() -> None:
    http = Http(*DRAFT, answer(200, {}), answer(204))
    stopped(lambda: mail_on(http).send(BIG))
    assert http.what == [
        "POST messages",
        "POST messages/1/attachments/createUploadSession",
        "PUT /u",
        "DELETE messages/1",
    ]


def test_an_answer_that_repeats_the_token_is_not_repeated() -> None:
    inner = {"request-id": TOKEN}
    body = {"error": {"code": TOKEN[4:], "message": f"You sent {TOKEN}", "innerError": inner}}
    observation = stopped(lambda: mail_on(Http(answer(400, body, request_id=TOKEN))).send(sample_mail()))
    assert (observation.enhanced, "request-id" in observation.text, "You sent" in observation.text) == ("", False, True)
    assert mail_on(Http(answer(202, request_id=TOKEN))).send(sample_mail()).text == "accepted"


def test_a_large_message_without_the_right_to_write_is_explained() -> None:
    observation = stopped(lambda: mail_on(Http(refused(403, "ErrorAccessDenied"))).send(BIG))
    assert observation.text.startswith("a message of this size needs the permission Mail.ReadWrite.")
    assert diagnose(observation).verdict == "mailbox_denied"


def test_an_uploads_address_is_not_repeated() -> None:
    http = Http(*DRAFT, answer(400, {"error": {"code": "No", "message": "not /u?hidden-4711"}}), answer(204))
    assert "4711" not in stopped(lambda: mail_on(http).send(BIG)).text


@pytest.mark.parametrize("kind", ["timeout", "reset", "closed", "protocol"])
@pytest.mark.parametrize("saves", [True, False])
def test_what_may_have_been_accepted_is_not_sent_again(kind: str, saves: bool) -> None:
    http = Http(probe_error(kind, "What happened"))
    mail = mail_on(http, save_to_sent=saves)
    observation = stopped(lambda: mail.send(sample_mail()))
    assert http.what == ["POST sendMail"]
    assert (observation.kind, observation.phase) == (kind, "message")
    assert phases(mail) == [("message", "fail")]
    assert observation.text.endswith(PERHAPS_ACCEPTED)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 500, 502, 504, 200, 204, 302])
def test_an_answer_that_does_not_ask_to_wait_is_the_last(status: int) -> None:
    http = Http(refused(status, "Anything", Retry_After="1"), answer(202))
    assert stopped(lambda: mail_on(http).send(sample_mail())).code == status
    assert http.what == ["POST sendMail"]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["", "0", "9999", "soon", "-1", "1e1", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_server_without_a_usable_retry_after_is_not_asked_again(status: int, wait: str) -> None:
    http = Http(refused(status, "ApplicationThrottled", Retry_After=wait), answer(202))
    observation = stopped(lambda: mail_on(http).send(sample_mail()))
    assert diagnose(observation).verdict == "throttled"
    assert http.what == ["POST sendMail"]


@pytest.mark.parametrize("status", [429, 503])
def test_server_with_a_retry_after_is_asked_again_after_that_and_accepts_once(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Clock, "pause", lambda _clock, seconds: bool(seconds) and not waited.append(seconds))
    http = Http(refused(status, Retry_After="7"), refused(status, Retry_After="3"), answer(202))
    mail_on(http).send(sample_mail())
    assert http.what == ["POST sendMail"] * 3
    assert waited == [7, 3]


def messages(*hops: int, message_id: str = MESSAGE_ID) -> HttpResponse:
    received = {"name": "Received", "value": "from a by b"}
    results = {"name": "authentication-results", "value": "mx; spf=pass; dkim=fail; dmarc=pass"}
    found = [
        {"id": f"m{number}", "internetMessageId": message_id, "internetMessageHeaders": [results, *[received] * count]}
        for number, count in enumerate(hops)
    ]
    return answer(200, {"value": found})


def test_the_very_message_is_asked_for() -> None:
    http = Http(messages(3))
    mail = mail_on(http)
    found = mail.find(MESSAGE_ID)
    assert (found.hops, found.authentication) == (3, {"spf": "pass", "dkim": "fail", "dmarc": "pass"})
    query = parse_qs(http.asked[0].url.query, strict_parsing=True)
    assert query["$filter"] == ["internetMessageId eq '<test.o''neil&co+#%@example.com>'"]
    assert http.what == ["GET messages"]
    assert http.asked[0].url.fragment == ""
    assert " " not in http.asked[0].url.query
    assert phases(mail) == [("delivery", "ok")]


@settings(deadline=None)
@given(st.text(min_size=1, max_size=50))
def test_no_id_gets_out_of_its_quotes(message_id: str) -> None:
    http = Http(messages(1, message_id=message_id))
    mail_on(http).find(message_id)
    query = dict(each.split("=", 1) for each in http.asked[0].url.query.split("&"))
    assert set(query) == {"$filter", "$select"}
    condition = unquote(query["$filter"], errors="strict")
    assert condition.startswith("internetMessageId eq '")
    inside = condition.removeprefix("internetMessageId eq '").removesuffix("'")
    assert "'" not in inside.replace("''", "")
    assert inside.replace("''", "'") == message_id


def test_the_mailbox_is_asked_until_the_message_comes_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Clock, "pause", lambda _clock, seconds: not waited.append(seconds))
    http = Http(*[messages()] * 9, messages(0), messages(0, 1))
    assert mail_on(http).find(MESSAGE_ID).hops == 1
    assert len(http.asked) == 11
    assert (waited[0], waited[-1]) == (0.5, 5.0)
    assert waited == sorted(waited)


@pytest.mark.parametrize(
    "found",
    [
        messages(),
        messages(0),
        messages(1, message_id="<other@example.com>"),
        messages(1, message_id=MESSAGE_ID.upper()),
    ],
    ids=["nothing", "only what was sent", "another", "another by case"],
)
def test_what_does_not_come_is_a_delivery_that_ran_out_of_time(found: HttpResponse) -> None:
    mail = mail_on(Http(found), deadline=0.3)
    observation = stopped(lambda: mail.find(MESSAGE_ID))
    assert observation.phase == "delivery"
    assert diagnose(observation)[:2] == ("delivery_timeout", "likely")
    assert BOX in observation.text


def test_time_that_runs_out_during_the_last_question_is_not_the_servers_fault() -> None:
    late = Http(messages(), probe_error("timeout", "no answer in time"))
    assert stopped(lambda: mail_on(late, deadline=0.1).find(MESSAGE_ID)).kind == "not_delivered"
    hung = Http(messages(), probe_error("timeout", "no answer in time"))
    assert stopped(lambda: mail_on(hung, deadline=60).find(MESSAGE_ID)).kind == "timeout"
    silent = Http(probe_error("timeout", "no answer in time"))
    assert stopped(lambda: mail_on(silent, deadline=0.1).find(MESSAGE_ID)).kind == "timeout"


def test_a_mailbox_that_may_not_be_read_is_said_to_be_so() -> None:
    observation = stopped(lambda: mail_on(Http(refused(403, "ErrorAccessDenied"))).find(MESSAGE_ID))
    assert "reading is not permitted: it needs Mail.ReadBasic or more" in diagnose(observation).remedy
    assert diagnose(observation).verdict == "mailbox_denied"


STRANGE = (None, {}, [], {"value": None}, {"value": {}}, {"value": "x"}, "x", 1)
HARMLESS = ([None], ["x"], [{}], [{"internetMessageId": MESSAGE_ID}])
ODD_HEADERS = ("x", [None], [{"name": "Received"}], [{"name": 1, "value": "x"}], [{"name": "Received", "value": None}])


@pytest.mark.parametrize("body", STRANGE)
def test_what_is_not_graph_does_not_pass_for_an_empty_mailbox(body: Any) -> None:
    for act in (mail_on(Http(answer(200, body))).find, mail_on(Http(answer(200, body))).remove):
        assert diagnose(stopped(lambda act=act: act(MESSAGE_ID))).verdict == "protocol_error"


@pytest.mark.parametrize("value", HARMLESS)
def test_messages_that_are_none_are_passed_over(value: Any) -> None:
    assert mail_on(Http(answer(200, {"value": value}))).remove(MESSAGE_ID) == 0


@pytest.mark.parametrize("headers", ODD_HEADERS)
def test_headers_that_are_none_are_passed_over(headers: Any) -> None:
    odd = {"id": "1", "internetMessageId": MESSAGE_ID, "internetMessageHeaders": headers}
    assert mail_on(Http(answer(200, {"value": [odd]}))).remove(MESSAGE_ID) == 0


def test_only_what_came_in_with_exactly_this_id_is_removed() -> None:
    both = json.loads(messages(0, 2, 1).text)["value"] + [
        {**json.loads(messages(1, message_id="<other@example.com>").text)["value"][0], "id": "other"}
    ]
    http = Http(answer(200, {"value": both}), answer(204), refused(404, "ErrorItemNotFound"))
    assert mail_on(http).remove(MESSAGE_ID) == 1
    assert http.what == ["GET messages", "DELETE messages/m1", "DELETE messages/m2"]


@pytest.mark.parametrize("identity", [None, "", ".", "..", 7, ["x"]])
def test_nothing_is_removed_by_an_id_that_is_none(identity: Any) -> None:
    found = {**json.loads(messages(1).text)["value"][0], "id": identity}
    http = Http(answer(200, {"value": [found]}), answer(204))
    assert diagnose(stopped(lambda: mail_on(http).remove(MESSAGE_ID))).verdict == "protocol_error"
    assert http.what == ["GET messages"]


@pytest.mark.parametrize("answers", [(refused(403),), (messages(1), refused(403))])
def test_message_is_not_removed_without_permission(answers: tuple[HttpResponse, ...]) -> None:
    assert mail_on(Http(*answers)).remove(MESSAGE_ID) == 0


def test_other_trouble_with_removing_is_told() -> None:
    assert stopped(lambda: mail_on(Http(messages(1), refused(500))).remove(MESSAGE_ID)).code == 500


class Held:
    """Keeps requests until they are let go, and counts how many there are at once."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.at_once = self.most = self.whole = 0
        self.is_open = False

    def request(self, *_asked: object) -> HttpResponse:
        with self.changed:
            self.at_once += 1
            self.whole += 1
            self.most = max(self.most, self.at_once)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.is_open, 20)
            self.at_once -= 1
        return answer(202)

    def let_go(self) -> None:
        with self.changed:
            self.is_open = True
            self.changed.notify_all()

    def await_requests(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.at_once >= count, 20)


def test_no_more_requests_at_once_about_a_mailbox_than_graph_takes() -> None:
    held = Held()
    boxes = ["Alice@example.com", "alice@Example.com"] * MAX_CONCURRENT_REQUESTS
    threads = [
        threading.Thread(target=lambda box=box: GraphMail(session_on(held, 600, box)).send(sample_mail()))
        for box in boxes
    ]
    for thread in threads:
        thread.start()
    held.await_requests(MAX_CONCURRENT_REQUESTS)
    late = mail_on(held, deadline=0.2)
    observation = stopped(lambda: late.send(sample_mail()))
    assert (observation.kind, held.at_once) == ("timeout", MAX_CONCURRENT_REQUESTS)
    other = threading.Thread(target=lambda: session_on(held, 600, "bob@example.com").submit("sendMail", b"x"))
    other.start()
    held.await_requests(MAX_CONCURRENT_REQUESTS + 1)
    held.let_go()
    for thread in (*threads, other):
        thread.join()
    assert held.whole == len(boxes) + 1
    assert held.most == MAX_CONCURRENT_REQUESTS + 1


def test_a_turn_is_given_back_whatever_happens() -> None:
    for _again in range(MAX_CONCURRENT_REQUESTS * 2):
        stopped(lambda: mail_on(Http(probe_error("reset", "Connection reset")), deadline=1).send(sample_mail()))
    mail_on(Http(answer(202)), deadline=1).send(sample_mail())
