"""Real servers of language models that are killed by SIGKILL under a load of `prony llm`, at instants that are drawn.

usage: test_servers_killed.py BUILD_DIR. What is not installed is skipped with the reason (tools/setup-llama-server.sh,
tools/setup-ollama.sh).
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness  # noqa: E402
import test_load_killed  # noqa: E402
import test_real_servers  # noqa: E402


class ServersKilled(test_load_killed.Killed, test_real_servers.RealServer):
    # The base's: once is enough.
    test_a_real_llama_server = test_a_real_ollama = test_a_load_at_a_rate_as_the_page_has_it_on_a_real_llama_server = None

    start = test_real_servers.RealServer.start

    def under_load(self, engine, port, name, requests):
        """A load under way: three streams of which the server answers one at a time, so that others wait in its queue."""
        server = types.SimpleNamespace(url=f"http://127.0.0.1:{port}")
        process = test_load_killed.Killed.start(self, engine, server, "--streams", "3", "--requests", str(requests), "--max-tokens",
                                                "64", *(("--threads", "1", "--ctx", "1024") if engine == "ollama" else ()), name=name)
        self.client_of(process)
        return process

    def check_what_is_left(self, process, name, requests):
        """Whatever was reached: each request has one end, an answer is whole, and only a load that was answered is a success."""
        told = process.communicate(timeout=110)[1]
        shown = self.prony("show", self.path(name + ".prony"), "--json")
        if process.returncode == 125:  # it was not even found, or had not loaded its model
            self.assertRegex(told, "prony: ")
            self.assertTrue(shown.returncode != 0 or json.loads(shown.out)["requests"] == [], told)
            return {"ok": 0}
        self.assertEqual(shown.returncode, 0, shown.err)
        summary, facts = json.loads(shown.out), self.facts(name)
        ends = {end: int(facts[f"load.{end}"]) for end in ("ok", "failed", "cancelled", "not_begun")}
        self.assertEqual(sum(ends.values()), requests, ends)
        self.assertEqual(process.returncode, 0 if ends["ok"] == requests else 1, told)
        for row in summary["requests"]:
            self.assertIn(row["status"], ("ok", "failed"))
            self.assertEqual(row["status"] == "ok", "output_tokens" in row and row["finish"] in ("length", "eos"), row)
        self.assertEqual(sum(row["status"] == "ok" for row in summary["requests"]), ends["ok"])
        self.assert_charges_close(name + ".prony")
        return ends

    def wait_for_an_answer(self, process, name):
        """Until something was recorded of a request, so that the kill falls into the load; the instant after it is drawn."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None and not self.requests_in(name):
            time.sleep(0.1)
        time.sleep(random.uniform(0, 0.4))

    def requests_in(self, name):
        try:
            return [span for span in self.spans("request", name) if span["status"] == "ok"]
        except (OSError, AssertionError, KeyError, ValueError):
            return []

    def test_a_llama_server_that_is_killed_under_load_leaves_its_answers_and_no_success(self):
        program_path = self.installed("llama-server")
        for number, waits in enumerate((True, False)):
            port, name = test_real_servers.free_port(), f"r{number}"
            server = self.start([program_path, "-m", self.model(), "--alias", "tiny", "--host", "127.0.0.1", "--port",
                                                 str(port), "-t", "1", "-c", "2048", "--parallel", "1"], self.environment(), port)
            test_real_servers.wait_for_health(self, port)
            process = self.under_load("llama-server", port, name, 3000)
            if waits:
                self.wait_for_an_answer(process, name)
            server.kill()
            ends = self.check_what_is_left(process, name, 3000)
            if waits:
                self.assertGreater(ends["ok"], 0)

    def test_an_ollama_or_its_runner_that_is_killed_under_load_leaves_its_answers_and_no_success(self):
        program_path, port, env = self.ollama()
        with open(self.path("Modelfile"), "w", encoding="utf-8") as file:
            file.write(f"FROM {self.model()}\n")
        made = subprocess.run([program_path, "create", "tiny", "-f", self.path("Modelfile")], env=env, capture_output=True,
                              timeout=120, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        for name, requests in (("runner", 200), ("server", 3000)):  # a new runner answers what is left
            process = self.under_load("ollama", port, name, requests)
            self.wait_for_an_answer(process, name)
            runners = test_load_killed.children(self.server.pid)
            for victim in runners if name == "runner" else [self.server.pid]:
                os.kill(victim, signal.SIGKILL)
            self.assertGreater(self.check_what_is_left(process, name, requests)["ok"], 0)


if __name__ == "__main__":
    harness.main()
