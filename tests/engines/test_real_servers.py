"""`prony llm` against servers as they are published, on a small synthetic model: llama-server and Ollama.

usage: test_real_servers.py BUILD_DIR. What is not installed is skipped with the reason (tools/setup-llama-server.sh,
tools/setup-ollama.sh).
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness  # noqa: E402
from test_http_engines import HttpCase, free_port  # noqa: E402


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
                return
            except OSError:
                self.assertIsNone(server.poll(), "the server ended")
                time.sleep(0.05)
        self.fail("the server did not listen within a minute")

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
        with open(self.path("long.jsonl"), "w", encoding="utf-8") as file:
            file.write(json.dumps({"prompt": "word " * 3000, "id": "long"}) + "\n" + json.dumps({"prompt": "hi", "id": "short"}) + "\n")
        summary = self.llm("openai", "--url", url, "--max-tokens", "8", "--prompts", self.path("long.jsonl"), code=1, name="o",
                           model=None)
        self.assertEqual([r["status"] for r in summary["requests"]], ["failed", "ok"])
        self.assertRegex(self.err, r"request long: [^\n]*\(context\)")

    def test_a_real_ollama(self):
        program_path, port = self.installed("ollama"), free_port()
        env = self.environment(OLLAMA_HOST=f"127.0.0.1:{port}", OLLAMA_MODELS=self.path("models"))
        self.start([program_path, "serve"], env, port)
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


if __name__ == "__main__":
    harness.main()
