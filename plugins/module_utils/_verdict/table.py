# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The remedy of each verdict. The descriptions for the documentation are in docs/descriptions/verdicts.yml.

Placeholders such as {host} and {port} are filled with facts of the session. One that is not always known, as an
application that says what a server replied does not say all, stands alone in parentheses, which are then left out.
"""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "ok": "",
    "config_invalid": "Correct the declaration: {text}",
    "dns_not_found": (
        "Check the spelling of host ({host}). If the name exists only in an internal network, run the test from a host"
        " in that network."
    ),
    "dns_temporary": "Try again later. If it still fails, check the name servers that this host uses.",
    "connect_refused": (
        "Check port ({port}): SMTP submission uses 587 (starttls) or 465 (tls), IMAP uses 993 (tls) or 143 (starttls)."
        " If the port is right, check that the server is running and that no firewall rejects this host."
    ),
    "connect_timeout": (
        "A firewall most likely drops the connection to {host} port {port}: allow it from this host. Many networks"
        " block port 25: use 587 or 465."
    ),
    "connect_unreachable": "Check this host's routes, and that it has IPv6 if the server has only IPv6 addresses.",
    "connection_reset": (
        "A firewall, a rate limit or the server's access rules most likely closed the connection during {phase}: search"
        " the server's log for this host's address."
    ),
    "proxy_failed": (
        "Check proxy, proxy_username and proxy_password, and that the proxy allows {host} port {port}. Error: {text}"
    ),
    "greeting_timeout": (
        "The server is overloaded or delays unknown clients, or {port} is not a port of this protocol: check port, or"
        " raise timeout."
    ),
    "greeting_rejected": (
        "The server most likely refuses this host's address (block list, policy, or too many connections): ask its"
        " administrator to allow it. The server says: {text}"
    ),
    "client_blocked": (
        "Send over the provider's submission port (587 or 465) with a sign-in, or set up reverse DNS for this host's"
        " address and have it removed from the block list that the server names."
    ),
    "protocol_error": (
        "Check that port ({port}) is the port of this protocol on {host}: something else seems to answer there."
    ),
    "response_timeout": (
        "The server is overloaded or waits for something (a look-up, a scanner): raise timeout, or check the server's"
        " log."
    ),
    "host_not_ready": "This host is not ready for the task: {text}",
    "security_mismatch": "Set security to {better_security}.",
    "starttls_missing": (
        "Use an encrypted port (465 or 993 with security tls). Only if the server is inside a trusted network, set"
        " security to starttls_optional or none. If the server should offer STARTTLS, a device on the network path may"
        " remove it."
    ),
    "starttls_refused": (
        "The server most likely has no usable certificate: check the server's log. Until it is fixed, security tls on"
        " port 465 or 993 may work."
    ),
    "starttls_injection": (
        "Do not use this connection: an attacker on the network path may be tampering with it, or the server is"
        " outdated and must be updated. Security tls avoids STARTTLS."
    ),
    "tls_untrusted": (
        "If the certificate is from your own CA ({issuer}), set ca_file to the CA's certificate. If the CA is public,"
        " the server most likely does not send its intermediate certificate."
    ),
    "tls_name_mismatch": (
        "The certificate is issued for other names ({names}): set host to one of them, or have a certificate issued for"
        " {host}."
    ),
    "tls_expired": (
        "Renew the server's certificate, which has expired ({not_after}), and restart the server. If it is valid, check"
        " this host's clock."
    ),
    "tls_not_yet_valid": "Check this host's clock first, then the start date of the server's certificate.",
    "tls_version": "Enable TLS 1.2 or 1.3 on the server; older versions are not used.",
    "tls_handshake": (
        "If the server requires a client certificate, set client_cert and client_key. Otherwise compare the ciphers of"
        " both sides. Error: {text}"
    ),
    "tls_timeout": ("The port most likely does not start with TLS: set security to starttls, or raise timeout."),
    "auth_required": (
        "Set username and password, or oauth2. If this host should send without a sign-in, allow its address on the"
        " server."
    ),
    "auth_unsupported": (
        "Adjust mechanisms or auth to what the server offers ({offered}). If the port has no sign-in, use the"
        " submission port (587 or 465), or set auth to none if the server allows this host."
    ),
    "auth_rejected": (
        "Check in this order: is {username} the user name that the server expects (often the whole address); does the"
        " account need an app password because of multi-factor sign-in; may this mailbox sign in over {protocol}; is"
        " the password right. Several failed attempts may lock the account. The server says: {text}"
    ),
    "auth_disabled": (
        "Ask the administrator to enable this kind of sign-in for the mailbox, or use another one, such as oauth2. The"
        " server says: {text}"
    ),
    "auth_temporary": (
        "Try again later: the server could not check the credentials. If it still fails, the server's user database is"
        " unavailable."
    ),
    "token_endpoint": "Check authority or token_url, and oauth2's proxy and ca_file. Error: {text}",
    "token_tenant": (
        "Check tenant_id ({tenant_id}): it is under Overview in the Entra admin centre. If it is right, the tenant is"
        " in another cloud: set cloud (now {cloud}). The provider says: {text}"
    ),
    "token_client": (
        "Check client_id ({client_id}): it is the Application (client) ID under App registrations in the Entra admin"
        " centre, not an Object ID. If it is right, the application belongs to another tenant than tenant_id"
        " ({tenant_id}), or was deleted. The provider says: {text}"
    ),
    "token_secret": (
        "Most often the secret's ID was given instead of its value: client_secret must be the value, which the Entra"
        " admin centre shows only when the secret is created (App registrations, Certificates & secrets). Otherwise the"
        " secret belongs to another application than {client_id}. The provider says: {text}"
    ),
    "token_expired_secret": (
        "Create a new secret in the Entra admin centre (App registrations, Certificates & secrets) and give its value"
        " as client_secret; a certificate lasts longer. The provider says: {text}"
    ),
    "token_certificate": (
        "Check in this order: was this certificate uploaded to the application {client_id} (Entra admin centre, App"
        " registrations, Certificates & secrets; compare the thumbprint); has it expired; is this host's clock right;"
        " does an assertion match the federated credential. The provider says: {text}"
    ),
    "token_consent": (
        "Add the permission (IMAP.AccessAsApp or SMTP.SendAsApp of Office 365 Exchange Online, or Mail.Send of"
        " Microsoft Graph) under API permissions of the application in the Entra admin centre, and press Grant admin"
        " consent there. The provider says: {text}"
    ),
    "token_user": (
        "Check in this order: is oauth2.username ({token_user}) the name that the user signs in with; is it a member of"
        " this tenant ({tenant_id}), not a guest; is the account enabled and not locked; is the password right. Several"
        " failed attempts lock the account. The provider says: {text}"
    ),
    "token_mfa": (
        "A password alone is not enough for this user. Sign in as the application: leave oauth2.password out, set"
        " client_secret or certificate, and grant the permissions to the application. The provider says: {text}"
    ),
    "token_policy": (
        "Ask an administrator to find the policy in the Entra admin centre (Sign-in logs, Conditional Access) and to"
        " exclude the application or this host's address; or sign in as the application instead of a user. The provider"
        " says: {text}"
    ),
    "token_throttled": (
        "Try again in a few minutes: the credentials were not checked. If it still fails, lower the number of"
        " connectors that use the same application at once. The provider says: {text}"
    ),
    "mailbox_missing": (
        "Check mailbox: names are case-sensitive and may need a prefix such as INBOX. (with the server's separator)."
    ),
    "mailbox_denied": "Grant {username} the right to read the mailbox, or sign in as its owner.",
    "mailbox_full": "Delete mail or raise the quota; until then nothing can be delivered.",
    "sender_rejected": (
        "Set from_address (or errors_to, which is the envelope sender) to an address that {username} may send as,"
        " or grant that right on the server. The server says: {text}"
    ),
    "recipient_rejected": "Check the address of the recipient. The server says: {text}",
    "relay_denied": (
        "Sign in (username and password), or allow this host's address to relay on {host}. The server says: {text}"
    ),
    "message_too_large": "Send less, or raise the server's limit ({size_limit}).",
    "message_rejected": "A filter or a policy of the server most likely refused the message. The server says: {text}",
    "throttled": (
        "Try again in a few minutes, and lower the number of connectors that use this mailbox at once. The server says:"
        " {text}"
    ),
    "delivery_timeout": "Search the server's queue for the message id. If delivery is only slow, raise deadline.",
    "internal_error": (
        "This is a bug in mailroom.core ({text}): run the task again with -vvv, and report the traceback that it shows."
    ),
}
