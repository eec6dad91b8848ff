"""A name server whose answers a test changes."""

from __future__ import annotations

from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import DNSHandler, DNSServer


class NameServer:
    """Answers every question for IPv4 addresses with `hosts`.

    Attributes:
        hosts: the addresses; without one, the name is unknown.
        answers: whether it answers at all.
    """

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.answers = True
        self._server = DNSServer(self, address="127.0.0.1", port=0)
        self.address = f"127.0.0.1:{self._server.server.server_address[1]}"
        self._server.start_thread()

    def resolve(self, request: DNSRecord, _handler: DNSHandler) -> DNSRecord:
        """Answer a question; called by the library."""
        reply = request.reply()
        if not self.answers:
            reply.header.rcode = RCODE.SERVFAIL
        elif not self.hosts:
            reply.header.rcode = RCODE.NXDOMAIN
        elif request.q.qtype == QTYPE.A:
            reply.add_answer(
                *(RR(request.q.qname, QTYPE.A, rdata=A(host), ttl=1) for host in sorted(self.hosts))
            )
        return reply

    def close(self) -> None:
        """End it."""
        self._server.stop()
        self._server.server.server_close()
