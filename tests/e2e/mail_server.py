# SPDX-License-Identifier: MIT
"""mail_server -- a real SMTP server (aiosmtpd) on a port of its own, for the tests of mails."""
import asyncio
import email
import email.policy
import logging
import ssl
import subprocess
import threading

from aiosmtpd.smtp import SMTP, AuthResult


logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # clients that go away are what the tests are about


def make_certificate(folder):
    """A certificate for 127.0.0.1 that signs itself; returns (certificate, key) as paths."""
    certificate, key = folder / "smtp.crt", folder / "smtp.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


class MailServer:
    """Takes mails into .mails. 'certificate' turns on STARTTLS, or TLS from the start with
    implicit=True; 'login' is the one (user, password) that it wants then. 'refuse' maps
    a target to the answers that it gets, one after the other."""

    def __init__(self, port=0, certificate=None, implicit=False, login=None, refuse=None):
        self.mails, self.envelopes, self.encrypted = [], [], []
        self.port, self.login, self.refuse = port, login, refuse or {}
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.implicit = implicit
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self.open())
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def open(self):
        starttls = self.context if not self.implicit else None

        def protocol():
            return SMTP(self, loop=self.loop, hostname="localhost", tls_context=starttls,
                        require_starttls=starttls is not None, auth_required=self.login is not None,
                        auth_require_tls=starttls is not None, authenticator=self.authenticate)

        return self.loop.create_server(protocol, "127.0.0.1", self.port, ssl=self.context if self.implicit else None)

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login, handled=False)

    async def handle_RCPT(self, _server, _session, envelope, address, options):
        answers = self.refuse.get(address)
        if answers:
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):
        self.encrypted.append(session.ssl is not None)
        self.envelopes.append(envelope)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def close(self):
        def stop():
            self.server.close()
            self.loop.stop()

        self.loop.call_soon_threadsafe(stop)
        self.thread.join()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
