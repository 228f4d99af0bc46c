"""Sensors that fail in mid-run: a gap with a reason, never a phantom wrap, and the command is not disturbed."""

import json
import threading
import time

import harness
from harness import RigCase, energy

CHANNEL = "rapl.package-0.energy"


class Faults(RigCase):
    def measure_with(self, *plan, zone="curve=constant base=40 update_us=1000 quantum_uj=61", seconds="3"):
        """Runs `sleep` on the tree while `plan` ((after_s, fault), …) is carried out; → (rig, summary, run's window)."""
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 " + zone)

        def act():
            begin = time.monotonic()
            for after, word in plan:
                time.sleep(max(0, after - (time.monotonic() - begin)))
                rig.fault("package-0", word)

        actor = threading.Thread(target=act)
        actor.start()
        try:
            summary = self.record(["sleep", seconds], "--sysfs", rig.path)
        finally:
            actor.join()
        run = next(r for r in self.table("x.prony", "spans") if r["kind"] == "run")
        self.assert_charges_close("x.prony")
        return rig, summary, (run["begin_ns"], run["end_ns"])

    def assert_told(self, summary):
        told = json.dumps([summary["events"], summary["unavailable"]])
        self.assertRegex(told, "package-0|rapl", "the failure and its reason are part of the Run")

    def bridge(self, word):
        rig, summary, run = self.measure_with((1.0, word), (1.6, "ok"))
        row = energy(summary, CHANNEL)
        self.assertGreaterEqual(row["gaps"], 1)
        self.assertEqual((row["wraps"], row["resets"]), (0, 0))
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
        self.assert_told(summary)

    def test_an_input_output_error_that_passes_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("eio")

    def test_rubbish_that_passes_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("rubbish")

    def test_an_empty_file_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("empty")

    def test_a_negative_counter_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("negative")

    def test_a_zone_that_comes_back_is_found_again(self):
        self.bridge("vanish")

    def test_a_permission_that_comes_back_is_found_again(self):
        self.bridge("denied")

    def test_a_sensor_that_vanishes_for_good_ends_nothing_but_itself(self):
        _, summary, _ = self.measure_with((1.0, "vanish"))
        row = energy(summary, CHANNEL)
        self.assertEqual(row["wraps"], 0)
        self.assertGreaterEqual(row["gaps"], 1)
        self.assertGreater(row["gap_s"], 1)
        self.assertEqual(summary["exit_code"], 0)
        self.assert_told(summary)

    def test_a_reset_is_no_wrap(self):
        rig, summary, run = self.measure_with((1.5, "reset"))
        row = energy(summary, CHANNEL)
        self.assertEqual(row["wraps"], 0)
        self.assertEqual(row["resets"], 1)
        truth = rig.truth.joules("package-0", *run)
        self.assertLess(row["gross_j"], truth * 1.05)
        self.assertGreater(row["gross_j"], truth * 0.9)

    def test_a_counter_that_stands_still_for_a_while_loses_nothing(self):
        rig, summary, run = self.measure_with((1.0, "stale"), (1.5, "ok"))
        row = energy(summary, CHANNEL)
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))

    def test_a_gap_over_a_wrap_is_bridged_as_one_wrap(self):
        # 40 J to the wrap at 40 W: one second; the gap of half a second hides exactly one.
        rig, summary, run = self.measure_with((0.8, "eio"), (1.3, "ok"),
                                              zone="curve=constant base=40 update_us=1000 wrap_quanta=40000000 max_w=60")
        row = energy(summary, CHANNEL)
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
        self.assertLess(abs(row["gross_j"] / truth - 1), 0.01)

    def test_a_zone_that_may_not_be_read_says_how_to_mend_it(self):
        rig = self.mount()
        rig.fault("package-0", "denied")
        done = self.prony("sensors", "--sysfs", rig.path)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("permission denied", done.out.lower())
        self.assertIn("chmod", done.out + self.prony("sensors", "--json", "--sysfs", rig.path).out)

    def test_sensors_lists_what_the_tree_offers(self):
        rig = self.mount()
        listed = json.loads(self.prony("sensors", "--json", "--sysfs", rig.path).out)
        text = json.dumps(listed)
        for word in ("rapl", "package-0", "core", "dram", "hwmon", "fakeboard"):
            self.assertIn(word, text)


if __name__ == "__main__":
    harness.main()
