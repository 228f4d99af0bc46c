"""`prony layers MODEL.onnx --isolate`, `--ablate`: energy of layers whose joules are known, and of real ONNX Runtime.

Kills: layers that get the mean of the network, idle energy that counts as a layer's, cuts that lack a node or have one too
many, copies of a layer counted as one, sums that do not close, a kill that loses what was measured.
"""

import csv
import json
import os
import subprocess
import sys
import time

import harness
import layers_worker
from harness import Case, RigCase, program


def lenet(case):
    path = case.path("lenet.onnx")
    done = case.prony("synth", "onnx", "--arch", "lenet", "-o", path)
    case.assertEqual(done.returncode, 0, done.err)
    return path


def assert_sums_close(case, report):
    """Σ layers + idle + unattributed = measured, and each row says by what method."""
    case.assertTrue(report["rows"])
    for row in report["rows"]:
        case.assertIn(row["method"], ("isolated", "ablated"))
        case.assertIn(row["origin"], ("measured", "modelled", "derived"))
        case.assertNotEqual("above_idle_j" in row, "absent" in row, row)
    for one in report["balances"]:
        rows = [row["above_idle_j"]["value"] for row in report["rows"]
                if row["method"] == one["method"] and "above_idle_j" in row]
        case.assertEqual(one["layers_told"], len(rows))
        if "absent" in report["network"]:  # a machine that stalls: then there is nothing to add up to
            case.assertIn("not resolvable", report["network"]["absent"])
            case.assertNotIn("layers_j", one)
            continue
        case.assertAlmostEqual(sum(rows), one["layers_j"], delta=1e-9)
        case.assertAlmostEqual(one["layers_j"] + one["idle_j"] + one["unattributed_j"], one["measured_j"], delta=1e-9)


class KnownJoules(RigCase):
    """A stand-in for ONNX Runtime under a package that draws what it says."""

    def setUp(self):
        super().setUp()
        self.library = next((path for path in (os.path.join(harness.BUILD, name) for name in ("libprony.so", "libprony.so.1"))
                             if os.path.exists(path)), None)
        if self.library is None:
            self.skipTest("libprony.so was not built")
        with open(self.path("feed"), "wb") as file:
            file.write(bytes(8))
        self.rig = self.mount("--zone", f"id=intel-rapl:0 name=package-0 quantum_uj=61 max_w=1000 live={self.path('feed')}")
        self.model = lenet(self)

    def words(self, *options):
        return ["layers", self.model, "--out", self.path("folder"), "--json", self.path("x.json"), "--csv", self.path("x.csv"),
                "--sysfs", self.rig.path, "--sensors", "rapl", "--interval", "4ms", "--runs", "3", "--warmup", "0",
                "--cool-down", "0s", "--windows", "300", *options, "--", sys.executable,
                os.path.join(harness.HERE, "layers_worker.py"), self.path("feed"), self.path("log")]

    def looped(self, word="loop:"):
        if not os.path.exists(self.path("log")):
            return []
        with open(self.path("log"), encoding="utf-8") as file:
            return [line.strip() for line in file if line.startswith(word)]

    def wait_for(self, done):
        end = time.monotonic() + 100
        while not done() and time.monotonic() < end:
            time.sleep(0.02)
        self.assertTrue(done())

    def measure(self, *options, code=0, **env):
        done = self.prony(*self.words(*options), env={"LIBPRONY": self.library, **env})
        self.assertEqual(done.returncode, code, done.err + done.out)
        return done

    def hold(self, row, names):
        truth = sum(layers_worker.above_idle_j(name) for name in names)
        if row["method"] == "ablated" and "absent" in row:  # a difference of two loops on a machine that stalls
            self.assertIn("is within its own doubt", row["absent"])
            return
        told = row["above_idle_j"]
        self.assertLessEqual(told["low"], 1.03 * truth, row)  # of the edges of loops three percent are the rig's
        self.assertGreaterEqual(told["high"], 0.97 * truth, row)

    def test_each_layers_joules_are_those_that_it_draws_by_either_method(self):
        done = self.measure("--isolate", "--ablate", "--layer", "conv2", "--layer", "fc2", "--layer", "conv1..pool1")
        report = self.load("x.json")
        rows = {(row["name"], row["method"]): row for row in report["rows"]}
        self.assertEqual(len(rows), 6)
        for method in ("isolated", "ablated"):
            self.hold(rows["conv2", method], ["conv2"])
            self.hold(rows["fc2", method], ["fc2"])
            self.hold(rows["conv1..pool1", method], ["conv1", "relu1", "pool1"])
            self.assertEqual(rows["fc2", method]["origin"], "measured")
        self.assertNotAlmostEqual(layers_worker.above_idle_j("conv2"), layers_worker.above_idle_j("fc2"), delta=1e-3)
        assert_sums_close(self, report)
        self.assertEqual(report["balances"][0]["layers_of_network"], len(layers_worker.nodes_of(self.model)))
        self.assertIn("not resolvable: needs each layer looped for", report["identifiability"]["verdict"] + done.out)
        self.assertLess(done.err.index("loops of"), done.err.index("all of it is in"))  # what can be told comes first
        with open(self.path("x.csv"), encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual({row["method"] for row in table}, {"isolated", "ablated"})
        self.assertEqual(sum(row["layer"] == "(measured)" for row in table), 2)
        again = self.prony("layers", self.path("folder"))
        self.assertEqual(again.out, done.out)
        for name in os.listdir(self.path("folder")):
            self.assertIn(name.split(".")[0], ("request", "times", "engine", "loops-1", "loops-2", "loops-3"))
        for name in ("times.prony", "loops-1.prony"):
            self.assert_charges_close(os.path.join("folder", name))

    def test_a_killed_one_goes_on_where_it_was(self):
        some = [w for name in ("conv1", "pool1", "conv2", "fc1", "fc2", "fc3") for w in ("--layer", name)]
        process = subprocess.Popen([program("prony"), *self.words("--isolate", *some)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   env=self.environment(LIBPRONY=self.library), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.wait_for(lambda: len(self.looped()) >= 5 or process.poll() is not None)
        self.assertIsNone(process.poll())
        process.kill()
        process.wait()
        ends = 2  # of the times, and of the loops
        self.wait_for(lambda: len(self.looped("end")) >= ends)
        before = len(self.looped())
        done = self.measure("--isolate", *some)
        self.assertIn("going on in", done.err)
        report = self.load("x.json")
        self.assertGreaterEqual(len(report["loop_runs"]), 2)
        second = self.looped()[before:]
        self.assertLess(len(set(second)), len(report["rows"]) + 1)  # not all of it once more
        for row in report["rows"]:
            self.hold(row, [row["name"]])
        assert_sums_close(self, report)
        looped = len(self.looped())
        self.measure("--isolate", *some)  # all is told: nothing runs
        self.assertEqual(len(self.looped()), looped)
        other = self.prony(*self.words("--isolate", "--threads", "3"), env={"LIBPRONY": self.library})
        self.assertEqual(other.returncode, 125)
        self.assertIn("with other settings", other.err)

    def test_a_layer_that_does_not_run_alone_has_the_reason_and_the_others_have_figures(self):
        self.measure("--isolate", "--layer", "fc1", "--layer", "fc3", REFUSED="fc3")
        rows = {row["name"]: row for row in self.load("x.json")["rows"]}
        self.hold(rows["fc1"], ["fc1"])
        self.assertIn("no kernel for it", rows["fc3"]["absent"])
        self.assertNotIn("above_idle_j", rows["fc3"])


class RealEngine(Case):
    """ONNX Runtime itself on a simulated machine: what is cut out runs, and what is printed adds up."""

    def setUp(self):
        super().setUp()
        if program("prony-engine-onnx") is None:
            self.skipTest("prony-engine-onnx was not built (tools/setup-onnxruntime.sh)")

    def test_layers_of_the_engines_own_graph_run_alone_and_cut_off(self):
        model = lenet(self)
        times = self.prony("layers", model, "--out", self.path("t.prony"), "--json", self.path("t.json"), "--runs", "3",
                           "--threads", "1")
        self.assertEqual(times.returncode, 0, times.err)
        names = [row["name"] for row in self.load("t.json")["times"]["rows"]]
        chosen = [names[0], names[-1], names[2] + ".." + names[4]]
        done = self.prony("layers", model, "--isolate", "--ablate", *(w for name in chosen for w in ("--layer", name)), "--out",
                          self.path("folder"), "--simulate", "laptop", "--json", self.path("x.json"), "--runs", "3",
                          "--threads", "1", "--windows", "100", "--cool-down", "10ms")
        self.assertEqual(done.returncode, 0, done.err)
        report = self.load("x.json")
        self.assertEqual([row["name"] for row in report["rows"]], [name for name in chosen for _ in range(2)])
        assert_sums_close(self, report)
        for row in report["rows"]:  # all of it ran: what is missing is missing for want of joules above idle alone
            if "absent" in row:
                self.assertIn("not resolvable", row["absent"])
        self.assertEqual(report["simulated"], "laptop")
        self.assertIn("SIMULATED", done.out)
        self.assert_charges_close("folder/loops-1.prony")

    def test_what_cannot_be_looped_is_said_before_anything_runs(self):
        model = lenet(self)
        done = self.prony("layers", model, "--isolate", "--layer", "nothing", "--out", self.path("a"), "--threads", "1",
                          "--runs", "2")
        self.assertEqual(done.returncode, 125)
        self.assertIn("has no layer 'nothing'", done.err)
        done = self.prony("layers", model, "--isolate", "--out", self.path("b"), "--threads", "1", "--runs", "2", "--sensors",
                          "thermal")
        self.assertEqual(done.returncode, 125)
        self.assertIn("nothing gives joules here", done.err)
        done = self.prony("layers", model, "--layer", "conv1")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--isolate", done.err)
        os.mkdir(self.path("mine"))
        with open(self.path("mine", "engine.onnx"), "w", encoding="utf-8") as file:
            file.write("precious")
        done = self.prony("layers", model, "--isolate", "--out", self.path("mine"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("not empty", done.err)
        with open(self.path("mine", "engine.onnx"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")
        done = self.prony("layers", self.path("mine"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("no folder of layers that were looped", done.err)


if __name__ == "__main__":
    harness.main()
