"""`prony layers MODEL.onnx --engine trtexec` with a stand-in for trtexec: what it is called with, what becomes of its files,
and each way in which it can fail.

Kills: a failure that looks like a result, times with the profiler told as those without, an engine built for each series.
"""

import json
import os
import sys
import time

import harness
from harness import Case, program

STAND_IN = os.path.join(harness.HERE, "stand_in_trtexec.py")


class Trtexec(Case):
    def setUp(self):
        super().setUp()
        if program("prony-engine-trtexec") is None:
            self.skipTest("prony-engine-trtexec was not built")
        self.model = self.path("lenet.onnx")
        self.synth("lenet.onnx")

    def synth(self, name, *options):
        done = self.prony("synth", "onnx", "--arch", "lenet", "-o", self.path(name), *options)
        self.assertEqual(done.returncode, 0, done.err)

    def layers(self, *options, code=0, fault="", tail=("--", sys.executable, STAND_IN), **env):
        done = self.prony("layers", self.model, "--engine", "trtexec", "--out", self.path("x.prony"), "--force", "--json",
                          self.path("x.json"), "--simulate", "laptop", *options, *tail,
                          env={"TRTEXEC_LOG": self.path("log"), "TRTEXEC_FAULT": fault, **env})
        self.assertEqual(done.returncode, code, done.err + done.out)
        return done

    def calls(self):
        with open(self.path("log"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_the_stand_in_runs_as_the_documentation_calls_it(self):
        done = self.prony("layers", self.model, "--engine", "trtexec", "--precision", "fp16", "--runs", "20", "--out", self.path("x.prony"),
                          "--simulate", "jetson-orin", "--", sys.executable, STAND_IN)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("conv1 + relu1", done.out)

    def test_an_engine_is_built_once_and_run_without_and_with_its_profiler(self):
        done = self.layers("--runs", "400", "--warmup", "4", "--precision", "fp16")
        build, plain, profiled = self.calls()
        self.assertIn("--onnx=" + self.model, build)
        self.assertIn("--fp16", build)
        self.assertFalse([word for word in build if word.startswith("--shapes")])  # the file fixes them
        for call in (plain, profiled):
            self.assertIn("--iterations=400", call)
            self.assertIn("--warmUp=10", call)  # four times 2.4 ms, rounded up
            self.assertIn("--loadEngine" + build[1][len("--saveEngine"):], call)
        self.assertFalse([word for word in plain if "rofile" in word])
        self.assertIn("--dumpProfile", profiled)
        report = self.load("x.json")
        self.assertEqual(report["engine"], "TensorRT fp16 10.3.0")
        times = report["times"]
        self.assertAlmostEqual(times["plain"]["mean_s"], 0.0025, delta=1e-9)
        self.assertAlmostEqual(report["fps"], 400, delta=1e-3)
        self.assertEqual([row["name"] for row in times["rows"]],
                         ["conv1 + relu1", "Reformatting CopyNode for Input Tensor 0 to fc1", "fc1"])
        self.assertEqual(times["rows"][0]["op"], "CaskConvolution")
        self.assertEqual(times["rows"][0]["macs"], 6 * 28 * 28 * 25)
        self.assertEqual(times["rows"][0]["runs"], 400)
        self.assertAlmostEqual(sum(row["mean_s"] for row in times["rows"]) + times["unattributed_s"],
                               times["profiled"]["mean_s"], delta=1e-9)
        energy = report["energy"]
        self.assertTrue(energy["resolvable"])
        self.assertAlmostEqual(energy["window_s"], 1, delta=1e-6)  # 400 inferences, where trtexec said that they were over
        self.assertAlmostEqual(energy["gross_j_per_frame"]["value"] * 400, energy["mean_w"]["value"] * energy["window_s"],
                               delta=1e-6)
        for word in ("SIMULATED", "latency", "FPS", ") a frame, gross", " W (", "FPS per W", "unattributed", "CaskConvolution"):
            self.assertIn(word, done.out)
        self.assert_charges_close("x.prony")
        self.assertEqual(self.prony("layers", self.path("x.prony")).out, done.out)

    def test_open_shapes_are_told_and_int8_is_asked_for(self):
        self.synth("open.onnx", "--dynamic-batch")
        self.model = self.path("open.onnx")
        self.layers("--runs", "2", "--warmup", "0", "--batch", "4", "--precision", "int8")
        for call in self.calls():
            self.assertIn("--shapes=input:4x1x32x32", call)
        self.assertIn("--int8", self.calls()[0])
        self.assertEqual(self.load("x.json")["times"]["batch"], 4)

    def test_each_way_to_fail_is_said_and_leaves_no_figures(self):
        for fault, words in (("fail", "No importer registered for op: Nonsense"), ("rubbish", "times that it wrote are none"),
                             ("silent", "it wrote no times"), ("few", "times of 1 inferences where 2 were asked for")):
            with self.subTest(fault):
                done = self.layers("--runs", "2", fault=fault, code=125)
                self.assertIn(words, done.err)
                self.assertNotIn("external weights", done.err)  # what is amiss is trtexec's to say
                self.assertNotIn("FPS", done.out)

    def test_one_that_hangs_is_ended_with_all_that_it_started(self):
        done = self.layers("--runs", "2", "--timeout", "2s", fault="hang", code=125)
        self.assertIn("did not answer within 2 s", done.err)
        with open(self.path("log.pid"), encoding="utf-8") as file:
            pid = int(file.read())
        end = time.monotonic() + 60
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":  # dead, and nobody of ours
                    return
            time.sleep(0.02)
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_a_machine_without_trtexec_says_so_and_where_to_name_one(self):
        done = self.layers(tail=(), code=125, PATH="/nonexistent")
        self.assertIn("there is no trtexec", done.err)
        self.assertIn("-- /path/to/trtexec", done.err)
        done = self.layers(tail=("--", "/nonexistent/trtexec"), code=125)
        self.assertIn("there is no /nonexistent/trtexec", done.err)
        done = self.prony("layers", self.model, "--precision", "fp16")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--engine trtexec", done.err)


if __name__ == "__main__":
    harness.main()
