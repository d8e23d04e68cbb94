# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Every verdict: what it means, how it is recognised, and what to do about it.

In a remedy, {host}, {port} and the like stand for what is known of the conversation.
"""

from __future__ import annotations

from typing import NamedTuple


class Verdict(NamedTuple):
    """One line of the table."""

    group: str
    meaning: str
    recognised: str
    remedy: str


VERDICTS: dict[str, Verdict] = {
    "ok": Verdict("fine", "Everything up to the depth asked for worked.", "No phase failed.", ""),
    "config_invalid": Verdict(
        "configuration",
        "The connector cannot be used as it is declared.",
        "The declaration breaks a rule, a file that it names cannot be read, or the connector is disabled.",
        "Correct the declaration: {text}",
    ),
    "dns_not_found": Verdict(
        "name and network",
        "The host's name has no address.",
        "The resolver says that the name does not exist or has no address.",
        "Check the spelling of host ({host}). If the name is only known inside a network, run the test from a host"
        " in it.",
    ),
    "dns_temporary": Verdict(
        "name and network",
        "The host's name could not be looked up just now.",
        "The resolver does not answer, or answers with a temporary failure.",
        "Try again. If it stays, check the name servers of the host that the test runs on.",
    ),
    "connect_refused": Verdict(
        "name and network",
        "No program listens on that port, or a firewall rejects the connection.",
        "The connection is refused.",
        "Check port ({port}): submission is 587 (starttls) or 465 (tls), IMAP is 993 (tls) or 143 (starttls). If it"
        " is right, see whether the server runs and whether a firewall rejects this host.",
    ),
    "connect_timeout": Verdict(
        "name and network",
        "Nothing answers at that address and port.",
        "No answer to any connection attempt within the timeout.",
        "A firewall most likely drops the connection to {host} port {port}: allow it from this host. Many providers"
        " block port 25: use 587 or 465.",
    ),
    "connect_unreachable": Verdict(
        "name and network",
        "There is no way to that address from here.",
        "The network or host is reported as unreachable.",
        "Check this host's routes and whether it has IPv6 where only IPv6 addresses are offered.",
    ),
    "connection_reset": Verdict(
        "name and network",
        "The server, or something in between, ended the connection without a word.",
        "The connection is reset or closed during {phase}.",
        "A firewall, a rate limit or a server that knows no such client most likely ended it during {phase}: look"
        " into the server's log for this host's address.",
    ),
    "proxy_failed": Verdict(
        "name and network",
        "The proxy did not let the connection through.",
        "The proxy cannot be reached, refuses, or does not speak the protocol in its address.",
        "Check proxy, proxy_username and proxy_password, and that the proxy allows {host} port {port}: {text}",
    ),
    "greeting_timeout": Verdict(
        "talking",
        "The server accepts the connection and then says nothing.",
        "No complete greeting within the timeout, and no TLS either.",
        "The server is overloaded, delays unknown clients, or {port} is not the port of this protocol: check port,"
        " or raise timeout.",
    ),
    "greeting_rejected": Verdict(
        "talking",
        "The server does not talk to this host.",
        "The greeting is a refusal.",
        "The server most likely refuses this host's address (a block list, a policy, too many connections). It"
        " says: {text}",
    ),
    "client_blocked": Verdict(
        "talking",
        "The server refuses this host's address, name or reputation.",
        "The server says so, in whatever phase: a block list, a missing reverse name, a HELO name, a reputation.",
        "Send over the provider's submission port (587 or 465) with a sign-in, or give this host's address a name in"
        " DNS and have it taken off the list that the server names.",
    ),
    "protocol_error": Verdict(
        "talking",
        "What the server says does not fit the protocol.",
        "A reply that is malformed, too long or of another protocol.",
        "Check that port ({port}) is the port of this protocol on {host}; something else seems to answer there.",
    ),
    "response_timeout": Verdict(
        "talking",
        "The server stopped answering in the middle of the conversation.",
        "No complete reply within the timeout, during {phase}.",
        "The server is overloaded or waits for something (a look-up, a scanner): raise timeout, or look into its log.",
    ),
    "host_not_ready": Verdict(
        "host",
        "Something that the task needs is missing on the host where it runs, or wrong there.",
        "A Python library cannot be imported, or the registry or its key cannot be used, before anybody is asked.",
        "This host is not ready for the task: {text}",
    ),
    "security_mismatch": Verdict(
        "encryption",
        "One side speaks TLS and the other plain text.",
        "A TLS handshake meets plain text, or a silent port turns out to speak TLS.",
        "Set security to {better_security}.",
    ),
    "starttls_missing": Verdict(
        "encryption",
        "The server does not offer encryption, and the connector requires it.",
        "STARTTLS is not among the capabilities.",
        "Use a port with encryption (465 or 993 with security tls). If this server is only reached within a trusted"
        " network, starttls_optional or none say so explicitly. If it should offer STARTTLS, something in between"
        " may remove it.",
    ),
    "starttls_refused": Verdict(
        "encryption",
        "The server offers encryption but does not start it.",
        "A refusal in reply to STARTTLS.",
        "The server most likely has no usable certificate: look into its log. Security tls on port 465 or 993 may"
        " work meanwhile.",
    ),
    "starttls_injection": Verdict(
        "encryption",
        "Plain text was slipped in before the encryption began.",
        "Bytes follow the reply to STARTTLS before the handshake.",
        "Do not use this connection: something in between may be tampering with it, or the server is outdated and"
        " must be updated. Security tls avoids STARTTLS.",
    ),
    "tls_untrusted": Verdict(
        "encryption",
        "The server's certificate is not issued by a trusted authority.",
        "The chain cannot be verified.",
        "If the certificate is from an authority of your own ({issuer}), name its certificate with ca_file. If the"
        " issuer is public, the server most likely does not send its intermediate certificate.",
    ),
    "tls_name_mismatch": Verdict(
        "encryption",
        "The server's certificate is for another name.",
        "The name or address in host is not in the certificate.",
        "The certificate is issued for: {names}. Set host to one of these, or have a certificate issued for {host}.",
    ),
    "tls_expired": Verdict(
        "encryption",
        "The server's certificate, or one that issued it, has expired.",
        "The end date is in the past.",
        "Renew the server's certificate, which ended {not_after}, and restart the server; check this host's clock.",
    ),
    "tls_not_yet_valid": Verdict(
        "encryption",
        "The server's certificate is not valid yet.",
        "The begin date is in the future.",
        "Check this host's clock first; then the certificate's begin date.",
    ),
    "tls_version": Verdict(
        "encryption",
        "The server only speaks versions of TLS that are no longer safe.",
        "The handshake fails for want of a common version.",
        "Turn on TLS 1.2 or 1.3 on the server; older versions are not used.",
    ),
    "tls_handshake": Verdict(
        "encryption",
        "The encryption could not be negotiated.",
        "The handshake fails for another reason.",
        "If the server wants a client certificate, give client_cert and client_key. Otherwise compare the ciphers"
        " of both sides: {text}",
    ),
    "tls_timeout": Verdict(
        "encryption",
        "The server does not take part in the handshake.",
        "No complete handshake within the timeout.",
        "The port most likely does not speak TLS from the first byte: try security starttls. Or raise timeout.",
    ),
    "auth_required": Verdict(
        "signing in",
        "The server wants a sign-in, and the connector has none.",
        "A command is refused until someone signs in.",
        "Give username and password, or oauth2. If this host should be allowed without, add its address on the server.",
    ),
    "auth_unsupported": Verdict(
        "signing in",
        "The server offers no way to sign in that the connector may use.",
        "No common SASL mechanism, or a server without sign-in.",
        "The server offers: {offered}. Adjust mechanisms or auth; on a port without sign-in, use the submission"
        " port (587 or 465), or auth none where the server allows this host.",
    ),
    "auth_rejected": Verdict(
        "signing in",
        "The server refused this user's credentials.",
        "A refusal in reply to the sign-in.",
        "In this order: is {username} the name the server knows (often the whole address); does it need an app password"
        " because two-step sign-in is on; may this mailbox sign in over {protocol} at all; then the password itself."
        " Several failed attempts may lock the account. The server says: {text}",
    ),
    "auth_disabled": Verdict(
        "signing in",
        "Signing in this way is turned off on the server.",
        "The server says so, or announces that sign-in is disabled.",
        "Have the administrator turn it on for this mailbox, or use another way to sign in. The server says: {text}",
    ),
    "auth_temporary": Verdict(
        "signing in",
        "The server cannot check credentials just now.",
        "A temporary refusal in reply to the sign-in.",
        "Try again later; the credentials were not judged. If it stays, the server's user database is unavailable.",
    ),
    "token_endpoint": Verdict(
        "signing in",
        "The token endpoint cannot be reached, or what answers there is none.",
        "Any trouble with name, network, proxy or encryption while a token is fetched, or an answer that is none of a"
        " token endpoint.",
        "Check authority or token_url, and oauth2's proxy and ca_file. What happened: {text}",
    ),
    "token_tenant": Verdict(
        "signing in",
        "The tenant is not known there.",
        "The provider says that there is no such tenant, that it lives in another cloud, or that it must be named.",
        "Check tenant_id ({tenant_id}): it is under Overview in the Entra admin centre. If it is right, the tenant"
        " lives in another cloud: set cloud (now {cloud}). It says: {text}",
    ),
    "token_client": Verdict(
        "signing in",
        "The application is not known in the tenant, is disabled, or may not ask in this way.",
        "The provider says so of the client id.",
        "Check client_id ({client_id}): it is the Application (client) ID under App registrations in the Entra admin"
        " centre, not an Object ID. If it is right, it belongs to another tenant than tenant_id ({tenant_id}), or was"
        " deleted. It says: {text}",
    ),
    "token_secret": Verdict(
        "signing in",
        "The application's secret is wrong or missing.",
        "The provider refuses what the application proves itself with.",
        "Most often the secret's ID was given instead of its value: client_secret must be the value, which the Entra"
        " admin centre only shows when the secret is made (App registrations, Certificates & secrets). Else it belongs"
        " to another application than {client_id}. It says: {text}",
    ),
    "token_expired_secret": Verdict(
        "signing in",
        "The application's secret has expired.",
        "The provider says so.",
        "Create a new secret in the Entra admin centre (App registrations, Certificates & secrets) and give its value"
        " as client_secret; a certificate lasts longer. It says: {text}",
    ),
    "token_certificate": Verdict(
        "signing in",
        "What the application signs with, a certificate or an assertion, is refused.",
        "The provider says that the signature, the certificate, or the time or content of the assertion does not fit.",
        "In this order: was this certificate uploaded to the application {client_id} (Entra admin centre, App"
        " registrations, Certificates & secrets; compare the thumbprint); has it expired; is this host's clock right;"
        " does an assertion fit the federated credential. It says: {text}",
    ),
    "token_consent": Verdict(
        "signing in",
        "The application has no permission for what the token is asked for.",
        "The provider says that consent is missing, or that the scope or resource is not one that it may have.",
        "Add the permission (IMAP.AccessAsApp or SMTP.SendAsApp of Office 365 Exchange Online, or Mail.Send of"
        " Microsoft Graph) under API permissions of the application in the Entra admin centre, and press Grant admin"
        " consent there. It says: {text}",
    ),
    "token_user": Verdict(
        "signing in",
        "The user is not known there, or may not sign in.",
        "The provider refuses the user, or the user's password.",
        "In this order: is oauth2.username ({token_user}) the name that the user signs in with, and in this tenant"
        " ({tenant_id}), not a guest; is the account enabled and not locked; then the password itself. Several failed"
        " attempts lock the account. It says: {text}",
    ),
    "token_mfa": Verdict(
        "signing in",
        "The user must use multi-factor sign-in, which a password alone cannot do.",
        "The provider asks for a second factor or another interaction.",
        "A user's password cannot work here. Sign in as the application: leave oauth2.password out and give"
        " client_secret or certificate, with the permissions granted to the application. It says: {text}",
    ),
    "token_policy": Verdict(
        "signing in",
        "A policy of the organisation forbids this sign-in.",
        "The provider names Conditional Access, security defaults or another policy.",
        "Have an administrator look for this sign-in in the Entra admin centre (Sign-in logs, Conditional Access),"
        " which names the policy, and exclude the application or this host's address; or sign in as the application"
        " instead of a user. It says: {text}",
    ),
    "token_throttled": Verdict(
        "signing in",
        "The provider cannot issue a token just now.",
        "The provider asks to slow down, or names a passing fault.",
        "Try again in some minutes; nothing was judged. If it stays, lower the number of connectors that use the same"
        " application at once. It says: {text}",
    ),
    "mailbox_missing": Verdict(
        "mailbox",
        "There is no such mailbox.",
        "Selecting it is refused because it does not exist.",
        "Check mailbox: names are case-sensitive and may need a prefix such as INBOX. (with the server's separator).",
    ),
    "mailbox_denied": Verdict(
        "mailbox",
        "The user may not open this mailbox.",
        "Selecting it is refused for want of permission.",
        "Grant {username} the right to read the mailbox, or sign in as its owner.",
    ),
    "mailbox_full": Verdict(
        "mailbox",
        "The mailbox is full.",
        "The server says that the quota is used up.",
        "Delete mail or raise the quota; until then nothing can be delivered.",
    ),
    "sender_rejected": Verdict(
        "sending",
        "The server does not accept this sender.",
        "A refusal in reply to MAIL FROM.",
        "Set from_address (or errors_to, which is the envelope sender) to an address that {username} may send as,"
        " or grant that right on the server. It says: {text}",
    ),
    "recipient_rejected": Verdict(
        "sending",
        "The server does not accept this recipient.",
        "A refusal in reply to RCPT TO.",
        "Check test_address or to. The server says: {text}",
    ),
    "relay_denied": Verdict(
        "sending",
        "The server does not pass on mail to that domain for this client.",
        "A refusal to relay.",
        "Sign in (username and password) or have this host's address allowed to relay on {host}. It says: {text}",
    ),
    "message_too_large": Verdict(
        "sending",
        "The message is larger than the server accepts.",
        "The announced size is exceeded, or a refusal for size.",
        "Send less, or raise the server's limit ({size_limit}).",
    ),
    "message_rejected": Verdict(
        "sending",
        "The server refuses the message's content.",
        "A refusal in reply to the message.",
        "A filter or a policy on the server most likely objects: {text}",
    ),
    "throttled": Verdict(
        "sending",
        "The server wants this client to slow down.",
        "A temporary refusal for too much mail, too many connections, or an unknown client (greylisting).",
        "Try again in some minutes; lower the number of connectors that use this mailbox at once. It says: {text}",
    ),
    "delivery_timeout": Verdict(
        "sending",
        "The message was accepted but not found in the mailbox in time.",
        "The deadline passed.",
        "Look into the server's queue for the message id; raise deadline if delivery is slow.",
    ),
    "internal_error": Verdict(
        "ours",
        "The test itself failed.",
        "An error that the collection did not expect.",
        "This is a bug in mailroom.core ({text}), no fault of yours: run the task again with -vvv, which shows where"
        " it happened, and report that.",
    ),
}
