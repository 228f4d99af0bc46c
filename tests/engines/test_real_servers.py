"""`prony llm` and `prony proxy` with servers as they are published, on a small synthetic model: llama-server and Ollama.

usage: test_real_servers.py BUILD_DIR. What is not installed is skipped with the reason (tools/setup-llama-server.sh,
tools/setup-ollama.sh).
"""

import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness  # noqa: E402
import proxy_case  # noqa: E402
from test_http_engines import HttpCase, free_port  # noqa: E402


class Registry(http.server.ThreadingHTTPServer):
    """Where Ollama fetches models from, as far as a fetch needs: manifests, and blobs that lie elsewhere, in ranges.

    Has `whole`; `short`, whose file ends half-way, and says so; `broken`, whose connection breaks half-way the first time;
    and `slow`, whose second half comes once .go_on is set."""

    daemon_threads = True

    def __init__(self, model):
        super().__init__(("127.0.0.1", 0), Answers)
        self.go_on = threading.Event()
        self.asked, self.ranges, self.broke = [], [], False
        config = json.dumps({"model_format": "gguf", "model_family": "llama", "model_families": ["llama"], "model_type": "160K",
                             "file_type": "Q8_0", "architecture": "amd64", "os": "linux"}).encode()
        self.blobs = {digest(data): data for data in (model, config)}
        self.model = digest(model)
        layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": self.model, "size": len(model)}]
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": layers,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest(config),
                       "size": len(config)}}).encode()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def name(self, model):
        return f"http://127.0.0.1:{self.server_port}/library/{model}"

    def close(self):
        self.go_on.set()
        self.shutdown()
        self.server_close()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        registry = self.server
        registry.asked.append((self.command, self.path))
        found = re.fullmatch(r"/(v2/library|elsewhere)/(whole|short|broken|slow)/(manifests/latest|blobs/(sha256:[0-9a-f]{64}))",
                             self.path)
        if not found:
            return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        where, name, _, blob = found.groups()
        if blob is None:
            return self.answer(200, registry.manifest)
        data = registry.blobs[blob]
        if name == "short" and blob == registry.model:
            data = data[:len(data) // 2]
        if self.command == "HEAD":
            return self.answer(200, length=len(data))
        if where != "elsewhere":  # as a registry does whose files lie on another host
            return self.answer(307, Location=f"http://localhost:{registry.server_port}/elsewhere/{name}/blobs/{blob}")
        return self.give(registry, name, blob == registry.model, data)

    def give(self, registry, name, is_model, data):
        first, last = (int(word) for word in re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
        part = data[first:last + 1]
        if not is_model or name in ("whole", "short"):
            return self.answer(206, part)
        registry.ranges.append(first)
        half = len(data) // 2
        if first < half:
            self.answer(206, part[:half - first], length=len(part))
            self.wfile.flush()
            if name == "broken":
                self.close_connection = True
                return None
            registry.go_on.wait(60)
            self.wfile.write(part[half - first:])
            return None
        return self.answer(206, part)


class Questions(http.server.ThreadingHTTPServer):
    """Passes what is asked of a server's counters on to it, and counts the answers: who waits for the next ones waits for no time."""

    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), PassedOn)
        self.there, self.answered = f"http://127.0.0.1:{port}", 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait_for_more(self, count):
        deadline, wanted = time.monotonic() + 60, self.answered + count
        while self.answered < wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.answered >= wanted

    def close(self):
        self.shutdown()
        self.server_close()


class PassedOn(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        try:
            with urllib.request.urlopen(self.server.there + self.path, timeout=10) as answer:
                body = answer.read()
        except OSError:
            return self.send_error(502)
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.server.answered += 1
        except ConnectionError:  # who asked has gone
            self.close_connection = True
        return None


class RealServer(HttpCase):
    def model(self):
        path = os.path.join(harness.BUILD, "e2e-160k.gguf")
        if not os.path.exists(path):
            done = self.prony("synth", "llama", "--params", "160k", "--seed", "1", "-o", path)
            self.assertEqual(done.returncode, 0, done.err)
        return path

    def installed(self, name):
        for place in (os.path.join(harness.ROOT, "build/deps", name, "bin", name), shutil.which(name) or ""):
            if os.access(place, os.X_OK) and os.path.isfile(place):
                return place
        self.skipTest(f"no {name} here (tools/setup-{name}.sh puts one into build/deps)")
        return None

    def start(self, command, env, port):
        log = open(self.path("server.log"), "wb")  # pylint: disable=consider-using-with
        self.addCleanup(log.close)
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return server
            except OSError:
                self.assertIsNone(server.poll(), "the server ended")
                time.sleep(0.05)
        self.fail("the server did not listen within a minute")
        return None

    def ollama(self):
        """The port of a new one that has no model, and what to say to its own client."""
        program_path, port = self.installed("ollama"), free_port()
        env = self.environment(OLLAMA_HOST=f"127.0.0.1:{port}", OLLAMA_MODELS=self.path("models"))
        self.server = self.start([program_path, "serve"], env, port)
        return program_path, port, env

    def check(self, summary, engine, spans_of):
        self.assertEqual(len(summary["requests"]), 8)
        for request in summary["requests"]:
            self.assertEqual(request["status"], "ok")
            self.assertGreater(request["prompt_tokens"], 0)
            self.assertTrue(1 <= request["output_tokens"] <= 16)
            self.assertGreaterEqual(request["e2e_s"], request["ttft_s"])
        rows = {row["target"]: row for row in self.table("x.prony", "targets") if row.get("cpu_s") is not None}
        self.assertGreater(rows[engine]["cpu_s"], 0)
        self.assert_charges_close("x.prony")
        self.assertEqual(spans_of[-1]["stamps"], "kernel")  # the kernel may not have begun with it at the first

    def test_a_real_llama_server(self):
        program_path, port = self.installed("llama-server"), free_port()
        self.start([program_path, "-m", self.model(), "--host", "127.0.0.1", "--port", str(port), "-t", "1", "-c", "2048"],
                   self.environment(), port)
        url = f"http://127.0.0.1:{port}"
        summary = self.llm("llama-server", "--url", url, "--max-tokens", "16", "--ignore-eos", model=None)
        self.check(summary, "llama-server", self.spans("request"))
        self.assertEqual({r["output_tokens"] for r in summary["requests"]}, {16})
        self.assertEqual({s["cached_tokens"] for s in self.spans("request")}, {0})
        tokens = self.spans("token")
        for span in self.spans("request"):  # each token has the time of its piece, and the queue has its end
            ends = sorted(token["end_ns"] for token in tokens if token["parent"] == span["id"])
            self.assertEqual(len(ends), 16)
            self.assertTrue(span["begin_ns"] + span["begun_after_ns"] <= ends[0] <= ends[-1] <= span["end_ns"])
        with open(self.path("long.jsonl"), "w", encoding="utf-8") as file:
            file.write(json.dumps({"prompt": "word " * 3000, "id": "long"}) + "\n" + json.dumps({"prompt": "hi", "id": "short"}) + "\n")
        summary = self.llm("openai", "--url", url, "--max-tokens", "8", "--prompts", self.path("long.jsonl"), code=1, name="o",
                           model=None)
        self.assertEqual([r["status"] for r in summary["requests"]], ["failed", "ok"])
        self.assertRegex(self.err, r"request long: [^\n]*\(context\)")

    def test_a_load_at_a_rate_as_the_page_has_it_on_a_real_llama_server(self):
        """docs/engines/openai.md: requests at their own times, and how many of them were within what users bear."""
        program_path, port = self.installed("llama-server"), free_port()
        self.start([program_path, "-m", self.model(), "--host", "127.0.0.1", "--port", str(port), "-t", "1", "-c", "4096",
                    "--parallel", "4"], self.environment(), port)
        wait_for_health(self, port)
        summary = self.llm("openai", "--url", f"http://127.0.0.1:{port}", "--rate", "5", "--slo", "ttft=500ms", "--requests", "20",
                           "--max-tokens", "8", model=None)
        load = summary["load"]
        self.assertEqual((load["mode"], load["requests"], load["answered"], load["failed"]), ("open", 20, 20, 0))
        self.assertEqual(load["judged_by_slo"], 20)
        within = [r for r in summary["requests"] if r["ttft_s"] + r["sent_late_s"] <= 0.5]
        self.assertEqual(load["within_slo"], len(within))
        self.assertEqual(load["output_tokens"], sum(r["output_tokens"] for r in summary["requests"]))
        self.assertTrue(all(1 <= r["output_tokens"] <= 8 for r in summary["requests"]))
        scheduled = sorted(span["scheduled_ns"] for span in self.spans("request"))
        self.assertAlmostEqual(load["offered_requests_per_s"], 19e9 / (scheduled[-1] - scheduled[0]), places=6)
        rows = {row["target"]: row for row in self.table("x.prony", "targets") if row.get("cpu_s") is not None}
        self.assertGreater(rows["server"]["cpu_s"], 0)
        self.assert_charges_close("x.prony")
        self.assertIn("open: Poisson, 5/s", self.err)
        self.assertIn("TTFT ≤ 500 ms", self.err)

    def test_a_real_ollama(self):
        program_path, port, env = self.ollama()
        with open(self.path("Modelfile"), "w", encoding="utf-8") as file:
            file.write(f"FROM {self.model()}\n")
        made = subprocess.run([program_path, "create", "tiny", "-f", self.path("Modelfile")], env=env, capture_output=True,
                              timeout=120, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        summary = self.llm("ollama", "--max-tokens", "16", "--threads", "1", "--ctx", "2048",
                           env={"OLLAMA_HOST": f"127.0.0.1:{port}"})
        self.check(summary, "ollama", self.spans("request"))
        for span in self.spans("request"):
            parts = span["server_load_ns"] + span["server_prefill_ns"] + span["server_decode_ns"] + span["server_queue_ns"]
            self.assertEqual(parts, span["server_total_ns"])


class Fetched(RealServer):
    """`--pull`: a real Ollama fetches from a registry what it does not have."""

    # The base's: once is enough.
    test_a_real_llama_server = test_a_real_ollama = test_a_load_at_a_rate_as_the_page_has_it_on_a_real_llama_server = None

    def registry(self):
        with open(self.model(), "rb") as file:
            registry = Registry(file.read())
        self.addCleanup(registry.close)
        return registry

    def pull(self, port, registry, name, code=0):
        return self.llm("ollama", "--url", f"http://127.0.0.1:{port}", "--pull", "--max-tokens", "8", "--threads", "1", "--ctx",
                        "1024", "--force", code=code, model=registry.name(name), name=name)

    def test_what_ollama_does_not_have_it_fetches_and_runs(self):
        _, port, _ = self.ollama()
        registry = self.registry()
        self.llm("ollama", "--url", f"http://127.0.0.1:{port}", "--threads", "1", code=125, model=registry.name("whole"))
        self.assertEqual(registry.asked, [])  # nobody asked for it
        self.assertIn("--pull", self.err)
        for name in ("whole", "broken"):  # Ollama itself goes on where a connection broke
            summary = self.pull(port, registry, name)
            self.assertEqual({r["status"] for r in summary["requests"]}, {"ok"})
            phases = [span["name"] for span in self.spans("phase", name) if span["name"] in ("fetch", "load")]
            self.assertEqual(phases, ["fetch", "load"])
            if name == "whole":
                self.assertEqual(int(self.facts(name)["model.fetched_bytes"]), sum(len(data) for data in registry.blobs.values()))
                before = len(registry.asked)
                self.pull(port, registry, name)
                self.assertEqual(len(registry.asked), before)  # it is there by now
                subprocess.run([self.installed("ollama"), "rm", registry.name(name)], check=True, capture_output=True, timeout=60,
                               env=self.environment(OLLAMA_HOST=f"127.0.0.1:{port}"))
        self.assertEqual(len(registry.ranges), 2)
        self.assertGreater(registry.ranges[1], 0)

    def test_a_fetch_that_fails_is_an_error_with_ollamas_words_and_no_run(self):
        _, port, _ = self.ollama()
        registry = self.registry()
        for name, words in (("none", "file does not exist"), ("short", "digest mismatch")):
            self.assertEqual(self.pull(port, registry, name, code=125)["requests"], [])
            self.assertRegex(self.err, rf"could not fetch '[^']*/{name}': [^\n]*{words}")

    def test_how_far_it_has_come_is_told_and_an_ollama_that_dies_meanwhile_is_no_success(self):
        _, port, _ = self.ollama()
        registry = self.registry()
        registry.url = f"http://127.0.0.1:{port}"
        for dies in (False, True):
            worker = self.worker(registry, "ollama", "--pull")
            worker.stdout.readline()
            self.tell(worker, type="load", model=registry.name("slow"))
            half = len(registry.blobs[registry.model]) // 2
            told = {"done": 0}
            while told["done"] < half:
                told = json.loads(worker.stdout.readline())
                self.assertEqual((told["type"], told["name"]), ("progress", "fetch"), told)
            self.assertLess(told["done"], told["total"])
            self.server.kill() if dies else registry.go_on.set()
            while told["type"] == "progress":
                told = json.loads(worker.stdout.readline())
            self.assertEqual(told["type"], "error" if dies else "loaded", told)
            if dies:
                self.assertEqual(told["error"]["code"], "unreachable")
                continue
            registry.go_on.clear()
            self.tell(worker, type="stop")
            self.assertEqual(json.loads(worker.stdout.readline())["type"], "bye")
            subprocess.run([self.installed("ollama"), "rm", registry.name("slow")], check=True, capture_output=True, timeout=60,
                           env=self.environment(OLLAMA_HOST=f"127.0.0.1:{port}"))


class Proxied(RealServer, proxy_case.ProxyCase):
    """What passes through `prony proxy` in front of a real server is what the server says, and its counts are in the log."""

    # The base's: once is enough.
    test_a_real_llama_server = test_a_real_ollama = test_a_load_at_a_rate_as_the_page_has_it_on_a_real_llama_server = None

    def answers(self, port, path, body, stream_end):
        """The text of a streamed answer, piece by piece, and the raw bytes of its body."""
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(proxy_case.post(path, body, "Connection: close\r\n"))
            data = b""
            while (more := client.recv(65536)):
                data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        self.assertIn(b"200", head.splitlines()[0], data[:300])
        self.assertIn(stream_end, rest)
        return head, rest

    def test_a_real_llama_server_behind_the_proxy_and_its_own_counters(self):
        program_path, port = self.installed("llama-server"), free_port()
        self.start([program_path, "-m", self.model(), "--host", "127.0.0.1", "--port", str(port), "-t", "1", "-c", "2048",
                    "--metrics"], self.environment(), port)
        wait_for_health(self, port)
        process, through, asked, _ = self.counted_proxy(port)
        ask = {"prompt": "Once upon a time", "n_predict": 24, "seed": 7, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
        # A document, then streams of both interfaces: the same tokens straight and through the proxy.
        def texts(at):
            _, plain = self.answers(at, "/completion", ask, b"tokens_predicted")
            _, native = self.answers(at, "/completion", {**ask, "stream": True}, b'"stop":true')
            _, chat = self.answers(at, "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 12,
                                                                "seed": 7, "temperature": 0, "stream": True, "ignore_eos": True,
                                                                "stream_options": {"include_usage": True}}, b"[DONE]")
            return json.loads(plain[plain.index(b"{"):plain.rindex(b"}") + 1])["content"], pieces(native), pieces(chat)
        self.assertEqual(texts(through), texts(port))
        self.assertTrue(asked.wait_for_more(2))
        logged, spans = self.finished(process)
        self.assertEqual([line["outcome"] for line in logged.values()], ["ok"] * 3, logged)
        self.assertEqual([line["output_tokens"] for line in logged.values()], [24, 24, 12])
        self.assertEqual([line["dialect"] for line in logged.values()], ["llama-server", "llama-server", "openai"])
        for line in logged.values():
            self.assertGreater(line["prompt_tokens"], 0)
            self.assertTrue("charged_j" in line or "no_joules" in line)
        summary = json.loads(self.prony("show", self.path("p.prony"), "--json").out)
        # Its own counters, of the proxied requests and of those that came straight.
        self.assertAlmostEqual(summary["engine_tokens"][0]["output_tokens"], 2 * 60, delta=1)
        rows = {row["target"]: row for row in self.table("p.prony", "targets") if row.get("cpu_s") is not None}
        self.assertGreater(rows["server"]["cpu_s"], 0)
        self.assertIn("prony-proxy", rows)
        self.assert_charges_close("p.prony")

    def counted_proxy(self, port):
        """A proxy whose meter has asked the server for its counters; who asks, and where the meter's own figures are.

        Of what is counted between two questions around an edge of the window the window has its part of the time: so two go
        by before anything is asked, and two before it ends."""
        metrics, asked = free_port(), Questions(port)
        self.addCleanup(asked.close)
        process, through = self.proxy(f"http://127.0.0.1:{port}", "--engine-metrics", asked.url, "--sink", f"prometheus:{metrics}")
        self.wait_for(metrics, r'prony_events_total\{[^}]*engine\.output_tokens')
        self.assertTrue(asked.wait_for_more(2))
        return process, through, asked, metrics

    def wait_for(self, metrics, pattern):
        """What Prometheus would scrape, once `pattern` is in it."""
        scraped = ""
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5) as answer:
                    scraped = answer.read().decode()
            except OSError:
                pass
            if re.search(pattern, scraped):
                return scraped
            time.sleep(0.1)
        self.fail(f"no {pattern} in {scraped}")
        return None

    def test_what_the_client_the_proxy_and_the_server_counted_of_one_load_is_the_same(self):
        program_path, port = self.installed("llama-server"), free_port()
        self.start([program_path, "-m", self.model(), "--host", "127.0.0.1", "--port", str(port), "-t", "1", "-c", "4096",
                    "--parallel", "4", "--metrics"], self.environment(), port)
        wait_for_health(self, port)
        process, through, asked, metrics = self.counted_proxy(port)
        summary = self.llm("openai", "--url", f"http://127.0.0.1:{through}", "--rate", "20", "--requests", "12", "--max-tokens",
                           "8", model=None)
        self.assertEqual((summary["load"]["answered"], summary["load"]["failed"]), (12, 0))
        tokens = sum(r["output_tokens"] for r in summary["requests"])
        scraped = self.wait_for(metrics, r'prony_requests_total\{[^}]*outcome="ok"[^}]*\} 12\n')
        self.assertRegex(scraped, r'prony_request_tokens_total\{[^}]*outcome="ok"[^}]*direction="output"\} ' + f"{tokens}\n")
        self.assertTrue(asked.wait_for_more(2))
        logged, _ = self.finished(process)
        self.assertEqual([line["outcome"] for line in logged.values()], ["ok"] * 12, logged)
        self.assertEqual(sum(line["output_tokens"] for line in logged.values()), tokens)
        shown = json.loads(self.prony("show", self.path("p.prony"), "--json").out)
        self.assertAlmostEqual(shown["engine_tokens"][0]["output_tokens"], tokens, delta=1)

    def test_a_real_ollama_behind_the_proxy(self):
        program_path, port, env = self.ollama()
        process, through = self.proxy(f"http://127.0.0.1:{port}")
        with open(self.path("Modelfile"), "w", encoding="utf-8") as file:
            file.write(f"FROM {self.model()}\n")
        # Its own client through the proxy: uploads, lists and all that it asks.
        made = subprocess.run([program_path, "create", "tiny", "-f", self.path("Modelfile")], capture_output=True, timeout=120,
                              env={**env, "OLLAMA_HOST": f"127.0.0.1:{through}"}, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        options = {"num_predict": 16, "seed": 7, "temperature": 0, "num_ctx": 2048, "num_thread": 1}
        _, body = self.answers(through, "/api/generate", {"model": "tiny", "prompt": "Hi", "options": options}, b'"done":true')
        _, straight = self.answers(port, "/api/generate", {"model": "tiny", "prompt": "Hi", "options": options}, b'"done":true')
        self.assertEqual(pieces(body), pieces(straight))
        _, refused = self.answers_any(through, "/api/generate", {"model": "nowhere", "prompt": "Hi"})
        self.assertIn(b"not found", refused)
        logged, _ = self.finished(process)
        self.assertEqual([line["outcome"] for line in logged.values()], ["ok", "failed"], logged)
        self.assertEqual([line["model"] for line in logged.values()], ["tiny", "nowhere"])
        first = next(iter(logged.values()))
        self.assertGreater(first["output_tokens"], 0)
        self.assertNotIn("elsewhere", first)
        rows = {row["target"]: row for row in self.table("p.prony", "targets") if row.get("cpu_s") is not None}
        self.assertGreater(rows["server"]["cpu_s"], 0)

    @staticmethod
    def answers_any(port, path, body):
        data = proxy_case.exchange(port, proxy_case.post(path, body, "Connection: close\r\n"))
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest


def wait_for_health(case, port):
    for _ in range(400):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
            if b" 200 " in client.recv(4096):
                return
        time.sleep(0.1)
    case.fail("it did not load its model")


def pieces(body):
    """What a stream says, without what differs from one answer to the next (times, ids)."""
    said = []
    for line in body.replace(b"data: ", b"").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict):
            continue
        choice = (event.get("choices") or [{}])[0]
        said.append(event.get("content") or event.get("response") or (choice.get("delta") or {}).get("content"))
    return [word for word in said if word]


if __name__ == "__main__":
    harness.main()
