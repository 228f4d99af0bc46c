"""`prony merge`: the joules of a server's Run meet the requests of a client's, their clocks laid together.

Both are recorded on this host, the client in a time namespace of its own: its monotonic clock is another by a known offset,
which the merge has to find."""

import json
import os
import socket
import sqlite3
import subprocess
import time

import harness
import proxy_case
from harness import program

# A llama-server that burns CPU for as long as the prompt says, in a process of its own: it is what is charged.
SERVER = r"""
import json, socket, sys, threading, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def one(connection):
    with connection:
        while True:
            data = b""
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            length = [int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length")]
            while length and len(body) < length[0]:
                body += connection.recv(65536)
            path = head.split()[1]
            def say(document):
                text = json.dumps(document).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            if path == b"/health": say({"status": "ok"})
            elif path == b"/props": say({"model_path": "/m/tiny.gguf", "total_slots": 1, "build_info": "b1", "default_generation_settings": {"n_ctx": 2048}})
            elif path == b"/v1/models": say({"data": [{"id": "tiny"}]})
            elif path == b"/completion":
                ask = json.loads(body)
                seconds = float(ask["prompt"].split()[-1])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                end = time.monotonic() + seconds
                count = 0
                while time.monotonic() < end:
                    stop = time.monotonic() + 0.02
                    while time.monotonic() < stop:
                        pass
                    count += 1
                    line = b"data: " + json.dumps({"content": " w", "stop": False}).encode() + b"\n\n"
                    connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
                line = b"data: " + json.dumps({"content": "", "stop": True, "stop_type": "limit", "tokens_evaluated": 4, "tokens_predicted": count}).encode() + b"\n\n"
                connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(line), line))
            else: say({"error": "not found"})
while True:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=one, args=(connection,), daemon=True).start()
"""


class Merge(proxy_case.ProxyCase):
    offset_s = 123

    def record(self, by_proxy):
        """A server's and a client's Run of the same requests, the client's on another clock."""
        if subprocess.run(["unshare", "--time", "--monotonic", "1", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no time namespace can be made here (unshare --time, as root)")
        port = proxy_case.free_port()
        server = subprocess.Popen(["python3", "-c", SERVER, str(port)])
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        with open(self.path("prompts.jsonl"), "w", encoding="utf-8") as file:
            for number, seconds in enumerate([0.35, 0.1, 0.6, 0.2, 0.45, 0.15]):
                file.write(json.dumps({"id": f"p{number}", "prompt": f"Work for {seconds}"}) + "\n")
        if by_proxy:
            monitor, through = self.proxy(f"http://127.0.0.1:{port}", "--interval", "20ms")
        else:
            through = port
            monitor = subprocess.Popen([program("prony"), "monitor", "--quiet", "--port", f"server={port}", "--interval", "20ms",
                                        "--sink", "run:" + self.path("p.prony")], cwd=self.folder, env=self.environment())
            self.addCleanup(self.stop, monitor)
            time.sleep(2)
        self.prefix = ("unshare", "--time", "--monotonic", str(self.offset_s))
        done = self.prony("llm", "--engine", "llama-server", "--url", f"http://127.0.0.1:{through}", "--prompts",
                          self.path("prompts.jsonl"), "--gap", "130ms", "--out", self.path("client.prony"), "--quiet")
        self.assertEqual(done.returncode, 0, done.err)
        self.prefix = ()
        time.sleep(1.5)
        self.assertEqual(self.stop(monitor), 0)

    def merged(self, *options):
        done = self.prony("merge", self.path("p.prony"), self.path("client.prony"), "-o", self.path("m.prony"), *options)
        self.assertEqual(done.returncode, 0, done.err)
        return json.loads(self.prony("show", self.path("m.prony"), "--json").out), done.err + done.out

    def facts(self):
        with sqlite3.connect(self.path("m.prony")) as database:
            return dict(database.execute("SELECT key, value FROM fact"))

    def check(self, summary, kind):
        facts = self.facts()
        self.assertEqual(facts["merge.offset_kind"], kind)
        error, doubt = abs(int(facts["merge.offset_ns"]) + self.offset_s * 1_000_000_000), int(facts["merge.offset_doubt_ns"])
        self.assertLessEqual(error, doubt)
        self.assertEqual([row["id"] for row in summary["requests"]], [f"p{n}" for n in range(6)])
        for row in summary["requests"]:
            self.assertEqual(row["status"], "ok")
        self.assertTrue(any(row["energy"] for row in summary["requests"]))
        self.assert_charges_close("m.prony")
        return doubt

    def test_by_requests_that_a_proxy_saw_a_known_offset_is_found_within_its_bound(self):
        self.record(True)
        summary, text = self.merged()
        doubt = self.check(summary, "bound")
        self.assertLess(doubt, 200_000_000)
        self.assertIn("seen at both ends", text)
        requests = [s for s in self.table("m.prony", "spans") if s["kind"] == "request"]
        self.assertEqual(len(requests), 6)  # each once, not as the proxy and as the client saw it

    def test_where_nothing_was_seen_at_both_ends_the_load_decides_within_its_doubt_or_says_why_not(self):
        self.record(False)  # a machine that others use as well: its server's work may not show its requests
        done = self.prony("merge", self.path("p.prony"), self.path("client.prony"), "-o", self.path("m.prony"))
        if done.returncode == 0:
            self.check(json.loads(self.prony("show", self.path("m.prony"), "--json").out), "interval(0.95)")
        else:
            self.assertEqual(done.returncode, 125)
            self.assertIn("the clocks cannot be laid together", done.err)
            self.assertIn("--offset", done.err)
            self.assertFalse(os.path.exists(self.path("m.prony")))

    def test_an_offset_that_is_named_needs_its_doubt_and_is_taken(self):
        self.record(True)
        done = self.prony("merge", self.path("p.prony"), self.path("client.prony"), "--offset", "0s")
        self.assertEqual(done.returncode, 125)
        self.assertIn("needs its doubt", done.err)
        summary, _ = self.merged("--offset", "0s", "--doubt", "5ms")
        doubt = self.check(summary, "as named")
        self.assertGreaterEqual(doubt, 5_000_000)
        again = self.prony("merge", self.path("p.prony"), self.path("client.prony"), "-o", self.path("m.prony"))
        self.assertEqual(again.returncode, 125)  # nothing that exists is overwritten
        twice = self.prony("merge", self.path("p.prony"), self.path("m.prony"), "-o", self.path("n.prony"))
        self.assertIn("merged already", twice.err)
        self.assertFalse(os.path.exists(self.path("n.prony")))


if __name__ == "__main__":
    harness.main()
