"""Hailo accelerators by the real prony and a library that stands in for the vendor's, opened by the loader's path.

Kills: a lost chip that stays at its last temperature, a module's protection switched off to measure it, joules of an evaluation
board that are not its own, a log file left where the user works, a setting of ours that the command sees.
"""

import json
import os
import re
import subprocess
import sys
import time

import harness
from harness import Case, energy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../rigs"))
import truth  # noqa: E402

CHIP = "hailo.hailo-0-chip-0.temperature"
POWER = "hailo.hailo-0.power"


class Hailo(Case):
    def setUp(self):
        super().setUp()
        # This machine has no such chip, so prony sees another bus: in mounts of its own.
        self.bus = self.path("bus")
        os.makedirs(os.path.join(self.bus, "0001:01:00.0"))
        with open(os.path.join(self.bus, "0001:01:00.0/vendor"), "w", encoding="ascii") as file:
            file.write("0x1e60\n")
        line = 'mount --bind "$0" /sys/bus/pci/devices && exec "$@"'
        self.prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", line, self.bus]
        tried = subprocess.run([*self.prefix, "true"], check=False, capture_output=True, text=True)
        if tried.returncode != 0:
            self.skipTest("another PCI bus cannot be shown here: " + (tried.stderr.strip() or "unshare --mount failed"))

    def script(self, chips, **more):
        """Chips whose curves begin now; gives the environment that lets prony find them."""
        self.t0_ns = time.monotonic_ns()
        with open(self.path("chips.json"), "w", encoding="utf-8") as file:
            json.dump({"t0_ns": self.t0_ns, "chips": chips, **more}, file)
        folder = os.path.join(harness.BUILD, "rigs/hailo")
        self.assertTrue(os.path.exists(os.path.join(folder, "libhailort.so")), "the stand-in was not built")
        return {"LD_LIBRARY_PATH": folder, "PRONY_HAILO_SCRIPT": self.path("chips.json")}

    def measure(self, env, command=("sleep", "2")):
        return self.record(list(command), "--sensors", "hailo,cpu,self", env=env)

    def temperatures(self):
        """What each reading in the chip's lane gave; None: a gap."""
        return [row.get(CHIP + "_celsius") for row in self.table("x.prony", "samples") if row["group"] == "hailo"]

    def reasons(self, summary):
        return " ".join(one["reason"] for one in summary["unavailable"])

    def test_a_modules_temperatures_are_in_the_run_and_its_power_is_absent_with_the_reason(self):
        env = self.script([{"power": "constant:2"}])
        summary = self.measure(env)
        self.assertEqual(set(self.temperatures()), {56.0})
        self.assertNotIn(POWER, [row["channel"] for row in summary["energy"]])
        self.assertIn("no power meter that can be read without harm", self.reasons(summary))
        self.assertNotIn("overcurrent protection is off", self.summary_text)  # the stand-in's line on stderr

    def test_joules_of_an_evaluation_board_hold_the_truth(self):
        power = "square:1.5,3.5,3,0.5"
        env = self.script([{"power": power, "product": "HAILO-8 EVB", "measures_power": True}], latency_us=2000)
        summary = self.measure(env, ("sleep", "8"))
        row = energy(summary, POWER)
        window = next(row for row in self.table("x.prony", "spans") if row["kind"] == "run")
        from_zero = [truth.joules_from_zero(power, (window[key] - self.t0_ns) * 1e-9) for key in ("begin_ns", "end_ns")]
        true_j = from_zero[1] - from_zero[0]
        self.assertLessEqual(row["low_j"], true_j, row)
        self.assertLessEqual(true_j, row["high_j"], row)
        self.assertLess(abs(row["gross_j"] / true_j - 1), 0.15, row)

    def test_a_chip_that_is_lost_is_a_gap_and_comes_back(self):
        env = self.script([{"power": "constant:1"}], fault={"kind": "lost", "at_s": 2, "for_s": 2})
        summary = self.measure(env, ("sleep", "8"))
        seen = self.temperatures()
        self.assertIn(None, seen)
        self.assertEqual((seen[0], seen[-1]), (47.0, 47.0), seen)
        self.assertIn("its driver failed; nothing of it is measured until it answers again", json.dumps(summary))
        self.assertIn("sensor-back", [event["kind"] for event in summary["events"]])

    def test_nothing_is_written_where_the_user_works_and_the_command_sees_nothing_of_it(self):
        env = self.script([{"power": "constant:1"}])
        self.measure(env, ("sh", "-c", f"env > '{self.path('env.txt')}'"))
        self.assertEqual(set(self.temperatures()), {47.0})  # it was loaded
        self.assertFalse(os.path.exists(self.path("hailort.log")))
        with open(self.path("env.txt"), encoding="utf-8") as file:
            self.assertNotRegex(file.read(), re.compile("^HAILORT_", re.M))
        # A place that the user chose is the user's.
        os.makedirs(self.path("logs"))
        self.prony("sensors", env={**env, "HAILORT_LOGGER_PATH": self.path("logs")})
        self.assertTrue(os.path.exists(self.path("logs", "hailort.log")))

    def test_without_a_chip_on_the_bus_the_library_is_not_loaded(self):
        env = self.script([{"power": "constant:1"}])
        os.remove(os.path.join(self.bus, "0001:01:00.0/vendor"))
        os.makedirs(self.path("logs"))
        done = self.prony("sensors", env={**env, "HAILORT_LOGGER_PATH": self.path("logs")})
        self.assertIn("no Hailo accelerator on PCI Express", done.out)
        self.assertEqual(os.listdir(self.path("logs")), [])

    def test_without_a_driver_a_library_or_a_function_the_reason_is_said(self):
        env = self.script([{"power": "constant:1"}], missing=["hailo_get_chip_temperature", "hailo_power_measurement"])

        def said(**changes):
            return " ".join(self.prony("sensors", env={**env, **changes}).out.split())

        self.assertIn("hailo-0: this board or firmware does not have it", said())
        self.assertIn("HailoRT finds none: its driver is not loaded", said(PRONY_HAILO_SCRIPT=self.path("none")))
        self.assertIn("libhailort.so is not there", said(LD_LIBRARY_PATH=self.path("nowhere")))


if __name__ == "__main__":
    harness.main()
