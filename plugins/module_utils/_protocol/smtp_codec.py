# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The syntax of SMTP (RFC 5321, 2034, 4954): commands and messages to octets, octets to replies. No network here."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LONGEST_COMMAND = 500
CHUNK_SIZE = 32 * 1024
END_OF_MESSAGE = b".\r\n"

_REPLY_LINE = re.compile(rb"(\d{3})(?:([ -])(.*?))?\r?\n", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_NUMBER = re.compile(r"[0-9]{1,18}")
_LINE_END = re.compile(rb"\r\n|[\r\n]")


class ReplyLine(NamedTuple):
    """One line of a reply."""

    code: int
    text: str
    is_last: bool


class Reply(NamedTuple):
    """A reply of the server, unchanged."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 2034), if the reply begins with one."""
        found = _ENHANCED.match(self.lines[0])
        return found.group(1) if found else ""


def parse_reply_line(line: bytes) -> ReplyLine | None:
    """Parse a line of a reply; None if it is not one."""
    found = _REPLY_LINE.fullmatch(line)
    if not found or not b"200" <= found.group(1) <= b"599":
        return None
    text = (found.group(3) or b"").decode("utf-8", "replace")
    return ReplyLine(int(found.group(1)), text, found.group(2) != b"-")


def parse_features(lines: Sequence[str]) -> dict[str, str]:
    """Parse the features of an EHLO reply to lower-case names and parameters; its first line is the server's name."""
    features: dict[str, str] = {}
    for line in lines[1:]:
        name, _space, rest = line.strip().partition(" ")
        if name.upper().startswith("AUTH="):
            name, rest = "AUTH", f"{name[5:]} {rest}"
        features[name.lower()] = f"{features.get(name.lower(), '')} {rest}".strip()
    return features


def parse_size_limit(parameter: str) -> int:
    """Parse the parameter of SIZE, the largest accepted message; 0 if there is no limit."""
    return int(parameter) if _NUMBER.fullmatch(parameter) else 0


def encode_command(command: str) -> bytes:
    return f"{command}\r\n".encode()


def encode_response(data: bytes) -> str:
    """Encode the response to a challenge of AUTH."""
    return base64.b64encode(data).decode("ascii")


def decode_challenge(reply: Reply) -> bytes:
    """Decode a challenge of AUTH; raises ValueError if it is not base64."""
    return base64.b64decode("".join(reply.lines).strip(), validate=True)


def frame_message(message: bytes) -> Iterator[bytes]:
    """Encode whole lines of a message for DATA: CRLF and dot-stuffing, in chunks that each have their own timeout."""
    # Replacing takes ten times as long as looking whether there is anything to replace.
    has_other_ends = not message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n")
    lines = _LINE_END.sub(b"\r\n", message) if has_other_ends else message
    ended = lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"
    whole = (b"\r\n" + ended).replace(b"\r\n.", b"\r\n..")[2:]
    for start in range(0, len(whole), CHUNK_SIZE):
        yield whole[start : start + CHUNK_SIZE]


def address_literal(name: str) -> str:
    """The address literal of an IP address; empty if the name is not one."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return ""
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
