# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All services for OAuth and Graph at once, for one mail server."""

from __future__ import annotations

import contextlib
import types
from pathlib import Path
from typing import Self

from peers.ca import CertificateZoo
from peers.entra import Entra, ManagedIdentity
from peers.google import Google
from peers.graph import Graph
from peers.https import HttpsServer
from peers.mail import MailServer
from peers.token_url import TokenUrl
from peers.tokens import Tokens


class Cloud:
    """Entra, its managed identities, Graph, Google and a token endpoint; their tokens sign in to the mail server.

    Without a mail server it needs `zoo`, and Graph keeps its mail in memory.
    """

    def __init__(self, mail_server: MailServer | None = None, zoo: CertificateZoo | None = None) -> None:
        certificates = mail_server.zoo if mail_server else zoo
        if not certificates:
            raise ValueError("a Cloud needs a mail server or certificates")
        self.zoo = certificates
        self.tokens = mail_server.tokens if mail_server else Tokens()
        self.entra = Entra(certificates, self.tokens)
        self.managed_identity = ManagedIdentity(self.entra)
        self.graph = Graph(certificates, self.tokens, mail_server)
        self.google = Google(certificates, self.tokens)
        self.token_url = TokenUrl(certificates, self.tokens)
        self._running = contextlib.ExitStack()

    @property
    def ca_file(self) -> Path:
        """What a client should trust."""
        return self.zoo.ca_file

    @property
    def services(self) -> tuple[HttpsServer, ...]:
        """All of them."""
        return (self.entra, self.managed_identity, self.graph, self.google, self.token_url)

    def start(self) -> Self:
        """Starts all of them."""
        with contextlib.ExitStack() as stack:
            for service in self.services:
                stack.enter_context(service)
            self._running = stack.pop_all()
        # Graph can be reached by this address only, so its tokens may be asked for by it.
        self.entra.graph_resources.add(self.graph.url)
        self.graph.audiences.add(self.graph.url)
        return self

    def stop(self) -> None:
        """Stops all of them."""
        self._running.close()

    def works(self) -> None:
        """Nothing fails any more."""
        for service in self.services:
            service.works()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()
