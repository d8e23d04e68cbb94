# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Every verdict, with what to do about it. What the documentation says of them is in docs/descriptions/verdicts.yml.

In a remedy, {host}, {port} and the like stand for what is known of the conversation.
"""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "ok": "",
    "config_invalid": "Correct the declaration: {text}",
    "dns_not_found": (
        "Check the spelling of host ({host}). If the name is only known inside a network, run the test from a host"
        " in it."
    ),
    "dns_temporary": "Try again. If it stays, check the name servers of the host that the test runs on.",
    "connect_refused": (
        "Check port ({port}): submission is 587 (starttls) or 465 (tls), IMAP is 993 (tls) or 143 (starttls). If it"
        " is right, see whether the server runs and whether a firewall rejects this host."
    ),
    "connect_timeout": (
        "A firewall most likely drops the connection to {host} port {port}: allow it from this host. Many providers"
        " block port 25: use 587 or 465."
    ),
    "connect_unreachable": "Check this host's routes and whether it has IPv6 where only IPv6 addresses are offered.",
    "connection_reset": (
        "A firewall, a rate limit or a server that knows no such client most likely ended it during {phase}: look"
        " into the server's log for this host's address."
    ),
    "proxy_failed": (
        "Check proxy, proxy_username and proxy_password, and that the proxy allows {host} port {port}: {text}"
    ),
    "greeting_timeout": (
        "The server is overloaded, delays unknown clients, or {port} is not the port of this protocol: check port,"
        " or raise timeout."
    ),
    "greeting_rejected": (
        "The server most likely refuses this host's address (a block list, a policy, too many connections). It"
        " says: {text}"
    ),
    "client_blocked": (
        "Send over the provider's submission port (587 or 465) with a sign-in, or give this host's address a name in"
        " DNS and have it taken off the list that the server names."
    ),
    "protocol_error": (
        "Check that port ({port}) is the port of this protocol on {host}; something else seems to answer there."
    ),
    "response_timeout": (
        "The server is overloaded or waits for something (a look-up, a scanner): raise timeout, or look into its log."
    ),
    "host_not_ready": "This host is not ready for the task: {text}",
    "security_mismatch": "Set security to {better_security}.",
    "starttls_missing": (
        "Use a port with encryption (465 or 993 with security tls). If this server is only reached within a trusted"
        " network, starttls_optional or none say so explicitly. If it should offer STARTTLS, something in between"
        " may remove it."
    ),
    "starttls_refused": (
        "The server most likely has no usable certificate: look into its log. Security tls on port 465 or 993 may"
        " work meanwhile."
    ),
    "starttls_injection": (
        "Do not use this connection: something in between may be tampering with it, or the server is outdated and"
        " must be updated. Security tls avoids STARTTLS."
    ),
    "tls_untrusted": (
        "If the certificate is from an authority of your own ({issuer}), name its certificate with ca_file. If the"
        " issuer is public, the server most likely does not send its intermediate certificate."
    ),
    "tls_name_mismatch": (
        "The certificate is issued for: {names}. Set host to one of these, or have a certificate issued for {host}."
    ),
    "tls_expired": (
        "Renew the server's certificate, which ended {not_after}, and restart the server; check this host's clock."
    ),
    "tls_not_yet_valid": "Check this host's clock first; then the certificate's begin date.",
    "tls_version": "Turn on TLS 1.2 or 1.3 on the server; older versions are not used.",
    "tls_handshake": (
        "If the server wants a client certificate, give client_cert and client_key. Otherwise compare the ciphers"
        " of both sides: {text}"
    ),
    "tls_timeout": (
        "The port most likely does not speak TLS from the first byte: try security starttls. Or raise timeout."
    ),
    "auth_required": (
        "Give username and password, or oauth2. If this host should be allowed without, add its address on the server."
    ),
    "auth_unsupported": (
        "The server offers: {offered}. Adjust mechanisms or auth; on a port without sign-in, use the submission"
        " port (587 or 465), or auth none where the server allows this host."
    ),
    "auth_rejected": (
        "In this order: is {username} the name the server knows (often the whole address); does it need an app password"
        " because two-step sign-in is on; may this mailbox sign in over {protocol} at all; then the password itself."
        " Several failed attempts may lock the account. The server says: {text}"
    ),
    "auth_disabled": (
        "Have the administrator turn it on for this mailbox, or use another way to sign in. The server says: {text}"
    ),
    "auth_temporary": (
        "Try again later; the credentials were not judged. If it stays, the server's user database is unavailable."
    ),
    "token_endpoint": "Check authority or token_url, and oauth2's proxy and ca_file. What happened: {text}",
    "token_tenant": (
        "Check tenant_id ({tenant_id}): it is under Overview in the Entra admin centre. If it is right, the tenant"
        " lives in another cloud: set cloud (now {cloud}). It says: {text}"
    ),
    "token_client": (
        "Check client_id ({client_id}): it is the Application (client) ID under App registrations in the Entra admin"
        " centre, not an Object ID. If it is right, it belongs to another tenant than tenant_id ({tenant_id}), or was"
        " deleted. It says: {text}"
    ),
    "token_secret": (
        "Most often the secret's ID was given instead of its value: client_secret must be the value, which the Entra"
        " admin centre only shows when the secret is made (App registrations, Certificates & secrets). Else it belongs"
        " to another application than {client_id}. It says: {text}"
    ),
    "token_expired_secret": (
        "Create a new secret in the Entra admin centre (App registrations, Certificates & secrets) and give its value"
        " as client_secret; a certificate lasts longer. It says: {text}"
    ),
    "token_certificate": (
        "In this order: was this certificate uploaded to the application {client_id} (Entra admin centre, App"
        " registrations, Certificates & secrets; compare the thumbprint); has it expired; is this host's clock right;"
        " does an assertion fit the federated credential. It says: {text}"
    ),
    "token_consent": (
        "Add the permission (IMAP.AccessAsApp or SMTP.SendAsApp of Office 365 Exchange Online, or Mail.Send of"
        " Microsoft Graph) under API permissions of the application in the Entra admin centre, and press Grant admin"
        " consent there. It says: {text}"
    ),
    "token_user": (
        "In this order: is oauth2.username ({token_user}) the name that the user signs in with, and in this tenant"
        " ({tenant_id}), not a guest; is the account enabled and not locked; then the password itself. Several failed"
        " attempts lock the account. It says: {text}"
    ),
    "token_mfa": (
        "A user's password cannot work here. Sign in as the application: leave oauth2.password out and give"
        " client_secret or certificate, with the permissions granted to the application. It says: {text}"
    ),
    "token_policy": (
        "Have an administrator look for this sign-in in the Entra admin centre (Sign-in logs, Conditional Access),"
        " which names the policy, and exclude the application or this host's address; or sign in as the application"
        " instead of a user. It says: {text}"
    ),
    "token_throttled": (
        "Try again in some minutes; nothing was judged. If it stays, lower the number of connectors that use the same"
        " application at once. It says: {text}"
    ),
    "mailbox_missing": (
        "Check mailbox: names are case-sensitive and may need a prefix such as INBOX. (with the server's separator)."
    ),
    "mailbox_denied": "Grant {username} the right to read the mailbox, or sign in as its owner.",
    "mailbox_full": "Delete mail or raise the quota; until then nothing can be delivered.",
    "sender_rejected": (
        "Set from_address (or errors_to, which is the envelope sender) to an address that {username} may send as,"
        " or grant that right on the server. It says: {text}"
    ),
    "recipient_rejected": "Check test_address or to. The server says: {text}",
    "relay_denied": (
        "Sign in (username and password) or have this host's address allowed to relay on {host}. It says: {text}"
    ),
    "message_too_large": "Send less, or raise the server's limit ({size_limit}).",
    "message_rejected": "A filter or a policy on the server most likely objects: {text}",
    "throttled": (
        "Try again in some minutes; lower the number of connectors that use this mailbox at once. It says: {text}"
    ),
    "delivery_timeout": "Look into the server's queue for the message id; raise deadline if delivery is slow.",
    "internal_error": (
        "This is a bug in mailroom.core ({text}), no fault of yours: run the task again with -vvv, which shows where"
        " it happened, and report that."
    ),
}
