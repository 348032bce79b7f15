"""POST /v1/email: one message.

Promises: 202 means that Postfix has the message; every other answer means that it has not, or says
that it is in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.ids import format_email_id
from openclick.instants import iso
from openclick_sidecar.api.answers import Answer, ok
from openclick_sidecar.api.faults import ApiFault, invalid_body, unavailable
from openclick_sidecar.api.fields import read_object
from openclick_sidecar.api.known_domains import KnownDomains
from openclick_sidecar.api.outgoing import EmailReader, OutgoingEmail
from openclick_sidecar.api.router import Call, Route
from openclick_sidecar.api.sending import Send, Sending, recipient_field
from openclick_sidecar.api.submitter import Refused, Unavailable
from openclick_sidecar.api.workshop import Workshop


@dataclass(frozen=True)
class Email:
    """The resource."""

    sending: Sending
    domains: KnownDomains
    workshop: Workshop

    def routes(self) -> list[Route]:
        """Return its operations."""
        return [Route("POST", "/v1/email", self.send, send_only=True)]

    async def send(self, call: Call) -> Answer:
        """Submit one message.  Raises ApiFault, StoreFault."""
        email = await self.workshop.run(len(call.body), lambda: self._read(call.body))
        await self.domains.require(call.key, email.sender.domain)
        send = await self.sending.begin(call, 1)
        if send.answer is not None:
            return send.answer
        await self._deliver(call, send, email)
        accepted = {"id": format_email_id(send.email_ids[0]), "created_at": iso(send.created_at)}
        return await self.sending.finish(send, ok(accepted, 202))

    def _read(self, body: bytes) -> OutgoingEmail:
        return EmailReader(self.sending.header_prefix).read(read_object(body))

    async def _deliver(self, call: Call, send: Send, email: OutgoingEmail) -> None:
        try:
            await self.sending.deliver(call, send, 0, email)
        except Refused as refused:
            await self.sending.withdraw(send)
            raise refusal(email, refused) from None
        except Unavailable as fault:
            if fault.in_doubt:
                self.sending.leave(send)
            else:
                await self.sending.withdraw(send)
            raise unavailable(told(fault)) from None
        except BaseException:
            self.sending.leave(send)
            raise


_OUTLOOK = {
    True: "; it may have taken the message all the same.",
    False: "; nothing was sent.",
}


def told(fault: Unavailable) -> str:
    """Return what a client is told of a Postfix that did not take a message."""
    return f"{fault}{_OUTLOOK[fault.in_doubt]}"


def refusal(email: OutgoingEmail, refused: Refused) -> ApiFault:
    """Return the fault of a message that Postfix has refused: 422, with the field where known."""
    if refused.recipient is None:
        return invalid_body({"email": [str(refused)]})
    return invalid_body({recipient_field(email, refused.recipient): [str(refused)]})
