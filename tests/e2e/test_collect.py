"""prony collect, and prony monitor --sink remote: what is sent is kept, once, whatever happens to the line, the receiver
and the monitor. Strangers at the door are met here too.
"""

import base64
import http.client
import json
import os
import random
import re
import select
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

from harness import Case, Tmpfs, main, needs_root, program

PASSWORD = "pass word:1"
HASH = "$2b$05$ujSmYdI8vqtwuebJJoS.DOu.0Apl98/LOKtjAgWv0W7lYqPrIyPr6"  # bcrypt of it
TOKEN = "0123456789abcdef0123456789abcdef"


def wait_until(what, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


def header(client, stream, series=2, **more):
    head = {"host": client, "boot": client, "begun_wall_ns": 1, "interval_ns": 10**9,
            "series": [{"name": f"s{i}_j", "unit": "J", "kind": "counter", "origin": "measured"} for i in range(series)]}
    return json.dumps({"prony_remote": 1, "client": client, "stream": stream, "sent_wall_ns": 1, "head": head, **more}) + "\n"


def frame(number, values):
    return json.dumps({"sequence": number, "wall_ns": number, "monotonic_ns": number, "values": values}) + "\n"


class CuttingProxy:
    """Between monitor and receiver: cuts some connections before the request is through, some before the answer is back."""

    def __init__(self, port, share, seed=1):
        self.port_behind, self.share, self.random = port, share, random.Random(seed)
        self.cut = self.carried = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(line,), daemon=True).start()

    def carry(self, front):
        with front:
            try:
                with socket.create_connection(("127.0.0.1", self.port_behind), timeout=20) as back:
                    while True:
                        for line in select.select([front, back], [], [], 20)[0]:
                            data = line.recv(65536)
                            if not data:
                                return
                            # A part of each request goes astray on the way there, a part of each answer on the way back.
                            if self.random.random() < self.share:
                                self.cut += 1
                                (back if line is front else front).sendall(data[:len(data) // 2])
                                return
                            self.carried += 1
                            (back if line is front else front).sendall(data)
            except OSError:
                return

    def close(self):
        self.listener.close()


class CollectCase(Case):
    command = ()  # words before prony

    def start(self, *words, name="collect"):
        with open(self.path(name), "ab") as said:
            started = subprocess.Popen([*self.command, program("prony"), *words], cwd=self.folder, env=self.environment(),
                                       stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)
        return started

    def said(self, name="collect"):
        with open(self.path(name), encoding="utf-8", errors="replace") as said:
            return said.read()

    def collect(self, *words, port=0, scheme="http"):
        begun = len(self.said()) if os.path.exists(self.path("collect")) else 0
        collector = self.start("collect", "--listen", str(port), "--out", "c.sqlite", *words)
        told = f"receives at {scheme}://127.0.0.1:"
        self.assertTrue(wait_until(lambda: told in self.said()[begun:] or collector.poll() is not None))
        if collector.poll() is not None and "libmicrohttpd" in self.said():
            self.skipTest("libmicrohttpd is not here (tools/packages.txt, group test)")
        self.assertIsNone(collector.poll(), self.said())
        self.port = int(self.said()[begun:].split(told)[1].split()[0])
        return collector

    def stop(self, process, name="collect"):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0, self.said(name))

    def monitor(self, *words, url=None, options="", name="monitor", length=None, interval="100ms"):
        url = url or f"http://127.0.0.1:{self.port}"
        return self.start("monitor", "--simulate", "laptop", "--metrics", "power", "--interval", interval, "--sink",
                          f"remote:{url},every=200ms,buffer={self.path('buffer')}{options}",
                          *(["--for", length] if length else []), *words, name=name)

    def get(self, path, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{urllib.parse.quote(path)}",
                                         headers={"Authorization": f"Bearer {token}"} if token else {})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def frames(self):
        """(stream, sequence) of all that is kept."""
        with sqlite3.connect(self.path("c.sqlite")) as kept:
            return kept.execute("SELECT name, sequence FROM frame JOIN stream ON stream.id = stream_id").fetchall()

    def count(self):
        try:
            return len(self.frames())
        except sqlite3.Error:
            return 0

    def assert_whole(self, made):
        """Nothing is lost, nothing doubled: the numbers of each stream are 1, 2, 3 … without a gap."""
        kept = self.frames()
        self.assertEqual(len(set(kept)), len(kept))
        for stream in {name for name, _ in kept}:
            numbers = sorted(number for name, number in kept if name == stream)
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertEqual(len(kept), made)

    def buffered(self):
        """Frames that wait on disk, whole ones."""
        count = 0
        for folder, _, names in os.walk(self.path("buffer")):
            for name in names:
                if name.endswith(".frames"):
                    with open(os.path.join(folder, name), "rb") as file:
                        count += file.read().count(b"\n")
        return count

    def made(self, name="monitor"):
        """How many frames the monitors say that they made, all of which their buffers took."""
        counts = [(int(written), int(made)) for written, made in re.findall(r": (\d+) of (\d+) frames", self.said(name))]
        for written, made in counts:
            self.assertEqual(written, made, self.said(name))
        return sum(made for _, made in counts)

    def rows(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return [json.loads(line) for line in file][1:]


class RemoteTest(CollectCase):
    def test_what_a_monitor_sends_is_kept_shown_and_the_same_as_its_other_sinks_say(self):
        collector = self.collect()
        monitor = self.monitor("--sink", "jsonl:a.jsonl", options=",name=edge 1", length="2s")
        self.assertEqual(monitor.wait(60), 0, self.said("monitor"))
        rows = self.rows("a.jsonl")
        self.assert_whole(len(rows))
        client = self.get("/v1/clients")["clients"][0]
        self.assertEqual((client["client"], client["frames"], client["missing_frames"]), ("edge 1", len(rows), 0))
        self.assertEqual(client["simulated"], "laptop")
        self.assertLess(abs(client["clock_offset_s"]), client["clock_offset_doubt_s"] + 1e-3)  # one clock
        shown = {v["name"]: v["value"] for v in self.get("/v1/clients/edge 1")["streams"][0]["values"]}
        joules = {key: value for key, value in rows[-1].items() if key.endswith(".gross_j")}
        self.assertTrue(joules)
        for key, value in joules.items():
            self.assertEqual(shown[key], value)
        totals = {t["series"]: t for t in self.get("/v1/totals")["totals"]}
        self.assertEqual(totals["rapl.package-0.gross_j"]["sum"], joules["rapl.package-0.gross_j"])
        self.assertTrue(totals["rapl.package-0.gross_j"]["simulated"])
        self.stop(collector)
        self.assertIn(f"{len(rows)} frames and 0 messages received", self.said())
        self.assertEqual(os.listdir(self.path("buffer")), [])

    def test_while_the_receiver_is_away_for_a_minute_nothing_is_lost_and_other_sinks_get_every_frame(self):
        collector = self.collect()
        port = self.port
        monitor = self.monitor("--sink", "jsonl:a.jsonl")
        self.assertTrue(wait_until(lambda: self.count() > 5), self.said("monitor"))
        self.stop(collector)
        before = len(self.rows("a.jsonl"))
        time.sleep(60)
        self.assertGreater(len(self.rows("a.jsonl")), before + 500)  # the sampler waits for no sink
        self.assertIn("nothing gets through", self.said("monitor"))
        collector = self.collect(port=port)
        self.assertTrue(wait_until(lambda: self.count() > before + 500, 60), self.said("monitor"))
        self.stop(monitor, "monitor")
        self.assertIn("gets through again", self.said("monitor"))
        rows = self.rows("a.jsonl")
        self.assertEqual({row["dropped_frames"] for row in rows}, {0})
        self.assert_whole(len(rows))
        self.stop(collector)

    def test_a_receiver_that_is_killed_again_and_again_loses_and_doubles_nothing(self):
        collector = self.collect()
        port = self.port
        monitor = self.monitor("--sink", "jsonl:a.jsonl")
        for _ in range(4):
            before = self.count()
            self.assertTrue(wait_until(lambda b=before: self.count() > b + 3), self.said("monitor"))
            collector.kill()
            collector.wait()
            collector = self.collect(port=port)
        self.stop(monitor, "monitor")
        self.assert_whole(len(self.rows("a.jsonl")))
        self.stop(collector)

    def test_a_monitor_that_is_killed_leaves_its_frames_to_the_next(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        monitor = self.monitor(name="killed")
        self.assertTrue(wait_until(lambda: self.buffered() > 10), self.said("killed"))
        monitor.kill()
        monitor.wait()
        kept = self.buffered()
        collector = self.collect(port=self.port)
        monitor = self.monitor(length="1s")
        self.assertEqual(monitor.wait(60), 0)
        self.assertIn(f"{kept} frames that an earlier monitor could not deliver", self.said("monitor"))
        self.assert_whole(kept + self.made())
        self.assertEqual(len({stream for stream, _ in self.frames()}), 2)
        self.stop(collector)

    def test_at_the_end_what_could_not_be_delivered_is_said_and_stays(self):
        self.port = 1  # nobody there
        monitor = self.monitor(length="1s")
        self.assertEqual(monitor.wait(60), 0)
        self.assertRegex(self.said("monitor"), r"\d+ frames are not delivered yet")
        self.assertIn("the next monitor that sends from there delivers them.\nprony: remote:", self.said("monitor"))
        self.assertNotIn("prony: prony", self.said("monitor"))

    def test_a_tenth_of_all_connections_cut_loses_and_doubles_nothing(self):
        collector = self.collect()
        proxy = CuttingProxy(self.port, 0.1)
        self.addCleanup(proxy.close)
        monitor = self.monitor("--sink", "jsonl:a.jsonl", url=f"http://127.0.0.1:{proxy.port}")
        self.assertTrue(wait_until(lambda: proxy.cut >= 5 and self.count() > 60, 60), self.said("monitor"))
        proxy.share = 0
        self.stop(monitor, "monitor")
        rows = self.rows("a.jsonl")
        self.assertEqual({row["dropped_frames"] for row in rows}, {0})
        self.assert_whole(len(rows))
        self.stop(collector)

    def test_a_stream_that_is_refused_is_set_aside_and_the_others_are_delivered(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        first = self.monitor(name="first", length="1s", options=",name=" + "x" * 201)  # longer than a name may be
        self.assertEqual(first.wait(60), 0)
        refused = self.buffered()
        self.assertGreater(refused, 3)
        collector = self.collect(port=self.port)
        monitor = self.monitor(length="1s")
        self.assertEqual(monitor.wait(60), 0)
        self.assert_whole(self.made())
        said = self.said("monitor")
        self.assertIn(f"{refused} frames of one stream will never be taken and are set aside in", said)
        self.assertRegex(said, rf"; {refused} frames will never be taken|: {refused} frames will never be taken")
        [aside] = os.listdir(self.path("buffer/set-aside"))
        with open(self.path("buffer/set-aside", aside, "why.txt"), encoding="utf-8") as why:
            self.assertIn("'client' is not what it should be", why.read())
        self.assertEqual(self.buffered(), refused)
        self.stop(collector)

    def test_tls_by_a_private_authority_with_a_token_or_a_password(self):
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.path("k.pem"), "-out",
                               self.path("c.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext",
                               "subjectAltName=DNS:localhost,IP:127.0.0.1"], capture_output=True, check=False)
        if made.returncode != 0:
            self.skipTest("openssl makes no certificate here")
        for name, text in (("web.yml", f"tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\nbasic_auth_users:\n  alice: {HASH}\n"),
                           ("token", TOKEN + "\n"), ("other", "f" * 32 + "\n"), ("password", PASSWORD + "\n")):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        collector = self.collect("--web-config", "web.yml", "--token-file", "token", scheme="https")
        url, made = f"https://127.0.0.1:{self.port}", 0
        for number, options in enumerate((",ca=c.pem,token-file=token", ",ca=c.pem,user=alice,password-file=password")):
            monitor = self.monitor(url=url, options=options, length="1s", name=f"right{number}")
            self.assertEqual(monitor.wait(60), 0)
            made += self.made(f"right{number}")
            self.assert_whole(made)
        for number, (options, told) in enumerate(((",ca=c.pem", "does not know the token"), (",ca=c.pem,token-file=other", "does not know"),
                                                  (",token-file=token", "certificate"))):
            monitor = self.monitor(url=url, options=options, length="500ms", name=f"wrong{number}")
            self.assertEqual(monitor.wait(60), 0)
            self.assertIn(told, self.said(f"wrong{number}"))
            self.assertNotIn(TOKEN, self.said(f"wrong{number}"))
        self.assertEqual(self.count(), made)
        monitor = self.monitor(url=url, options=",ca=c.pem,token-file=token", length="500ms", name="last")
        self.assertEqual(monitor.wait(60), 0)
        self.assertIn("could not deliver are sent first", self.said("last"))  # what was refused has waited
        self.assertGreater(self.count(), made)
        self.stop(collector)


class StrangersTest(CollectCase):
    def post(self, body, path="/v1/frames", headers=None, raw=False):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            line.request("POST", path, body if isinstance(body, bytes) else body.encode(), headers or {})
            answer = line.getresponse()
            text = answer.read().decode()
            return (answer.status, text) if raw else answer.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            line.close()

    def raw(self, data):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            try:
                line.sendall(data)
                return line.recv(65536)
            except OSError:
                return b""

    def test_malformed_and_oversized_requests_are_refused_and_others_are_served(self):
        collector = self.collect()
        good = header("me", "a" * 32) + frame(1, [1, None])
        self.assertEqual(self.post(good), 200)
        for body, status in (("", 400), ("x", 400), ("[" * 500_000, 400), (header("me", "A" * 32), 400),
                             (header("me", "b" * 32) + frame(1, [1]), 422), (header("me", "b" * 32) + "{}\n", 422),
                             (header("me", "b" * 32, series=30_000), 400), (header("mallory", "a" * 32) + frame(2, [1, 2]), 400),
                             (os.urandom(5000), 400)):
            self.assertEqual(self.post(body), status, body[:80])
        self.assertIn(self.post(b"x" * (17 << 20)), (413, None))
        self.assertEqual(self.post("identifier=%00", "/log"), 400)
        self.assertEqual(self.post("x", "/../etc/passwd"), 404)
        self.assertIn(b" 413 ", self.raw(b"POST /v1/frames HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"))
        self.assertIn(b" 405 ", self.raw(b"DELETE /v1/frames HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        self.assertNotIn(b" 200 ", self.raw(b"POST /v1/frames HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                            (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 20))
        for garbage in (b"\0" * 5000, b"\x16\x03\x01\x02\x00\x01", b"POST\r\n\r\n", os.urandom(4096)):
            self.raw(garbage)
        self.assertEqual(self.post(header("me", "a" * 32) + frame(2, [2, None])), 200)
        self.assertEqual(sorted(self.frames()), [("a" * 32, 1), ("a" * 32, 2)])
        self.stop(collector)

    @needs_root
    def test_a_full_disk_is_said_and_every_receipt_is_kept(self):
        with Tmpfs(self.path("small"), "size=1m"):
            os.symlink(self.path("small", "c.sqlite"), self.path("c.sqlite"))
            collector = self.collect()
            receipts, status = [], 200
            for number in range(1, 200):
                status = self.post(header("me", "a" * 32, series=1000) + frame(number, [number + i / 7 for i in range(1000)]))
                if status != 200:
                    break
                receipts.append(("a" * 32, number))
            self.assertEqual(status, 503)
            self.assertTrue(receipts)
            self.assertTrue(wait_until(lambda: "no space left" in self.said() or "full" in self.said()), self.said())
            self.assertIn("waits at those who send it", self.said())
            self.assertEqual(sorted(self.frames()), receipts)
            self.stop(collector)

    def test_slow_and_many_connections_do_not_keep_others_out(self):
        collector = self.collect("--connections", "300", "--connections-per-address", "200")
        slow = []
        self.addCleanup(lambda: [line.close() for line in slow])
        for number in range(150):  # each begins a request and never ends it, some in the middle of a body
            line = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            line.sendall(b"POST /v1/frames HTTP/1.1\r\nHost: localhost\r\n" + (b"Content-Length: 1000000\r\n\r\n{" if number % 2 else b"X-A: "))
            slow.append(line)
        for number in range(1, 6):
            self.assertEqual(self.post(header("me", "a" * 32) + frame(number, [1, 2])), 200)
        self.assertEqual(self.get("/v1/clients")["clients"][0]["frames"], 5)
        for _ in range(200):  # beyond what one address may hold
            try:
                slow.append(socket.create_connection(("127.0.0.1", self.port), timeout=20))
            except OSError:
                break
        for line in slow:
            line.close()
        self.assertTrue(wait_until(lambda: self.post(header("me", "a" * 32) + frame(6, [1, 2])) == 200))
        self.stop(collector)

    def test_who_may_send_and_read(self):
        with open(self.path("token"), "w", encoding="utf-8") as file:
            file.write("# two\n" + TOKEN + "\n" + "f" * 40 + "\n")
        open_door = self.prony("collect", "--listen", ":0", "--out", "x.sqlite", "--for", "1s")
        self.assertEqual(open_door.returncode, 125)
        self.assertIn("whoever reaches this address could write here", open_door.err)
        self.assertEqual(self.prony("collect", "--listen", ":0", "--out", "x.sqlite", "--for", "100ms", "--anyone").returncode, 0)
        collector = self.collect("--token-file", "token", "--heflwr-for-anybody")
        body = header("me", "a" * 32) + frame(1, [1, 2])
        for given in (None, "Bearer " + TOKEN[:-1], "Bearer " + TOKEN + "0", "Bearer ", "Basic " + base64.b64encode(b"a:b").decode(),
                      TOKEN):
            self.assertEqual(self.post(body, headers={"Authorization": given} if given else {}), 401, given)
        with self.assertRaises(urllib.error.HTTPError):
            self.get("/v1/clients")
        self.assertEqual(self.post(body, headers={"Authorization": "bearer " + TOKEN}), 200)
        self.assertEqual(self.post(body, headers={"Authorization": "Bearer " + "f" * 40}), 200)
        self.assertEqual(self.post("identifier=a&message=b", "/simple_log"), 200)
        self.assertEqual(self.post("identifier=a&message=b", "/other"), 401)
        self.assertEqual(len(self.get("/v1/clients", TOKEN)["clients"]), 2)
        for words, told in ((("--listen", str(self.port)), "somebody listens there already"), (("--out", "c.sqlite"), "another prony collect"),
                            (("--listen", "x"), "no address"), (("--token-file", "none"), "none"), (("--keep", "7"), "--keep")):
            slip = self.prony("collect", "--listen", "0", "--out", "y.sqlite", *words, "--for", "1s")
            self.assertEqual(slip.returncode, 125, slip.err)
            self.assertIn(told, slip.err)
        self.stop(collector)

    def test_pages_of_others_neither_write_nor_read_what_listens_on_the_loopback(self):
        collector = self.collect("--answer-to", "collector.lan", "--answer-to", "other.lan")
        body = header("me", "a" * 32) + frame(1, [1, 2])
        for headers, code in (({"Origin": "https://evil.org"}, 403), ({"Origin": "null"}, 403), ({"Host": "evil.org"}, 421),
                              ({"Host": "other.lan"}, 200), ({"Host": "collector.lan", "Origin": "http://collector.lan"}, 200),
                              ({}, 200)):
            self.assertEqual(self.post(body, headers={"Content-Type": "text/plain", **headers}), code, headers)
        self.assertEqual(self.frames(), [("a" * 32, 1)])
        self.stop(collector)

    def test_what_is_too_old_goes_and_counts_stay(self):
        collector = self.collect("--keep", "2s")
        self.assertEqual(self.post(header("me", "a" * 32) + "".join(frame(n, [n, n]) for n in range(1, 5001))), 200)
        self.stop(collector)
        time.sleep(2.1)  # until it is too old
        collector = self.collect("--keep", "2s")
        self.assertTrue(wait_until(lambda: self.frames() == []), self.said())
        client = self.get("/v1/clients")["clients"][0]
        self.assertEqual((client["frames"], client["missing_frames"]), (5000, 0))
        self.stop(collector)

    def test_programs_of_heflwr_are_received_in_both_dialects(self):
        collector = self.collect()
        row = "Cpu Usage: 1.5%, Memory Usage: 2.5%, Bytes Sent: 10, Bytes Recv: 20, VDD In: 5000"
        for _ in range(3):
            self.assertEqual(self.post(urllib.parse.urlencode({"identifier": "edge", "message": row}), "/simple_log"), 200)
        record = {"identifier": "edge", "name": "HeFlwr", "levelname": "INFO", "created": str(time.time()), "msg": row, "message": row,
                  "args": "None", "lineno": "7"}
        self.assertEqual(self.post(urllib.parse.urlencode(record), "/log"), 200)
        client = self.get("/v1/clients")["clients"][0]
        self.assertEqual((client["client"], client["dialect"], client["messages"]), ("edge", "heflwr", 4))
        self.assertEqual((client["sent_bytes"], client["received_bytes"], client["last_vdd_in_w"]), (40, 80, 5.0))
        self.stop(collector)

    def test_a_hundred_clients_at_once_lose_nothing(self):
        collector = self.collect()
        failed = []

        def client(number):
            line, stream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60), uuid.uuid4().hex
            self.addCleanup(line.close)
            for sequence in range(1, 11):
                body = header(f"c{number}", stream) if sequence == 1 else json.dumps(
                    {"prony_remote": 1, "client": f"c{number}", "stream": stream, "sent_wall_ns": 1}) + "\n"
                try:
                    line.request("POST", "/v1/frames", (body + frame(sequence, [sequence, 1])).encode())
                    answer = line.getresponse()
                    answer.read()
                    if answer.status != 200:
                        failed.append((number, sequence, answer.status))
                except (OSError, http.client.HTTPException) as error:
                    failed.append((number, sequence, repr(error)))

        threads = [threading.Thread(target=client, args=(number,)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assert_whole(1000)
        totals = self.get("/v1/totals")["totals"]
        self.assertEqual([(t["sum"], t["hosts"]) for t in totals], [(1000, 100), (100, 100)])
        self.stop(collector)


if __name__ == "__main__":
    main()
