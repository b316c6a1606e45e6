# SPDX-License-Identifier: MIT
"""mail_sink -- an SMTP server on a port of loopback that appends what it gets to a file.

    mail_sink.py PORT FILE READY        READY is made once it listens"""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
from mail_server import MailServer


def main():
    port, file, ready = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    server, taken = MailServer(port), 0
    ready.touch()
    while True:
        time.sleep(0.05)
        with open(file, "a", encoding="utf-8") as out:
            for mail in server.mails[taken:]:
                out.write(mail.get_content())
                taken += 1


if __name__ == "__main__":
    main()
