"""`prony layers MODEL.onnx`: real ONNX Runtime on small built-in networks; every node a row, every microsecond told."""

import csv
import json
import os
import re

import harness
from harness import Case, program


class WithNetworks(Case):
    def setUp(self):
        super().setUp()
        if program("prony-engine-onnx") is None:
            self.skipTest("prony-engine-onnx was not built (tools/setup-onnxruntime.sh)")

    def network(self, architecture, *options):
        path = self.path(architecture + ".onnx")
        done = self.prony("synth", "onnx", "--arch", architecture, "-o", path, "--force", *options)
        self.assertEqual(done.returncode, 0, done.err)
        return path

    def layers(self, model, *options, code=0):
        done = self.prony("layers", model, "--out", self.path("x.prony"), "--force", "--json", self.path("x.json"),
                          "--csv", self.path("x.csv"), "--threads", "1", *options)
        self.assertEqual(done.returncode, code, done.err + done.out)
        if code != 0:
            return done
        self.text = done.out
        self.assert_charges_close("x.prony")
        return self.load("x.json")


class Layers(WithNetworks):
    def test_the_rows_and_what_no_row_has_add_up_to_the_run_end_to_end(self):
        report = self.layers(self.network("resnet18", "--resolution", "64"), "--runs", "12", "--warmup", "2")
        times = report["times"]
        self.assertEqual(times["plain"]["runs"], 12)
        rows = sum(row["mean_s"] for row in times["rows"])
        self.assertAlmostEqual(rows + times["unattributed_s"], times["profiled"]["mean_s"], delta=1e-9)
        self.assertGreater(times["unattributed_s"], 0)
        self.assertEqual(times["unknown_layers"], 0)
        self.assertIn("unattributed", self.text)
        self.assertIn("without it", self.text)

    def test_fused_nodes_name_the_nodes_of_the_file_and_each_of_those_is_somewhere_once(self):
        report = self.layers(self.network("resnet18", "--resolution", "64"), "--runs", "2", "--warmup", "0")
        covered = [name for row in report["times"]["rows"] for name in row["covers"]]
        everywhere = covered + report["times"]["left_out"]
        self.assertEqual(len(everywhere), len(set(everywhere)))
        self.assertEqual(len(everywhere), 70)  # the nodes that synth wrote
        first = next(row for row in report["times"]["rows"] if "conv1" in row["covers"])
        self.assertEqual(first["kind"], "convolution")
        self.assertIn("bn1", first["covers"])
        self.assertEqual(sum(row.get("macs", 0) for row in report["times"]["rows"]), report["times"]["macs"])
        self.assertTrue(any(row["kind"] == "layout" for row in report["times"]["rows"]))

    def test_an_engines_layers_on_a_simulated_device_have_regressed_and_modelled_joules_beside_the_true_ones(self):
        report = self.layers(self.network("squeezenet1_1", "--resolution", "96"), "--runs", "3", "--warmup", "1")
        done = self.prony("layers", "truth", self.path("x.prony"))
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("no joule here is real", done.out)
        rows = [line for line in done.out.splitlines() if line.startswith("| ")][1:]
        timed = [row["name"] for row in report["times"]["rows"] if row["median_s"] > 0]
        self.assertEqual([row.split(" | ")[0][2:] for row in rows],
                         [name if len(name) <= 40 else name[:39] + "…" for name in timed])
        self.assertRegex(done.out, r"\(c\) cut anew: \d+ of %d told" % len(timed))
        sums = re.search(r"Σ layers ([\d.]+) \+ idle ([\d.]+) \+ unattributed (-?[\d.]+) = measured ([\d.]+)", done.out)
        layers, idle, rest, measured = (float(one) for one in sums.groups())
        self.assertAlmostEqual(layers + idle + rest, measured, delta=1e-3 * measured)
        self.assertEqual(self.prony("layers", "truth", self.path("x.prony")).out, done.out)
        self.assertEqual(self.prony("layers", "truth", self.path("none.prony")).returncode, 125)

    def test_the_run_alone_prints_the_same_again(self):
        self.layers(self.network("lenet"), "--runs", "3")
        again = self.prony("layers", self.path("x.prony"))
        self.assertEqual(again.returncode, 0, again.err)
        self.assertEqual(again.out, self.text)
        with open(self.path("x.csv"), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(rows[-1]["layer"], "end-to-end")
        self.assertEqual(rows[-2]["layer"], "unattributed")

    def test_layers_are_spans_within_their_run_and_do_not_overlap(self):
        self.layers(self.network("lenet"), "--runs", "4")
        spans = self.table("x.prony", "spans")
        runs = [s for s in spans if s["kind"] == "batch"]
        self.assertEqual(len(runs), 4)
        for run in runs:
            inner = sorted((s for s in spans if s.get("parent") == run["id"]), key=lambda s: s["begin_ns"])
            self.assertGreater(len(inner), 5)
            for before, after in zip(inner, inner[1:]):
                self.assertLessEqual(before["end_ns"], after["begin_ns"] + 1000)  # the profiler cuts off microseconds
            self.assertGreaterEqual(inner[0]["begin_ns"], run["begin_ns"])
            self.assertLessEqual(inner[-1]["end_ns"], run["end_ns"])

    def test_a_dynamic_batch_is_asked_for_and_taken(self):
        model = self.network("lenet", "--dynamic-batch")
        done = self.layers(model, code=125)
        self.assertIn("input [batch,1,32,32]", done.err)
        self.assertIn("--input-shape", done.err)
        self.assertFalse(os.path.exists(self.path("x.prony")))
        report = self.layers(model, "--batch", "3", "--runs", "2")
        self.assertEqual(report["times"]["batch"], 3)
        self.assertAlmostEqual(report["fps"], 3 / report["times"]["plain"]["mean_s"], delta=1e-6 * report["fps"])
        self.assertEqual(self.layers(model, "--input-shape", "batch=2", "--runs", "2")["times"]["batch"], 2)

    def test_a_fixed_batch_is_not_overruled(self):
        done = self.layers(self.network("lenet"), "--batch", "4", code=125)
        self.assertIn("fixed in the file", done.err)

    def test_attention_has_rows_too(self):
        report = self.layers(self.network("bert-tiny", "--resolution", "16"), "--runs", "2")
        kinds = {row["kind"] for row in report["times"]["rows"]}
        self.assertTrue({"matmul", "dense", "softmax", "normalisation"} <= kinds, kinds)

    def test_a_series_too_short_for_the_sensor_has_no_joules_but_says_how_long_it_takes(self):
        report = self.layers(self.network("lenet"), "--runs", "1", "--warmup", "0")
        if "absent" in report["energy"]:
            self.assertIs(report["energy"].get("resolvable"), False)
            self.assertNotIn("gross_j_per_frame", report["energy"])
            self.assertIn("not resolvable", self.text)
        else:
            self.assertLess(report["energy"]["gross_j_per_frame"]["low"], report["energy"]["gross_j_per_frame"]["high"])


class Failures(WithNetworks):
    def test_what_is_no_network_is_said_to_be_none_and_leaves_no_run(self):
        for name, content in (("empty.onnx", b""), ("text.onnx", b"hello"), ("cut.onnx", None)):
            path = self.path(name)
            if content is None:
                with open(self.network("lenet"), "rb") as file:
                    content = file.read()[:2000]
            with open(path, "wb") as file:
                file.write(content)
            done = self.layers(path, code=125)
            self.assertIn("ONNX", done.err)
            self.assertFalse(os.path.exists(self.path("x.prony")))

    def test_a_network_that_needs_more_memory_than_there_is_says_so_and_leaves_no_figures(self):
        network = self.network("squeezenet1_1", "--resolution", "4096")
        worker = program("prony-engine-onnx")
        for kilobytes, when in ((250_000, "was not loaded"), (700_000, "were not made")):
            done = self.prony("layers", network, "--runs", "2", "--warmup", "0", "--out", self.path("x.prony"), "--force", "--",
                              "sh", "-c", f"ulimit -v {kilobytes} && exec {worker}")
            self.assertEqual(done.returncode, 125, done.out)
            self.assertEqual(done.out, "")
            self.assertRegex(done.err, r"\Aprony: the (network|runs) " + when + r".*\(memory\)")
            self.assertIn("memory", done.err.splitlines()[-1])
            self.assertEqual(self.prony("layers", self.path("x.prony")).returncode, 125)

    def test_names_that_the_engine_writes_as_no_json_are_said_to_be_the_reason(self):
        path = self.path("quote.onnx")
        with open(self.network("lenet"), "rb") as file:
            network = file.read()
        with open(path, "wb") as file:
            file.write(network.replace(b"conv1", b'con"1'))
        done = self.prony("layers", path, "--runs", "2", "--out", self.path("q.prony"))
        if done.returncode != 0:  # a later ONNX Runtime may write them well
            self.assertEqual(done.returncode, 125)
            self.assertIn("a node's name with a quote", done.err)

    def test_a_worker_that_dies_is_a_failure_and_never_a_result(self):
        model = self.network("lenet")
        worker = self.path("worker.py")
        with open(worker, "w", encoding="utf-8") as file:
            file.write("import json, sys\n"
                       "print(json.dumps({'type': 'hello', 'protocol': 1, 'capabilities': ['infer']}), flush=True)\n"
                       "sys.stdin.readline()\n"
                       "print(json.dumps({'type': 'loaded', 'facts': {}}), flush=True)\n"
                       "sys.stdin.readline()\n")
        done = self.prony("layers", model, "--out", self.path("x.prony"), "--runs", "2", "--", "python3", worker)
        self.assertEqual(done.returncode, 125)
        self.assertIn("the worker ended before it answered", done.err)
        self.assertNotIn("FPS", done.out)
        shown = self.prony("layers", self.path("x.prony"))
        self.assertEqual(shown.returncode, 125)
        self.assertIn("no times of layers", shown.err)


class LanguageModel(Case):
    """Layers and operators of a GGUF file by llama.cpp's evaluation callback."""

    def setUp(self):
        super().setUp()
        if program("prony-engine-llama") is None:
            self.skipTest("prony-engine-llama was not built (tools/setup-llama.sh)")
        self.model = self.path("tiny.gguf")
        done = self.prony("synth", "llama", "--params", "160k", "-o", self.model)
        self.assertEqual(done.returncode, 0, done.err)

    def test_prefill_and_decode_have_rows_of_their_own_that_add_up(self):
        done = self.prony("layers", self.model, "--out", self.path("x.prony"), "--json", self.path("x.json"), "--threads",
                          "1", "--runs", "5", "--warmup", "1", "--tokens", "32")
        self.assertEqual(done.returncode, 0, done.err)
        report = self.load("x.json")
        self.assertEqual([part["part"] for part in report["parts"]], ["prefill", "decode"])
        for part in report["parts"]:
            times = part["times"]
            self.assertEqual(times["plain"]["runs"], 5)
            rows = sum(row["mean_s"] for row in times["rows"])
            self.assertAlmostEqual(rows + times["unattributed_s"], times["profiled"]["mean_s"], delta=1e-9)
            self.assertGreater(times["unattributed_s"], 0)
            layers = {row["name"] for row in times["rows"]}
            self.assertTrue({"layer 0", "layer 1", "output"} <= layers, layers)
            self.assertIn("MUL_MAT", {row["op"] for row in times["rows"]})
        self.assertIn("prefill: a prompt of 32 tokens", done.out)
        self.assertIn("decode: one token after 32", done.out)
        self.assertIn("without it", done.out)  # what the callback costs
        self.assertAlmostEqual(report["parts"][0]["fps"] * report["parts"][0]["times"]["plain"]["mean_s"], 32, delta=1e-6)
        self.assert_charges_close("x.prony")

    def test_layers_of_a_gguf_cannot_be_looped_and_the_reason_is_told(self):
        for word in ("--isolate", "--ablate"):
            done = self.prony("layers", self.model, word, "--out", self.path("folder"))
            self.assertEqual(done.returncode, 125)
            self.assertIn("its graph of the whole file", done.err)
            self.assertFalse(os.path.exists(self.path("folder")))

    def test_a_language_model_has_no_input_shape(self):
        done = self.prony("layers", self.model, "--batch", "2", "--out", self.path("x.prony"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("--tokens", done.err)


class Worker(WithNetworks):
    def talk(self, *messages):
        import subprocess
        done = subprocess.run([program("prony-engine-onnx")], input="".join(json.dumps(m) + "\n" for m in messages),
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_wrong_word_is_an_error_and_the_worker_goes_on(self):
        replies = self.talk({"type": "infer", "id": "1"}, {"type": "dance"}, {"type": "load"},
                            {"type": "load", "model": "/nonexistent"}, {"type": "stop"})
        self.assertEqual([r["type"] for r in replies], ["hello", "error", "error", "error", "error", "bye"])
        self.assertEqual([r["error"]["code"] for r in replies[1:5]], ["state", "protocol", "protocol", "model"])


if __name__ == "__main__":
    harness.main()
