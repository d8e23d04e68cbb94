# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Renders the body of the mail that the collection sends, as text and as HTML."""

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
        facts = "\n".join(f"{label + ':':<{_LABEL_WIDTH}}{value}" for label, value in self.rows)
        text = f"{self.opening}\n\n{facts}\n\n{_CLOSING}\n"
        lines = self._signature_lines()
        return text + "".join(f"{line}\n" for line in ("", "-- ", *lines)) if lines else text

    def html(self) -> str:
        lines = self._signature_lines()
        return _PAGE.format(
            title=escape(self.title),
            opening=escape(self.opening),
            rows="\n".join(_ROW.format(label=escape(label), value=escape(value)) for label, value in self.rows),
            closing=_CLOSING,
            signature=_SIGNATURE.format(lines="<br>\n".join(escape(line) for line in lines)) if lines else "",
            font=_FONT,
        )

    def _signature_lines(self) -> list[str]:
        return _LINE_END.split(self.signature.strip("\r\n")) if self.signature.strip() else []


def mime(content: Content, seed: str) -> bytes:
    """The MIME headers and the multipart body; ASCII only, with short lines."""
    message = EmailMessage(policy=_POLICY)
    message.set_content(content.text(), cte="quoted-printable")
    # A boundary that begins like this cannot be a line of quoted-printable; it is the same for the same message.
    message.make_alternative(boundary=f"=_{hashlib.sha256(seed.encode()).hexdigest()[:24]}")
    message.add_alternative(content.html(), subtype="html", cte="quoted-printable")
    return message.as_bytes()
