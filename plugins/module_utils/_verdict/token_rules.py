# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What it means when there is no token, or a server does not accept the one that was issued; for every provider."""

from __future__ import annotations

from .observation import Kind
from .rule import CERTAIN, IT_SAYS, LIKELY, POSSIBLE, Rule, oauth_error

_ANY: tuple[Kind, ...] = ("token", "token_google")
_SERVER = "authority or token_url ({token_server})"


def _unreachable(certainty: str, kind: Kind | tuple[Kind, ...], remedy: str, **pattern: str) -> Rule:
    """Trouble on the way to the token endpoint."""
    return Rule("token_endpoint", certainty, kind, phases=("token",), remedy=remedy, **pattern)


_EXCHANGE = (
    "The token was issued, and Exchange does not accept it. It says of itself: {claims}. In this order: 1. Register"
    " the application's service principal in Exchange: New-ServicePrincipal -AppId {client_id} -ObjectId … 2. Was"
    " the Object ID for that taken from Enterprise applications? The one under App registrations does not work; the"
    " right one is the token's oid. 3. Grant it the mailbox: Add-MailboxPermission -Identity {username} -User …"
    " -AccessRights FullAccess, and IMAP.AccessAsApp or SMTP.SendAsApp with admin consent (roles). 4. Is username"
    " ({username}) the mailbox itself, and not an alias or the application. 5. Is aud the address of Outlook: leave"
    " scope out, and check cloud ({cloud}). Changes take up to an hour."
)
_GMAIL = (
    "The token was issued, and the server does not accept it. In this order: is username ({username}) the user that"
    " oauth2.username names ({token_user}); is scope https://mail.google.com/; does that user have Gmail; is IMAP"
    " allowed for the user in the admin console (Apps, Google Workspace, Gmail, End User Access)."
)
_MAIL_SERVER = (
    "The token was issued, and the server does not accept it. It says of itself: {claims}. In this order: is {username}"
    " the name that the server finds in the token; is the token meant for this server (aud, scope); does the server"
    " trust the provider that issued it, and can it ask that provider; do both clocks agree."
)
TOKEN_CONNECTION_RULES: tuple[Rule, ...] = (
    Rule(
        "token_endpoint",
        LIKELY,
        "no_identity_service",
        remedy=(
            "No identity service answers on this host ({text}). managed_identity only works where the test runs on a"
            " machine in Azure with an identity, or on one joined by Azure Arc: turn the identity on there, or use"
            " another way to sign in."
        ),
    ),
    _unreachable(CERTAIN, "not_found", f"There is no host by the name in {_SERVER}: check its spelling."),
    _unreachable(
        LIKELY, "name_temporary", f"The name in {_SERVER} could not be looked up just now ({{text}}). Try again."
    ),
    _unreachable(
        CERTAIN,
        "proxy",
        "The proxy does not let the connection to {token_server} through: {text}. Check oauth2.proxy, proxy_username"
        " and proxy_password.",
    ),
    _unreachable(
        CERTAIN,
        "refused",
        f"Nothing answers at {_SERVER}: the connection is refused. Check it, or allow it in the firewall.",
    ),
    _unreachable(
        CERTAIN,
        "unreachable",
        f"There is no way to {_SERVER} from this host: {{text}}. Where only a proxy leads out, name it in"
        " oauth2.proxy.",
    ),
    _unreachable(
        CERTAIN,
        ("certificate", "issuer_expired"),
        "The certificate of {token_server} has expired. Something in between may show another one: its issuer is"
        " {issuer}. Check this host's clock too.",
        reply="10 ",
    ),
    _unreachable(
        CERTAIN,
        "certificate",
        f"The certificate is for another name than {_SERVER}: it has {{names}}.",
        reply="(62|63|64) ",
    ),
    _unreachable(
        CERTAIN,
        "certificate",
        "The certificate of {token_server} is not trusted ({text}); its issuer is {issuer}. Where a proxy of your own"
        " opens encrypted connections, name its certificate in oauth2.ca_file.",
    ),
    _unreachable(
        CERTAIN,
        ("tls", "speaks_plain"),
        f"Encryption with {_SERVER} could not be started ({{text}}): check the port, and whether something in between"
        " interferes.",
    ),
    _unreachable(
        LIKELY,
        "timeout",
        f"No answer in time from {_SERVER}, while {{step}}. A firewall most likely drops the connection: allow it from"
        " this host, or name the way out in oauth2.proxy.",
    ),
    _unreachable(
        LIKELY,
        ("reset", "closed"),
        f"The connection to {_SERVER} was ended without a word, while {{step}}: a firewall or a proxy in between most"
        " likely did it. Name the way out in oauth2.proxy.",
    ),
    _unreachable(LIKELY, "protocol", f"What answers at {_SERVER} does not speak HTTP as it should: {{text}}"),
)
TOKEN_RULES: tuple[Rule, ...] = (
    Rule("token_throttled", CERTAIN, _ANY, reply="429 "),
    Rule("token_throttled", CERTAIN, _ANY, reply=oauth_error("temporarily_unavailable", "slow_down")),
    Rule("token_consent", CERTAIN, _ANY, reply=rf"{oauth_error('consent_required')}|.*\sconsent_required(?![\w-])"),
    Rule("token_mfa", LIKELY, _ANY, reply=oauth_error("interaction_required")),
    Rule("token_tenant", CERTAIN, _ANY, reply=oauth_error("invalid_tenant")),
    Rule(
        "token_certificate",
        LIKELY,
        _ANY,
        reply=oauth_error("invalid_client"),
        text="certificate|assertion|signature|thumbprint",
    ),
    Rule(
        "token_secret",
        LIKELY,
        _ANY,
        reply=oauth_error("invalid_client"),
        remedy=(
            "The provider does not know the application by what it shows. In this order: is client_id ({client_id})"
            " complete; is client_secret the secret's value, not its id, and not expired; does the application belong"
            f" to this tenant or provider ({{token_server}}).{IT_SAYS}"
        ),
    ),
    Rule(
        "token_client",
        CERTAIN,
        _ANY,
        reply=oauth_error("unauthorized_client"),
        remedy=(
            "The application ({client_id}) may not get a token in this way: look at the application at the provider,"
            f" and turn on the grant that is used (client credentials, or password).{IT_SAYS}"
        ),
    ),
    Rule("token_consent", CERTAIN, _ANY, reply=oauth_error("access_denied", "invalid_resource", "invalid_target")),
    Rule(
        "token_consent",
        CERTAIN,
        _ANY,
        reply=oauth_error("invalid_scope"),
        remedy=(
            "The provider does not know the scope ({scope}), or the application may not have it: correct scope, or"
            f" have it granted.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        _ANY,
        reply=oauth_error("invalid_grant", "login_required"),
        remedy=(
            "The provider ({token_server}) refuses the user or the grant. Where oauth2 has a username, check it and"
            f" its password; else look at the application at the provider, and at what it may ask for.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_endpoint",
        CERTAIN,
        _ANY,
        reply=oauth_error("unsupported_grant_type"),
        remedy=(
            "The server at {token_server} does not offer this way to get a token: check token_url, or turn on client"
            f" credentials at the provider.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply=rf"{oauth_error('server_error')}|5\d\d ",
        remedy=f"The token endpoint ({{token_server}}) has trouble of its own: try again in some minutes.{IT_SAYS}",
    ),
    Rule(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply="(404|405|410) ",
        remedy=f"There is no token endpoint at that address: check {_SERVER}, tenant_id and cloud.{IT_SAYS}",
    ),
    Rule(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply="3.. ",
        remedy=(
            "What answers at {token_server} sends elsewhere, where no secret is taken: give the right address in"
            " authority or token_url. A sign-in page of a network in between does this too."
        ),
    ),
    Rule("token_endpoint", POSSIBLE, _ANY),
)
REFUSED_TOKEN_RULES: tuple[Rule, ...] = (
    Rule("auth_rejected", LIKELY, "token_refused_microsoft", remedy=f"{_EXCHANGE}{IT_SAYS}"),
    Rule("auth_rejected", LIKELY, "token_refused_google", remedy=f"{_GMAIL}{IT_SAYS}"),
    Rule("auth_rejected", LIKELY, "token_refused", remedy=f"{_MAIL_SERVER}{IT_SAYS}"),
)
