"""`prony llm` with real llama.cpp on a small synthetic model: every request observed, counted and paid for."""

import json
import os
import re

import harness
from harness import Case, RigCase, program


class WithModel(Case):
    model = None

    def setUp(self):
        super().setUp()
        if program("prony-engine-llama") is None:
            self.skipTest("prony-engine-llama was not built (tools/setup-llama.sh)")
        if WithModel.model is None:
            path = os.path.join(harness.BUILD, "e2e-15M.gguf")
            if not os.path.exists(path):
                done = self.prony("synth", "llama", "--params", "15M", "--seed", "1", "-o", path)
                self.assertEqual(done.returncode, 0, done.err)
            WithModel.model = path

    def llm(self, *options, model=None, code=0, env=None, name="x"):
        done = self.prony("llm", "--engine", "llama", "--model", model or self.model, "--out", self.path(name + ".prony"),
                          "--json", self.path(name + ".json"), "--threads", "1", *options, env=env)
        self.assertEqual(done.returncode, code, done.err)
        self.summary_text = done.err
        if not os.path.exists(self.path(name + ".json")):
            return None
        self.assert_charges_close(name + ".prony")  # law 1, on every Run that this suite records
        return self.load(name + ".json")

    def prompts(self, *texts):
        with open(self.path("p.jsonl"), "w", encoding="utf-8") as file:
            for number, text in enumerate(texts, 1):
                file.write(json.dumps({"prompt": text, "id": f"p{number}"}) + "\n")
        return self.path("p.jsonl")


class Utilisation(WithModel):
    """FLOP/s and bytes/s of requests, and their share of peaks that were given."""

    def test_what_was_reached_is_what_inspect_counts_by_the_time_that_it_took(self):
        summary = self.llm("--prompts", self.prompts("Why is the sky blue?"), "--max-tokens", "16", "--ignore-eos",
                           "--peak-flops", "1T", "--peak-bandwidth", "100GB/s")
        request, used = summary["requests"][0], summary["utilisation"]
        counted = self.inspect_of(request)
        self.assertAlmostEqual(used["prefill"]["flop"] / counted["prefill"]["flop"], 1, places=9)
        self.assertAlmostEqual(used["prefill"]["flop_per_s"], counted["prefill"]["flop"] / request["prefill_s"], delta=1)
        decode_s = (request["output_tokens"] - 1) / request["decode_tokens_per_s"]
        moved = sum(counted["generation"][part] for part in ("weight_bytes", "kv_read_bytes", "kv_written_bytes"))
        self.assertAlmostEqual(used["decode"]["bytes"] / moved, 1, places=9)
        self.assertAlmostEqual(request["decode_bytes_per_s"] / (moved / decode_s), 1, places=6)
        self.assertAlmostEqual(used["decode"]["mbu"], used["decode"]["bytes_per_s"] / 100e9)
        self.assertAlmostEqual(used["decode"]["mfu"], used["decode"]["flop_per_s"] / 1e12)
        self.assertEqual((used["peak_source"], used["origin"]), ("as given", "derived"))
        for word in ("utilisation", "MFU", "MBU", "1.00 TFLOP/s", "as given"):
            self.assertIn(word, self.summary_text)

    def inspect_of(self, request):
        done = self.prony("inspect", self.model, "--json", "--prompt-tokens", str(request["prompt_tokens"]),
                          "--output-tokens", str(request["output_tokens"]))
        return json.loads(done.out)

    def test_without_a_peak_rates_are_told_and_no_share(self):
        summary = self.llm("--prompts", self.prompts("Hello"), "--max-tokens", "4")
        used = summary["utilisation"]
        self.assertIn("bytes_per_s", used["decode"])
        self.assertNotIn("mbu", used["decode"])
        self.assertIn("mfu", [one["name"] for one in used["unavailable"]])
        self.assertIn("--measure-machine", self.summary_text)

    def test_a_peak_or_a_file_that_is_none_is_refused_before_anything_runs(self):
        for words, saying in ((["--peak-flops", "fast"], "is no rate"), (["--model-file", "none.gguf"], "none.gguf")):
            done = self.prony("llm", "--model", self.model, *words)
            self.assertEqual(done.returncode, 125)
            self.assertIn(saying, done.err)
            self.assertFalse(os.path.exists(self.path("runs")))

    def test_the_engine_takes_the_cache_that_is_counted(self):
        done = self.prony("llm", "--model", self.model, "--ctx", "1024", "--threads", "1", "--max-tokens", "2", "--prompts",
                          self.prompts("Hello"), "--out", self.path("x.prony"), env={"PRONY_ENGINE_LOG": "1"})
        self.assertEqual(done.returncode, 0, done.err)
        said = re.search(r"KV buffer size = +([0-9.]+) MiB", done.err)
        weights = re.search(r"model buffer size = +([0-9.]+) MiB", done.err)
        if not said or not weights:
            self.skipTest("this libllama does not say what it takes")
        told = json.loads(self.prony("inspect", self.model, "--json", "--prompt-tokens", "1024", "--output-tokens", "1").out)
        taken = (float(said.group(1)) + float(weights.group(1))) * 2**20
        self.assertAlmostEqual(told["least_memory_bytes"] / taken, 1, delta=0.1)


class Llm(WithModel):
    def test_the_built_in_prompts_give_a_row_each_with_real_counts(self):
        summary = self.llm("--max-tokens", "24")
        self.assertGreaterEqual(len(summary["requests"]), 8)
        for request in summary["requests"]:
            self.assertGreater(request["prompt_tokens"], 0)
            self.assertTrue(1 <= request["output_tokens"] <= 24)
            self.assertGreater(request["ttft_s"], 0)
            self.assertGreater(request["e2e_s"], request["ttft_s"])
            self.assertTrue(request["energy"])

    def test_spans_nest_and_tokens_are_as_many_as_counted(self):
        summary = self.llm("--prompts", self.prompts("Hello there", "Why is the sky blue?"), "--max-tokens", "16")
        spans = self.table("x.prony", "spans")
        requests = [s for s in spans if s["kind"] == "request"]
        self.assertEqual([s["name"] for s in requests], ["p1", "p2"])
        for span in requests:
            inner = [s for s in spans if s.get("parent") == span["id"]]
            kinds = [s["kind"] for s in inner]
            for kind in ("tokenise", "prefill", "decode"):
                self.assertEqual(kinds.count(kind), 1, kind)
            tokens = sorted((s for s in inner if s["kind"] == "token"), key=lambda s: s["begin_ns"])
            counted = next(r for r in summary["requests"] if r["id"] == span["name"])["output_tokens"]
            self.assertEqual(len(tokens), counted)
            prefill = next(s for s in inner if s["kind"] == "prefill")
            self.assertEqual(tokens[0]["end_ns"], prefill["end_ns"])
            for earlier, later in zip(tokens, tokens[1:]):
                self.assertEqual(earlier["end_ns"], later["begin_ns"])
            for s in inner:
                self.assertLessEqual(span["begin_ns"], s["begin_ns"])
                self.assertLessEqual(s["end_ns"], span["end_ns"])
        self.assertTrue(any(s["kind"] == "phase" and s["name"] == "load" for s in spans))

    def test_greedy_and_seeded_answers_repeat(self):
        answers = []
        for number in range(2):
            summary = self.llm("--prompts", self.prompts("Once upon a time"), "--max-tokens", "24", "--temperature", "0",
                               "--keep-output", name=f"g{number}")
            answers.append(summary["requests"][0]["answer"])
        self.assertEqual(answers[0], answers[1])

    def test_repeat_warmup_and_gap_are_their_own_spans(self):
        self.llm("--prompts", self.prompts("One", "Two"), "--max-tokens", "8", "--repeat", "2", "--warmup", "1", "--gap", "50ms")
        spans = self.table("x.prony", "spans")
        self.assertEqual(sum(s["kind"] == "request" for s in spans if not self.in_warm_up(spans, s)), 4)
        names = [s["name"] for s in spans if s["kind"] == "phase"]
        self.assertIn("warm-up", names)
        self.assertGreaterEqual(names.count("gap"), 3)

    def test_a_warm_up_goes_on_until_answers_take_alike_or_its_cap_and_says_which(self):
        def warmed(name, rule):
            return self.llm("--prompts", self.prompts("One"), "--max-tokens", "4", "--warmup-until", rule, name=name)["warm_up"]

        steady = warmed("steady", "cv=1000%,window=2")
        self.assertEqual((steady["prompts"], steady["steady"]), ("2", "yes"))
        capped = warmed("capped", "cv=0.000001%,window=2,most=3")
        self.assertEqual((capped["prompts"], capped["steady"]), ("3", "no: at most 3 prompts"))
        self.assertGreater(float(capped["cv"]), 0)
        names = [s["name"] for s in self.table("capped.prony", "spans") if s["kind"] == "phase"]
        self.assertEqual(names.count("warm-up"), 3)
        done = self.prony("llm", "--model", self.model, "--warmup-until", "cv=5")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--warmup-until", done.err)

    @staticmethod
    def in_warm_up(spans, span):
        return any(s["kind"] == "phase" and s["name"] == "warm-up" and s["begin_ns"] <= span["begin_ns"] < s["end_ns"]
                   for s in spans)

    def test_a_bad_line_is_named_by_file_and_line_before_anything_runs(self):
        with open(self.path("bad.jsonl"), "w", encoding="utf-8") as file:
            file.write('{"prompt": "fine"}\n{"prompt": 7}\n')
        self.llm("--prompts", self.path("bad.jsonl"), code=125)
        done = self.prony("llm", "--engine", "llama", "--model", self.model, "--prompts", self.path("bad.jsonl"))
        self.assertRegex(done.err, r"bad\.jsonl[^\n]*2")

    def test_prompts_come_from_a_text_file_and_from_stdin(self):
        with open(self.path("p.txt"), "w", encoding="utf-8") as file:
            file.write("One\nTwo\nThree\n")
        self.assertEqual(len(self.llm("--prompts", self.path("p.txt"), "--max-tokens", "4")["requests"]), 3)
        done = self.prony("llm", "--model", self.model, "--prompts", "-", "--max-tokens", "4", "--json", self.path("s.json"),
                          "--out", self.path("s.prony"), input=b"Only one\n")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(len(self.load("s.json")["requests"]), 1)

    def test_a_model_that_is_truncated_or_none_at_all_is_a_clear_error(self):
        with open(self.model, "rb") as file:
            head = file.read(300_000)
        with open(self.path("cut.gguf"), "wb") as file:
            file.write(head)
        with open(self.path("not.gguf"), "w", encoding="utf-8") as file:
            file.write("hello")
        for name in ("cut.gguf", "not.gguf", "absent.gguf"):
            done = self.prony("llm", "--engine", "llama", "--model", self.path(name), "--out", self.path(name + ".prony"))
            self.assertNotEqual(done.returncode, 0, name)
            self.assertIn(name, done.err)
            self.assertLess(len(done.err.splitlines()), 40)

    def test_a_worker_that_crashes_at_prompt_3_keeps_1_and_2_and_marks_3(self):
        summary = self.llm("--prompts", self.prompts(*(f"Prompt {n}" for n in range(1, 9))), "--max-tokens", "8", code=1,
                           env={"PRONY_ENGINE_FAULT": "crash-at:3"})
        by_id = {r["id"]: r["status"] for r in summary["requests"]}
        self.assertEqual((by_id["p1"], by_id["p2"]), ("ok", "ok"))
        self.assertIn(by_id["p3"], ("failed", "unfinished"))
        self.assertNotIn("ok", [by_id.get(f"p{n}", "absent") for n in range(4, 9)])

    def test_show_prints_the_same_bytes(self):
        self.llm("--prompts", self.prompts("One"), "--max-tokens", "8")
        self.assertTrue(self.summary_text.endswith(self.prony("show", self.path("x.prony")).out))

    def test_synth_is_deterministic_and_refuses_to_overwrite(self):
        for name in ("a", "b"):
            done = self.prony("synth", "llama", "--params", "160k", "--seed", "7", "-o", self.path(name))
            self.assertEqual(done.returncode, 0, done.err)
        with open(self.path("a"), "rb") as a, open(self.path("b"), "rb") as b:
            self.assertEqual(a.read(), b.read())
        self.assertEqual(self.prony("synth", "llama", "--params", "160k", "-o", self.path("a")).returncode, 125)


class LlmTruth(WithModel, RigCase):
    def test_run_and_every_request_are_inside_their_bounds_on_the_truth_rig(self):
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 curve=sine base=40 amp=20 period=0.7 update_us=1000 "
                                   "quantum_uj=61")
        summary = self.llm("--prompts", self.prompts("One", "Two", "Three"), "--max-tokens", "1000", "--ctx", "2048",
                           "--sysfs", rig.path, "--interval", "10ms")
        windows = {s["name"]: (s["begin_ns"], s["end_ns"]) for s in self.table("x.prony", "spans")
                   if s["kind"] in ("run", "request")}
        self.assertEqual(len(summary["requests"]), 3)
        for request in summary["requests"]:
            row = next(r for r in request["energy"] if r["channel"] == "rapl.package-0.energy")
            window = windows[request["id"]]
            truth = rig.truth.joules("package-0", *window)
            self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
            if rig.truth.updates("package-0", *window) >= 500:
                self.assertLess(abs(row["gross_j"] / truth - 1), 0.005, row)


if __name__ == "__main__":
    harness.main()
