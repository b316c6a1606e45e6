# SPDX-License-Identifier: MIT
"""Mails about errors: what is in them, how many there are, and servers that do not take them."""
import json
import os
import socket
import time
import unittest

from mail_server import MailServer, make_certificate
from tiny_server import ServerCase, free_port, wait_for

BODY = """
function S:on_start() tiny.log.info("started") end
function S:on_close() if self.conf["at_close"] then self:err(self.conf["at_close"]) end end
"""


class Mails(ServerCase):
    def mail_server(self, **options):
        server = MailServer(**options)
        self.addCleanup(server.close)
        return server

    def conf(self, port, tls="none", password=None, targets=("b@test.example",), **more):
        return {
            "log.email": True,
            "log.email.config": {"host": ["127.0.0.1", port], "tls": tls, "target": list(targets),
                                 "from": ["a@test.example"] + ([password] if password else [])},
            "log.email.span": 60,
            "log.email.format": "%(levelname)s %(message)s",
            "log.repeat_limit": 0,
            **more,
        }

    def err(self, server, *texts):
        for text in texts:
            code = f"self:err({json.dumps(text, ensure_ascii=False)})"
            self.assertEqual(server.project.said("eval", code)[0], 0)

    def mail(self, mails, number=1):
        wait_for(lambda: len(mails.mails) >= number, f"mail {number}")
        return mails.mails[number - 1]


class Content(Mails):
    def test_a_mail_says_who_where_and_what(self):
        mails = self.mail_server()
        server = self.start(BODY, self.conf(mails.port, targets=["b@test.example", "c@test.example"]))
        self.err(server, "no ink\nin the printer")
        mail = self.mail(mails)
        self.assertEqual(mail["subject"], f"[{socket.gethostname()}] test: no ink")
        self.assertEqual(mail["from"], "a@test.example")
        self.assertEqual(mail["to"], "b@test.example, c@test.example")
        self.assertEqual(mail.get_content(), "ERROR no ink\n    in the printer\n")
        self.assertEqual(mails.envelopes[0].rcpt_tos, ["b@test.example", "c@test.example"])
        self.assertLess(abs(mail["date"].datetime.timestamp() - time.time()), 300)
        self.assertTrue(mail["message-id"])

    def test_any_text_survives(self):
        mails = self.mail_server()
        server = self.start(BODY, self.conf(mails.port))
        text = "Überlauf – 東京 " + "ü" * 100 + "\n.\n" + "x" * 3000
        self.err(server, text)
        mail = self.mail(mails)
        self.assertTrue(mail["subject"].startswith(f"[{socket.gethostname()}] test: Überlauf – 東京 üüü"))
        self.assertEqual(mail.get_content().replace("\n    ", "\n"), f"ERROR {text}\n")

    def test_only_its_level_is_mailed(self):
        mails = self.mail_server()
        server = self.start(BODY, self.conf(mails.port))
        server.project.said("eval", "self:warn('a warning')")
        self.err(server, "an error")
        self.assertEqual(self.mail(mails).get_content(), "ERROR an error\n")


class Frequency(Mails):
    def test_what_comes_within_the_span_is_the_next_mail(self):
        mails = self.mail_server()
        server = self.start(BODY, self.conf(mails.port, **{"log.email.span": 2}))
        self.err(server, "first")
        self.mail(mails)
        began = time.monotonic()
        self.err(server, "second", "third", "fourth")
        mail = self.mail(mails, 2)
        self.assertGreater(time.monotonic() - began, 1)
        self.assertEqual(mail.get_content(), "ERROR second\nERROR third\nERROR fourth\n")
        self.assertTrue(mail["subject"].endswith("test: second"))

    def test_no_more_than_a_thousand_lines_are_kept_and_the_rest_counted(self):
        mails = self.mail_server()
        server = self.start(BODY, self.conf(mails.port, **{"log.email.span": 3, "log.console.level": "ERROR"}))
        self.err(server, "first")
        self.mail(mails)
        server.project.said("eval", "for i = 1, 5000 do self:err('line %d', i) end")
        lines = self.mail(mails, 2).get_content().splitlines()
        self.assertEqual(lines[:1000], [f"ERROR line {i}" for i in range(1, 1001)])
        self.assertEqual(lines[1000:], ["(4000 more lines are not shown)"])

    def test_closing_mails_what_is_left_without_waiting_for_the_span(self):
        mails = self.mail_server()
        server = self.start(BODY, self.conf(mails.port, at_close="last words"))
        self.err(server, "first")
        self.mail(mails)
        self.err(server, "second")
        self.assertEqual(server.close(), 0)
        self.assertEqual(mails.mails[1].get_content(), "ERROR second\nERROR last words\n")


class Encryption(Mails):
    def secure(self, tls, login=("a@test.example", "right"), password="right", trusted=True):
        project = self.project(BODY)
        certificate = make_certificate(project.dir)
        mails = self.mail_server(certificate=certificate, implicit=tls == "tls", login=login)
        project.conf(self.conf(mails.port, tls, password))
        env = dict(os.environ, SSL_CERT_FILE=str(certificate[0])) if trusted else None
        return mails, self.launch(project, env=env).wait_ready()

    def test_starttls_with_login(self):
        mails, server = self.secure("starttls")
        self.err(server, "secret trouble")
        self.mail(mails)
        self.assertEqual(mails.encrypted, [True])

    def test_tls_from_the_start(self):
        mails, server = self.secure("tls", login=None, password=None)
        self.err(server, "secret trouble")
        self.assertEqual(self.mail(mails).get_content(), "ERROR secret trouble\n")

    def test_a_server_that_nobody_vouches_for_gets_nothing(self):
        mails, server = self.secure("starttls", trusted=False)
        self.err(server, "secret trouble")
        line = server.wait_line("log.email does not work")
        self.assertIn("certificate", line)
        self.assertEqual(mails.mails, [])

    def test_without_starttls_nothing_is_sent_in_the_clear(self):
        mails = self.mail_server()
        server = self.start(BODY, self.conf(mails.port, "starttls"))
        self.err(server, "secret trouble")
        server.wait_line("log.email does not work")
        self.assertEqual(mails.mails, [])

    def test_a_bad_password_is_told_once_and_never_shown(self):
        mails, server = self.secure("starttls", password="wr0ng-word")
        self.err(server, "secret trouble")
        self.assertIn("answer 535", server.wait_line("log.email does not work"))
        time.sleep(3)  # longer than the pause before a next attempt
        self.assertEqual(len(server.lines("log.email")), 1)
        self.assertNotIn("wr0ng-word", server.output())
        self.assertEqual(mails.mails, [])


class Trouble(Mails):
    def test_a_server_that_is_down_gets_it_when_it_is_up(self):
        port = free_port()
        server = self.start(BODY, self.conf(port))
        self.err(server, "first", "second")
        self.assertTrue(server.wait_line("log.email does not work").startswith("ERROR"))
        mails = self.mail_server(port=port)
        self.assertEqual(self.mail(mails).get_content(), "ERROR first\nERROR second\n")
        self.assertTrue(server.wait_line("log.email works again").endswith("0 lines were lost"))
        self.assertEqual(len(server.lines("log.email")), 2)

    def test_a_greylisting_server_is_asked_again(self):
        mails = self.mail_server(refuse={"b@test.example": ["451 greylisted, come back", "450 not yet"]})
        server = self.start(BODY, self.conf(mails.port, **{"log.console.level": "ERROR"}))
        server.project.said("eval", "for i = 1, 1003 do self:err('line %d', i) end")
        lines = self.mail(mails).get_content().splitlines()
        self.assertEqual(lines[0], "ERROR line 1")
        self.assertEqual(lines[-1], "(3 more lines are not shown)")
        self.assertEqual(len(lines), 1001)

    def test_one_bad_target_does_not_keep_it_from_the_others(self):
        mails = self.mail_server(refuse={"b@test.example": ["550 no such user"] * 9})
        server = self.start(BODY, self.conf(mails.port, targets=["b@test.example", "c@test.example"]))
        self.err(server, "no ink")
        self.mail(mails)
        self.assertEqual(mails.envelopes[0].rcpt_tos, ["c@test.example"])

    def test_a_refused_mail_is_dropped_and_the_next_one_tried(self):
        mails = self.mail_server(refuse={"b@test.example": ["550 not today"]})
        server = self.start(BODY, self.conf(mails.port, **{"log.email.span": 1}))
        self.err(server, "first")
        self.assertIn("the mail is dropped", server.wait_line("log.email does not work"))
        self.err(server, "second")
        self.assertEqual(self.mail(mails).get_content(), "ERROR second\n")
        self.assertTrue(server.wait_line("log.email works again").endswith("1 lines were lost"))

    def test_a_hung_server_holds_nothing_up_not_even_closing(self):
        with socket.create_server(("127.0.0.1", 0)) as hung:
            server = self.start(BODY, self.conf(hung.getsockname()[1]))
            self.err(server, "first")
            connection, _ = hung.accept()
            with connection:
                self.err(server, "second")
                server.wait_line("ERROR second")
                began = time.monotonic()
                self.assertEqual(server.close(), 0)
                self.assertLess(time.monotonic() - began, 15)
        self.assertIn("ERROR log.email did not take the last lines in time", server.output())


if __name__ == "__main__":
    unittest.main()
