# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Patterns for the text of replies, one per topic; the rules of each phase apply them in order.

The patterns are searched in the text of a reply whose white space is collapsed, without regard to case.
"""

from __future__ import annotations


def any_of(*patterns: str) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


REFUSED = (
    r"(reject|refus|block|den(y|ied)|disallow|ban(ned)?\b|forbid|prohibit"
    r"|not (been )?(allowed|accept|permit|welcome|authori))"
)

TLS_NEEDED = any_of(
    r"(must|need|require)\w*\b.{0,40}\b(starttls|tls|ssl|encrypt\w*)\b(?! 1)",
    r"\b(starttls|tls|ssl|encrypt\w*)\b.{0,25}\b(required|needed|first|before)\b",
    r"transport layer security required|secure (network )?connection|enable (ssl|tls)",
    r"under a layer",
    r"(plain|clear)text.{0,20} (not allowed|disallowed)",
)
TLS_TOO_OLD = r"\btls ?v?1\.[01]\b.{0,40}(not supported|no longer|deprecated)"

# This host's address, name or reputation.
HELO_NAME = r"invalid domain|domain (name|address|parameter)|\bfqdn\b|host ?name|helo ?host|fully.qualified"
HELO_REFUSED = any_of(
    r"\b(helo|ehlo)\b.{0,60}(reject|invalid|bogus|bad|not|fail|must|need|listed|mismatch|host ?name)",
    r"(bogus|invalid|bad|forged|reject\w*|resolving your) .{0,20}\b(helo|ehlo)\b",
)
CLIENT_REFUSED = any_of(
    r"\bclient (host )?((\[[^\]]*\]|\S+) )?(rejected|blocked|refused|denied)",
    r"block(ed)? (using|by)\b(?! (the )?(recipient|user))",
    r"(block|black) ?-?list",
    r"\b(r|dns)-?bls?\b",
    r"real-?time block",
    r"spamhaus|spamcop|barracudacentral|\bsorbs\b|spamrl",
    r"\bip\b.{0,80}" + REFUSED,
    r"\bip\b.{0,60}\b(listed|spammer|reputation)",
    r"(unauthori[sz]ed|unknown|bad) (ip|client|host)\b|no access for (this|your) (ip|host)",
    r"whitelist\S*ip=|confirm this mail server",
    REFUSED + r"\w*\b.{0,60}\bip\b(?! (protocol|version))",
    r"\(ip based\)",
    r"listed (by|on|in|at) .{0,40}(list|lookup|\bbl\b)",
    r"reverse[ -]?(dns|host ?name|lookup|entry|record)|\br-?dns\b|\bptr\b",
    r"(cannot|could ?n[o']t|unable to|failed to) (find|resolve|look ?up|verify) your",
    r"\bname lookup (failed|error)",
    r"unverif\w+ (sending )?ip",
    r"forged host",
    r"hostname.{0,30}(mismatch|does not (match|resolve))",
    r"may not be mail exchanger",
    r"reputation(?! of the (sending |sender'?s )?domain)",
    r"open proxy|dynamic (ip|address|range)|dial-?up|residential",
    r"geograph|geo-?ip|your country",
    r"connections? (will )?(be )?(not|never) (be )?accepted|not accepting (mail|connections) from",
    r"\b(host|network|server)\b (is |are )?" + REFUSED,
    r"all messages from .{0,60}(deferred|blocked|rejected)",
    r"smtp server of your isp|your isp'?s",
    r"your access\b.{0,80}" + REFUSED,
    r"banned send|blocked for (abuse|spam)|go away",
    r"mail from your (host|network|server)|from your (host|network|server) ",
)
# The sender's domain is listed, not this host.
SENDER_LISTED = any_of(
    r"(mail ?from|sender|from|sending|your) domain is listed",
    r"domain (that is )?(present|listed|found) in",
    r"\bdbl\b",
    r"sender address (has been |is )?(black|block)-?list",
)

# Rate limits and quotas.
SENDING_QUOTA = any_of(
    r"\b(sending|submission|daily|hourly|relay|outgoing|queue)\b.{0,25}\b(quota|limit)",
    r"only (send )?\d+ (messages|mails|recipients)",
    r"(outbound|outgoing|outmail|throttling|send(ing|er)?)\b.{0,40}\b(quota|limit)",
    r"limit on the number|number of (allowed )?(outgoing|messages|recipients)",
)
SENDING_LIMIT = any_of(
    SENDING_QUOTA,
    r"\b(sender'?s?|mails?|emails?|messages?|rate) .{0,25}(quota|limit)\w*\b(?! on)",
    r"(quota|limits?|max(imum)?)\b.{0,40}\b(per|each|this|24[ -]?)\W?(hour|day|minute)",
    r"\b(daily|hourly)\b",
    r"\b(per|this) (hour|day|minute)\b|24[ -]?h(ou)?rs?\b",
    r"too many (?!.{0,20}(hops|received|headers))|too (much mail|frequent|fast)",
    r"rate[ -]?(limit|exceed|control)",
    r"\brate\b.{0,40}(exceed|limit|hit|prevents)",
    r"(unusual|excessive|sending|connection) (rate|volume)",
    r"frequency.{0,20}limit|throttl|slow down|concurrent|simultaneous",
    r"unusual sending|unexpected volume|excessive volume|mail bomb",
    r"max\w* (number|emails|messages|connections|recipients)",
    r"exceed\w* (its|the|your)? ?(max|number)",
    r"credits exceeded",
    r"temporarily blocked from sending",
    r"limit exceed",
)
GREYLISTED = r"gr[ae]y[ -]?list"
BUSY = r"try again later|\bbusy\b|high load|insufficient|resources?\b|service (currently )?unavailable|shortage"
PASSING = any_of(
    r"try (again )?(later|after|in)|retry|again later",
    r"temporar|temporally|tempfail|at present|currently|just now",
    r"\bbusy\b",
    r"high load",
    r"overload",
    r"resources?\b.{0,20}(unavail|insuffic|tempor)",
    r"insufficient (system|resource)",
    r"deferred",
    r"space shortage",
    r"(system|server|internal|i/o|write|lookup) (error|failure|problem)",
    r"service unavailable",
    r"server unavailable",
    r"veuillez essayer plus tard",
)

# Too large, or full.
TOO_LARGE = any_of(
    r"too (large|big)\b",
    r"(message|mail|file|data)\b.{0,20}\btoo long",
    r"\bsize\b.{0,40}(exceed|limit|larger?|max)|max(imum)? (message )?size|\bsize=",
    r"(exceed\w*|larger than|over|above)\b.{0,40}\b(size|databytes|length)\b",
    r"\blength\b.{0,40}(exceed|maximum|threshold)|attachments? .{0,20}exceed",
)
FULL = any_of(
    r"(over|out of|exceed\w*|insufficient)\b(?! system).{0,20}\b(quota|storage)\b",
    r"quota.{0,20}(exceed|violat|full|reached|used)",
    r"\bover ?-?quota",
    r"(mail|in|post)?box\b.{0,30}\b(is )?(full|over)\b|mailbox for user is full",
    r"boite.{0,30}pleine|zu ?viele mails",
    r"too many messages (on the server|in the mailbox)",
)

# Sender, recipient and relaying.
RELAYING = any_of(
    r"\brelay\w*\b.{0,60}" + REFUSED,
    r"not (configured|permitted|allowed|authori\w+|able) (to )?relay",
    r"(unable|cannot|can't|won't|do not|denied|open|refuse) (to )?relay",
    r"as a relay",
    r"rcpthosts",
    r"gatewaying",
    r"i cannot deliver mail for",
    r"credentials for relay",
    r"please use the smtp relay",
    r"relay(ing)? (mail )?(access )?not|relay check",
)
SIGN_IN_NEEDED = any_of(
    r"(authenticat\w+|\bauth\b|log ?-?in|sign ?-?in)\b (is )?(required|needed|necessary|first)",
    r"not (been )?(authenticated|logged)|unauthenticated (senders?|users?|clients?)",
    r"must (be )?(first )?(issue an? auth|auth|log ?in|sign ?in)",
    r"(log|sign) ?in first",
    r"authenticate (first|before)",
    r"requires? (smtp )?authentication|turn on smtp auth",
    r"use smtp auth",
    r"proper authentication",
    r"without authentication",
    r"did not authenticate|(smtp.after.pop|pop.before.smtp)",
)
AUTHENTICITY = r"\bspf\b|\bdmarc\b|\bdkim\b|sender policy framework"
SENDER_REFUSED = any_of(
    r"sender address",
    r"sender (address )?(is |was |has been )?(reject|denied|invalid|unknown|refused|unverified)",
    r"(invalid|bad|forged|unknown|spoofed|malformed|illegal) (sender|mail ?from|from|return)\b",
    r"emetteur invalide",
    r"send-?as|not owned|not allowed to (act|send)|permissions to send|act as\b",
    r"domain of sender",
    r"sender'?s? domain",
    r"sender contains",
    r"no valid mx",
    r"mail ?from\b.{0,40}(invalid|reject|not|configured)",
    r"(not|failed to|unauthori[sz]ed)\b.{0,25}\bsend(er)? ?(from|as\b|address)?",
    r"unauthori[sz]ed use of sender",
    r"\bfrom:? (header |address )?.{0,20}(does not match|not match|isn't aligned|not allowed|mismatch)",
    r"\bfrom:? (header |address )?.{0,20}must (match|belong|be)\b|from this (header )?address",
    r"sender identity",
    r"identit(y|ies)\b.{0,40}(fail|not)",
    r"address is not verified",
    r"not (a )?verified",
    r"unverified",
    r"sending domain",
    r"authori[sz]e the sender",
    r"spoofed",
    r"envelope domain",
    r"(specified|sender) email address",
    r"bad outbound sender|local user only|mail from domain|as .{1,80} not allowed",
)
_RECIPIENT = (
    r"\b(user|recipient|mailbox|mail ?list|account|addressee|alias|address|customer|person|compte|destinat\w+)\b"
)
NO_ACCOUNT = r"\b(user|recipient)\b.{0,20} (doesn'?t|does not) have an? .{0,60}\baccount"
RECIPIENT_REFUSED = any_of(
    NO_ACCOUNT,
    _RECIPIENT + r".{0,60}\bnot (found|exist|here|active|known|local|our|a valid|allowed)",
    _RECIPIENT + r".{0,60}(unknown|invalid|inactive|disabled|suspend|discontinued|frozen|bloque|blocked|unavailable)",
    _RECIPIENT + r".{0,60}(no longer|rejected|archiv|closed|expired|readonly|sconosciuto)",
    r"(unknown|invalid|no such|bad|illegal|not our|inactive|no|invalide) .{0,25}" + _RECIPIENT,
    r"recipient address",
    r"not in recipient list",
    r"valid (e-?mail )?(recipient|address)",
    r"addressee unknown",
    r"not our customer",
    r"recipientnotfound",
    r"resolver\.(adr|rst)",
    r"(does|dos)(n'?t| not) exist",
    r"delivery is not allowed",
    r"(target|destination) (address|domain)",
)
RECIPIENT_UNKNOWN = any_of(
    NO_ACCOUNT,
    r"\b(user|recipient|mailbox|account|addressee|alias|customer)\b( \S+)? (is |was )?(unknown|not found|invalid)",
    r"\b(user|recipient|mailbox|account)\b( \S+)? (is |was )?(disabled|inactive|unavailable|not active)",
    r"\b(user|recipient|mailbox|account|address)\b.{0,40} (does|do)(n'?t| not) exist",
    r"no such (user|mailbox|recipient|address|account)",
    r"(unknown|invalid|unknown or illegal) (user|recipient|mailbox|alias|address)",
    r"not our customer|not in recipient list|recipientnotfound|not a valid (e-?mail )?(recipient|address)",
)
# The content of the message.
CONTENT = any_of(
    r"\bspam",
    r"junk",
    r"virus",
    r"malware",
    r"phish",
    r"infected",
    r"unsolicited",
    r"\bube\b",
    r"suspicious",
    r"content",
    r"attachment",
    r"filter",
    r"polic(y|ies)",
    r"header",
    r"rfc ?-?[25]?\d*.{0,20}complian",
    r"duplicate",
    r"\bloop",
    r"hops?\b",
    r"reputation of the (sending )?domain",
    r"illegal characters|parsing error|json|bare (lf|cr)|smtplf",
)

# Sign-in.
APP_PASSWORD = any_of(
    r"app(lication)?[ -]?(specific )?password",
    r"aplication password",
    r"\bparol\b",
    r"authori[sz](ation|ed) code",
    "\u6388\u6743\u7801",
    r"invalidsecondfactor",
)
WEB_SIGN_IN = (
    r"webalert|web ?log-?in|(log|sign) ?in (via|with|through) (your )?web|use web for sending|accept eula|not a robot"
)
CREDENTIALS = any_of(
    r"(user ?name|user|login|log-?in|account|e-?mail)\b.{0,25}\b(password|access token)",
    r"\bpassword (error|incorrect|is incorrect|not accepted)",
    r"credential|(authentication|authenticated?|auth|login|log-?in) (data|credentials)",
    r"(bad|wrong|incorrect|invalid) (user|login|password|authentication|auth)",
    r"user(name)? not found",
    r"unknown user",
    r"no such user",
)
SWITCHED_OFF = any_of(
    r"subscription .{0,30}expired|only available (for|to)|not available (for|in) your",
    r"(disabled|suspended|deactivated|switched off|turned off|blocked|locked)\b",
    r"(not|n't|yet to) (been |be )?(enabled?|activated?)",
    r"does not have .{0,20}(access|enabled|permission)",
    r"has no permission",
    r"not have access",
    r"basic auth\w*.{0,30}(not supported|disabled)|moved to another|feature disabled",
    r"(access|protocol|imap|smtp|pop) .{0,20}(is|has been) (disabled|turned off|not enabled)",
    r"not allowed on",
    r"not permitted",
)
NOT_REACHED = any_of(
    r"(unable|could ?n[o']t|cannot|failed) (to )?(connect|contact|reach)",
    r"unreachable|timed out|time-?out|status code 5",
)
SERVER_TROUBLE = any_of(r"system (busy|error|failure)|server error|temporar|try again later", NOT_REACHED)
SERVER_FAULT = any_of(
    PASSING,
    r"generic failure|fatal error|no such file|unexpected exception|can't open|connection lost|internal|database",
    NOT_REACHED,
)
NO_MECHANISM = any_of(
    r"(unsupported|unknown|invalid|unrecogni[sz]ed|bad) auth\w* (mode|type|mechanism|method)",
    r"auth\w* (mode|type|mechanism|method) (is )?(unsupported|unknown|invalid|not specified|not supported)",
    r"(mechanism|method|type|authentication)\b.{0,40}not (supported|available|enabled|known|advertised|allowed)",
    r"(mechanism|method|type|authentication)\b.{0,40}(unsupported|unrecogni[sz]ed|unknown|too weak)",
    r"(unknown|unsupported|unrecogni[sz]ed|unavailable)\b.{0,20}\b(mechanism|method|authentication type|command)",
    r"mechanism not|\bno (\w+ )?mech",
    r"auth (command )?(not|used when)",
    r"command (not|unrecogni[sz]ed)",
    r"only allowed on submission",
)
PASSWORDS_OFF = r"basic auth(entication)? is (disabled|not supported)|SmtpClientAuthentication is disabled"
NOT_ABOUT_CREDENTIALS = r"^(?!.*(credentials (were|are)|account is locked|password (has )?expired))"
