"""Results as other tools write them, out and in again, and the same Run by each tool's definitions.

Kills: a failed request that is exported as an answer, times that change on the way out and back, joules of four ranks that
each metered the whole node added up, an import that drops lines in silence.
"""

import csv
import json
import os

import fake_llm
import harness
from test_http_engines import HttpCase


class Unhurried(fake_llm.Ollama):
    """Takes as long as it tells, at least: times that cannot be are left out, and there would be none to export."""

    pause = 0.003


class Exchange(HttpCase):
    def asked(self, *faults, code=0):
        server = self.fake(Unhurried)
        return self.llm("ollama", "--url", server.url, "--prompts", self.prompts(*faults), "--simulate", "laptop", code=code)

    def exported(self, form, *options):
        done = self.prony("export", self.path("x.prony"), "--format", form, *options)
        self.assertEqual(done.returncode, 0, done.err)
        return done.out

    def imported(self, form, text, *options, code=0):
        with open(self.path("in"), "w", encoding="utf-8") as file:
            file.write(text)
        done = self.prony("import", "--from", form, self.path("in"), "-o", self.path("back.prony"), *options)
        self.assertEqual(done.returncode, code, done.err)
        return done

    def test_each_format_has_every_request_and_a_failure_is_none_of_the_answers(self):
        summary = self.asked("plain", "crlf", "no-text", "last", code=1)
        lines = [json.loads(line) for line in self.exported("aiperf").splitlines()]
        self.assertEqual([line["error"] is None for line in lines], [True, True, False, True])
        self.assertEqual([line["metadata"]["conversation_id"] for line in lines], ["plain", "crlf", "no-text", "last"])
        vllm = json.loads(self.exported("vllm"))
        self.assertEqual((vllm["completed"], vllm["failed"], vllm["output_lens"]), (3, 1, [6, 6, 0, 6]))
        # An answer that came in one piece has no time between its tokens.
        timed = sum("tpot_s" in request for request in summary["requests"])
        rows = json.loads(self.exported("llama-bench"))
        self.assertEqual([len(row["samples_ns"]) for row in rows if row["n_gen"] == 5], [timed] if timed else [])
        bench = [line for line in self.exported("benchstat").splitlines() if "/step=generate 1 " in line]
        self.assertEqual(len(bench), timed)
        result = json.loads(self.exported("llenergymeasure"))
        self.assertEqual(result["prony_output_tokens"], 18)
        self.assertIn("simulated: no joule here is real", result["measurement_warnings"])

    def test_requests_without_times_are_no_samples_and_that_is_what_is_said(self):
        self.asked("no-text", "closes-in-mid-stream", code=1)
        for form in ("llama-bench", "benchstat"):
            done = self.prony("export", self.path("x.prony"), "--format", form)
            self.assertEqual((done.returncode, done.out), (125, ""))
            self.assertIn(f"of 2 requests none was answered with a time that {form} has a row for", done.err)
            self.assertNotIn("has no requests", done.err)

    def test_times_are_the_same_after_the_way_out_and_back(self):
        summary = self.asked("plain", "crlf", "last")
        for form in ("aiperf", "vllm"):
            with self.subTest(form):
                self.imported(form, self.exported(form), "--force")
                back = json.loads(self.prony("show", self.path("back.prony"), "--json").out)
                self.assertEqual(len(back["requests"]), 3)
                for ours, theirs in zip(summary["requests"], back["requests"]):
                    self.assertEqual((ours["prompt_tokens"], ours["output_tokens"]),
                                     (theirs["prompt_tokens"], theirs["output_tokens"]))
                    for name in ("ttft_s", "e2e_s", "tpot_s"):
                        self.assertEqual(name in ours, name in theirs, name)
                        self.assertAlmostEqual(ours.get(name, 0), theirs.get(name, 0), 6)

    def test_a_half_written_last_line_is_left_out_and_said_and_a_bad_one_before_is_refused(self):
        self.asked("plain", "crlf", "last")
        text = self.exported("aiperf")
        done = self.imported("aiperf", text[:-40])
        self.assertIn("the last line (3) was not written to its end: left out", done.err)
        notes = [event["text"] for event in json.loads(self.prony("show", self.path("back.prony"), "--json").out)["events"]]
        self.assertTrue(any("not written to its end" in note for note in notes), notes)
        os.remove(self.path("back.prony"))
        lines = text.splitlines()
        done = self.imported("aiperf", "\n".join([lines[0], lines[1][:30], lines[2]]) + "\n", code=125)
        self.assertIn("line 2", done.err)
        self.assertFalse(os.path.exists(self.path("back.prony")))

    def test_four_ranks_that_each_metered_the_node_are_counted_once(self):
        node = 4.33 * 16384 / 4
        ranks = {name: {f"process_{rank}": joules / scale for rank in range(4)}
                 for name, joules, scale in (("gpu_energy", node * 0.85, 3.6e6), ("cpu_energy", node * 0.15, 3.6e6),
                                             ("total_energy_joules", node, 1))}
        run = {"setup": {"model": "meta-llama/Llama-3.2-1B"}, "variables": {"backend": "pytorch"},
               "results": {"inference_metrics": {
                   "raw_inference_metrics": {"total_input_tokens": 16384, "total_generated_tokens": 16384},
                   "inference_performance": {"total_inference_time_sec": 19.5}},
                   "global_energy_metrics": {"local_process_results": ranks}}}
        done = self.imported("llm-thesis", json.dumps([{"CONFIGURATION_RUN_#0042": run}] * 2))
        self.assertIn("4.33 J per output token. The node counted once over the tokens of all: 0.27", done.err)
        back = json.loads(self.prony("show", self.path("back.prony"), "--json").out)
        gpu = next(row for row in back["energy"] if row["channel"] == "codecarbon.gpu.energy")
        self.assertAlmostEqual(gpu["ledger"]["recorded_j"], node * 0.85, 2)
        self.assertNotIn("headline", back)  # a total that nobody knows the doubt of makes no figure with low and high
        self.assertEqual(back["requests"][0]["output_tokens"], 65536)
        self.imported("llm-thesis", "[]", code=125)

    def test_a_total_that_came_from_elsewhere_is_shown_as_recorded_and_why_it_has_no_bounds_is_true(self):
        self.imported("llenergymeasure", json.dumps(
            {"total_inference_time_sec": 10.0, "total_tokens": 1000, "total_energy_j": 500.0, "avg_energy_per_token_j": 0.625,
             "energy_per_device_j": [250.0, 250.0]}))
        shown = self.prony("show", self.path("back.prony"))
        self.assertIn("recorded 250.0 J, no bounds told", shown.out)
        self.assertNotIn("did not move", shown.out)
        self.assertNotIn("too short", shown.out)
        for row in json.loads(self.prony("show", self.path("back.prony"), "--json").out)["energy"]:
            self.assertEqual(row["ledger"], {"recorded_j": 250.0, "unattributed_j": 250.0})

    def test_runs_in_the_thesiss_layout_get_an_id_each_and_come_back_from_its_folder(self):
        self.asked("plain", "crlf", "last")
        for number in (1, 2):
            done = self.prony("export", self.path("x.prony"), "--format", "llm-thesis", "--out", self.path("results/"))
            self.assertEqual(done.returncode, 0, done.err)
            self.assertIn(f"it is run 000{number} there", done.err)
        self.assertEqual(sorted(os.listdir(self.path("results"))),
                         ["raw_results", "text_generation_results.csv", "text_generation_results.json"])
        self.assertEqual(len(os.listdir(self.path("results/raw_results/0002"))), 7)
        entries = self.load("results/text_generation_results.json")
        self.assertEqual([list(entry)[0] for entry in entries], ["CONFIGURATION_RUN_#0001", "CONFIGURATION_RUN_#0002"])
        with open(self.path("results/text_generation_results.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["experiment_id"] for row in rows], ["0001", "0002"])
        self.assertEqual(rows[0]["raw_inference_metrics_total_generated_tokens"], "18")
        self.assertEqual(rows[0]["flops"], "NA")
        done = self.prony("import", "--from", "llm-thesis", self.path("results/raw_results/0002"), "-o", self.path("back.prony"))
        self.assertEqual(done.returncode, 0, done.err)
        back = json.loads(self.prony("show", self.path("back.prony"), "--json").out)
        self.assertEqual(back["requests"][0]["output_tokens"], 18)
        done = self.prony("import", "--from", "llm-thesis", self.path("results/text_generation_results.json"), "--select", "0001",
                          "-o", self.path("chosen.prony"))
        self.assertEqual(done.returncode, 0, done.err)
        done = self.prony("import", "--from", "llm-thesis", self.path("results/text_generation_results.csv"), "--select", "0002",
                          "-o", self.path("row.prony"))
        self.assertEqual(done.returncode, 0, done.err)
        row = json.loads(self.prony("show", self.path("row.prony"), "--json").out)
        self.assertEqual(row["requests"], back["requests"])
        self.assertEqual([one["ledger"].get("recorded_j") for one in row["energy"]],
                         [one["ledger"].get("recorded_j") for one in back["energy"]])
        with open(self.path("results/text_generation_results.csv"), "w", encoding="utf-8") as file:
            file.write("mine\n")  # nobody's work is overwritten
        done = self.prony("export", self.path("x.prony"), "--format", "llm-thesis", "--out", self.path("results"))
        self.assertEqual(done.returncode, 125)
        self.assertFalse(os.path.exists(self.path("results/raw_results/0003")))
        done = self.prony("import", "--from", "vllm", self.path("results"), "-o", self.path("no.prony"))
        self.assertIn("folder", done.err)

    def test_llama_bench_and_llenergymeasure_come_back_as_runs_that_compare(self):
        rows = [{"model_filename": "m.gguf", "n_prompt": 0, "n_gen": 16, "samples_ns": [10**9, 11 * 10**8, 12 * 10**8]}]
        self.imported("llama-bench", json.dumps(rows))
        os.rename(self.path("back.prony"), self.path("a.prony"))
        rows[0]["samples_ns"] = [5 * 10**8, 6 * 10**8, 55 * 10**7]
        self.imported("llama-bench", json.dumps(rows))
        done = self.prony("compare", self.path("a.prony"), self.path("back.prony"))
        self.assertRegex(done.out, r"output_tokens_per_s +14\.55 /s +29\.09 /s", done.err)  # 48 tokens in 3.3 s and 1.65 s
        self.assertRegex(done.out, r"e2e_s +1\.1\d* s +550 ms +-50")
        self.asked("plain", "crlf", "last")
        self.imported("llenergymeasure", self.exported("llenergymeasure"), "--force")
        back = json.loads(self.prony("show", self.path("back.prony"), "--json").out)
        self.assertEqual(back["requests"][0]["output_tokens"], 18)

    def test_the_same_run_is_told_by_each_tools_definitions(self):
        self.asked("plain", "crlf", "last")
        done = self.prony("show", self.path("x.prony"), "--definitions", "all", "--json")
        figures = {row["name"]: row for row in json.loads(done.out)}
        # GuideLLM's has TTFT inside.
        e2e, output = figures["e2el@vllm"]["mean"], 6
        self.assertAlmostEqual(figures["tpot@guidellm"]["mean"], e2e / output, 9)
        ollama, user = figures["eval_rate@ollama"], figures["output_token_throughput_per_user@aiperf"]
        self.assertEqual("mean" in ollama, "mean" in user)  # absent where every answer came in one piece
        if "mean" in ollama and ollama["count"] == 1:
            self.assertAlmostEqual(ollama["mean"] / user["mean"], output / (output - 1), 6)
        self.assertIn("tpot@guidellm", self.prony("show", self.path("x.prony"), "--definitions", "guidellm").out)
        done = self.prony("show", self.path("x.prony"), "--definitions", "vlm")
        self.assertEqual(done.returncode, 125)
        self.assertIn("Did you mean 'vllm'?", done.err)

    def test_of_a_parquet_file_it_says_what_to_name_instead_and_writes_nothing(self):
        done = self.imported("llenergymeasure", "PAR1\x00\x01PAR1", code=125)
        self.assertIn("this is a Parquet file", done.err)
        self.assertIn("result.json", done.err)
        self.assertFalse(os.path.exists(self.path("back.prony")))

    def test_what_is_no_format_is_named_with_the_nearest(self):
        self.asked("plain")
        done = self.prony("export", self.path("x.prony"), "--format", "aiprf")
        self.assertEqual(done.returncode, 125)
        self.assertIn("did you mean 'aiperf'?", done.err)
        done = self.prony("export", self.path("x.prony"), "--format", "aiperf", "--table", "spans")
        self.assertEqual(done.returncode, 125)
        self.assertIn("Did you mean 'vllm'?", self.imported("vlm", "{}", code=125).err)
        self.imported("aiperf", self.exported("aiperf"))
        self.assertIn("exists", self.imported("aiperf", self.exported("aiperf"), code=125).err)


if __name__ == "__main__":
    harness.main()
