"""What the stand-in for heflwr sends to a server: each row once, under its number, whatever happens to the answers."""

import http.server
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
import warnings

from prony import _library
from prony.compat.heflwr import thread_monitor
from prony.compat.heflwr._base import Row
from prony.compat.heflwr._outputs import posted_text
from prony.compat.heflwr._sender import Sender, server_of
from support import Case, until_memory_is_told


class Receiver:
    """A server of the two forms. `fail`: how many posts it refuses first; `lose`: how many it then takes and does not answer.
    `behind`: the port of another server, which has the posts first."""

    def __init__(self, test, fail=0, lose=0, behind=None):
        self.forms, receiver = [], self
        self.left_to_fail, self.left_to_lose = fail, lose

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.left_to_fail -= 1
                if receiver.left_to_fail < 0:
                    receiver.forms.append((self.path, dict(urllib.parse.parse_qsl(body, keep_blank_values=True))))
                    if behind is not None:
                        urllib.request.urlopen(f"http://127.0.0.1:{behind}{self.path}", body.encode(), timeout=20).close()
                    receiver.left_to_lose -= 1
                    if receiver.left_to_lose >= 0:
                        self.close_connection = True
                        return
                self.send_response(200 if receiver.left_to_fail < 0 else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)


class Remote(Case):
    def monitored(self, host, **options):
        monitor = thread_monitor.RemoteMonitor(host, 0.2, **options, simulate="jetson-orin")
        monitor.start()
        until_memory_is_told(monitor)
        monitor.stop()
        return monitor

    def test_simple_rows_come_once_each_in_order_though_the_server_refused_at_first(self):
        receiver = Receiver(self, fail=2)
        monitor = self.monitored(receiver.host, identifier="client-a")
        self.assertEqual(monitor.undelivered, 0)
        rows = len(monitor.stats()["memory_usage"])
        self.assertEqual([path for path, _ in receiver.forms], ["/simple_log"] * rows)
        self.assertEqual({tuple(sorted(form)) for _, form in receiver.forms}, {("identifier", "message", "sequence", "stream")})
        messages = [form["message"] for _, form in receiver.forms]
        self.assertEqual(messages, [posted_text(row, monitor._active) for row in monitor._rows])
        self.assertEqual([int(form["sequence"]) for _, form in receiver.forms], list(range(1, rows + 1)))
        self.assertRegex("\n".join(messages), r"(?m)^Cpu Usage: [\d.e-]+%, Memory Usage: [\d.]+%, ")

    def test_the_words_that_are_posted_are_not_those_of_the_log(self):
        row = Row(0.0, 1.0, 12.5, 1.25, 10, 20, 5000.0, None, 1200.5)
        metrics = {"cpu": True, "memory": True, "network": True, "power": True}
        self.assertEqual(posted_text(row, metrics), "Cpu Usage: 12.5%, Memory Usage: 1.25%, Bytes Sent: 10, "
                                                             "Bytes Recv: 20, VDD In: 5000.0, VDD soc: 1200.5, ")
        self.assertEqual(posted_text(row, {**metrics, "cpu": False, "network": False, "power": False}),
                         "Memory Usage: 1.25%, ")

    def test_the_long_form_has_every_field_of_a_log_record(self):
        receiver = Receiver(self)
        self.monitored(receiver.host, identifier="b", simple=False)
        path, form = receiver.forms[0]
        self.assertEqual((path, form["identifier"], form["levelname"], form["name"]), ("/log", "b", "INFO", "HeFlwr"))
        self.assertTrue({"pathname", "lineno", "created", "process", "threadName", "message"} <= set(form))

    def test_a_server_that_is_not_there_costs_no_row_of_stats_and_is_told(self):
        with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
            host = f"127.0.0.1:{server.server_address[1]}"
        with self.assertWarnsRegex(UserWarning, "could not be delivered"):
            monitor = self.monitored(host)
        self.assertEqual(monitor.undelivered, len(monitor.stats()["memory_usage"]))
        with self.assertRaisesRegex(ValueError, "host="):
            thread_monitor.RemoteMonitor("")

    def test_the_logger_posts_what_is_logged_and_twice_configured_posts_once(self):
        receiver = Receiver(self)
        text = self.python("""
import sys
from prony.compat.heflwr.log import log, logger, configure
from logging import INFO
configure(identifier="client-A", host=sys.argv[1], simple=True)
configure(identifier="client-A", host=sys.argv[1], simple=True, file="app.log")
log(INFO, "hello, %s!", "world")
""", receiver.host)
        (path, form), = receiver.forms
        self.assertRegex(form.pop("stream"), r"^[0-9a-f]{32}$")
        self.assertEqual((path, form), ("/simple_log", {"identifier": "client-A", "message": "hello, world!", "sequence": "1"}))
        self.assertRegex(text, r"client-A \| INFO HeFlwr .* \| program.py:7 \| hello, world!")
        with open(self.path("app.log"), encoding="utf-8") as file:
            self.assertIn("hello, world!", file.read())

    def test_simple_without_a_host_warns(self):
        from prony.compat.heflwr import log

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            log.configure(identifier="x", simple=True)
        self.assertEqual([w.category for w in seen], [UserWarning])

    def test_a_row_whose_answer_was_lost_comes_again_under_its_number(self):
        receiver = Receiver(self, lose=2)
        sender = Sender(server_of(receiver.host), "/simple_log")
        for number in range(3):
            sender.hand_over({"identifier": "a", "message": str(number)})
        self.assertEqual(sender.close(20), 0)
        told = [(form["message"], form["sequence"]) for _, form in receiver.forms]
        self.assertEqual(told, [("0", "1"), ("0", "1"), ("0", "1"), ("1", "2"), ("2", "3")])
        streams = {form["stream"] for _, form in receiver.forms}
        self.assertEqual(len(streams), 1)
        self.assertRegex(streams.pop(), r"^[0-9a-f]{32}$")
        other = Sender(server_of(receiver.host), "/simple_log")
        other.hand_over({"identifier": "a", "message": "another monitor"})
        self.assertEqual(other.close(20), 0)
        self.assertEqual(len({form["stream"] for _, form in receiver.forms}), 2)

    def test_what_cannot_be_meant_is_refused_before_anything_is_measured(self):
        with open(self.path("token"), "w", encoding="utf-8") as file:
            file.write("short\n")
        for host, options, told in (("https://user:secret@there:1", {}, "password"), ("ftp://there", {}, "host="),
                                    ("there:1", {"ca": "c.pem"}, "https"), ("there:1", {"token_file": self.path("token")}, "https"),
                                    ("127.0.0.1:1", {"token_file": self.path("token")}, "16 to 512")):
            with self.assertRaisesRegex(ValueError, told) as refused:
                thread_monitor.RemoteMonitor(host, **options)
            self.assertNotIn("secret", str(refused.exception))
        for options in ({"token_file": self.path("none")}, {"ca": self.path("none")}):
            with self.assertRaises(OSError):
                thread_monitor.RemoteMonitor("https://127.0.0.1:1", **options)


class Collected(Case):
    """With prony collect at the other end."""

    def collect(self, *words):
        program = _library.program()
        if program is None:
            self.skipTest("the program prony is not here")
        with open(self.path("said"), "wb") as said:
            started = subprocess.Popen([program, "collect", "--listen", "0", "--out", "c.sqlite", *words], cwd=self.folder,
                                       stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self.addCleanup(started.wait)
        self.addCleanup(started.terminate)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with open(self.path("said"), encoding="utf-8") as said:
                text = said.read()
            at = re.search(r"receives at \w+://127\.0\.0\.1:(\d+)", text)
            if at:
                return int(at.group(1))
            if started.poll() is not None and "libmicrohttpd" in text:
                self.skipTest("libmicrohttpd is not here")
            self.assertIsNone(started.poll(), text)
            time.sleep(0.05)
        self.fail("prony collect did not come up: " + text)

    def test_answers_that_are_lost_double_no_row_and_no_byte(self):
        port = self.collect()
        front = Receiver(self, lose=3, behind=port)
        for path in ("/simple_log", "/log"):
            sender = Sender(server_of(front.host), path)
            for _ in range(3):
                sender.hand_over({"identifier": "edge", "message": "Bytes Sent: 100, Bytes Recv: 7, "})
            self.assertEqual(sender.close(60), 0)
            front.left_to_lose = 3
        self.assertEqual(len(front.forms), 12)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/clients", timeout=20) as answer:
            client, = json.load(answer)["clients"]
        self.assertEqual((client["messages"], client["sent_bytes"], client["received_bytes"]), (6, 600, 42), client)

    def test_tls_with_a_private_authority_and_a_token(self):
        if shutil.which("openssl") is None:
            self.skipTest("openssl is not here, which makes the certificate")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.path("k.pem"), "-out",
                        self.path("c.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"], capture_output=True, check=True)
        for name, text in (("web.yml", "tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n"),
                           ("token", "# of this fleet\n" + "0123456789abcdef" * 2 + "\n"), ("other", "f" * 32 + "\n")):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        host = f"https://127.0.0.1:{self.collect('--web-config', 'web.yml', '--token-file', 'token')}"
        for options, told in (({"ca": "c.pem", "token_file": "token"}, None), ({"ca": "c.pem", "token_file": "other"}, "401"),
                              ({"ca": "c.pem"}, "401"), ({"token_file": "token"}, "(?i)certificate")):
            with self.subTest(options), warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                monitor = thread_monitor.RemoteMonitor(host, 0.2, "edge", simulate="laptop",
                                                       **{key: self.path(name) for key, name in options.items()})
                monitor.start()
                time.sleep(0.6)
                monitor.stop()
                self.assertEqual([re.search(told or "nothing", str(w.message)) is not None for w in seen], [True] if told else [])
                self.assertEqual(monitor.undelivered > 0, told is not None)
                self.assertNotIn("0123456789abcdef", "".join(str(w.message) for w in seen))
