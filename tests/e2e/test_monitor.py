"""prony monitor and its sinks, as a user and as a stranger see them. Joules are those of simulated machines, whose truth
is known; the Run file, which other tests hold against that truth, is the measure here.
"""

import base64
import csv
import http.client
import json
import math
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import Case, ROOT, main, program

PASSWORD = "pass word:1"
HASH = "$2b$05$ujSmYdI8vqtwuebJJoS.DOu.0Apl98/LOKtjAgWv0W7lYqPrIyPr6"  # bcrypt of it


def wait_until(what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


class MonitorCase(Case):
    def monitor(self, *words, simulate="laptop", **options):
        """A monitor that runs until it is stopped; what it says is in self.path("said")."""
        with open(self.path("said"), "ab") as said:
            started = subprocess.Popen([program("prony"), "monitor", "--simulate", simulate, *words], cwd=self.folder,
                                       env=self.environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said, **options)
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)
        return started

    def said(self):
        with open(self.path("said"), encoding="utf-8", errors="replace") as said:
            return said.read()

    def stop(self, monitor, number=signal.SIGTERM):
        monitor.send_signal(number)
        self.assertEqual(monitor.wait(30), 0, self.said())

    def rows(self, name):
        with open(self.path(name), newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def recorded(self, run):
        """Joules from the first to the last reading, by channel without its ending, as the series are called."""
        summary = json.loads(self.prony("show", self.path(run), "--json").out)
        return {e["channel"].removesuffix(".energy").removesuffix(".power"): e["ledger"]["recorded_j"]
                for e in summary["energy"] if "ledger" in e}

    def lines(self, name):
        if not os.path.exists(self.path(name)):
            return 0
        with open(self.path(name), "rb") as file:
            return file.read().count(b"\n")


class FilesTest(MonitorCase):
    def test_rows_hold_the_joules_of_the_run_and_the_charges_add_up_to_them(self):
        done = self.prony("monitor", "--simulate", "laptop", "--interval", "200ms", "--for", "4s", "--sink", "csv:a.csv",
                          "--sink", "jsonl:b.jsonl", "--sink", "run:c.prony", "--pid", f"me={os.getpid()}")
        self.assertEqual(done.returncode, 0, done.err)
        rows = self.rows("a.csv")
        self.assertGreater(len(rows), 10)
        recorded = self.recorded("c.prony")
        self.assertIn("rapl.package-0", recorded)
        for channel, joules in recorded.items():
            told = float(rows[-1][channel + ".gross_j"])
            self.assertLessEqual(abs(told - joules), 1e-3 * joules + 1e-9, channel)
        series = [[float(row["rapl.package-0.gross_j"]) for row in rows]]
        parties = ["target.me", "others", "prony", "unattributed"]
        series += [[float(row[f"rapl.package-0.{party}.charged_j"] or 0) for row in rows] for party in parties]
        for values in series:
            self.assertEqual(values, sorted(values))
        self.assertEqual(series[0][0], 0)
        self.assertLessEqual(abs(sum(values[-1] for values in series[1:]) - series[0][-1]), 0.02 * series[0][-1])
        with open(self.path("b.jsonl"), encoding="utf-8") as file:
            head, *objects = [json.loads(line) for line in file]
        self.assertEqual(len(objects), len(rows))
        self.assertEqual(objects[-1]["rapl.package-0.gross_j"], series[0][-1])
        self.assertIn({"name": "rapl.package-0.gross_j", "unit": "J", "kind": "counter", "origin": "measured",
                       "device": "intel-rapl:0", "domain": "package-0"}, head["series"])
        self.assertEqual(head["simulated"], "laptop")
        self.assertNotIn(None, objects[0].values())

    def test_metrics_choose_columns_and_a_slip_is_named(self):
        done = self.prony("monitor", "--simulate", "laptop", "--for", "1s", "--metrics", "power,temperature", "--sink",
                          "csv:a.csv")
        self.assertEqual(done.returncode, 0, done.err)
        columns = self.rows("a.csv")[0].keys()
        self.assertTrue(any(c.endswith(".gross_j") for c in columns))
        self.assertTrue(any(c.endswith("_celsius") or c.endswith("_c") for c in columns), columns)
        self.assertFalse([c for c in columns if c.startswith(("memory.", "network.", "disk."))])
        for words, told in ((("--sink", "csv:x", "--metrics", "powr"), "Did you mean 'power'?"),
                            (("--sink", "cvs:x"), "Did you mean 'csv'?"), ((), "--sink"),
                            (("--sink", "csv:x", "--", "true"), "starts no command"),
                            (("--sink", "csv:x", "--sink", "run:r.prony", "--sink",
                              "run:s.prony"), "one Run at a time")):
            slip = self.prony("monitor", "--simulate", "laptop", *words)
            self.assertEqual(slip.returncode, 125, slip.err)
            self.assertIn(told, slip.err)

    def test_a_signal_ends_it_in_order_and_a_kill_leaves_whole_rows_after_the_next_start(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            monitor = self.monitor("--interval", "100ms", "--sink", "csv:a.csv", "--sink", "run:r.prony")
            before = self.lines("a.csv")
            self.assertTrue(wait_until(lambda b=before: self.lines("a.csv") > b + 5), self.said())
            self.stop(monitor, number)
        for run in ("r.prony", "r-2.prony"):
            self.assertEqual(json.loads(self.prony("show", self.path(run), "--json").out)["state"], "complete")
            self.assertRegex(self.prony("show", self.path(run)).out, r"^\nprony monitor ")
        killed = self.monitor("--interval", "100ms", "--sink", "csv:a.csv")
        before = self.lines("a.csv")
        self.assertTrue(wait_until(lambda: self.lines("a.csv") > before + 5), self.said())
        killed.kill()
        killed.wait()
        with open(self.path("a.csv"), "ab") as file:
            file.write(b"2026-11-21T10:00:00.000Z,12345,0,1.")
        monitor = self.monitor("--interval", "100ms", "--sink", "csv:a.csv")
        self.assertTrue(wait_until(lambda: "torn last line of 35 bytes" in self.said()), self.said())
        before = self.lines("a.csv")
        self.assertTrue(wait_until(lambda: self.lines("a.csv") > before + 5), self.said())
        self.stop(monitor)
        with open(self.path("a.csv"), newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        self.assertEqual({len(row) for row in rows}, {len(rows[0])})
        self.assertEqual(sum(row[0] == "utc" for row in rows), 1)

    def test_runs_that_are_turned_over_add_up_to_the_whole(self):
        done = self.prony("monitor", "--simulate", "laptop", "--interval", "100ms", "--for", "5s", "--sink", "csv:a.csv",
                          "--sink", "run:day.prony,rotate-every=1s", "--pid", str(os.getpid()))
        self.assertEqual(done.returncode, 0, done.err)
        runs = sorted(f for f in os.listdir(self.folder) if f.endswith(".prony"))
        self.assertGreaterEqual(len(runs), 3)
        total = sum(self.recorded(run)["rapl.package-0"] for run in runs)
        told = float(self.rows("a.csv")[-1]["rapl.package-0.gross_j"])
        self.assertLessEqual(abs(total - told), 1e-3 * told)
        for run in runs:
            self.assert_charges_close(run)
            self.assertEqual(json.loads(self.prony("show", self.path(run), "--json").out)["state"], "complete")

    def test_runs_that_are_turned_over_by_size_add_up_and_the_oldest_go(self):
        done = self.prony("monitor", "--simulate", "laptop", "--interval", "10ms", "--for", "6s", "--sink", "csv:a.csv", "--sink",
                          "run:r.prony,rotate-size=60kB,keep=2")
        self.assertEqual(done.returncode, 0, done.err)
        runs = sorted(name for name in os.listdir(self.folder) if name.startswith("r.") and name.endswith(".prony"))
        self.assertEqual(len(runs), 3, (runs, done.err))  # two that have ended, and the last
        windows, joules = [], 0
        for run in runs:
            shown = json.loads(self.prony("show", self.path(run), "--json").out)
            self.assertEqual(shown["state"], "complete", run)
            samples = [row for row in self.table(run, "samples") if "rapl.package-0.energy_j" in row]
            windows.append((samples[0]["end_ns"], samples[-1]["end_ns"]))
            joules += self.recorded(run)["rapl.package-0"]
        windows.sort()  # several may begin within a second, and then their names do not sort
        for before, after in zip(windows, windows[1:]):
            self.assertEqual(before[1], after[0])  # it begins with the tick at which the one before ended
        rows = {int(row["monotonic_ns"]): float(row["rapl.package-0.gross_j"]) for row in self.rows("a.csv")}
        within = [value for at, value in rows.items() if windows[0][0] <= at <= windows[-1][1]]
        self.assertGreater(len(within), 2)
        told = max(within) - min(within)
        self.assertLess(abs(told - joules), 0.2 * joules)  # but for up to a frame at each end
        self.assertLess(len(within), len(rows))  # `keep` took older ones away

    def test_a_sink_that_hangs_loses_its_own_frames_and_no_others(self):
        os.mkfifo(self.path("pipe"))
        held = os.open(self.path("pipe"), os.O_RDWR)  # somebody who never reads
        self.addCleanup(os.close, held)
        monitor = self.monitor("--interval", "100ms", "--sink", "jsonl:pipe", "--sink", "csv:a.csv")
        # 64 KiB of pipe and the 128 places of the queue are full, and then some
        self.assertTrue(wait_until(lambda: self.lines("a.csv") > 250, 90), self.said())
        self.stop(monitor)
        rows = self.rows("a.csv")
        self.assertEqual({row["dropped_frames"] for row in rows}, {"0"})
        self.assertRegex(self.said(), r"jsonl:pipe: \d+ of \d+ frames, \d+ dropped; it hangs")
        times = [int(row["monotonic_ns"]) for row in rows]
        self.assertEqual(times, sorted(times))


class PageTest(MonitorCase):
    """What docs/monitor.md tells people to type, typed."""

    def page(self):
        with open(os.path.join(ROOT, "docs/monitor.md"), encoding="utf-8") as page:
            return page.read()

    def commands(self):
        blocks = re.findall(r"^```\n(.*?)^```", self.page(), re.M | re.S)
        lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
        return [re.split(r"\s{2,}", line)[0] for line in lines if line.startswith("prony monitor")]

    def test_every_command_of_the_page_runs(self):
        commands = self.commands()
        self.assertEqual(len(commands), 5)
        with open(self.path("token"), "w", encoding="utf-8") as file:
            file.write("0123456789abcdef\n")
        os.chmod(self.path("token"), 0o600)
        for command in commands:
            words = shlex.split(command.replace("$$", str(os.getpid())))[2:]
            words = [word.replace("prometheus:9788", "prometheus:0").replace("https://collector:", "https://127.0.0.1:")
                     for word in words]
            words += [] if "--simulate" in words else ["--simulate", "laptop"]
            words += [] if "--for" in words else ["--for", "1s"]
            done = self.prony("monitor", *words)
            self.assertEqual(done.returncode, 0, f"{command}\n{done.err}")
        self.assertTrue(os.path.exists(self.path("power.csv")))
        days = [name for name in os.listdir(self.folder) if name.startswith("day") and name.endswith(".prony")]
        self.assertEqual(len(days), 1, days)
        self.assertEqual(json.loads(self.prony("show", self.path(days[0]), "--json").out)["state"], "complete")

    def test_the_columns_that_the_page_shows_are_those_of_the_file(self):
        shown = self.page().split("some of its columns:")[1].split("* `gross_j`")[0]
        columns = re.findall(r"^\| `([^`]+)` \|", shown, re.M)
        self.assertGreater(len(columns), 5)
        command = next(line for line in self.commands() if "csv:a.csv" in line)
        done = self.prony("monitor", *shlex.split(command.replace("$$", str(os.getpid())))[2:])
        self.assertEqual(done.returncode, 0, done.err)
        for column in columns:
            self.assertTrue(self.rows("a.csv")[-1].get(column), column)


class ScrapedCase(MonitorCase):
    def start(self, *words, options="", **more):
        begun = len(self.said()) if os.path.exists(self.path("said")) else 0
        monitor = self.monitor("--interval", "200ms", "--sink", f"prometheus:0{options}", *words, **more)
        self.assertTrue(wait_until(lambda: "/metrics" in self.said()[begun:] or monitor.poll() is not None))
        if monitor.poll() is not None and "libmicrohttpd" in self.said():
            self.skipTest("libmicrohttpd is not here (tools/packages.txt, group test)")
        self.assertIsNone(monitor.poll(), self.said())
        self.port = int(self.said()[begun:].split("/metrics")[0].rsplit(":", 1)[1])
        self.assertTrue(wait_until(lambda: self.ready(options)), self.said())
        return monitor

    def ready(self, options):
        return bool(options) or "prony_energy_joules_total" in self.scrape()[1]

    def scrape(self, accept=None, path="/metrics"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Accept": accept} if accept else {})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    def value(self, text, begin, *labels):
        for line in text.splitlines():
            if line.startswith(begin + "{") and all(label in line for label in labels):
                return float(line.rsplit(" ", 1)[1])
        return None

    def answers(self):
        try:
            return "prony_build_info" in self.scrape()[1]
        except OSError:
            return False


class PrometheusTest(ScrapedCase):
    def test_counters_only_rise_are_in_base_units_and_end_with_the_joules_of_the_run(self):
        monitor = self.start("--sink", "run:r.prony", "--sink", "csv:a.csv", "--pid", f"me={os.getpid()}")
        seen = []
        for _ in range(5):
            kind, text = self.scrape()
            self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
            seen.append(self.value(text, "prony_energy_joules_total", 'domain="package-0"', 'origin="measured"'))
            time.sleep(0.3)
        self.assertEqual(seen, sorted(seen))
        self.assertGreater(seen[-1], seen[0])
        kind, text = self.scrape("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        self.assertTrue(kind.startswith("application/openmetrics-text; version=1.0.0"))
        self.assertTrue(text.endswith("# EOF\n"))
        self.assertIn("# TYPE prony_energy_joules counter\n# UNIT prony_energy_joules joules\n", text)
        self.assertIn('target="me"', text)
        names = {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")}
        self.assertTrue(all(name.startswith("prony_") for name in names), names)
        for bad in ("_mj", "_milli", "_kb", "_percent"):
            self.assertFalse([name for name in names if bad in name])
        values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if not line.startswith("#")]
        self.assertFalse([value for value in values if not math.isfinite(float(value))])
        self.stop(monitor)
        rows = self.rows("a.csv")
        self.assertIn(seen[-1], [float(row["rapl.package-0.gross_j"]) for row in rows])

    def test_it_starts_again_on_its_port_and_says_who_has_it(self):
        monitor = self.start()
        port = self.port
        for _ in range(3):
            self.scrape()
            second = self.prony("monitor", "--simulate", "laptop", "--sink", f"prometheus:{port}", "--for", "1s")
            self.assertEqual(second.returncode, 125)
            self.assertIn("somebody listens there already", second.err)
            self.stop(monitor)
            with self.assertRaises(OSError):  # gone after the stop, and not frozen
                self.scrape()
            monitor = self.monitor("--sink", f"prometheus:{port}")
            self.assertTrue(wait_until(lambda: monitor.poll() is not None or self.answers()), self.said())
            self.assertIsNone(monitor.poll(), self.said())
        other = self.start()  # two monitors of one machine
        self.assertNotEqual(self.port, port)
        self.scrape()
        self.stop(other)
        self.stop(monitor)

    def test_two_in_one_monitor_tell_the_same_each_at_a_port_of_its_own(self):
        monitor = self.start("--sink", "prometheus:0", "--sink", "csv:a.csv")
        ports = sorted({int(port) for port in re.findall(r":(\d+)/metrics", self.said())})
        self.assertEqual(len(ports), 2, self.said())

        def counters(port):
            self.port = port
            text = self.scrape()[1]
            return (self.value(text, "prony_frame_timestamp_seconds"),
                    self.value(text, "prony_energy_joules_total", 'domain="package-0"', 'origin="measured"'))

        def same_frame():
            told = [counters(port) for port in ports]
            return told[0] == told[1] and None not in told[0]

        self.assertTrue(wait_until(same_frame), self.said())
        # One that a scraper floods keeps the other answering, and neither costs the other a frame.
        self.port = ports[0]
        line = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=20)
        for _ in range(60):
            line.request("GET", "/nothing")
            line.getresponse().read()
        line.close()
        self.assertGreater(counters(ports[1])[1], 0)
        self.stop(monitor)
        for sink in ports:
            self.assertRegex(self.said(), rf"prometheus:0: (\d+) of \1 frames")
            self.port = sink
            with self.assertRaises(OSError):
                self.scrape()

    def test_a_stranger_who_asks_too_often_keeps_nobody_out_who_comes_from_elsewhere(self):
        monitor = self.start()
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=("127.0.0.2", 0))
        codes = []
        for _ in range(200):
            line.request("GET", "/metrics")
            answer = line.getresponse()
            answer.read()
            codes.append(answer.status)
        line.close()
        self.assertIn(429, codes)
        self.assertIn("prony_energy_joules_total", self.scrape()[1])
        self.stop(monitor)

    def test_a_page_in_a_browser_cannot_read_along_by_a_name_of_its_own(self):
        monitor = self.start(options=",answer-to=prony.lan")
        for host, code in (("evil.org", 421), (f"evil.org:{self.port}", 421), ("prony.lan", 200), (f"localhost:{self.port}", 200)):
            line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            line.request("GET", "/metrics", headers={"Host": host})
            self.assertEqual(line.getresponse().status, code, host)
            line.close()
        self.stop(monitor)

    def raw(self, data, read=True):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            try:
                line.sendall(data)
                return line.recv(65536) if read else b""
            except OSError:
                return b""

    def test_hostile_requests_are_refused_and_it_goes_on(self):
        monitor = self.start("--sink", "csv:a.csv")
        self.assertNotIn(b" 200 ", self.raw(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n" +
                                            b"x" * 65536))
        self.assertIn(b" 405 ", self.raw(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"))
        self.assertIn(b" 405 ", self.raw(b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        self.assertIn(b" 404 ", self.raw(b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        self.assertNotIn(b" 200 ", self.raw(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n"))
        self.assertNotIn(b" 200 ", self.raw(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        self.assertNotIn(b" 200 ", self.raw(b"GET /metrics HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % i for i in range(20_000))))
        for garbage in (b"\0" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500), b"\r\n\r\n\r\n",
                        b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", os.urandom(4096)):
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
                try:
                    line.sendall(garbage)
                except OSError:
                    pass
        slow = []  # requests that never come to an end, up to what one address may hold and beyond
        self.addCleanup(lambda: [line.close() for line in slow])
        for _ in range(12):
            line = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            line.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            slow.append(line)
        time.sleep(1.5)  # the rate of requests is bounded, too: let it recover
        self.assertIn("prony_energy_joules_total", self.scrape()[1])
        for _ in range(100):
            try:
                slow.append(socket.create_connection(("127.0.0.1", self.port), timeout=20))
            except OSError:
                break
        before = self.lines("a.csv")
        self.assertTrue(wait_until(lambda: self.lines("a.csv") > before + 5), "sampling waits for strangers")
        for line in slow:
            line.close()
        self.assertTrue(wait_until(self.answers), self.said())
        self.stop(monitor)
        self.assertEqual({row["dropped_frames"] for row in self.rows("a.csv")}, {"0"})

    def test_more_requests_than_are_allowed_are_told_to_wait(self):
        monitor = self.start()
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        codes = []
        for _ in range(200):
            line.request("GET", "/nothing")
            answer = line.getresponse()
            answer.read()
            codes.append(answer.status)
        self.assertIn(429, codes)
        self.assertTrue(wait_until(self.answers), "it answers again")
        self.stop(monitor)

    def test_tls_and_passwords_by_the_web_configuration_of_prometheus(self):
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.path("k.pem"), "-out",
                               self.path("c.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext",
                               "subjectAltName=DNS:localhost,IP:127.0.0.1"], capture_output=True, check=False)
        if made.returncode != 0:
            self.skipTest("openssl makes no certificate here")
        with open(self.path("web.yml"), "w", encoding="utf-8") as file:
            file.write(f"tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\nbasic_auth_users:\n  alice: {HASH}\n")
        monitor = self.start(options=",web-config=web.yml")
        trusted = ssl.create_default_context(cafile=self.path("c.pem"))

        def ask(password, user="alice"):
            request = urllib.request.Request(f"https://localhost:{self.port}/metrics")
            if password is not None:
                pair = base64.b64encode(f"{user}:{password}".encode()).decode()
                request.add_header("Authorization", "Basic " + pair)
            try:
                with urllib.request.urlopen(request, timeout=20, context=trusted) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code

        self.assertEqual(ask(PASSWORD), 200)
        self.assertEqual(ask(None), 401)
        self.assertEqual(ask(PASSWORD, "mallory"), 401)
        self.assertEqual(ask(PASSWORD[:-1]), 401)
        self.assertIn(ask(PASSWORD + "x"), (401, 429))
        codes = [ask("guess%d" % i) for i in range(12)]
        self.assertEqual(set(codes) - {401, 429}, set())
        self.assertIn(429, codes)
        self.assertEqual(ask(PASSWORD), 200)  # whoever knew it before is not locked out by guesses
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.scrape()  # no plain text on this port
        with self.assertRaises(ssl.SSLError):
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.load_verify_locations(self.path("c.pem"))
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
                old.wrap_socket(line, server_hostname="localhost")
        self.stop(monitor)
        for text, told in (("basic_auth_users:\n  bob: secret\n", "bcrypt"), ("tls_server_config:\n  client_auth_type: X\n", "line 2"),
                           ("nothing: here\n", "line 1"), ("", "nothing would be locked"), ("a:\n\tb: c\n", "tab")):
            with open(self.path("bad.yml"), "w", encoding="utf-8") as file:
                file.write(text)
            refused = self.prony("monitor", "--simulate", "laptop", "--sink", "prometheus:0,web-config=bad.yml")
            self.assertEqual(refused.returncode, 125)
            self.assertIn(told, refused.err)


def prometheus(name):
    path = os.path.join(ROOT, "build", "deps", "prometheus", "usr", "bin", name)
    return path if os.access(path, os.X_OK) else None


@unittest.skipUnless(prometheus("prometheus"), "Prometheus is not here: tools/setup-prometheus.sh unpacks it")
class RealPrometheusTest(ScrapedCase):
    def query(self, port, text):
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def test_promql_answers_what_the_run_file_holds_to_a_thousandth(self):
        monitor = self.start("--sink", "run:r.prony", "--sink", "csv:a.csv", "--pid", f"me={os.getpid()}")
        lint = subprocess.run([prometheus("promtool"), "check", "metrics"], input=self.scrape()[1].encode(), capture_output=True,
                              check=False)
        self.assertEqual((lint.returncode, lint.stdout, lint.stderr), (0, b"", b""))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with open(self.path("prometheus.yml"), "w", encoding="utf-8") as file:
            file.write("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n- job_name: prony\n"
                       f"  static_configs: [{{targets: ['127.0.0.1:{self.port}']}}]\n")
        with open(self.path("prometheus.log"), "wb") as log:
            server = subprocess.Popen([prometheus("prometheus"), "--config.file", self.path("prometheus.yml"),
                                       "--storage.tsdb.path", self.path("tsdb"), "--web.listen-address",
                                       f"127.0.0.1:{port}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        package = 'prony_energy_joules_total{domain="package-0"}'
        whole = f"max_over_time({package}[10m]) - min_over_time({package}[10m])"
        self.assertTrue(wait_until(lambda: any(float(r["value"][1]) > 100 for r in self.query(port, whole)), 120),
                        self.query(port, "up"))
        newest = f"max_over_time({package}[10m])"
        last = float(self.query(port, newest)[0]["value"][1])
        first = last - float(self.query(port, whole)[0]["value"][1])
        charged = self.query(port, 'sum by (domain) (max_over_time(prony_charged_energy_joules_total{domain="package-0"}[10m]))')
        self.assertLessEqual(abs(float(charged[0]["value"][1]) - last), 0.02 * last)
        self.assertTrue(self.query(port, 'prony_charged_energy_joules_total{target="me"}'))
        self.stop(monitor)
        # The readings that the Run file has at the times of the frames that Prometheus saw.
        rows = self.rows("a.csv")
        at = {float(row["rapl.package-0.gross_j"]): int(row["monotonic_ns"]) for row in rows}
        samples = [(row["end_ns"], row["rapl.package-0.energy_j"]) for row in self.table("r.prony", "samples")
                   if "rapl.package-0.energy_j" in row]

        def recorded(joules):
            return max((end, value) for end, value in samples if end <= at[joules])[1]

        held = recorded(last) - recorded(first)
        self.assertLessEqual(abs((last - first) - held), 1e-3 * held)
        # Nothing is frozen: after the stop the series is stale.
        self.assertTrue(wait_until(lambda: not self.query(port, package), 60))


if __name__ == "__main__":
    main()
