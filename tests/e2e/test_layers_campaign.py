"""`prony layers --campaign`: many networks by one file become one data set that `prony predict` learns from, and a network
as an ONNX file is what it predicts.

Kills: a run that counts twice after a kill, layers whose time is lost or told twice, a data set that no longer is what its
sums say, a campaign that goes on as another one, a failed run that is not told.
"""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import harness
from harness import RigCase, program

TWO = """
[campaign]
models = ["lenet"]
batches = [1, 2]
runs = 4
warmup = 1
rest = "10ms"
seed = 3
[[models]]
arch = "mobilenet_v3_small"
resolutions = [32, 64]
batches = [1]
"""


class Campaigns(RigCase):
    def setUp(self):
        super().setUp()
        if program("prony-engine-onnx") is None:
            self.skipTest("prony-engine-onnx was not built (tools/setup-onnxruntime.sh)")

    def file(self, text, name="models.toml"):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def campaign(self, text, code=0, folder="data"):
        done = self.prony("layers", "--campaign", self.file(text), "-o", self.path(folder))
        self.assertEqual(done.returncode, code, done.out + done.err)
        return done

    def rows(self, name):
        with open(self.path("data", name), encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def manifest(self):
        return self.load(os.path.join("data", "manifest.json"))

    def test_many_networks_become_one_data_set_with_true_features_and_sums(self):
        done = self.campaign(TWO)
        self.assertIn("2 networks", done.out)
        self.assertIn("4 configurations", done.out)
        wholes = {(row["network"], row["config"]): row for row in self.rows("networks.csv")}
        self.assertEqual(set(wholes), {("lenet", "b1-t1"), ("lenet", "b2-t1"), ("mobilenet_v3_small", "b1-r32-t1"),
                                       ("mobilenet_v3_small", "b1-r64-t1")})
        rows = self.rows("rows.csv")
        lenet = [row for row in rows if row["config"] == "b2-t1"]
        self.assertEqual([row["layer"] for row in lenet][:4], ["conv1", "pool1", "conv2", "pool2"])
        self.assertEqual(sum(float(row["macs"]) for row in lenet), 2 * 416520)
        self.assertEqual({row["threads"] for row in rows}, {"1"})
        depthwise = [row for row in rows if float(row["groups"]) > 1]
        self.assertTrue(depthwise)
        for row in depthwise:
            self.assertEqual(float(row["macs"]), float(row["out_0"]) * float(row["out_1"]) * float(row["out_2"]) *
                             float(row["kernel_0"]) * float(row["kernel_1"]), row)
        for key, whole in wholes.items():
            self.assertGreater(float(whole["latency_s"]), 0)
            self.assertGreater(sum(float(row["runtime_s"]) for row in rows if (row["network"], row["config"]) == key), 0)
        # What it is made of can be held against its sums: tables, campaign and Runs.
        told = self.load(os.path.join("data", "dataset.json"))
        self.assertEqual(len([name for name in told["files"] if name.endswith(".prony")]), 4)
        for name, kept in told["files"].items():
            with open(self.path("data", name), "rb") as file:
                content = file.read()
            self.assertEqual((hashlib.sha256(content).hexdigest(), len(content)), (kept["sha256"], kept["bytes"]), name)
        facts = told["facts"]
        for key in ("machine.cpu_model", "engine.version", "prony.version", "campaign.order", "model.lenet"):
            self.assertTrue(facts.get(key), key)
        self.assertIn("clocks", {**facts, **({"clocks": 1} if rows[0]["clock_hz"] else {})})
        # A model's sum is that of the file that its words make.
        again = self.path("again.onnx")
        self.assertEqual(self.prony(*facts["model.lenet"].split("(prony ")[1].rstrip(")").split(), "-o", again).returncode, 0)
        with open(again, "rb") as file:
            self.assertIn(hashlib.sha256(file.read()).hexdigest(), facts["model.lenet"])
        self.assertFalse(os.path.exists(self.path("data", "models")))

    def test_a_data_set_of_a_campaign_is_learned_from_and_predicts_an_onnx_file(self):
        self.campaign(TWO + '[[models]]\narch = "squeezenet1_1"\nresolutions = [32, 64]\nbatches = [1]\n')
        model = self.path("model.json")
        done = self.prony("predict", "train", self.path("data"), "-o", model, "--candidates", "roofline", "--no-eval")
        self.assertEqual(done.returncode, 0, done.err)
        network = self.path("n.onnx")
        made = self.prony("synth", "onnx", "--arch", "squeezenet1_1", "--resolution", "96", "-o", network, "--dynamic-batch")
        self.assertEqual(made.returncode, 0, made.err)
        done = self.prony("predict", "apply", model, network)
        self.assertEqual(done.returncode, 125)
        self.assertIn("input [batch,3,96,96]", done.err)
        told = {}
        for batch in ("1", "4"):
            done = self.prony("predict", "apply", model, network, "--batch", batch, "--json", "-")
            self.assertEqual(done.returncode, 0, done.err)
            told[batch] = json.loads(done.out)
        runtime = {batch: one["targets"][0] for batch, one in told.items()}
        self.assertGreater(runtime["4"]["value_s"], runtime["1"]["value_s"])
        self.assertGreater(runtime["1"]["value_s"], 0)
        self.assertEqual(told["1"]["network"], "n")
        kinds = {row["kind"] for row in runtime["1"]["layers"]}
        self.assertTrue({"convolution", "pooling", "movement"} <= kinds, kinds)
        self.assertNotIn("activation", kinds)  # folded into the convolutions before
        self.assertTrue(any("folded" in remark for remark in told["1"]["remarks"]))
        done = self.prony("predict", "compare", network, network, "--model", model, "--input-shape", "batch=2")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("1.00 × the first", done.out)

    def test_after_a_kill_the_same_command_goes_on_and_nothing_runs_twice(self):
        text = TWO.replace("batches = [1, 2]", "batches = [1, 2, 3, 4]")
        words = [program("prony"), "layers", "--campaign", self.file(text), "-o", self.path("data")]
        os.mkdir(self.path("temporary"))
        child = subprocess.Popen(words, cwd=self.folder, env=self.environment(TMPDIR=self.path("temporary")), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            for _ in range(1200):
                time.sleep(0.05)
                if child.poll() is not None:
                    break
                try:
                    done = [run for run in self.manifest()["runs"] if run["status"] == "done"]
                except (OSError, AssertionError, ValueError):
                    continue
                if done:
                    break
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        before = [(run["variant"], run["attempts"][-1]["id"]) for run in self.manifest()["runs"] if run["status"] == "done"]
        self.assertTrue(before)
        self.assertFalse(os.path.exists(self.path("data", "dataset.json")))
        self.assertEqual(os.listdir(self.path("temporary")), [])  # what the killed one left is in the campaign's folder
        self.campaign(text)
        self.assertFalse(os.path.exists(self.path("data", ".scratch")))
        after = self.manifest()
        self.assertEqual(after["status"], "complete")
        good = {run["variant"]: [a["id"] for a in run["attempts"] if a["status"] == "done"] for run in after["runs"]}
        self.assertTrue(all(len(ids) == 1 for ids in good.values()), good)
        for variant, identity in before:
            self.assertEqual(good[variant], [identity])
        self.assertEqual(len(self.rows("networks.csv")), 6)

    def test_another_campaign_does_not_go_on_in_its_folder_but_more_cycles_do(self):
        small = '[campaign]\nmodels = ["lenet"]\nruns = 3\nwarmup = 0\n'
        self.campaign(small)
        self.assertEqual(self.rows("networks.csv")[0]["spread"], "")
        done = self.campaign(small.replace("runs = 3", "runs = 4"), code=125)
        self.assertIn("runs 3 → 4", done.err)
        done = self.campaign(small + "cycles = 3\n")
        self.assertIn("test and retest", done.out)
        self.assertEqual(len(self.manifest()["runs"]), 3)
        self.assertGreaterEqual(float(self.rows("networks.csv")[0]["spread"]), 0)
        self.assertIn("prony layers --campaign", self.prony("study", "--resume", self.path("data")).err)

    def test_the_least_of_cycles_may_count_instead_of_their_middle_and_the_data_set_says_which(self):
        text = '[campaign]\nmodels = ["lenet"]\nruns = 3\nwarmup = 0\ncycles = 2\n'
        self.campaign(text)
        self.assertIn("middle", self.load(os.path.join("data", "dataset.json"))["facts"]["campaign.of_cycles"])
        middle = float(self.rows("networks.csv")[0]["latency_s"])
        done = self.campaign(text + 'of-cycles = "least"\n')
        told = self.load(os.path.join("data", "dataset.json"))
        self.assertIn("least", told["facts"]["campaign.of_cycles"])
        medians = []
        for name in sorted(name for name in told["files"] if name.endswith(".prony")):
            shown = self.prony("layers", self.path("data", name), "--json", "-")
            medians.append(json.loads(shown.out)["times"]["plain"]["median_s"])
        self.assertEqual(len(medians), 2, done.out)  # none ran again
        self.assertEqual(float(self.rows("networks.csv")[0]["latency_s"]), min(medians))
        self.assertAlmostEqual(middle, sum(medians) / 2, delta=1e-6 * middle)
        self.assertIn("of-cycles", self.campaign(text + 'of-cycles = "best"\n', code=125).err)

    def test_whole_networks_have_the_joules_that_a_sensor_measured_and_nothing_is_learned_of_layers_from_them(self):
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 curve=sine base=40 amp=20 period=1.7 update_us=1000 quantum_uj=61")
        text = ('[campaign]\nmodels = ["squeezenet1_1", "mobilenet_v3_small"]\nresolutions = [64]\nbatches = [1, 2]\nruns = 200\n'
                f'warmup = 1\nretries = 3\ninterval = "5ms"\nsensors = "rapl"\nsysfs = "{rig.path}"\n')
        self.campaign(text)
        self.assertEqual({row["energy_j"] for row in self.rows("networks.csv")}, {""})
        self.assertIn("idle was not measured", self.load(os.path.join("data", "dataset.json"))["facts"]["energy"])
        self.campaign(text + 'idle = "300ms"\n', folder="idle")
        told = self.load(os.path.join("idle", "dataset.json"))
        self.assertNotIn("energy", told["facts"])
        shutil.rmtree(self.path("data"))
        os.rename(self.path("idle"), self.path("data"))
        above = 0
        for row in self.rows("networks.csv"):
            words = f"-{row['network']}-{row['config']}-"
            run = self.path("data", next(name for name in told["files"] if words in name and name.endswith(".prony")))
            report = json.loads(self.prony("layers", run, "--json", "-").out)
            idle = next(one for one in json.loads(self.prony("show", run, "--json").out)["energy"] if one["headline"])
            wanted = 0  # a machine that stalls the meter has none
            if "absent" not in report["energy"]:
                wanted = report["energy"]["gross_j"]["value"] - idle["idle_w"] * report["energy"]["window_s"]
                self.assertEqual(report["energy"]["origin"], "measured")
            if wanted <= 0:  # the package draws what it likes; less than when idle is nobody's energy
                self.assertEqual(row["energy_j"], "")
                continue
            above += 1
            self.assertAlmostEqual(float(row["energy_j"]) * report["times"]["plain"]["runs"], wanted, delta=1e-6)
        self.assertEqual({row["energy_j"] for row in self.rows("rows.csv")}, {""})
        done = self.prony("predict", "train", self.path("data"), "-o", self.path("m.json"), "--no-eval", "--candidates", "roofline")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(f"energy is not learned: {above} whole networks have joules, their layers have none" in done.out, above > 0)

    def test_what_is_wrong_is_said_before_anything_runs(self):
        for text, word in (('[campaign]\nmodels = ["lenett"]\n', "'lenet'"), ('[campaign]\nmodels = ["none.onnx"]\n', "none.onnx"),
                           ("[campaign]\nmodels = 3\n", "list of architectures")):
            self.assertIn(word, self.campaign(text, code=125).err)
        self.assertIn("its folder", self.prony("layers", "--campaign", self.file(TWO)).err)
        fixed = self.path("fixed.onnx")
        self.assertEqual(self.prony("synth", "onnx", "--arch", "lenet", "-o", fixed).returncode, 0)
        done = self.campaign(f'[[models]]\nfile = "{fixed}"\nbatches = [1, 2]\n', code=125, folder="fixed")
        self.assertIn("fixed in the file", done.err)
        # The campaign's own batches say nothing to such a file: it has one configuration.
        done = self.campaign(f'[campaign]\nbatches = [1, 2]\nruns = 3\nmodels = ["{fixed}"]\n', folder="one")
        self.assertIn("1 configuration\n", done.out)


if __name__ == "__main__":
    harness.main()
