# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Renders the body of the mail that the collection sends, as text and as HTML, with the connector's signature."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from html import escape

# RFC 2045 allows 76 characters to a line of quoted-printable.
_POLICY = SMTP.clone(max_line_length=76)
_LINE_END = re.compile("\r\n|[\r\n\u2028\u2029]")
_BODY_END = re.compile("</body", re.ASCII | re.IGNORECASE)
_CLOSING = "This message was sent automatically. No answer is needed."
_LABEL_WIDTH = 15
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5"
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
</head>
<body style="margin:0;padding:24px;background:#f4f5f7;color:#1f2328;{font}">
<div style="max-width:560px;margin:0 auto;padding:24px;background:#ffffff;border:1px solid #d8dee4;border-radius:6px">
<h1 style="margin:0 0 12px;font-size:20px">{title}</h1>
<p style="margin:0 0 16px">{opening}</p>
<table style="border-collapse:collapse">
{rows}
</table>
<p style="margin:16px 0 0;color:#656d76">{closing}</p>
{signature}</div>
</body>
</html>
"""
_ROW = (
    '<tr><th scope="row" style="padding:2px 16px 2px 0;text-align:left;font-weight:normal;color:#656d76">{label}</th>'
    '<td style="padding:2px 0;word-break:break-word">{value}</td></tr>'
)
_SIGNATURE = '<p style="margin:16px 0 0;color:#656d76">-- <br>\n{lines}</p>\n'


@dataclass(frozen=True)
class Content:
    """The content of a mail, before it is rendered as text and HTML."""

    title: str
    opening: str
    rows: Sequence[tuple[str, str]]
    signature: str = ""

    def text(self) -> str:
        facts = "\n".join(f"{label + ':':<{_LABEL_WIDTH - 1}} {value}" for label, value in self.rows)
        text = f"{self.opening}\n\n{facts}\n\n{_CLOSING}\n"
        return sign_text(text, self.signature)

    def html(self) -> str:
        return _PAGE.format(
            title=escape(self.title),
            opening=escape(self.opening),
            rows="\n".join(_ROW.format(label=escape(label), value=escape(value)) for label, value in self.rows),
            closing=_CLOSING,
            signature=_html_signature(self.signature),
            font=_FONT,
        )


def sign_text(text: str, signature: str) -> str:
    """The text with the signature below it."""
    lines = _signature_lines(signature)
    return text + "".join(f"{line}\n" for line in ("", "-- ", *lines)) if lines else text


def sign_html(html: str, signature: str) -> str:
    """The HTML with the signature at its end, within the body element where there is one."""
    ends = [match.start() for match in _BODY_END.finditer(html)]
    end = ends[-1] if ends else len(html)
    return html[:end] + _html_signature(signature) + html[end:]


def mime(text: str, html: str, seed: str) -> bytes:
    """The MIME headers and the body, a multipart where there is both text and HTML; ASCII only, with short lines."""
    message = EmailMessage(policy=_POLICY)
    if text or not html:
        message.set_content(text, cte="quoted-printable")
    if text and html:
        message.make_alternative(boundary=boundary("", seed))
        message.add_alternative(html, subtype="html", cte="quoted-printable")
    elif html:
        message.set_content(html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def boundary(kind: str, seed: str) -> str:
    """A boundary that cannot be in a line of quoted-printable or base64; it is the same for the same message."""
    return f"=_{kind}{hashlib.sha256(seed.encode()).hexdigest()[:24]}"


def _html_signature(signature: str) -> str:
    lines = _signature_lines(signature)
    return _SIGNATURE.format(lines="<br>\n".join(escape(line) for line in lines)) if lines else ""


def _signature_lines(signature: str) -> list[str]:
    return _LINE_END.split(signature.strip("\r\n")) if signature.strip() else []
