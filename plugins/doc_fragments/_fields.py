# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.
# It is generated from plugins/module_utils/_connector/fields.py by tests/update_fragments.py.

from __future__ import annotations


class ModuleDocFragment:
    """The fields of a connector, wherever a module takes them."""

    DOCUMENTATION = r"""
options:
  display_name:
    description:
      - 'A name to show, 1 to 64 characters. Default: the connector''s name.'
    type: str
  description:
    description:
      - What the connector is for, at most 1000 characters.
    type: str
  enabled:
    description:
      - 'A disabled connector is kept but never used. Default: V(true).'
    type: bool
  provider:
    description:
      - A preset that fills host, port and security of O(smtp) and O(imap); what is given explicitly wins.
      - It is resolved when it is written, so that an upgrade of the collection moves no connector.
      - 'V(custom), or left out: nothing is filled.'
      - Case is ignored. Other names, as V(office365) or V(gsuite), are understood and kept as the preset's own.
      - V(ses) is Amazon's region us-east-1; other regions are named like V(ses_eu_west_1).
      - One of V(custom), V(gmail), V(workspace_relay), V(microsoft365), V(outlook_com), V(ses), V(sendgrid), V(mailgun),
        V(postmark), V(mailjet), V(brevo), V(sparkpost), V(zoho), V(yahoo), V(icloud), V(fastmail), V(proton).
    type: str
  from_address:
    description:
      - The address that the From header shows.
      - As everywhere, an international domain may have the letters, marks and digits of Unicode 3.2 that every
        version of IDNA encodes alike. Other names, such as those with V(ß), are written in their ASCII form, V(xn--…).
    type: str
  from_name:
    description:
      - The name that the From header shows.
    type: str
  signature:
    description:
      - Added to mail that the collection sends, at most 250 characters.
    type: str
  reply_to:
    description:
      - Where answers go.
    type: str
  errors_to:
    description:
      - 'The envelope sender: where bounces go.'
    type: str
  cc:
    description:
      - Who gets a copy.
    type: list
    elements: str
  bcc:
    description:
      - Who gets a copy without being named in a header.
    type: list
    elements: str
  headers:
    description:
      - Custom headers. None that the message itself or the mail system sets.
      - The message sets From, To, Cc, Bcc, Reply-To, Sender, Subject, Date, Message-ID, MIME-Version, Content-*.
      - Mail servers set Received, Return-Path, Delivered-To, DKIM-Signature, Authentication-Results, Resent-*.
      - The dictionary is replaced as a whole.
    type: dict
  test_address:
    description:
      - 'Where test mail goes when the task names nobody. Default: the user who signs in, if that is an address,
        else O(from_address), else the mailbox of O(graph).'
    type: str
  available_to:
    description:
      - 'The tenants that may use the connector. Empty: all.'
    type: list
    elements: str
  smtp:
    description:
      - The server that sends. V({}) clears the block in M(mailroom.core.connector).
    type: dict
    suboptions:
      host:
        description:
          - The server's name or IP address.
          - An international name follows the rule of O(from_address).
          - Filled by O(provider) where that names one.
        type: str
      port:
        description:
          - 'The server''s port. Default: 465, 587 or 25, as O(smtp.security) is.'
        type: int
      security:
        description:
          - 'How the connection is encrypted: V(tls) from the first byte, V(starttls) after the server was asked,
            and required, V(starttls_optional) where the server offers it, V(none) never.'
          - 'Default: V(tls) on ports 465 and 2465, else V(starttls). It is never V(none) unless that is written.'
          - One of V(none), V(starttls), V(starttls_optional), V(tls).
        type: str
      uri:
        description:
          - Host and port in one, V(smtp://host:port) or V(smtps://host), in place of O(smtp.host) and O(smtp.port).
          - A V(;) is accepted before the port. V(smtps) means O(smtp.security=tls).
        type: str
      auth:
        description:
          - How to sign in.
          - 'Default: V(password) where a user and a password are there, V(oauth2) where O(oauth2) is there and
            no password, else V(none).'
          - V(none) drops a stored password.
          - One of V(none), V(password), V(oauth2).
        type: str
      mechanisms:
        description:
          - 'The SASL mechanisms that may be used. Default: what is safe and offered.'
          - V(CRAM-MD5) is only used where it is named here.
          - One of V(PLAIN), V(LOGIN), V(CRAM-MD5), V(SCRAM-SHA-1), V(SCRAM-SHA-256), V(OAUTHBEARER), V(XOAUTH2).
        type: list
        elements: str
      username:
        description:
          - Who signs in. It may differ from O(from_address).
          - With nothing to sign in with, neither a password nor O(oauth2), it is an error unless C(auth) is V(none).
        type: str
      password:
        description:
          - The password or app password, taken literally and stored sealed.
          - 'A value in a variable that is not set must not erase it: an empty text is an error.'
        type: str
      same_credentials:
        description:
          - 'Sign in as the O(imap) block does. Default: V(false).'
          - Replaces O(smtp.auth), O(smtp.username) and O(smtp.password).
        type: bool
      relay:
        description:
          - 'Whether the server relays mail of foreign sender domains. Default: V(false).'
          - Without it, an O(from_address) in another domain than the user's is a warning in a test.
        type: bool
      ehlo_name:
        description:
          - 'The name to greet the server with. Default: this host''s name.'
        type: str
      validate_certs:
        description:
          - 'Whether the server''s certificate and name are checked. Default: V(true).'
        type: bool
      ca_file:
        description:
          - 'The certificates to trust, in PEM, on the host where the connector is used. Default: the system''s.'
        type: path
      client_cert:
        description:
          - The client certificate in PEM, with its key unless that is in a file of its own.
        type: path
      client_key:
        description:
          - The key of the client certificate in PEM.
        type: path
      proxy:
        description:
          - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
          - User and password belong in O(smtp.proxy_username) and O(smtp.proxy_password).
        type: str
      proxy_username:
        description:
          - Who signs in at the proxy.
        type: str
      proxy_password:
        description:
          - The password of O(smtp.proxy_username).
        type: str
  imap:
    description:
      - The server that is read. A connector with nothing but this block only receives.
    type: dict
    suboptions:
      host:
        description:
          - The server's name or IP address.
          - An international name follows the rule of O(from_address).
          - Filled by O(provider) where that names one.
        type: str
      port:
        description:
          - 'The server''s port. Default: 993 or 143, as O(imap.security) is.'
        type: int
      security:
        description:
          - 'How the connection is encrypted: V(tls) from the first byte, V(starttls) after the server was asked,
            and required, V(starttls_optional) where the server offers it, V(none) never.'
          - 'Default: V(starttls) on port 143, else V(tls). It is never V(none) unless that is written.'
          - One of V(none), V(starttls), V(starttls_optional), V(tls).
        type: str
      auth:
        description:
          - How to sign in.
          - 'Default: V(password) where a user and a password are there, V(oauth2) where O(oauth2) is there and
            no password, else V(none).'
          - V(none) drops a stored password.
          - One of V(none), V(password), V(oauth2).
        type: str
      mechanisms:
        description:
          - 'The SASL mechanisms that may be used. Default: what is safe and offered.'
          - V(CRAM-MD5) is only used where it is named here.
          - One of V(PLAIN), V(LOGIN), V(CRAM-MD5), V(SCRAM-SHA-1), V(SCRAM-SHA-256), V(OAUTHBEARER), V(XOAUTH2).
        type: list
        elements: str
      username:
        description:
          - Who signs in. It may differ from O(from_address).
          - With nothing to sign in with, neither a password nor O(oauth2), it is an error unless C(auth) is V(none).
        type: str
      password:
        description:
          - The password or app password, taken literally and stored sealed.
          - 'A value in a variable that is not set must not erase it: an empty text is an error.'
        type: str
      mailbox:
        description:
          - 'The mailbox to read. Default: V(INBOX).'
        type: str
      validate_certs:
        description:
          - 'Whether the server''s certificate and name are checked. Default: V(true).'
        type: bool
      ca_file:
        description:
          - 'The certificates to trust, in PEM, on the host where the connector is used. Default: the system''s.'
        type: path
      client_cert:
        description:
          - The client certificate in PEM, with its key unless that is in a file of its own.
        type: path
      client_key:
        description:
          - The key of the client certificate in PEM.
        type: path
      proxy:
        description:
          - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
          - User and password belong in O(imap.proxy_username) and O(imap.proxy_password).
        type: str
      proxy_username:
        description:
          - Who signs in at the proxy.
        type: str
      proxy_password:
        description:
          - The password of O(imap.proxy_username).
        type: str
  graph:
    description:
      - Sends and reads over Microsoft Graph. Needs O(oauth2) and excludes O(smtp) and O(imap).
    type: dict
    suboptions:
      mailbox:
        description:
          - 'The mailbox to use. Default: O(oauth2.username).'
        type: str
      url:
        description:
          - Replaces the cloud's endpoint, as V(https://host) or V(https://host:port), without the version.
        type: str
      save_to_sent:
        description:
          - 'Whether sent mail is kept in Sent Items. Default: V(true).'
        type: bool
      ca_file:
        description:
          - 'The certificates to trust, in PEM. Default: the system''s.'
        type: path
      proxy:
        description:
          - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
          - User and password belong in O(graph.proxy_username) and O(graph.proxy_password).
        type: str
      proxy_username:
        description:
          - Who signs in at the proxy.
        type: str
      proxy_password:
        description:
          - The password of O(graph.proxy_username).
        type: str
  oauth2:
    description:
      - Who signs in where O(smtp.auth) or O(imap.auth) is V(oauth2), and for O(graph).
      - 'One way at a time: O(oauth2.client_secret), O(oauth2.certificate), O(oauth2.certificate_file), O(oauth2.assertion_file),
        O(oauth2.managed_identity) or O(oauth2.service_account).'
      - Giving one replaces another that is stored.
    type: dict
    suboptions:
      tenant_id:
        description:
          - 'The Microsoft tenant: its id or one of its domain names.'
        type: str
      client_id:
        description:
          - The registered application's id.
        type: str
      client_secret:
        description:
          - 'The application''s secret: its value, not its id.'
        type: str
      client_secret_expires:
        description:
          - The day on which O(oauth2.client_secret) expires, as V(2027-05-31).
          - 'For warnings only: a test warns when that day is near.'
        type: str
      certificate:
        description:
          - The application's certificate and key as PEM text.
        type: str
      certificate_file:
        description:
          - The application's certificate and key in a PEM or PFX file, read at each use.
        type: path
      certificate_passphrase:
        description:
          - What unlocks the certificate's key.
        type: str
      assertion_file:
        description:
          - A file with a federated assertion, read at each use.
        type: path
      managed_identity:
        description:
          - V(system), or the client id of a user-assigned identity.
        type: str
      service_account:
        description:
          - A Google service account key. Needs O(oauth2.username), the user that it acts for.
        type: json
      username:
        description:
          - The user of the resource-owner flow, or whom a service account acts for, or the mailbox's address.
        type: str
      password:
        description:
          - The user's password, for the resource-owner flow. It is always warned about, since it cannot work with
            multi-factor sign-in.
        type: str
      cloud:
        description:
          - 'The Microsoft cloud that the tenant lives in. Default: V(global).'
          - One of V(global), V(us_gov), V(us_gov_dod), V(china).
        type: str
      authority:
        description:
          - Replaces the cloud's sign-in address, as V(https://host) or V(https://host:port), without the tenant.
        type: str
      token_url:
        description:
          - The token endpoint of any other provider, for client credentials.
        type: str
      scope:
        description:
          - 'What the token is asked for. Default: what the protocol needs.'
        type: str
      ca_file:
        description:
          - 'The certificates to trust, in PEM. Default: the system''s.'
        type: path
      proxy:
        description:
          - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
          - User and password belong in O(oauth2.proxy_username) and O(oauth2.proxy_password).
        type: str
      proxy_username:
        description:
          - Who signs in at the proxy.
        type: str
      proxy_password:
        description:
          - The password of O(oauth2.proxy_username).
        type: str
"""

    LIST = r"""
options:
  connectors:
    description:
      - 'The connectors, each as a whole: what an entry leaves out returns to its default, secrets excepted.'
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - 'The connector''s name: 1 to 50 letters, digits or underscores.'
        type: str
        required: true
      display_name:
        description:
          - 'A name to show, 1 to 64 characters. Default: the connector''s name.'
        type: str
      description:
        description:
          - What the connector is for, at most 1000 characters.
        type: str
      enabled:
        description:
          - 'A disabled connector is kept but never used. Default: V(true).'
        type: bool
      provider:
        description:
          - A preset that fills host, port and security of O(connectors[].smtp) and O(connectors[].imap); what is
            given explicitly wins.
          - It is resolved when it is written, so that an upgrade of the collection moves no connector.
          - 'V(custom), or left out: nothing is filled.'
          - Case is ignored. Other names, as V(office365) or V(gsuite), are understood and kept as the preset's
            own.
          - V(ses) is Amazon's region us-east-1; other regions are named like V(ses_eu_west_1).
          - One of V(custom), V(gmail), V(workspace_relay), V(microsoft365), V(outlook_com), V(ses), V(sendgrid),
            V(mailgun), V(postmark), V(mailjet), V(brevo), V(sparkpost), V(zoho), V(yahoo), V(icloud), V(fastmail),
            V(proton).
        type: str
      from_address:
        description:
          - The address that the From header shows.
          - As everywhere, an international domain may have the letters, marks and digits of Unicode 3.2 that every
            version of IDNA encodes alike. Other names, such as those with V(ß), are written in their ASCII form,
            V(xn--…).
        type: str
      from_name:
        description:
          - The name that the From header shows.
        type: str
      signature:
        description:
          - Added to mail that the collection sends, at most 250 characters.
        type: str
      reply_to:
        description:
          - Where answers go.
        type: str
      errors_to:
        description:
          - 'The envelope sender: where bounces go.'
        type: str
      cc:
        description:
          - Who gets a copy.
        type: list
        elements: str
      bcc:
        description:
          - Who gets a copy without being named in a header.
        type: list
        elements: str
      headers:
        description:
          - Custom headers. None that the message itself or the mail system sets.
          - The message sets From, To, Cc, Bcc, Reply-To, Sender, Subject, Date, Message-ID, MIME-Version, Content-*.
          - Mail servers set Received, Return-Path, Delivered-To, DKIM-Signature, Authentication-Results, Resent-*.
          - The dictionary is replaced as a whole.
        type: dict
      test_address:
        description:
          - 'Where test mail goes when the task names nobody. Default: the user who signs in, if that is an address,
            else O(connectors[].from_address), else the mailbox of O(connectors[].graph).'
        type: str
      available_to:
        description:
          - 'The tenants that may use the connector. Empty: all.'
        type: list
        elements: str
      smtp:
        description:
          - The server that sends. V({}) clears the block in M(mailroom.core.connector).
        type: dict
        suboptions:
          host:
            description:
              - The server's name or IP address.
              - An international name follows the rule of O(connectors[].from_address).
              - Filled by O(connectors[].provider) where that names one.
            type: str
          port:
            description:
              - 'The server''s port. Default: 465, 587 or 25, as O(connectors[].smtp.security) is.'
            type: int
          security:
            description:
              - 'How the connection is encrypted: V(tls) from the first byte, V(starttls) after the server was asked,
                and required, V(starttls_optional) where the server offers it, V(none) never.'
              - 'Default: V(tls) on ports 465 and 2465, else V(starttls). It is never V(none) unless that is written.'
              - One of V(none), V(starttls), V(starttls_optional), V(tls).
            type: str
          uri:
            description:
              - Host and port in one, V(smtp://host:port) or V(smtps://host), in place of O(connectors[].smtp.host)
                and O(connectors[].smtp.port).
              - A V(;) is accepted before the port. V(smtps) means O(connectors[].smtp.security=tls).
            type: str
          auth:
            description:
              - How to sign in.
              - 'Default: V(password) where a user and a password are there, V(oauth2) where O(connectors[].oauth2)
                is there and no password, else V(none).'
              - V(none) drops a stored password.
              - One of V(none), V(password), V(oauth2).
            type: str
          mechanisms:
            description:
              - 'The SASL mechanisms that may be used. Default: what is safe and offered.'
              - V(CRAM-MD5) is only used where it is named here.
              - One of V(PLAIN), V(LOGIN), V(CRAM-MD5), V(SCRAM-SHA-1), V(SCRAM-SHA-256), V(OAUTHBEARER), V(XOAUTH2).
            type: list
            elements: str
          username:
            description:
              - Who signs in. It may differ from O(connectors[].from_address).
              - With nothing to sign in with, neither a password nor O(connectors[].oauth2), it is an error unless
                C(auth) is V(none).
            type: str
          password:
            description:
              - The password or app password, taken literally and stored sealed.
              - 'A value in a variable that is not set must not erase it: an empty text is an error.'
            type: str
          same_credentials:
            description:
              - 'Sign in as the O(connectors[].imap) block does. Default: V(false).'
              - Replaces O(connectors[].smtp.auth), O(connectors[].smtp.username) and O(connectors[].smtp.password).
            type: bool
          relay:
            description:
              - 'Whether the server relays mail of foreign sender domains. Default: V(false).'
              - Without it, an O(connectors[].from_address) in another domain than the user's is a warning in a
                test.
            type: bool
          ehlo_name:
            description:
              - 'The name to greet the server with. Default: this host''s name.'
            type: str
          validate_certs:
            description:
              - 'Whether the server''s certificate and name are checked. Default: V(true).'
            type: bool
          ca_file:
            description:
              - 'The certificates to trust, in PEM, on the host where the connector is used. Default: the system''s.'
            type: path
          client_cert:
            description:
              - The client certificate in PEM, with its key unless that is in a file of its own.
            type: path
          client_key:
            description:
              - The key of the client certificate in PEM.
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(connectors[].smtp.proxy_username) and O(connectors[].smtp.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(connectors[].smtp.proxy_username).
            type: str
      imap:
        description:
          - The server that is read. A connector with nothing but this block only receives.
        type: dict
        suboptions:
          host:
            description:
              - The server's name or IP address.
              - An international name follows the rule of O(connectors[].from_address).
              - Filled by O(connectors[].provider) where that names one.
            type: str
          port:
            description:
              - 'The server''s port. Default: 993 or 143, as O(connectors[].imap.security) is.'
            type: int
          security:
            description:
              - 'How the connection is encrypted: V(tls) from the first byte, V(starttls) after the server was asked,
                and required, V(starttls_optional) where the server offers it, V(none) never.'
              - 'Default: V(starttls) on port 143, else V(tls). It is never V(none) unless that is written.'
              - One of V(none), V(starttls), V(starttls_optional), V(tls).
            type: str
          auth:
            description:
              - How to sign in.
              - 'Default: V(password) where a user and a password are there, V(oauth2) where O(connectors[].oauth2)
                is there and no password, else V(none).'
              - V(none) drops a stored password.
              - One of V(none), V(password), V(oauth2).
            type: str
          mechanisms:
            description:
              - 'The SASL mechanisms that may be used. Default: what is safe and offered.'
              - V(CRAM-MD5) is only used where it is named here.
              - One of V(PLAIN), V(LOGIN), V(CRAM-MD5), V(SCRAM-SHA-1), V(SCRAM-SHA-256), V(OAUTHBEARER), V(XOAUTH2).
            type: list
            elements: str
          username:
            description:
              - Who signs in. It may differ from O(connectors[].from_address).
              - With nothing to sign in with, neither a password nor O(connectors[].oauth2), it is an error unless
                C(auth) is V(none).
            type: str
          password:
            description:
              - The password or app password, taken literally and stored sealed.
              - 'A value in a variable that is not set must not erase it: an empty text is an error.'
            type: str
          mailbox:
            description:
              - 'The mailbox to read. Default: V(INBOX).'
            type: str
          validate_certs:
            description:
              - 'Whether the server''s certificate and name are checked. Default: V(true).'
            type: bool
          ca_file:
            description:
              - 'The certificates to trust, in PEM, on the host where the connector is used. Default: the system''s.'
            type: path
          client_cert:
            description:
              - The client certificate in PEM, with its key unless that is in a file of its own.
            type: path
          client_key:
            description:
              - The key of the client certificate in PEM.
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(connectors[].imap.proxy_username) and O(connectors[].imap.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(connectors[].imap.proxy_username).
            type: str
      graph:
        description:
          - Sends and reads over Microsoft Graph. Needs O(connectors[].oauth2) and excludes O(connectors[].smtp)
            and O(connectors[].imap).
        type: dict
        suboptions:
          mailbox:
            description:
              - 'The mailbox to use. Default: O(connectors[].oauth2.username).'
            type: str
          url:
            description:
              - Replaces the cloud's endpoint, as V(https://host) or V(https://host:port), without the version.
            type: str
          save_to_sent:
            description:
              - 'Whether sent mail is kept in Sent Items. Default: V(true).'
            type: bool
          ca_file:
            description:
              - 'The certificates to trust, in PEM. Default: the system''s.'
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(connectors[].graph.proxy_username) and O(connectors[].graph.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(connectors[].graph.proxy_username).
            type: str
      oauth2:
        description:
          - Who signs in where O(connectors[].smtp.auth) or O(connectors[].imap.auth) is V(oauth2), and for O(connectors[].graph).
          - 'One way at a time: O(connectors[].oauth2.client_secret), O(connectors[].oauth2.certificate), O(connectors[].oauth2.certificate_file),
            O(connectors[].oauth2.assertion_file), O(connectors[].oauth2.managed_identity) or O(connectors[].oauth2.service_account).'
          - Giving one replaces another that is stored.
        type: dict
        suboptions:
          tenant_id:
            description:
              - 'The Microsoft tenant: its id or one of its domain names.'
            type: str
          client_id:
            description:
              - The registered application's id.
            type: str
          client_secret:
            description:
              - 'The application''s secret: its value, not its id.'
            type: str
          client_secret_expires:
            description:
              - The day on which O(connectors[].oauth2.client_secret) expires, as V(2027-05-31).
              - 'For warnings only: a test warns when that day is near.'
            type: str
          certificate:
            description:
              - The application's certificate and key as PEM text.
            type: str
          certificate_file:
            description:
              - The application's certificate and key in a PEM or PFX file, read at each use.
            type: path
          certificate_passphrase:
            description:
              - What unlocks the certificate's key.
            type: str
          assertion_file:
            description:
              - A file with a federated assertion, read at each use.
            type: path
          managed_identity:
            description:
              - V(system), or the client id of a user-assigned identity.
            type: str
          service_account:
            description:
              - A Google service account key. Needs O(connectors[].oauth2.username), the user that it acts for.
            type: json
          username:
            description:
              - The user of the resource-owner flow, or whom a service account acts for, or the mailbox's address.
            type: str
          password:
            description:
              - The user's password, for the resource-owner flow. It is always warned about, since it cannot work
                with multi-factor sign-in.
            type: str
          cloud:
            description:
              - 'The Microsoft cloud that the tenant lives in. Default: V(global).'
              - One of V(global), V(us_gov), V(us_gov_dod), V(china).
            type: str
          authority:
            description:
              - Replaces the cloud's sign-in address, as V(https://host) or V(https://host:port), without the tenant.
            type: str
          token_url:
            description:
              - The token endpoint of any other provider, for client credentials.
            type: str
          scope:
            description:
              - 'What the token is asked for. Default: what the protocol needs.'
            type: str
          ca_file:
            description:
              - 'The certificates to trust, in PEM. Default: the system''s.'
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(connectors[].oauth2.proxy_username) and O(connectors[].oauth2.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(connectors[].oauth2.proxy_username).
            type: str
"""

    INLINE = r"""
options:
  declaration:
    description:
      - A connector that is not stored, tested as it is declared here. It never borrows a stored secret.
    type: dict
    suboptions:
      name:
        description:
          - 'A name for the results. Default: V(declaration).'
        type: str
      display_name:
        description:
          - 'A name to show, 1 to 64 characters. Default: the connector''s name.'
        type: str
      description:
        description:
          - What the connector is for, at most 1000 characters.
        type: str
      enabled:
        description:
          - 'A disabled connector is kept but never used. Default: V(true).'
        type: bool
      provider:
        description:
          - A preset that fills host, port and security of O(declaration.smtp) and O(declaration.imap); what is
            given explicitly wins.
          - It is resolved when it is written, so that an upgrade of the collection moves no connector.
          - 'V(custom), or left out: nothing is filled.'
          - Case is ignored. Other names, as V(office365) or V(gsuite), are understood and kept as the preset's
            own.
          - V(ses) is Amazon's region us-east-1; other regions are named like V(ses_eu_west_1).
          - One of V(custom), V(gmail), V(workspace_relay), V(microsoft365), V(outlook_com), V(ses), V(sendgrid),
            V(mailgun), V(postmark), V(mailjet), V(brevo), V(sparkpost), V(zoho), V(yahoo), V(icloud), V(fastmail),
            V(proton).
        type: str
      from_address:
        description:
          - The address that the From header shows.
          - As everywhere, an international domain may have the letters, marks and digits of Unicode 3.2 that every
            version of IDNA encodes alike. Other names, such as those with V(ß), are written in their ASCII form,
            V(xn--…).
        type: str
      from_name:
        description:
          - The name that the From header shows.
        type: str
      signature:
        description:
          - Added to mail that the collection sends, at most 250 characters.
        type: str
      reply_to:
        description:
          - Where answers go.
        type: str
      errors_to:
        description:
          - 'The envelope sender: where bounces go.'
        type: str
      cc:
        description:
          - Who gets a copy.
        type: list
        elements: str
      bcc:
        description:
          - Who gets a copy without being named in a header.
        type: list
        elements: str
      headers:
        description:
          - Custom headers. None that the message itself or the mail system sets.
          - The message sets From, To, Cc, Bcc, Reply-To, Sender, Subject, Date, Message-ID, MIME-Version, Content-*.
          - Mail servers set Received, Return-Path, Delivered-To, DKIM-Signature, Authentication-Results, Resent-*.
          - The dictionary is replaced as a whole.
        type: dict
      test_address:
        description:
          - 'Where test mail goes when the task names nobody. Default: the user who signs in, if that is an address,
            else O(declaration.from_address), else the mailbox of O(declaration.graph).'
        type: str
      available_to:
        description:
          - 'The tenants that may use the connector. Empty: all.'
        type: list
        elements: str
      smtp:
        description:
          - The server that sends. V({}) clears the block in M(mailroom.core.connector).
        type: dict
        suboptions:
          host:
            description:
              - The server's name or IP address.
              - An international name follows the rule of O(declaration.from_address).
              - Filled by O(declaration.provider) where that names one.
            type: str
          port:
            description:
              - 'The server''s port. Default: 465, 587 or 25, as O(declaration.smtp.security) is.'
            type: int
          security:
            description:
              - 'How the connection is encrypted: V(tls) from the first byte, V(starttls) after the server was asked,
                and required, V(starttls_optional) where the server offers it, V(none) never.'
              - 'Default: V(tls) on ports 465 and 2465, else V(starttls). It is never V(none) unless that is written.'
              - One of V(none), V(starttls), V(starttls_optional), V(tls).
            type: str
          uri:
            description:
              - Host and port in one, V(smtp://host:port) or V(smtps://host), in place of O(declaration.smtp.host)
                and O(declaration.smtp.port).
              - A V(;) is accepted before the port. V(smtps) means O(declaration.smtp.security=tls).
            type: str
          auth:
            description:
              - How to sign in.
              - 'Default: V(password) where a user and a password are there, V(oauth2) where O(declaration.oauth2)
                is there and no password, else V(none).'
              - V(none) drops a stored password.
              - One of V(none), V(password), V(oauth2).
            type: str
          mechanisms:
            description:
              - 'The SASL mechanisms that may be used. Default: what is safe and offered.'
              - V(CRAM-MD5) is only used where it is named here.
              - One of V(PLAIN), V(LOGIN), V(CRAM-MD5), V(SCRAM-SHA-1), V(SCRAM-SHA-256), V(OAUTHBEARER), V(XOAUTH2).
            type: list
            elements: str
          username:
            description:
              - Who signs in. It may differ from O(declaration.from_address).
              - With nothing to sign in with, neither a password nor O(declaration.oauth2), it is an error unless
                C(auth) is V(none).
            type: str
          password:
            description:
              - The password or app password, taken literally and stored sealed.
              - 'A value in a variable that is not set must not erase it: an empty text is an error.'
            type: str
          same_credentials:
            description:
              - 'Sign in as the O(declaration.imap) block does. Default: V(false).'
              - Replaces O(declaration.smtp.auth), O(declaration.smtp.username) and O(declaration.smtp.password).
            type: bool
          relay:
            description:
              - 'Whether the server relays mail of foreign sender domains. Default: V(false).'
              - Without it, an O(declaration.from_address) in another domain than the user's is a warning in a test.
            type: bool
          ehlo_name:
            description:
              - 'The name to greet the server with. Default: this host''s name.'
            type: str
          validate_certs:
            description:
              - 'Whether the server''s certificate and name are checked. Default: V(true).'
            type: bool
          ca_file:
            description:
              - 'The certificates to trust, in PEM, on the host where the connector is used. Default: the system''s.'
            type: path
          client_cert:
            description:
              - The client certificate in PEM, with its key unless that is in a file of its own.
            type: path
          client_key:
            description:
              - The key of the client certificate in PEM.
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(declaration.smtp.proxy_username) and O(declaration.smtp.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(declaration.smtp.proxy_username).
            type: str
      imap:
        description:
          - The server that is read. A connector with nothing but this block only receives.
        type: dict
        suboptions:
          host:
            description:
              - The server's name or IP address.
              - An international name follows the rule of O(declaration.from_address).
              - Filled by O(declaration.provider) where that names one.
            type: str
          port:
            description:
              - 'The server''s port. Default: 993 or 143, as O(declaration.imap.security) is.'
            type: int
          security:
            description:
              - 'How the connection is encrypted: V(tls) from the first byte, V(starttls) after the server was asked,
                and required, V(starttls_optional) where the server offers it, V(none) never.'
              - 'Default: V(starttls) on port 143, else V(tls). It is never V(none) unless that is written.'
              - One of V(none), V(starttls), V(starttls_optional), V(tls).
            type: str
          auth:
            description:
              - How to sign in.
              - 'Default: V(password) where a user and a password are there, V(oauth2) where O(declaration.oauth2)
                is there and no password, else V(none).'
              - V(none) drops a stored password.
              - One of V(none), V(password), V(oauth2).
            type: str
          mechanisms:
            description:
              - 'The SASL mechanisms that may be used. Default: what is safe and offered.'
              - V(CRAM-MD5) is only used where it is named here.
              - One of V(PLAIN), V(LOGIN), V(CRAM-MD5), V(SCRAM-SHA-1), V(SCRAM-SHA-256), V(OAUTHBEARER), V(XOAUTH2).
            type: list
            elements: str
          username:
            description:
              - Who signs in. It may differ from O(declaration.from_address).
              - With nothing to sign in with, neither a password nor O(declaration.oauth2), it is an error unless
                C(auth) is V(none).
            type: str
          password:
            description:
              - The password or app password, taken literally and stored sealed.
              - 'A value in a variable that is not set must not erase it: an empty text is an error.'
            type: str
          mailbox:
            description:
              - 'The mailbox to read. Default: V(INBOX).'
            type: str
          validate_certs:
            description:
              - 'Whether the server''s certificate and name are checked. Default: V(true).'
            type: bool
          ca_file:
            description:
              - 'The certificates to trust, in PEM, on the host where the connector is used. Default: the system''s.'
            type: path
          client_cert:
            description:
              - The client certificate in PEM, with its key unless that is in a file of its own.
            type: path
          client_key:
            description:
              - The key of the client certificate in PEM.
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(declaration.imap.proxy_username) and O(declaration.imap.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(declaration.imap.proxy_username).
            type: str
      graph:
        description:
          - Sends and reads over Microsoft Graph. Needs O(declaration.oauth2) and excludes O(declaration.smtp) and
            O(declaration.imap).
        type: dict
        suboptions:
          mailbox:
            description:
              - 'The mailbox to use. Default: O(declaration.oauth2.username).'
            type: str
          url:
            description:
              - Replaces the cloud's endpoint, as V(https://host) or V(https://host:port), without the version.
            type: str
          save_to_sent:
            description:
              - 'Whether sent mail is kept in Sent Items. Default: V(true).'
            type: bool
          ca_file:
            description:
              - 'The certificates to trust, in PEM. Default: the system''s.'
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(declaration.graph.proxy_username) and O(declaration.graph.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(declaration.graph.proxy_username).
            type: str
      oauth2:
        description:
          - Who signs in where O(declaration.smtp.auth) or O(declaration.imap.auth) is V(oauth2), and for O(declaration.graph).
          - 'One way at a time: O(declaration.oauth2.client_secret), O(declaration.oauth2.certificate), O(declaration.oauth2.certificate_file),
            O(declaration.oauth2.assertion_file), O(declaration.oauth2.managed_identity) or O(declaration.oauth2.service_account).'
          - Giving one replaces another that is stored.
        type: dict
        suboptions:
          tenant_id:
            description:
              - 'The Microsoft tenant: its id or one of its domain names.'
            type: str
          client_id:
            description:
              - The registered application's id.
            type: str
          client_secret:
            description:
              - 'The application''s secret: its value, not its id.'
            type: str
          client_secret_expires:
            description:
              - The day on which O(declaration.oauth2.client_secret) expires, as V(2027-05-31).
              - 'For warnings only: a test warns when that day is near.'
            type: str
          certificate:
            description:
              - The application's certificate and key as PEM text.
            type: str
          certificate_file:
            description:
              - The application's certificate and key in a PEM or PFX file, read at each use.
            type: path
          certificate_passphrase:
            description:
              - What unlocks the certificate's key.
            type: str
          assertion_file:
            description:
              - A file with a federated assertion, read at each use.
            type: path
          managed_identity:
            description:
              - V(system), or the client id of a user-assigned identity.
            type: str
          service_account:
            description:
              - A Google service account key. Needs O(declaration.oauth2.username), the user that it acts for.
            type: json
          username:
            description:
              - The user of the resource-owner flow, or whom a service account acts for, or the mailbox's address.
            type: str
          password:
            description:
              - The user's password, for the resource-owner flow. It is always warned about, since it cannot work
                with multi-factor sign-in.
            type: str
          cloud:
            description:
              - 'The Microsoft cloud that the tenant lives in. Default: V(global).'
              - One of V(global), V(us_gov), V(us_gov_dod), V(china).
            type: str
          authority:
            description:
              - Replaces the cloud's sign-in address, as V(https://host) or V(https://host:port), without the tenant.
            type: str
          token_url:
            description:
              - The token endpoint of any other provider, for client credentials.
            type: str
          scope:
            description:
              - 'What the token is asked for. Default: what the protocol needs.'
            type: str
          ca_file:
            description:
              - 'The certificates to trust, in PEM. Default: the system''s.'
            type: path
          proxy:
            description:
              - The proxy to connect through, as V(socks5://host:port) or V(http://host:port).
              - User and password belong in O(declaration.oauth2.proxy_username) and O(declaration.oauth2.proxy_password).
            type: str
          proxy_username:
            description:
              - Who signs in at the proxy.
            type: str
          proxy_password:
            description:
              - The password of O(declaration.oauth2.proxy_username).
            type: str
"""
