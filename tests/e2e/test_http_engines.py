"""`prony llm` with engines behind HTTP: scripted servers for dialects and faults (real ones: tests/engines).

A failure must never look like a success: each fault's request fails, with words that name it, and its neighbours do not.
"""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
import threading
import time

import fake_llm
import harness
from harness import Case, program


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Tunnel:
    """A proxy: joins whoever asks by CONNECT to where he wants, or refuses."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.asked = []
        self.refuses = False
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.socket.close()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return client.close()
            head += more
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line)
        if self.refuses or not line.startswith("CONNECT "):
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return client.close()
        host, port = line.split()[1].rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=self.carry, args=(server, client), daemon=True)
        back.start()
        self.carry(client, server)
        return back.join()

    @staticmethod
    def carry(source, sink):
        try:
            while (data := source.recv(65536)):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class HttpCase(Case):
    def setUp(self):
        super().setUp()
        self.assertIsNotNone(program("prony-engine-http"), "it is built beside prony")

    def fake(self, kind, **options):
        server = kind(**options)
        self.addCleanup(server.close)
        return server

    def prompts(self, *faults):
        with open(self.path("p.jsonl"), "w", encoding="utf-8") as file:
            for fault in faults:
                file.write(json.dumps({"prompt": f"[{fault}] Say something.", "id": fault}) + "\n")
        return self.path("p.jsonl")

    def llm(self, engine, *options, code=0, env=None, name="x", model="tiny"):
        done = self.prony("llm", "--engine", engine, *(["--model", model] if model else []), "--out",
                          self.path(name + ".prony"), "--json", self.path(name + ".json"), *options, env=env)
        self.assertEqual(done.returncode, code, done.err)
        self.err = done.err
        return self.load(name + ".json") if os.path.exists(self.path(name + ".json")) else None

    def faults(self, engine, server, expected, *options):
        """One run with a prompt for each fault. `expected`: fault → words of its failure, or None: it succeeds."""
        summary = self.llm(engine, "--url", server.url, "--prompts", self.prompts(*expected), *options,
                           code=1 if any(expected.values()) else 0)
        rows = {row["id"]: row for row in summary["requests"]}
        self.assertEqual(list(rows), list(expected))
        for fault, words in expected.items():
            self.assertEqual(rows[fault]["status"], "failed" if words else "ok", (fault, self.err))
            if words:
                self.assertRegex(self.err, rf"request {fault}: [^\n]*{words}")
        return rows

    def worker(self, server, dialect="openai", *options):
        """The worker by itself."""
        process = subprocess.Popen([program("prony-engine-http"), "--dialect", dialect, "--url", server.url, *options],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment())
        watch = threading.Timer(60, process.kill)  # a reply that never comes is a failure, not a test that hangs
        watch.start()
        for clean in (watch.join, watch.cancel, process.wait, process.stdout.close, process.stdin.close, process.kill):
            self.addCleanup(clean)
        return process

    @staticmethod
    def tell(process, **message):
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()

    def facts(self, name="x"):
        with contextlib.closing(sqlite3.connect(self.path(name + ".prony"))) as run:
            return dict(run.execute("SELECT key, value FROM fact"))

    def spans(self, kind, name="x"):
        return [span for span in self.table(name + ".prony", "spans") if span["kind"] == kind]


class Registry(fake_llm.Ollama):
    """Fetches "small" if it is asked to, tells how far it has come, and knows of no other but those that go wrong."""

    layers = (("aaaa", 4000), ("bbbb", 96))

    def __init__(self, **options):
        self.pulled = []
        super().__init__(**options)

    def answer(self, out, method, path, message):
        if path != "/api/pull":
            return super().answer(out, method, path, message)
        if message["model"] not in ("small", "old", "breaks", "wrong"):
            return out.document({"error": "pull model manifest: file does not exist"}, 500)
        self.pulled.append(message["model"])
        if message["model"] == "old":  # one document, as for whoever asks for no stream
            self.has("old")
            return out.document({"status": "success"})
        out.begin("application/x-ndjson")
        out.chunk(b'{"status":"pulling manifest"}\n')
        for digest, total in self.layers:
            for completed in (0, total // 2, total):
                row = {"status": f"pulling {digest}", "digest": f"sha256:{digest}", "total": total, "completed": completed}
                for byte in json.dumps(row).encode() + b"\n":
                    out.chunk(bytes([byte]))
            if message["model"] == "breaks":
                return False
        if message["model"] == "wrong":
            out.chunk(b'{"error":"digest mismatch, file must be downloaded again: want sha256:aaaa, got sha256:cccc"}\n')
            return out.end()
        self.has("small")
        out.chunk(b'{"status":"verifying sha256 digest"}\n{"status":"success"}\n')
        return out.end()

    def has(self, name):
        self.models = (*self.models, {"name": name + ":latest", "model": name + ":latest", "size": 1, "digest": "s", "details": {}})


class Repeating(fake_llm.OpenAi):
    """Lists its models, and refuses every request by the key that it came with."""

    def answer(self, out, method, path, message):
        if method != "POST":
            return super().answer(out, method, path, message)
        said = f"Incorrect API key provided: {self.seen[-1][3].get('authorization')}"
        return out.document({"error": {"message": said}}, 401)


class OllamasOtherInterface(fake_llm.OpenAi):
    """OpenAI's interface of an Ollama: what /api/tags tells of its models is in no other list."""

    def answer(self, out, method, path, message):
        if path == "/v1/models":
            return out.document({"data": [{"id": "tiny"}, {"id": "alias"}, {"id": "far"}]})
        if path == "/api/tags":
            return out.document({"models": [{"name": "tiny:latest"}, {"name": "alias:latest", "remote_host": "https://ollama.com:443"},
                                            {"name": "far:latest", "remote_model": "big"}]})
        return super().answer(out, method, path, message)


class OllamaDialect(HttpCase):
    def test_ollamas_stream_is_read_however_it_is_cut_and_each_fault_is_named(self):
        server = self.fake(fake_llm.Ollama)
        rows = self.faults("ollama", server, {
            "plain": None, "crlf": None, "cut-anywhere": None, "cached": None,
            "error-in-stream": "out of memory", "closes-in-mid-stream": "closed the connection in mid-answer",
            "ends-in-mid-stream": "ended before the answer did", "rubbish": "no JSON object", "no-text": "holds no text",
            "too-long": "longer than 8 MiB", "busy": r"503[^\n]*server busy[^\n]*after 7 s",
            "overflow": r"400[^\n]*context length[^\n]*\(context\)", "close-at-once": "closed the connection without an answer",
            "no-http": "no HTTP", "last": None})
        for name in ("plain", "crlf", "cut-anywhere", "cached", "last"):
            self.assertEqual((rows[name]["prompt_tokens"], rows[name]["output_tokens"]), (20, 6), name)
            self.assertGreaterEqual(rows[name]["e2e_s"], rows[name]["ttft_s"])
        spans = {span["name"]: span for span in self.spans("request")}
        # 9 ms in all, of which 1 + 2 + 5 are told: the rest is waiting for a turn.
        self.assertEqual(spans["plain"]["server_queue_ns"], 1_000_000)
        self.assertEqual(spans["cached"]["cached_tokens"], 18)
        self.assertNotIn("cached_tokens", spans["plain"])  # absent is absent
        self.assertNotIn("output_tokens", spans["closes-in-mid-stream"])  # what came is no count
        self.assertEqual(spans["closes-in-mid-stream"]["chunks"], 3)

    def test_a_server_that_says_nothing_is_given_up_after_the_time_that_it_has(self):
        self.faults("ollama", self.fake(fake_llm.Ollama), {"hang": "did not finish within 1 s"}, "--timeout", "1s")

    def test_options_go_out_as_asked_and_the_model_is_loaded_before_the_first_prompt(self):
        server = self.fake(fake_llm.Ollama)
        self.llm("ollama", "--url", server.url, "--prompts", self.prompts("plain"), "--max-tokens", "6", "--ctx", "1024",
                 "--threads", "1", "--seed", "7", "--keep-alive", "30m", "--keep-output")
        message = server.prompts()[0]
        self.assertEqual(message["options"], {"num_predict": 6, "num_ctx": 1024, "num_thread": 1, "seed": 7, "temperature": 0.0})
        self.assertEqual((message["keep_alive"], message["truncate"], message["stream"]), ("30m", False, True))
        loads = [m for _, path, m, _ in server.seen if path == "/api/generate" and "prompt" not in m]
        self.assertEqual(loads[0]["options"], {"num_ctx": 1024, "num_thread": 1})  # the runner's, or it loads again
        self.assertEqual(loads[-1]["keep_alive"], 0)  # it was not in memory before: it does not stay
        self.assertEqual(self.load("x.json")["requests"][0]["answer"], "".join(fake_llm.WORDS))

    def test_a_context_that_the_server_shows_and_does_not_take_is_refused(self):
        class Shows(fake_llm.Ollama):
            def answer(self, out, method, path, message):
                if path == "/api/ps":  # as Ollama does: what was asked for, whatever the model was trained with
                    return out.document({"models": [{"name": "tiny:latest", "context_length": self.ctx}]})
                return super().answer(out, method, path, message)

        server = self.fake(Shows)
        ask = ("--url", server.url, "--prompts", self.prompts("plain"))
        server.ctx = 4096
        self.llm("ollama", *ask, "--ctx", "4096", code=125)
        self.assertIn("a context of 4096 was asked for and the server took 2048", self.err)
        self.assertEqual(server.prompts(), [])
        self.llm("ollama", *ask, name="own")  # its own default beyond that is no more than that either
        self.assertEqual(self.facts("own")["engine.ctx"], "2048")

    def test_a_cloud_models_joules_are_nobodys_here(self):
        server = self.fake(fake_llm.Ollama)
        summary = self.llm("ollama", "--url", server.url, "--prompts", self.prompts("plain"), model="big-cloud")
        self.assertEqual(summary["requests"][0]["status"], "ok")
        self.assertFalse(summary["requests"][0]["energy"])
        self.assertIn("another host (https://ollama.com:443)", json.dumps(summary, ensure_ascii=False))

    def test_a_cloud_model_is_one_in_either_interface_and_whatever_its_name(self):
        server = self.fake(OllamasOtherInterface)
        for model, where in (("alias", "https://ollama.com:443"), ("far", "a cloud"), ("tiny", None)):
            summary = self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), model=model, name=model)
            self.assertEqual(self.facts(model).get("engine.elsewhere"), where)
            if where:
                self.assertFalse(summary["requests"][0]["energy"])
        server = self.fake(fake_llm.Ollama)
        server.models = ({"name": "far:latest", "model": "far:latest", "remote_model": "big"},)
        self.llm("ollama", "--url", server.url, "--prompts", self.prompts("plain"), model="far", name="own")
        self.assertEqual(self.facts("own")["engine.elsewhere"], "a cloud")
        self.assertEqual(len(server.prompts()), 1)  # nothing is loaded here before it

    def test_the_dialect_of_hailo_is_chat_and_what_it_does_not_tell_is_absent(self):
        server = self.fake(fake_llm.Ollama)
        self.llm("hailo-ollama", "--url", server.url, "--prompts", self.prompts("plain"))
        self.assertEqual([path for method, path, _, _ in server.seen if method == "POST"], ["/api/chat"])

    def test_a_model_that_is_not_there_and_a_server_that_is_down_are_told_before_anything_is_recorded(self):
        server = self.fake(fake_llm.Ollama)
        done = self.prony("llm", "--engine", "ollama", "--url", server.url, "--model", "huge", "--out", self.path("n.prony"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("it has: tiny:latest, big-cloud", done.err)
        self.assertIn("ollama pull huge", done.err)
        done = self.prony("llm", "--engine", "ollama", "--url", f"http://127.0.0.1:{free_port()}", "--model", "tiny", "--out",
                          self.path("d.prony"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("nobody listens there", done.err)
        self.assertFalse(os.path.exists(self.path("d.prony")))

    def test_a_model_that_is_not_there_is_fetched_where_that_is_asked_for_and_a_failure_is_named(self):
        server = self.fake(Registry)
        ask = ("--url", server.url, "--prompts", self.prompts("plain"))
        self.llm("ollama", *ask, model="small", code=125)
        self.assertEqual(server.pulled, [])  # nobody asked for it
        for name in ("small", "old"):
            summary = self.llm("ollama", *ask, "--pull", model=name, name=name)
            self.assertEqual(summary["requests"][0]["status"], "ok")
            # The network's time is no loading: a span of its own, and before that of the load.
            phases = [span for span in self.spans("phase", name) if span["name"] in ("fetch", "load")]
            self.assertEqual([(span["name"], span["status"]) for span in phases], [("fetch", "ok"), ("load", "ok")])
            self.assertLessEqual(phases[0]["end_ns"], phases[1]["begin_ns"])
        self.assertEqual(self.facts("small")["model.fetched_bytes"], "4096")
        self.assertNotIn("model.fetched_bytes", self.facts("old"))  # nobody told
        self.llm("ollama", *ask, "--pull", model="small", name="q")
        self.assertEqual(server.pulled, ["small", "old"])  # it is there by now
        self.assertEqual([s["name"] for s in self.spans("phase", "q") if s["name"] == "fetch"], [])
        for name, words in (("none", "file does not exist"), ("wrong", "digest mismatch"),
                            ("breaks", "closed the connection in mid-answer")):
            self.llm("ollama", *ask, "--pull", model=name, code=125, name=name)
            self.assertRegex(self.err, f"could not fetch '{name}': [^\n]*{words}")

    def test_the_driver_is_told_how_far_a_fetch_has_come(self):
        server = self.fake(Registry)
        worker = self.worker(server, "ollama", "--pull")
        worker.stdout.readline()
        self.tell(worker, type="load", model="small")
        told = [json.loads(worker.stdout.readline())]
        while told[-1]["type"] == "progress":
            told.append(json.loads(worker.stdout.readline()))
        self.assertEqual((told[0]["type"], told[0]["name"]), ("progress", "fetch"))
        self.assertEqual(told[-1]["type"], "loaded")
        for message in told[:-1]:
            self.assertLessEqual(message["done"], message["total"])

    def test_without_a_url_the_place_that_ollamas_own_client_obeys_is_asked(self):
        server = self.fake(fake_llm.Ollama)
        self.llm("ollama", "--prompts", self.prompts("plain"), env={"OLLAMA_HOST": f"127.0.0.1:{server.port}"})
        self.llm("ollama", "--prompts", self.prompts("plain"), env={"OLLAMA_HOST": f"\":{server.port}\""}, name="own")
        self.assertEqual(len(server.prompts()), 2)
        # What is no address is no leave to ask another server.
        for host in (f"http://bob:hunter2@127.0.0.1:{server.port}", f"ftp://127.0.0.1:{server.port}"):
            self.llm("ollama", "--prompts", self.prompts("plain"), env={"OLLAMA_HOST": host}, code=125)
            self.assertIn("OLLAMA_HOST: ", self.err)
            self.assertNotIn("hunter2", self.err)
        self.assertEqual(len(server.prompts()), 2)

    def test_a_password_or_a_key_in_an_address_is_refused_and_not_repeated(self):
        for address in ("http://bob:hunter2@127.0.0.1:1", "127.0.0.1:1/?api_key=hunter2", "http://127.0.0.1:1/#hunter2"):
            self.llm("openai", "--url", address, "--prompts", self.prompts("plain"), code=125)
            self.assertIn("does not belong into an address", self.err)
            self.assertNotIn("hunter2", self.err)

    def test_another_kind_of_server_is_told_from_one_that_is_down(self):
        for engine, kind, words in (("ollama", fake_llm.OpenAi, "this is no Ollama"), ("hailo-ollama", fake_llm.OpenAi, "this is no Ollama"),
                                    ("llama-server", fake_llm.Ollama, "this is no llama-server")):
            self.llm(engine, "--url", self.fake(kind).url, "--prompts", self.prompts("plain"), code=125)
            self.assertRegex(self.err, words + r"[^\n]*--engine")

    def test_what_an_engine_cannot_do_is_refused_by_name(self):
        server = self.fake(fake_llm.Ollama)
        self.llm("ollama", "--url", server.url, "--prompts", self.prompts("plain"), "--ignore-eos", code=125)
        self.assertIn("--ignore-eos", self.err)
        self.assertEqual(server.prompts(), [])


class OpenAiDialect(HttpCase):
    def test_openais_stream_is_read_however_it_is_cut_and_each_fault_is_named(self):
        server = self.fake(fake_llm.OpenAi)
        rows = self.faults("openai", server, {
            "plain": None, "crlf": None, "cut-anywhere": None, "many-lines": None, "no-done": None, "no-usage": None,
            "closes-after-the-last": None, "slow-first-token": None,
            "error-in-stream": "invalid content", "closes-in-mid-stream": "closed the connection in mid-answer",
            "ends-in-mid-stream": "ended before the answer did", "done-in-mid-stream": "not why the answer ended",
            "no-text": "holds no text", "too-many": r"429[^\n]*Rate limit reached[^\n]*after 2 s",
            "overflow": r"400[^\n]*available context size[^\n]*\(context\)", "error-under-200": r"context length[^\n]*\(context\)",
            "last": None})
        for name in ("plain", "crlf", "cut-anywhere", "many-lines", "no-done", "last"):
            self.assertEqual((rows[name]["prompt_tokens"], rows[name]["output_tokens"]), (20, 6), name)
        # Without usage there is no count: pieces of the stream are not tokens.
        self.assertNotIn("output_tokens", rows["no-usage"])
        self.assertNotIn("decode_tokens_per_s", rows["no-usage"])
        # A chunk that names the role alone is no token: the first one is 0.2 s later.
        self.assertGreater(rows["slow-first-token"]["ttft_s"], 0.2)
        # Nobody told when prefill began.
        self.assertNotIn("prefill_tokens_per_s", rows["plain"])
        spans = {span["name"]: span for span in self.spans("request")}
        self.assertEqual(spans["plain"]["cached_tokens"], 4)
        self.assertEqual(spans["last"]["stamps"], "kernel")  # the kernel may not have begun with it at the first
        self.assertEqual(len([s for s in self.spans("token") if s["parent"] == spans["plain"]["id"]]), 6)

    def test_a_field_that_the_server_does_not_know_is_left_out_and_the_request_goes_on(self):
        server = self.fake(fake_llm.OpenAi)
        server.strict = True
        self.llm("openai", "--url", server.url + "/v1", "--prompts", self.prompts("plain", "crlf"), "--completions")
        asked = ["stream_options" in message for message in server.prompts()]
        self.assertEqual(asked, [True, True, False, False])  # first without what stands in it; learned once
        self.assertEqual({s["name"]: s.get("asked_again") for s in self.spans("request")}, {"plain": 2, "crlf": None})
        server = self.fake(fake_llm.OpenAi)
        server.strict_inside = True
        rows = self.faults("openai", server, {"plain": None, "crlf": None}, "--force")
        self.assertEqual([m["stream_options"] for m in server.prompts()],
                         [{"include_usage": True, "continuous_usage_stats": True}] + 2 * [{"include_usage": True}])
        self.assertEqual([row["output_tokens"] for row in rows.values()], [6, 6])

    def test_the_key_of_a_file_goes_out_and_a_wrong_one_is_told_without_being_printed(self):
        server = self.fake(fake_llm.OpenAi, key="sk-right")
        for key in ("sk-right", "sk-wrong"):
            with open(self.path(key), "w", encoding="utf-8") as file:
                file.write(key + "\n")
        self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), "--api-key-file", self.path("sk-right"))
        self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), "--api-key-file", self.path("sk-wrong"),
                 code=125, name="w")
        self.assertRegex(self.err, r"401[^\n]*Incorrect API key[^\n]*--api-key-file")
        self.assertNotIn("sk-wrong", self.err.replace(self.path("sk-wrong"), ""))
        with open(self.path("x.prony"), "rb") as file:
            self.assertNotIn(b"sk-right\n", file.read().replace(self.path("sk-right").encode(), b""))

    def test_a_key_that_the_server_repeats_while_it_refuses_a_request_is_neither_printed_nor_kept(self):
        server = self.fake(Repeating)
        with open(self.path("key"), "w", encoding="utf-8") as file:
            file.write("sekret-KEY-123\n")
        self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), "--api-key-file", self.path("key"), code=1)
        self.assertRegex(self.err, r"request plain: HTTP 401: [^\n]*provided: Bearer \*\*\*")
        for name in ("x.prony", "x.json"):
            with open(self.path(name), "rb") as file:
                self.assertNotIn(b"sekret-KEY", file.read(), name)
        self.assertNotIn("sekret-KEY", self.err)

    def authority(self):
        """A server's side of TLS, whose certificate is at cert.pem."""
        if shutil.which("openssl") is None:
            self.skipTest("no openssl to make a certificate with")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        self.path("key.pem"), "-out", self.path("cert.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))
        return context

    def test_ipv6_and_tls_with_a_private_authority(self):
        if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6") and os.path.getsize("/proc/net/if_inet6"):
            server = self.fake(fake_llm.OpenAi, host="::1")
            self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), name="six")
        context = self.authority()
        server = self.fake(fake_llm.OpenAi, tls=context)
        self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), code=125, name="no")
        self.assertIn("--ca-file", self.err)
        self.faults("openai", server, {"plain": None, "closes-in-mid-stream": "mid-answer", "last": None}, "--ca-file",
                    self.path("cert.pem"))
        self.assertEqual(self.spans("request")[0]["stamps"], "read")  # libcurl reads: no stamp of the kernel's

    def test_https_goes_through_the_proxy_of_the_environment_and_http_past_it(self):
        tunnel = self.fake(Tunnel)
        env = {"https_proxy": tunnel.url, "http_proxy": tunnel.url, "all_proxy": tunnel.url, "no_proxy": "", "NO_PROXY": ""}
        server = self.fake(fake_llm.OpenAi)
        self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), env=env, name="straight")
        self.assertEqual(tunnel.asked, [])
        server = self.fake(fake_llm.OpenAi, tls=self.authority())
        words = ("--url", server.url, "--prompts", self.prompts("plain", "closes-in-mid-stream"), "--ca-file", self.path("cert.pem"))
        summary = self.llm("openai", *words, env=env, code=1)
        self.assertEqual([r["status"] for r in summary["requests"]], ["ok", "failed"])
        self.assertIn(f"CONNECT 127.0.0.1:{server.port}", tunnel.asked[0])
        tunnel.refuses = True
        self.llm("openai", *words, env=env, code=125, name="refused")
        self.assertRegex(self.err, "403|proxy")


class LlamaServerDialect(HttpCase):
    def test_llama_servers_own_interface_has_times_and_cached_tokens(self):
        server = self.fake(fake_llm.OpenAi)
        rows = self.faults("llama-server", server, {
            "plain": None, "cut-anywhere": None, "error-line": "context shift is disabled",
            "closes-in-mid-stream": "mid-answer", "last": None}, "--ignore-eos")
        message = server.prompts()[0]
        self.assertEqual((message["cache_prompt"], message["ignore_eos"], message["n_predict"]), (False, True, 128))
        span = next(s for s in self.spans("request") if s["name"] == "plain")
        self.assertEqual((span["server_prefill_ns"], span["server_decode_ns"], span["cached_tokens"]), (250_000, 1_500_000, 15))
        self.assertEqual(rows["plain"]["output_tokens"], 7)

    def test_a_full_context_and_refused_drafts_of_llama_server_are_in_the_run(self):
        server = self.fake(fake_llm.OpenAi)
        self.faults("llama-server", server, {"plain": None, "drafts": None, "context-full": None})
        spans = {span["name"]: span for span in self.spans("request")}
        self.assertEqual((spans["drafts"]["draft_tokens"], spans["drafts"]["draft_accepted_tokens"]), (9, 4))
        self.assertEqual(spans["context-full"]["context_full"], 1)
        for count in ("draft_tokens", "draft_accepted_tokens", "context_full"):  # absent is absent
            self.assertNotIn(count, spans["plain"])
        waste = self.load("x.json")["request_energy"]["waste"]
        self.assertEqual([(row["why"], row["requests"]) for row in waste], [("context full", 1)])

    def test_another_model_than_the_server_runs_is_refused_and_its_own_need_not_be_named(self):
        server = self.fake(fake_llm.OpenAi)
        self.llm("llama-server", "--url", server.url, "--prompts", self.prompts("plain"), model="other.gguf", code=125)
        self.assertIn("the server runs 'tiny.gguf'", self.err)
        self.llm("llama-server", "--url", server.url, "--prompts", self.prompts("plain"), model=None, name="own")


class Charging(HttpCase):
    def test_requests_are_charged_from_the_servers_processes_and_not_from_the_clients(self):
        """The server is a process of its own that burns: its tree is found by its port and has the cost."""
        script = self.path("server.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write("import sys, time\n"
                       f"sys.path.insert(0, {harness.HERE!r})\n"
                       "import fake_llm\n"
                       "class Burning(fake_llm.Ollama):\n"
                       "    def stream(self, out, fault, chat):\n"
                       "        end = time.process_time() + 0.3\n"
                       "        while time.process_time() < end: pass\n"
                       "        return super().stream(out, fault, chat)\n"
                       "print(Burning().port, flush=True)\n"
                       "time.sleep(120)\n")
        with subprocess.Popen(["python3", script], stdout=subprocess.PIPE, text=True) as server:
            self.addCleanup(server.kill)
            port = server.stdout.readline().strip()
            summary = self.llm("ollama", "--url", f"http://127.0.0.1:{port}", "--prompts", self.prompts("plain", "again"))
            self.assert_charges_close("x.prony")
            server.kill()
        rows = {row["target"]: row for row in self.table("x.prony", "targets") if row.get("cpu_s") is not None}
        self.assertGreater(rows["ollama"]["cpu_s"], 0.5)
        self.assertLess(rows["command"]["cpu_s"], 0.2)
        channel = summary["energy"][0]["channel"]
        charged = sum(r["charged_j"] for request in summary["requests"] for r in request["energy"] if r["channel"] == channel)
        of_server = next(r["charged_j"] for r in self.table("x.prony", "targets")
                         if r.get("target") == "ollama")
        self.assertGreater(charged, 0.5 * of_server)
        self.assertLessEqual(charged, of_server * 1.000001)


class ManyStreams(HttpCase):
    """The worker by itself: what a load generator will ask of it."""

    def test_many_prompts_are_under_way_at_once_and_each_has_its_own_reply(self):
        server = self.fake(fake_llm.OpenAi)
        worker = self.worker(server)
        self.assertIn("streams", json.loads(worker.stdout.readline())["capabilities"])
        self.tell(worker, type="load", model="tiny", streams=100)
        self.assertEqual(json.loads(worker.stdout.readline())["type"], "loaded")
        begun = time.monotonic()
        for number in range(100):
            self.tell(worker, type="prompt", id=f"n{number}", text="[slow-first-token] x")
        self.tell(worker, type="prompt", id="quick", text="[plain] x")
        replies = [json.loads(worker.stdout.readline()) for _ in range(101)]
        self.assertEqual({r["id"] for r in replies}, {f"n{n}" for n in range(100)} | {"quick"})
        self.assertEqual({r["finish"] for r in replies}, {"length"})
        self.assertLess(time.monotonic() - begun, 0.2 * 100)  # one after another they would take twenty seconds
        self.tell(worker, type="stop")
        self.assertEqual(json.loads(worker.stdout.readline())["type"], "bye")

    def test_a_prompt_waits_for_its_time_and_a_cancel_ends_what_runs_and_what_waits(self):
        server = self.fake(fake_llm.OpenAi)
        worker = self.worker(server)
        worker.stdout.readline()
        self.tell(worker, type="load", model="tiny", streams=4)
        worker.stdout.readline()
        at = time.monotonic_ns() + 300_000_000
        self.tell(worker, type="prompt", id="later", text="[plain] x", at_ns=at)
        self.tell(worker, type="prompt", id="now", text="[plain] x")
        self.assertEqual([json.loads(worker.stdout.readline())["id"] for _ in range(2)], ["now", "later"])
        self.assertGreaterEqual(time.monotonic_ns(), at)
        self.tell(worker, type="prompt", id="hangs", text="[hang] x")
        self.tell(worker, type="prompt", id="far", text="[plain] x", at_ns=at + 3_600_000_000_000)
        deadline = time.monotonic() + 10
        while not any(self.fake_fault(m) == "hang" for m in server.prompts()) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.tell(worker, type="cancel")
        self.tell(worker, type="prompt", id="after", text="[plain] x")
        replies = [json.loads(worker.stdout.readline()) for _ in range(2)]
        self.assertEqual({(r["id"], r["finish"]) for r in replies}, {("hangs", "stop"), ("far", "stop")})
        self.assertEqual(json.loads(worker.stdout.readline())["finish"], "length")  # what comes after it is not called off

    def test_a_cancel_calls_off_prompts_that_came_with_it(self):
        """All in one write: whoever takes lines one by one must not forget which of them the cancel was for."""
        server = self.fake(fake_llm.OpenAi)
        worker = self.worker(server)
        worker.stdout.readline()
        lines = [{"type": "load", "model": "tiny"}, {"type": "prompt", "id": "a", "text": "[hang] x"},
                 {"type": "prompt", "id": "b", "text": "[hang] x"}, {"type": "phase", "name": "gap", "ms": 3_600_000}]
        self.tell(worker, **lines[0])
        worker.stdout.readline()
        worker.stdin.write("".join(json.dumps(line) + "\n" for line in [*lines[1:], {"type": "cancel"}, {"type": "stop"}]))
        worker.stdin.flush()
        replies = [json.loads(worker.stdout.readline()) for _ in range(4)]
        self.assertEqual([(r["type"], r.get("finish")) for r in replies],
                         [("result", "stop"), ("result", "stop"), ("done", None), ("bye", None)])

    @staticmethod
    def fake_fault(message):
        return fake_llm.Fake.fault_of(message)


if __name__ == "__main__":
    harness.main()
