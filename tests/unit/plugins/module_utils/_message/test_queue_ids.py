# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._message.smtp import FORMS, queue_id

# What servers answer to the end of the data, and the id in it.
REPLIES = {
    "Postfix": ("250 2.0.0 Ok: queued as 4F2xQ71Zz9", "4F2xQ71Zz9"),
    "Postfix with short ids": ("250 2.0.0 Ok: queued as 6B0CA26681D", "6B0CA26681D"),
    "Exim": ("250 OK id=1rAbCd-0001Ab-2C", "1rAbCd-0001Ab-2C"),
    "Exim 4.97": ("250 OK id=1rAbCd-00000004e2K-3qLm", "1rAbCd-00000004e2K-3qLm"),
    "GMX": ("250 Requested mail action okay, completed: id=1MWRs4-1qKLM01abc-00Xgk5", "1MWRs4-1qKLM01abc-00Xgk5"),
    "Sendmail": ("250 2.0.0 3AKBxyz1012345 Message accepted for delivery", "3AKBxyz1012345"),
    "Proofpoint": ("250 2.0.0 3k2hx9ab12-1 Message accepted for delivery", "3k2hx9ab12-1"),
    "OpenSMTPD": ("250 2.0.0 e1b2c3d4 Message accepted for delivery", "e1b2c3d4"),
    "OpenSMTPD without a digit": ("250 2.0.0 eabccdef Message accepted for delivery", "eabccdef"),
    "CommuniGate": ("250 1234567 message accepted for delivery", "1234567"),
    "Exchange Online": (
        "250 2.6.0 <a@example.com> [InternalId=123456789012345, Hostname=AB1PR01.example] Queued mail for delivery",
        "123456789012345",
    ),
    "Exchange": ("250 2.6.0 <a@example.com> [InternalId=42, Hostname=mx.example.com] Queued mail for delivery", "42"),
    "Microsoft's SMTP service": ("250 2.6.0  <EX01ab@ex.example> Queued mail for delivery", "EX01ab@ex.example"),
    "Amazon SES": (
        "250 Ok 0100018c1f2e3d4c-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d-000000",
        "0100018c1f2e3d4c-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d-000000",
    ),
    "Gmail": (
        "250 2.0.0 OK  1700000000 d9443c01a7336-1cc3c5b5d5asm42.7 - gsmtp",
        "d9443c01a7336-1cc3c5b5d5asm42.7",
    ),
    "Gmail with a remark": ("250 2.0.0 OK DMARC:Quarantine 1700000000 x12-20020a1709.34 - gsmtp", "x12-20020a1709.34"),
    "SendGrid": ("250 Ok: queued as nhIMmON9SFOPcT0ii4nt2A", "nhIMmON9SFOPcT0ii4nt2A"),
    "Mailjet": ("250 OK queued as a08b7f37-ed61-423a-ba75-38ed2fd4b54c", "a08b7f37-ed61-423a-ba75-38ed2fd4b54c"),
    "Brevo": ("250 2.0.0 OK: queued as <202311150913.123456@relay.example>", "202311150913.123456@relay.example"),
    "MailerSend": ("250 Message queued as 6232416d01542d6b321d000d", "6232416d01542d6b321d000d"),
    "NetEase": ("250 Mail OK queued as smtp1,C8CowAB3 1700000000", "smtp1,C8CowAB3"),
    "Yandex": (
        "250 2.0.0 Ok: queued on smtp3m.mail.example as 1430081058-6ltgNFKSir-iHEKdOrm",
        "1430081058-6ltgNFKSir-iHEKdOrm",
    ),
    "Yandex, newer": (
        "250 2.0.0 Ok: queued on mail-nwsmtp-17.example 1700000000-abCDe1F2",
        "1700000000-abCDe1F2",
    ),
    "SparkPost": ("250 2.0.0 OK 4F/21-12345-ABCDEF65", "4F/21-12345-ABCDEF65"),
    "Courier": ("250 Ok. 00000000002A0012.0000000065549F0C.00001234", "00000000002A0012.0000000065549F0C.00001234"),
    "Haraka": ("250 Message Queued (9A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9.1)", "9A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9.1"),
    "Stalwart": ("250 2.0.0 Message queued with id 1a2b3c4d5e.", "1a2b3c4d5e"),
    "Cisco": ("250 ok:  Message 1234567 accepted", "1234567"),
    "qmail": ("250 ok 1700000000 qp 12345", "12345"),
    "qmail with its host": ("250 ok 1700000000 qp 12345 server-1.tower.example", "12345"),
    "iCloud": ("250 2.5.0 Ok, envelope id 0S4500AB1CD2EF00@mx.example.com", "0S4500AB1CD2EF00@mx.example.com"),
    "Campaign Monitor": (f"250 2.0.0 OK:{'a1B2' * 12}", "a1B2" * 12),
    "several lines": ("250-2.0.0 thank you\n250 2.0.0 Ok: queued as ABC123", "ABC123"),
    "several lines without codes": ("2.0.0 thank you\nOk: queued as ABC123", "ABC123"),
}
WITHOUT_ID = (
    "",
    "250",
    "250 ",
    "250 Ok",
    "250 2.0.0 Ok",
    "250 OK , completed",
    "250 Great success",
    "250 2.0.0 Ok: queued",
    "250 OK: queued as.",
    "250 Queued (0.125 seconds)",
    "250 Message received",
    "250 2.6.0 Message received",
    "250 Message accepted for delivery",
    "250 Ok: Message accepted for delivery",
    "250 Your message accepted for delivery",
    "250 2.0.0 Message accepted.",
    "250 Mail queued for delivery.",
    "250 ok congratulations",
    "250 ok it-has-been-accepted",
    "451 4.3.0 Error: queued as 4F2xQ71Zz9",
    "554 5.7.1 refused id=1rAbCd-0001Ab-2C",
    "5.7.1 refused id=1rAbCd-0001Ab-2C",
    "354 go on",
    "250 2.0.0 Ok: queued as 4F\u00e9",
    f"250 2.0.0 Ok: queued as {'A' * 201}",
)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{5,58}[A-Za-z0-9]", fullmatch=True)
WORDED = (
    "2.0.0 Ok: queued as {}",
    "OK id={}",
    "2.0.0 {} Message accepted for delivery",
    "2.0.0 OK  1700000000 {} - gsmtp",
    "OK queued as {}",
    "2.0.0 OK: queued as <{}>",
    "Message Queued ({})",
    "2.0.0 Ok: queued on mx.example.com as {}",
    "Ok 0{}000000",
    "2.5.0 Ok, envelope id {}",
)


def test_id_is_read_with_and_without_the_code() -> None:
    def without_code(reply: str) -> str:
        return reply.replace("250-", "").replace("250 ", "", 1).replace("\n250 ", "\n")

    expected = {server: identifier for server, (_reply, identifier) in REPLIES.items()}
    assert {server: queue_id(reply) for server, (reply, _id) in REPLIES.items()} == expected
    assert {server: queue_id(without_code(reply)) for server, (reply, _id) in REPLIES.items()} == expected


def test_reply_without_an_id_gives_none() -> None:
    assert {reply: queue_id(reply) for reply in WITHOUT_ID} == dict.fromkeys(WITHOUT_ID, "")


def test_every_form_is_needed_by_a_reply() -> None:
    used = set()
    for reply, _expected in REPLIES.values():
        texts = [line.removeprefix("250-").removeprefix("250 ") for line in reply.split("\n")]
        texts += [text[5:].strip() for text in texts if text.startswith("2.")]
        used |= {next((form.servers for form in FORMS if form.pattern.search(text)), "") for text in texts}
    assert used >= {form.servers for form in FORMS}


@settings(max_examples=50)
@given(st.sampled_from(WORDED), IDS, st.sampled_from(("", "250 ")))
def test_any_id_is_read_whole(worded: str, identifier: str, code: str) -> None:
    reply = worded.format(identifier)
    assert queue_id(code + reply) == (f"0{identifier}000000" if worded.startswith("Ok 0") else identifier)


@settings(max_examples=30)
@given(st.sampled_from(WORDED), IDS, st.sampled_from(("421", "450", "501", "554", "354", "100")))
def test_a_reply_that_is_no_success_gives_no_id(worded: str, identifier: str, code: str) -> None:
    assert queue_id(f"{code} {worded.format(identifier)}") == ""


@given(st.text(max_size=300) | st.from_regex(r"250 (Ok|queued as|id=|qp|message|accepted|[ <>()a-z0-9]){0,20}"))
@example("250 Ok: queued as \x00\x1b[2J")
@example("250 " + "queued as " * 500)
def test_whatever_a_server_says_the_id_is_one_printable_word_of_its_reply(reply: str) -> None:
    found = queue_id(reply)
    assert found in reply
    assert len(found) <= 200
    assert all("!" <= character <= "~" for character in found)
