# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies as servers out there give them, by the name of what they mean."""

from __future__ import annotations

_EXCHANGE = "Authentication unsuccessful, {} [AM0PR00CA0000.EURPRD00.PROD.EXAMPLE.COM]"

# To AUTH, from Exchange Online.
EXCHANGE = {
    "tenant_disabled": "535 5.7.139 "
    + _EXCHANGE.format("SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled"),
    "mailbox_disabled": "535 5.7.139 "
    + _EXCHANGE.format("SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled"),
    "security_defaults": "535 5.7.139 "
    + _EXCHANGE.format("user is locked by your organization's security defaults policy. Contact your administrator."),
    "conditional_access": "535 5.7.139 "
    + _EXCHANGE.format("the request did not meet the criteria to be authenticated successfully."),
    "unsuccessful": "535 5.7.3 Authentication unsuccessful [AM0PR00CA0000.EURPRD00.PROD.EXAMPLE.COM]",
    "retired": "550 5.7.30 Basic authentication is not supported for Client Submission.",
}
AUTH = {
    **{f"exchange_{name}": text for name, text in EXCHANGE.items()},
    "rejected": "535 5.7.8 Error: authentication failed",
    "rejected_bare": "535 Incorrect authentication data",
    "app_password": "534-5.7.9 Application-specific password required.\r\n534 5.7.9 See https://support.example.com",
    "too_weak": "534 5.7.9 Authentication mechanism is too weak",
    "encryption_needed": "538 5.7.11 Encryption required for requested authentication mechanism",
    "line_too_long": "500 5.5.6 Authentication exchange line is too long",
    "not_supported": "504 5.5.4 Unrecognized authentication type",
    "not_enabled": "503 5.5.1 Error: authentication not enabled",
    "temporary": "454 4.7.0 Temporary authentication failure",
    "transition": "432 4.7.12 A password transition is needed",
    "too_many_connections": "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
    "too_many_attempts": "421 4.7.0 Too many login attempts, try again later",
}
GREETING = {
    "busy": "421 4.3.2 Service not available, try again later",
    "too_many": "421 4.7.0 mail.example.com Error: too many connections from 127.0.0.1",
    "blocklisted": "554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using bl.example.org",
    "refused": "554 No SMTP service here",
    "temporary": "450 4.7.1 Try again later",
}
EHLO = {
    "not_known": "502 5.5.2 Error: command not recognized",
    "name_refused": "550 5.7.1 Helo command rejected: Host not found",
    "syntax": "501 5.5.4 Invalid domain name",
    "busy": "421 4.3.2 Service shutting down",
}
STARTTLS = {
    "temporary": "454 4.7.0 TLS not available due to local problem",
    "not_known": "502 5.5.1 Error: command not implemented",
    "syntax": "501 5.5.4 Syntax error, no parameters allowed",
    "policy": "554 5.7.3 Unable to initialize security subsystem",
    "busy": "421 4.3.2 Service shutting down",
}
MAIL = {
    "auth_needed": "530 5.7.0 Authentication required",
    "starttls_needed": "530 5.7.0 Must issue a STARTTLS command first",
    "exchange_not_authenticated": "530 5.7.57 Client not authenticated to send mail.",
    "exchange_send_as_denied": "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    "exchange_send_as_denied_store": "554 5.2.252 SendAsDenied; alice@example.com may not send as bob@example.com",
    "not_owned": "553 5.7.1 <bob@example.com>: Sender address rejected: not owned by user alice@example.com",
    "rejected": "550 5.1.0 <alice@example.com>: Sender address rejected",
    "domain_not_found": "450 4.1.8 <alice@example.com>: Sender address rejected: Domain not found",
    "too_large": "552 5.3.4 Message size exceeds fixed limit",
    "storage": "452 4.3.1 Insufficient system storage",
    "throttled": "421 4.7.28 Our system has detected an unusual rate of mail",
    "busy": "421 4.3.2 Service shutting down",
}
RCPT = {
    "unknown_user": "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown",
    "relay_denied": "554 5.7.1 <somebody@example.net>: Relay access denied",
    "relay_denied_550": "550 5.7.1 Unable to relay",
    "exchange_relay_denied": "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "auth_needed": "530 5.7.1 Authentication required",
    "mailbox_full": "552 5.2.2 <full@example.com>: Mailbox is full",
    "mailbox_full_now": "452 4.2.2 <full@example.com>: Mailbox is full",
    "greylisted": "450 4.2.0 <bob@example.com>: Recipient address rejected: Greylisted",
    "too_many": "452 4.5.3 Too many recipients",
    "storage": "452 4.3.1 Insufficient system storage",
    "throttled": "451 4.7.500 Server busy. Please try again later",
    "busy": "421 4.3.2 Service shutting down",
}
DATA = {
    "no_recipients": "554 5.5.1 Error: no valid recipients",
    "storage": "452 4.3.1 Insufficient system storage",
    "rejected": "554 5.7.1 Rejected",
    "busy": "421 4.3.2 Service shutting down",
}
MESSAGE = {
    "too_large": "552 5.3.4 Error: message file too big",
    "spam": "550 5.7.1 Message rejected as spam by content filtering",
    "policy": "554 5.7.1 Message rejected by policy",
    "from_refused": "554 5.2.252 SendAsDenied; alice@example.com may not send as bob@example.com",
    "throttled": "451 4.7.500 Server busy. Please try again later",
    "storage": "452 4.3.1 Insufficient system storage",
    "mailbox_full": "552 5.2.2 Mailbox full",
    "busy": "421 4.3.2 Service shutting down",
}
SMTP = {
    "greeting": GREETING,
    "ehlo": EHLO,
    "starttls": STARTTLS,
    "ehlo_tls": EHLO,
    "auth_end": AUTH,
    "mail": MAIL,
    "rcpt": RCPT,
    "data": DATA,
    "message": MESSAGE,
}

IMAP_GREETING = {
    "bye": "* BYE Not now",
    "bye_unavailable": "* BYE [UNAVAILABLE] Too many connections",
    "bye_alert": "* BYE [ALERT] Maximum number of connections exceeded",
}
IMAP_STARTTLS = {
    "no": "{tag} NO TLS is not available",
    "bad": "{tag} BAD Unknown command",
}
IMAP_AUTH = {
    "failed": "{tag} NO [AUTHENTICATIONFAILED] Invalid credentials",
    "failed_bare": "{tag} NO AUTHENTICATE failed.",
    "unauthorized": "{tag} NO [AUTHORIZATIONFAILED] Not authorized",
    "unavailable": "{tag} NO [UNAVAILABLE] Temporary authentication failure",
    "alert": "{tag} NO [ALERT] Application-specific password required: https://support.example.com",
    "web_login": "{tag} NO [WEBALERT https://accounts.example.com/signin] Web login required.",
    "expired": "{tag} NO [EXPIRED] The password has expired",
    "privacy": "{tag} NO [PRIVACYREQUIRED] Encryption is needed",
    "contact": "{tag} NO [CONTACTADMIN] Contact the administrator",
    "limit": "{tag} NO [LIMIT] Too many simultaneous connections",
    "in_use": "{tag} NO [INUSE] Mailbox is in use",
    "not_enabled": "{tag} NO IMAP access is disabled for this account",
    "bad": "{tag} BAD Command not recognised",
    "bye": "* BYE Too many failed attempts",
    "bye_unavailable": "* BYE [UNAVAILABLE] Server is shutting down",
}
IMAP_SELECT = {
    "nonexistent": "{tag} NO [NONEXISTENT] Unknown mailbox",
    "nonexistent_bare": "{tag} NO Mailbox does not exist",
    "no_permission": "{tag} NO [NOPERM] Permission denied",
    "over_quota": "{tag} NO [OVERQUOTA] Mailbox is full",
    "unavailable": "{tag} NO [UNAVAILABLE] The mailbox is being moved",
    "alert": "{tag} NO [ALERT] The mailbox is locked",
    "server_bug": "{tag} NO [SERVERBUG] Internal error occurred",
    "not_connected": "{tag} BAD User is authenticated but not connected.",
    "bye": "* BYE Server is shutting down",
}
IMAP = {
    "greeting": IMAP_GREETING,
    "starttls": IMAP_STARTTLS,
    "auth_end": IMAP_AUTH,
    "select": IMAP_SELECT,
}
