"""Requests that overlap at a server: each has its part, and the parts add up to what the server was charged.

The server is a process of its own that burns for every token, behind the interface of an OpenAI server; the machine's
joules come from the FUSE tree.

Kills: a whole window charged to each request that ran in it, joules of a failed or broken-off request lost, a rule that
changes what all requests have together.
"""

import json
import subprocess
import sys

import harness
import test_llm
from harness import RigCase, program

# Prompts differ tenfold in length, answers fivefold; every ninth breaks off in mid-stream and every eleventh is refused.
SERVER = """
import sys, threading, time
sys.path.insert(0, {here!r})
import fake_llm
lock = threading.Lock()
def burn(seconds):
    with lock:
        end = time.thread_time() + seconds
        while time.thread_time() < end: pass
class Batching(fake_llm.OpenAi):
    def stream(self, out, fault, chat):
        number = int(fault)
        if number % 11 == 10:
            return out.document({{"error": {{"message": "busy", "type": "server_error"}}}}, 503)
        prompt, output = 20 + 180 * (number % 3), 6 + 6 * (number % 5)
        out.begin("text/event-stream")
        for part in range(4):
            burn(prompt * 1e-4 / 4)
        for token in range(output):
            burn(0.002)
            self.event(out, {{"choices": [{{"index": 0, "delta": {{"content": " w"}}}}]}}, "plain")
            if number % 9 == 8 and token == 3:
                return False
        self.event(out, {{"choices": [{{"index": 0, "delta": {{}}, "finish_reason": "length"}}]}}, "plain")
        self.event(out, {{"choices": [], "usage": {{"prompt_tokens": prompt, "completion_tokens": output}}}}, "plain")
        out.chunk(b"data: [DONE]\\n\\n")
        return out.end()
print(Batching().port, flush=True)
time.sleep(120)
"""
REQUESTS = 80
DONE = [n for n in range(REQUESTS) if n % 11 != 10 and n % 9 != 8]


class RequestShare(RigCase):
    def run_load(self):
        self.assertIsNotNone(program("prony-engine-http"), "it is built beside prony")
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 quantum_uj=61 update_us=1000 curve=sine base=60 amp=25 period=0.9")
        with open(self.path("server.py"), "w", encoding="utf-8") as file:
            file.write(SERVER.format(here=harness.HERE))
        server = subprocess.Popen([sys.executable, self.path("server.py")], stdout=subprocess.PIPE, text=True)
        for clean in (server.wait, server.stdout.close, server.kill):
            self.addCleanup(clean)
        port = server.stdout.readline().strip()
        with open(self.path("p.jsonl"), "w", encoding="utf-8") as file:
            for number in range(REQUESTS):
                file.write(json.dumps({"prompt": f"[{number}] Say something.", "id": str(number)}) + "\n")
        done = self.prony("llm", "--engine", "openai", "--model", "tiny", "--url", f"http://127.0.0.1:{port}", "--prompts",
                          self.path("p.jsonl"), "--streams", "8", "--sysfs", rig.path, "--interval", "1ms", "--out",
                          self.path("x.prony"), "--json", self.path("x.json"))
        self.assertEqual(done.returncode, 1, done.err)  # some requests failed
        return self.load("x.json"), done.err

    def test_requests_of_a_server_that_overlap_add_up_to_the_servers_row_by_every_rule(self):
        summary, text = self.run_load()
        self.assert_charges_close("x.prony")
        rows = {row["id"]: row for row in summary["requests"]}
        self.assertEqual(len(rows), REQUESTS)
        self.assertEqual([int(name) for name, row in rows.items() if row["status"] == "ok"], DONE)
        sums = {}
        for rule in ("work", "time", "equal"):
            told = json.loads(self.prony("show", self.path("x.prony"), "--json", "--request-share", rule).out)
            package = harness.energy(told, next(e["channel"] for e in told["energy"] if e["headline"]))
            sharing = next(s for s in package["request_sharing"] if s["target"] == "server")
            self.assertEqual(sharing["asked"], rule)
            if sharing["used"] != rule:
                self.assertTrue(sharing["why"], sharing)
            self.assertEqual("fit" in sharing, sharing["used"] == "work")
            closure = told["request_energy"]["closure"]
            of_targets = {row.pop("target"): row for row in closure["targets"]}
            parts = [closure[k] for k in ("foreign_j", "prony_j", "idle_j", "unattributed_j") if k in closure]
            self.assertAlmostEqual(sum(parts) + sum(sum(row.values()) for row in of_targets.values()),
                                   closure["recorded_j"], delta=1e-6 * closure["recorded_j"])
            # The server's row is its requests and what it was charged outside of them.
            server = next(row for row in told["targets"] if row["name"] == "server")
            self.assertAlmostEqual(sum(of_targets["server"].values()), server["charged_j"],
                                   delta=1e-6 * server["charged_j"])
            self.assertGreater(of_targets["server"]["requests_j"], 0.5 * server["charged_j"])
            self.assertEqual(of_targets["command"]["requests_j"], 0)
            sums[rule] = of_targets["server"]["requests_j"]
        for rule in ("time", "equal"):  # a rule moves joules between requests and nowhere else
            self.assertAlmostEqual(sums[rule], sums["work"], delta=1e-6 * sums["work"])
        of_requests = sum(row["charged_j"] for row in self.table("x.prony", "charges")
                          if row.get("span_kind") == "request" and row["channel"] == package["channel"])
        self.assertAlmostEqual(of_requests, sums["work"], delta=1e-6 * sums["work"])
        waste = {row["why"]: row for row in summary["request_energy"]["waste"]}
        self.assertEqual(waste["failed"]["requests"], REQUESTS - len(DONE))
        self.assertRegex(text, r"wasted[^\n]*failed")
        metrics = {m["name"]: m for m in summary["request_energy"]["metrics"]}
        token = metrics["charged_j_per_output_token"]
        self.assertTrue("absent" in token or token["low"] <= token["value"] <= token["high"], token)


class InOneEngine(test_llm.WithModel):
    """Prompts batched inside llama.cpp, whose worker writes the engine's steps."""

    def setUp(self):
        super().setUp()
        self.small = self.path("small.gguf")
        done = self.prony("synth", "llama", "--params", "2M", "--seed", "1", "-o", self.small)
        self.assertEqual(done.returncode, 0, done.err)
        with open(self.path("p.jsonl"), "w", encoding="utf-8") as file:
            for number in range(36):
                file.write(json.dumps({"prompt": "word " * (5 + 90 * (number % 5)), "id": f"r{number}",
                                       "max_tokens": 4 + 13 * (number % 4)}) + "\n")

    def test_steps_of_the_engine_place_the_work_and_what_requests_are_charged_adds_up(self):
        summary = self.llm("--prompts", self.path("p.jsonl"), "--ignore-eos", "--batching", "continuous:6", "--simulate",
                           "intel-2s", "--interval", "1ms", model=self.small)
        spans = self.table("x.prony", "spans")
        steps = {s["id"]: s for s in spans if s["kind"] == "phase" and s["name"] == "step"}
        self.assertGreater(max(s["sequences"] for s in steps.values()), 1)
        headline = next(row for row in summary["energy"] if row["headline"])
        sharing = headline["request_sharing"][0]
        self.assertEqual(sharing["used"], "work", sharing)
        self.assertEqual(sharing["fit"]["prompts_placed_by"], "steps")
        self.assertNotIn("second_served_j", sharing["fit"])
        self.assertEqual(sharing["fit"]["requests_with_assumed_tokens"], 0)
        self.assertRegex(self.summary_text.replace("\n", " "), r"placed\s+by\s+the\s+engine's\s+steps")
        # A step says how work was spread and takes no joules.
        charges = self.table("x.prony", "charges")
        self.assertFalse([row for row in charges if row.get("span") in steps])
        self.assertNotIn("step", {phase["name"] for phase in summary["phases"]})
        # Requests, phases and rest are the command's row; with idle, others and Prony they are all that was measured.
        closure = summary["request_energy"]["closure"]
        command = next(row for row in closure["targets"] if row.pop("target") == "command")
        parts = [closure[k] for k in ("foreign_j", "prony_j", "idle_j", "unattributed_j") if k in closure]
        self.assertAlmostEqual(sum(parts) + sum(command.values()), closure["recorded_j"], delta=1e-6 * closure["recorded_j"])
        self.assertEqual(command["other_spans_j"], 0)
        of_rows = sum(row["headline"]["charged_j"] for row in summary["requests"])
        self.assertAlmostEqual(of_rows, command["requests_j"], delta=1e-6 * command["requests_j"])
        metrics = {m["name"]: m for m in summary["request_energy"]["metrics"]}
        per_token = metrics["charged_j_per_output_token"]
        self.assertAlmostEqual(per_token["value"] * per_token["denominator"], of_rows, delta=1e-6 * of_rows)
        # Of a long prompt more than of a short one with as long an answer.
        charged = {row["id"]: row["headline"]["charged_j"] for row in summary["requests"]}
        longest, shortest = (sum(charged[f"r{n}"] for n in range(36) if n % 5 == kind) for kind in (4, 0))
        self.assertGreater(longest, shortest)

    def test_what_was_drawn_beside_others_is_neither_summed_nor_divided_by_one_requests_tokens(self):
        summary = self.llm("--prompts", self.path("p.jsonl"), "--ignore-eos", "--batching", "static:6", "--simulate",
                           "intel-2s", "--interval", "1ms", "--cancel-rate", "0.3", "--cancel-after", "1ms", "--baseline",
                           "300ms", model=self.small)
        self.assertIn("at once: no sum", self.summary_text)
        self.assertNotIn("in their windows", self.summary_text)
        self.assertNotIn("requests gross", self.summary_text)
        self.assertNotIn("requests", summary.get("baseline", {}))
        done = self.table("x.prony", "requests")
        for row in summary["requests"]:
            self.assertNotIn("gross_j_per_output_token", row)
        self.assertFalse([row for row in done if row.get("gross_j_per_output_token") is not None])
        # What was called off is told once, and is what those requests are charged.
        off = [row for row in summary["requests"] if row.get("cancelled")]
        self.assertGreater(len(off), 0)
        waste = next(row for row in summary["request_energy"]["waste"] if row["why"] == "cancelled")
        self.assertEqual(waste["requests"], len(off))
        told = [row["headline"]["charged_j"] for row in off if "charged_j" in row["headline"]]
        self.assertAlmostEqual(waste.get("charged_j", 0), sum(told), delta=1e-9 + 1e-6 * abs(sum(told)))


if __name__ == "__main__":
    harness.main()
