"""`prony proxy`: what passes through it is the same to the byte, whatever becomes of the meter; what it saw is in the Run,
the log and Prometheus. Against scripted servers (real ones: tests/engines)."""

import json
import os
import re
import resource
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

import fake_llm
import harness
import proxy_case
from proxy_case import Raw, exchange, exchange_json, free_port, head_of, post

SLOW = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in
                [b'{"model":"tiny","response":"word %d","done":false}\n' % n for n in range(20)] +
                [b'{"model":"tiny","response":"","done":true,"done_reason":"length","prompt_eval_count":5,"eval_count":20}\n'])


class Bytes(proxy_case.ProxyCase):
    """What comes out is what went in."""

    def test_streams_of_every_dialect_and_their_faults_pass_to_the_byte(self):
        for kind, paths in ((fake_llm.Ollama, ("/api/generate", "/api/chat")),
                            (fake_llm.OpenAi, ("/v1/chat/completions", "/v1/completions", "/completion"))):
            server = self.server(kind())
            process, port = self.proxy(server.url)
            for path in paths:
                for fault in ("plain", "crlf", "cut-anywhere", "many-lines", "error-in-stream", "closes-in-mid-stream",
                              "ends-in-mid-stream", "no-text", "no-done", "busy", "too-many", "overflow", "close-at-once",
                              "no-http", "too-long", "error-line", "closes-after-the-last"):
                    text = f"[{fault}] Say something."
                    body = {"messages": [{"role": "user", "content": text}]} if "chat" in path else {"prompt": text}
                    data = post(path, {"model": "tiny", "stream": True, **body}, "Connection: close\r\n")
                    self.assertEqual(exchange(port, data), exchange(server.port, data), (path, fault))
            logged, spans = self.finished(process)
            self.assertEqual(len(logged), 17 * len(paths))
            self.assertEqual(set(logged), set(spans))
            self.assertEqual({line["outcome"] for line in logged.values()}, {"ok", "failed"})
            for number, line in logged.items():
                self.assertTrue(("charged_j" in line) != ("no_joules" in line), line)
                self.assertEqual(line.get("output_tokens"), spans[number].get("output_tokens"))
            os.remove(self.path("log.jsonl"))
            os.remove(self.path("p.prony"))

    def test_chunk_boundaries_expectations_upgrades_and_kept_connections_pass_as_they_are(self):
        def script(connection):
            while True:
                head, rest = head_of(connection)
                if head is None:
                    return
                if b"100-continue" in head:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    while len(rest) < 5:
                        rest += connection.recv(100)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + rest[:5])
                elif b"websocket" in head:
                    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                    while (more := connection.recv(100)):
                        connection.sendall(bytes(reversed(more)))
                    return
                elif head.startswith(b"BREW"):
                    connection.sendall(b"HTTP/1.1 418 Teapot\r\nX-Odd:\t value \r\nContent-Length: 0\r\n\r\n")
                else:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTE: x\r\nKeep-Alive: 5\r\n\r\n"
                                       b"3;ext=1\r\nabc\r\n")
                    time.sleep(0.05)
                    connection.sendall(b"0\r\nTrailer: " + head.splitlines()[1] + b"\r\n\r\n")

        server = self.server(Raw(script))
        process, port = self.proxy(server.url)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"GET /a HTTP/1.1\r\nHost: some.example\r\nOrigin: http://o\r\nConnection: keep-alive, x\r\nX: 1\r\n\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\n") or b"Trailer" not in answer:
                answer += client.recv(1000)
            self.assertTrue(answer.endswith(b"abc\r\n0\r\nTrailer: Host: some.example\r\n\r\n"), answer)  # as it was received
            client.sendall(b"BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n")
            self.assertEqual(client.recv(1000), b"HTTP/1.1 418 Teapot\r\nX-Odd:\t value \r\nContent-Length: 0\r\n\r\n")
            client.sendall(b"PUT /b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            self.assertEqual(client.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")  # before a byte of the body was sent
            client.sendall(b"hello")
            self.assertTrue(client.recv(1000).endswith(b"hello"))
            client.sendall(b"GET /w HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            self.assertIn(b"101", client.recv(1000))
            for word in (b"abc", b"\x00\xff\x01", b"GET / HTTP/1.1\r\n"):
                client.sendall(word)
                self.assertEqual(client.recv(1000), bytes(reversed(word)))
        logged, _ = self.finished(process)
        self.assertEqual(logged, {})  # nothing of it was for a model

    def test_a_server_behind_tls_with_a_private_authority_is_passed_on_to(self):
        if shutil.which("openssl") is None:
            self.skipTest("no openssl to make a certificate with")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        self.path("key.pem"), "-out", self.path("ca.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("ca.pem"), self.path("key.pem"))
        ca = self.path("ca.pem")
        server = self.server(fake_llm.OpenAi(tls=context))
        process, port = self.proxy(server.url, "--ca-file", ca)
        data = post("/v1/completions", {"model": "tiny", "prompt": "[plain] x", "stream": True}, "Connection: close\r\n")
        for _ in range(3):
            answer = exchange(port, data)
            self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer)
            self.assertTrue(answer.endswith(b"0\r\n\r\n"))
        logged, _ = self.finished(process)
        self.assertEqual([line["outcome"] for line in logged.values()], ["ok"] * 3)
        process, port = self.proxy(server.url)  # nobody vouches for it
        self.assertIn(b"502 Bad Gateway", exchange(port, data))

    def test_a_server_that_is_down_is_told_as_502_and_found_when_it_is_up(self):
        port_of_server = free_port()
        process, port = self.proxy(f"http://127.0.0.1:{port_of_server}")
        data = post("/api/generate", {"model": "tiny", "prompt": "x"}, "Connection: close\r\n")
        answer = exchange(port, data)
        self.assertIn(b"502 Bad Gateway", answer)
        self.assertIn(b"nobody listens there", answer)

        server = socket.create_server(("127.0.0.1", port_of_server))
        self.addCleanup(server.close)

        def serve():
            while True:  # the proxy may ask what the model is, too
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    head_of(connection)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=serve, daemon=True).start()
        self.assertTrue(exchange(port, data).endswith(b"{}"))
        logged, _ = self.finished(process)
        self.assertEqual([(line["outcome"], line["status"]) for line in logged.values()], [("failed", 502), ("ok", 200)])


class FailsOpen(proxy_case.ProxyCase):
    def slow_server(self, pause=0.05):
        def script(connection):
            while True:
                head, _ = head_of(connection)
                if head is None:
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
                for line in SLOW.splitlines(keepends=True):
                    connection.sendall(line)
                    time.sleep(pause / 3)
                connection.sendall(b"0\r\n\r\n")

        return self.server(Raw(script))

    def stream(self, port, after_first=None):
        """The body of a slow stream; `after_first` is called when its first bytes have come."""
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(post("/api/generate", {"model": "tiny", "prompt": "x"}))
            data = client.recv(65536)
            if after_first:
                after_first()
            while not data.endswith(b"0\r\n\r\n"):
                more = client.recv(65536)
                if not more:
                    break
                data += more
            return data.split(b"\r\n\r\n", 1)[1]

    def test_kill_9_of_the_meter_in_mid_stream_changes_no_byte_and_the_next_meter_takes_over(self):
        server = self.slow_server()
        process, port = self.proxy(server.url)

        def kill():
            process.kill()
            process.wait()

        self.assertEqual(self.stream(port, kill), SLOW + b"0\r\n\r\n")
        self.assertEqual(self.stream(port), SLOW + b"0\r\n\r\n")  # and new clients are served
        self.assertTrue(os.path.exists(f"/proc/{process.relay}"))
        # The next one on the same address gets the listener, with a stream still on its way through the old one.
        self.second = None
        old = process.relay

        def restart():
            os.rename(self.path("log.jsonl"), self.path("old.jsonl"))
            self.second = self.proxy(server.url, listen=f"127.0.0.1:{port}")

        self.assertEqual(self.stream(port, restart), SLOW + b"0\r\n\r\n")
        self.assertIn("taken over", self.said)
        self.assertEqual(self.second[1], port)
        self.assertEqual(self.stream(port), SLOW + b"0\r\n\r\n")
        for _ in range(200):
            if self.gone(old):
                break
            time.sleep(0.05)
        self.assertTrue(self.gone(old), "the old relay ends with its last connection")
        self.assertEqual(self.stop(self.second[0]), 0)
        with open(self.path("log.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file][1:]
        self.assertEqual([line["output_tokens"] for line in lines], [20])  # the one that went through the new

    @staticmethod
    def gone(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def test_a_meter_that_stands_still_holds_nobody_up(self):
        server = self.slow_server(0.01)
        process, port = self.proxy(server.url)
        self.assertEqual(self.stream(port), SLOW + b"0\r\n\r\n")
        process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(5):
                self.assertEqual(self.stream(port), SLOW + b"0\r\n\r\n")
        finally:
            process.send_signal(signal.SIGCONT)
        self.assertEqual(self.stop(process), 0)
        spans = [s for s in self.table("p.prony", "spans") if s["kind"] == "request"]
        self.assertEqual(len(spans), 6)  # nothing that was told meanwhile is lost

    @harness.needs_root
    def test_a_full_disk_under_log_and_run_holds_nobody_up(self):
        server = self.slow_server(0.01)
        with harness.Tmpfs(self.path("small"), "size=96m"):
            process, port = self.proxy(server.url, "--log", self.path("small", "log.jsonl"), "--out",
                                       self.path("small", "p.prony"))
            try:
                with open(self.path("small", "rest"), "wb", buffering=0) as file:
                    while True:
                        file.write(b"x" * 65536)
            except OSError:
                pass  # not a byte more
            for _ in range(30):
                self.assertEqual(self.stream(port), SLOW + b"0\r\n\r\n")
            self.stop(process)
            with open(self.errors, encoding="utf-8") as file:
                said = file.read()
            self.assertRegex(said, "No space left|takes no more|could not be written|disk is full|recording has stopped")

    def test_a_relay_that_dies_ends_the_meter_with_words_and_what_was_recorded_stays(self):
        server = self.slow_server(0.01)
        process, port = self.proxy(server.url)
        self.stream(port)
        os.kill(process.relay, signal.SIGKILL)
        self.assertEqual(process.wait(30), 125)
        with open(self.errors, encoding="utf-8") as file:
            self.assertIn("the process that passed requests on has ended", file.read())
        self.assertEqual(len([s for s in self.table("p.prony", "spans") if s["kind"] == "request"]), 1)


class Hostile(proxy_case.ProxyCase):
    def echo_server(self):
        def script(connection):
            while True:
                head, _ = head_of(connection)
                if head is None:
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

        return self.server(Raw(script))

    def rss(self, pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) * 1024

    def test_what_could_be_read_in_two_ways_goes_to_the_server_as_it_is_and_is_nobodys_request_here(self):
        received = []

        def script(connection):
            connection.settimeout(5)
            data = b""
            while not data.endswith(b"EVIL"):
                data += connection.recv(65536)
            received.append(data)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        server = self.server(Raw(script))
        process, port = self.proxy(server.url)
        attacks = [b"POST /api/chat HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nEVIL",
                   b"POST /api/chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nEVIL",
                   b"POST /api/chat HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nEVIL",
                   b"POST /api/chat HTTP/1.1\r\nX: 1\r\n folded\r\n\r\nEVIL",
                   b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"EVIL", b"\x00\xff\r\n\r\nEVIL"]
        for attack in attacks:
            answer = exchange(port, attack)
            self.assertIn(b"400 Bad Request", answer)
        self.assertEqual(received, attacks)
        self.assertLess(self.rss(process.relay), 64 << 20)
        logged, _ = self.finished(process)
        self.assertEqual(logged, {})

    def test_a_client_that_stops_reading_stops_its_server_and_takes_no_memory(self):
        sent = [0]
        stop = threading.Event()

        def script(connection):
            head_of(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
            connection.settimeout(3)
            block = b"x" * 65536
            while sent[0] < 400 << 20 and not stop.is_set():
                try:
                    sent[0] += connection.send(block)
                except TimeoutError:
                    return

        server = self.server(Raw(script))
        process, port = self.proxy(server.url)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /big HTTP/1.1\r\n\r\n")
            before = -1
            while sent[0] != before:
                before = sent[0]
                time.sleep(0.5)
            self.assertLess(sent[0], 64 << 20)  # what two sockets' buffers hold, not what it would send
            self.assertLess(self.rss(process.relay), 64 << 20)
            self.assertIn(b"{}", exchange_json(port, server))  # the others are served meanwhile
            stop.set()

    def test_a_thousand_connections_at_once_each_get_their_own_answer(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 4200
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"at most {hard} open files here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        server = self.server(Counting())
        process, port = self.proxy(server.url)
        clients = []
        try:
            for _ in range(1000):
                clients.append(socket.create_connection(("127.0.0.1", port), timeout=60))
            for number, client in enumerate(clients):
                client.sendall(post("/api/generate", {"model": "tiny", "prompt": str(number)}))
            for number, client in enumerate(clients):
                data = b""
                while b'"done":true' not in data:
                    more = client.recv(65536)
                    self.assertTrue(more)
                    data += more
                self.assertIn(b'"response":"%d"' % number, data)
        finally:
            for client in clients:
                client.close()
        logged, spans = self.finished(process)
        self.assertEqual(len(logged), 1000)
        self.assertEqual(len(spans), 1000)


class Counting:
    """One thread, a thousand connections: answers each with the number in its prompt."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1100)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ)
        self.open = True
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while self.open:
            for key, _ in self.selector.select(0.2):
                if key.fileobj is self.socket:
                    connection, _ = self.socket.accept()
                    self.selector.register(connection, 1, [b""])
                    continue
                more = key.fileobj.recv(65536)
                key.data[0] += more
                if not more:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                elif key.data[0].endswith(b"}"):
                    number = json.loads(key.data[0].split(b"\r\n\r\n", 1)[1])["prompt"].encode()
                    body = b'{"model":"tiny","response":"%s","done":true,"eval_count":1}' % number
                    key.fileobj.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                                        % (len(body), body))
                    key.data[0] = b""

    def close(self):
        self.open = False
        self.socket.close()


class Told(proxy_case.ProxyCase):
    """What is said of the requests."""

    def test_models_of_another_host_have_no_joules_here_and_local_ones_do_not_pay_for_them(self):
        server = self.server(fake_llm.Ollama())
        process, port = self.proxy(server.url)
        for model in ("big-cloud", "tiny", "big-cloud"):
            exchange(port, post("/api/generate", {"model": model, "prompt": "[plain] x"}, "Connection: close\r\n"))
        logged, spans = self.finished(process)
        for line in logged.values():
            cloud = line["model"] == "big-cloud"
            self.assertEqual(line.get("elsewhere"), "https://ollama.com:443" if cloud else None)
            self.assertEqual("not local energy" in line.get("no_joules", ""), cloud, line)
        summary = json.loads(self.prony("show", self.path("p.prony"), "--json").out)
        rows = {row["id"]: row for row in summary["requests"]}
        self.assertEqual(len(rows), 3)
        for name, row in rows.items():
            if "big-cloud" in name:
                self.assertFalse(row["energy"], name)
        self.assertIn("another host (https://ollama.com:443)", json.dumps(summary, ensure_ascii=False))
        self.assertEqual(sum(1 for s in spans.values() if s.get("elsewhere")), 2)
        self.assert_charges_close("p.prony")

    def test_prometheus_has_requests_tokens_and_joules_by_model_and_outcome(self):
        server = self.server(fake_llm.Ollama())
        metrics = free_port()
        process, port = self.proxy(server.url, "--sink", f"prometheus:{metrics}", "--interval", "100ms")
        for fault in ("plain", "plain", "overflow"):
            exchange(port, post("/api/generate", {"model": "tiny", "prompt": f"[{fault}] x"}, "Connection: close\r\n"))
        text = ""
        for _ in range(150):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                pass
            if 'outcome="failed"' in text and re.search(r'prony_requests_total\{[^}]*outcome="ok"[^}]*\} 2\n', text):
                break
            time.sleep(0.1)
        self.assertRegex(text, r'prony_requests_total\{[^}]*model="tiny",outcome="ok",where="local"\} 2\n')
        self.assertRegex(text, r'prony_requests_total\{[^}]*model="tiny",outcome="failed",where="local"\} 1\n')
        self.assertRegex(text, r'prony_request_tokens_total\{[^}]*outcome="ok"[^}]*direction="output"\} 12\n')
        self.finished(process)

    def test_an_answer_that_is_no_stream_gets_the_estimate_as_a_header_and_a_stream_stays_as_it_is(self):
        body = b'{"model":"tiny","response":"x","done":true,"eval_count":1}'

        def script(connection):
            head, rest = head_of(connection)
            if b"stream" in rest:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n" + body)
                return
            time.sleep(1.5)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            time.sleep(0.1)
            connection.sendall(body)

        server = self.server(Raw(script))
        process, port = self.proxy(server.url, "--response-header")
        answer = exchange(port, post("/api/generate", {"model": "tiny"}))
        head, _, rest = answer.partition(b"\r\n\r\n")
        self.assertEqual(rest, body)
        self.assertRegex(head.decode(), r"\r\nProny-Energy-Estimate: (none; reason=\"[^\"]+\"|[\d.]+ J; low=[\d.]+; high=[\d.]+; "
                                        r"kind=\S+; origin=\S+; measured-share=[\d.]+)$")
        answer = exchange(port, post("/api/generate", {"model": "tiny", "stream": "stream"}))
        self.assertEqual(answer, b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n" + body)
        process.send_signal(signal.SIGSTOP)  # a meter that does not answer costs a tenth of a second and no byte
        try:
            answer = exchange(port, post("/api/generate", {"model": "tiny"}))
            self.assertNotIn(b"Prony-Energy", answer)
            self.assertTrue(answer.endswith(body))
        finally:
            process.send_signal(signal.SIGCONT)
        self.finished(process)

    def test_words_that_make_no_sense_are_refused_before_anything_is_recorded(self):
        for words, said in (((), "no server is named"), (("--to", "ftp://x"), "is no address"),
                            (("--to", "http://127.0.0.1:1/v1"), "has a path"),
                            (("--to", "http://127.0.0.1:1", "--listen", "nowhere.invalid:1"), "--listen"),
                            (("--to", "http://127.0.0.1:1", "--", "ls"), "starts no command")):
            done = self.prony("proxy", *words)
            self.assertEqual(done.returncode, 125, (words, done.err))
            self.assertIn(said, done.err)
        for address in ("http://bob:hunter2@127.0.0.1:1", "http://127.0.0.1:1/?api_key=hunter2"):
            done = self.prony("proxy", "--to", address)
            self.assertIn("does not belong into an address", done.err)
            self.assertNotIn("hunter2", done.err)
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        done = self.prony("proxy", "--to", "http://127.0.0.1:1", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        self.assertIn("cannot listen on", done.err)
        self.assertFalse(os.path.exists(self.path("runs")))


if __name__ == "__main__":
    harness.main()
