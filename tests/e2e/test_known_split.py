"""Whose energy: burners whose CPU clocks are known, under a package whose power is a known function of what runs.

The conductor (tests/rigs/conductor.cpp) makes the package draw watts(t) for every busy CPU, so that everybody's true part
of the active energy is watts(t) integrated over his own CPU clock, whatever else runs on the machine: foreign load draws
its part too, and is a party of its own.

Kills: shares normalised to 1 among the targets, shares of the whole window, a target that is lost when it comes back,
children that are born and die between two looks lost or counted twice, idle energy that is counted twice.
"""

import json
import os
import subprocess
import sys
import time

import harness
from harness import RigCase, program

sys.path.insert(0, os.path.join(harness.HERE, "../rigs"))
from orchestra import Orchestra  # noqa: E402

SECONDS = 10.5
# Each begins and ends inside the window; c ends and comes back as another process; spark is born anew four times a
# second by somebody who is no target; nest bears its short ones itself.
BURNERS = ["name=a share=0.2 begin=0.2 end=10.2", "name=b share=0.15 threads=3 begin=2 end=8",
           "name=c share=0.15 begin=1 end=4", "name=c share=0.15 begin=6 end=9",
           "name=twin-1 share=0.1 begin=0.2 end=10.2", "name=twin-2 share=0.1 begin=0.2 end=10.2",
           "name=spark each=0.03 every=0.25 begin=0.2 end=10.2",
           "name=nest each=0.03 every=0.25 by=parent begin=0.2 end=10.2"]
NAMES = ["a", "b", "c", "twin-1", "twin-2", "spark", "nest"]


class KnownSplit(RigCase):
    def orchestra(self, *options, burners=BURNERS):
        words = [word for burner in burners for word in ("--burner", burner)]
        orchestra = Orchestra(program("conductor"), self.folder, [*words, *options])
        self.addCleanup(orchestra.close)
        return orchestra

    def package(self, orchestra):
        return self.mount("--zone", f"id=intel-rapl:0 name=package-0 quantum_uj=61 max_w=1000 live={orchestra.feed}")

    def start(self, name, rig, selectors, seconds=SECONDS, *options, command=None):
        """A prony that follows the selectors; its window is there when the file NAME.started is."""
        command = command or ["sh", "-c", f"echo > {self.path(name)}.started; exec sleep {seconds}"]
        words = [program("prony"), "run", "--out", self.path(name + ".prony"), "--json", self.path(name + ".json"), "--sysfs",
                 rig.path, *options, *selectors, "--", *command]
        process = subprocess.Popen(words, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def wait_for(self, names):
        end = time.monotonic() + 60
        while not all(os.path.exists(self.path(name + ".started")) for name in names):
            self.assertLess(time.monotonic(), end, "no window began")
            time.sleep(0.02)

    def finish(self, name, process):
        """→ (summary, window, text)."""
        _, told = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, told)
        self.assert_charges_close(name + ".prony")
        window = next((row["begin_ns"], row["end_ns"]) for row in self.table(name + ".prony", "spans") if row["kind"] == "run")
        return self.load(name + ".json"), window, told

    def assert_sum(self, summary):
        """What is printed adds up: targets, others, Prony, idle and unattributed are the gross energy."""
        split = summary["split"]
        parts = [row["charged_j"] for row in summary["targets"] if "charged_j" in row]
        parts += [split[key] for key in ("foreign_j", "prony_j", "idle_j", "unattributed_j") if key in split]
        self.assertAlmostEqual(sum(parts), split["gross_j"], delta=1e-6 * split["gross_j"])

    def hold(self, summary, truth, window, what, names, figure="charged_j", tolerance=0.04):
        rows = {row["name"]: row for row in summary["targets"]}
        for name in names:
            true_j, told_j = truth.party_j(name, window), rows[name][figure]
            print(f"{what} {name}: {told_j:.3f} J of {true_j:.3f} J ({100 * told_j / true_j - 100:+.2f} %)")
            self.assertLessEqual(abs(told_j / true_j - 1), tolerance, f"{what}: {name}: {told_j} J, truth {true_j} J")
        one, two = rows["twin-1"], rows["twin-2"]
        true_ratio = truth.party_j("twin-1", window) / truth.party_j("twin-2", window)
        self.assertLessEqual(abs(one[figure] / two[figure] / true_ratio - 1), 0.02, f"{what}: equal burners")

    def test_each_target_gets_its_true_share_whoever_else_is_there_at_every_rate(self):
        for others in (1, 10, 500):
            with self.subTest(others=others):
                light = min(others, 10) // 2
                orchestra = self.orchestra("--idle", "0", "--watts", "0=20", "--sleepers", str(others - light), "--light", str(light))
                orchestra.go()
                rig = self.package(orchestra)
                selectors = [word for name in NAMES for word in ("--comm", name)]
                names = {"1s": f"at1-{others}", "100ms": f"at10-{others}", "10ms": f"at100-{others}"}
                running = {name: self.start(name, rig, selectors, SECONDS, "--interval", interval) for interval, name in names.items()}
                done = {name: self.finish(name, process) for name, process in running.items()}
                truth = orchestra.end()
                rig.close()
                for name, (summary, window, _) in done.items():
                    self.assertGreaterEqual(window[1] - window[0], 10_000_000_000)
                    self.assert_sum(summary)
                    self.hold(summary, truth, window, name, NAMES)


if __name__ == "__main__":
    harness.main()
