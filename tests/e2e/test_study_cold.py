"""Cold starts of servers: the model leaves the server's memory before each run, and a start that was warm never counts."""

import json
import os

import fake_llm
import harness
from harness import program
from test_study import StudyCase


class WarmOllama(fake_llm.Ollama):
    tells_memory = in_memory = True


class ColdServer(StudyCase):
    def setUp(self):
        super().setUp()
        if program("prony-engine-http") is None:
            self.skipTest("prony-engine-http was not built")

    def cold(self, server, more=""):
        return self.file('[study]\nkind = "cold-start"\ncycles = 2\n[base]\nengine = "ollama"\nmodel = "tiny"\nmax-tokens = 6\n'
                         f'sensors = "cpu-model"\nurl = "{server.url}"\n{more}')

    def test_a_cold_start_of_ollama_takes_its_model_out_of_the_servers_memory_before_each_run(self):
        server = WarmOllama()
        self.addCleanup(server.close)
        done = self.study(self.cold(server), "--out", "out", env={"OLLAMA_MODELS": self.path("no-store")})
        for run in self.manifest()["runs"]:
            attempt = run["attempts"][0]
            self.assertEqual(attempt["status"], "done")
            self.assertGreater(attempt["figures"]["cold_first_token_s"], attempt["figures"]["load_s"])
            self.assertEqual(attempt["flags"], ["cold start: the server's file is not to be found here, it may have been in the memory of files"])
            self.assertEqual(self.facts(attempt["run"])["engine.was_loaded"], "no")
        asked = [(path, message.get("keep_alive"), bool(server.text_of(message))) for _, path, message, _ in server.seen
                 if path == "/api/generate"]
        self.assertEqual(asked[:3], [("/api/generate", 0, False), ("/api/generate", None, False), ("/api/generate", None, True)])
        self.assertIn("s to first token", done.out)

    def facts(self, run):
        with open(self.path("out", run.replace(".prony", ".settings.json")), encoding="utf-8") as file:
            return json.load(file)["observed"]

    def test_a_start_that_found_the_model_in_memory_is_no_cold_one_and_fails(self):
        server = WarmOllama()
        self.addCleanup(server.close)
        self.study(self.cold(server, "cold = false\n"), "--out", "out", code=1)
        self.assertIn("no cold start", self.manifest()["runs"][0]["attempts"][0]["reason"])

    def test_what_cannot_be_a_cold_start_is_refused_before_anything_runs(self):
        for line, said in (('engine = "openai"', "no start of 'openai' can be made a cold one"), ("warmup = 2", "a cold start has no warm-up"),
                           ('synthetic = "2 in:10 out:8"', "twice before the first prompt"), ('shared-prefix = "50"', "no cold start")):
            file = self.file(f'[study]\nkind = "cold-start"\n[base]\nmodel = "m"\n{line}\n')
            self.assertIn(said, self.study(file, "--out", "out", code=125).err)
            self.assertFalse(os.path.exists(self.path("out")))


if __name__ == "__main__":
    harness.main()
