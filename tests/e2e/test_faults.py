"""Sensors that fail in mid-run: a gap with a reason, never a phantom wrap, and the command is not disturbed."""

import json
import threading
import time

import harness
from harness import RigCase, energy

CHANNEL = "rapl.package-0.energy"


class Faults(RigCase):
    def measure_with(self, *plan, zone="curve=constant base=40 update_us=1000 quantum_uj=61", seconds="3", first=None,
                     code=0):
        """Runs `sleep` on the tree while `plan` ((after_s, fault), …) is carried out; → (rig, summary, run's window).

        `first` is a fault that is there before Prony starts; `code` is what the command exits with."""
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 " + zone)
        if first:
            rig.fault("package-0", first)

        def act():
            begin = time.monotonic()
            for after, word in plan:
                time.sleep(max(0, after - (time.monotonic() - begin)))
                rig.fault("package-0", word)

        actor = threading.Thread(target=act)
        actor.start()
        try:
            summary = self.record(["sh", "-c", f"sleep {seconds}; exit {code}"], "--sysfs", rig.path, code=code)
        finally:
            actor.join()
        run = next(r for r in self.table("x.prony", "spans") if r["kind"] == "run")
        return rig, summary, (run["begin_ns"], run["end_ns"])

    def assert_told(self, summary):
        told = [e["text"] for e in summary["events"] if e["kind"] == "sensor-lost" and e["subject"] == CHANNEL]
        self.assertEqual(len(told), 1, summary["events"])
        self.assertIn("energy_uj: ", told[0], "which file, and why")
        self.assertIn(told[0][-20:], " ".join(self.summary_text.split()))

    def bridge(self, word):
        rig, summary, run = self.measure_with((1.0, word), (1.6, "ok"))
        row = energy(summary, CHANNEL)
        self.assertGreaterEqual(row["gaps"], 1)
        self.assertEqual((row["wraps"], row["resets"]), (0, 0))
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
        self.assert_told(summary)
        self.assertIn("package-0: no reading for", " ".join(self.summary_text.split()))

    def test_a_fault_of_a_moment_is_told_too(self):
        # Over long before anybody asks the sensor why.
        _, summary, _ = self.measure_with((1.15, "eio"), (1.35, "ok"))
        self.assertGreaterEqual(energy(summary, CHANNEL)["gaps"], 1)
        self.assert_told(summary)

    def test_an_input_output_error_that_passes_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("eio")

    def test_rubbish_that_passes_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("rubbish")

    def test_an_empty_file_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("empty")

    def test_readings_torn_in_half_are_neither_wraps_nor_resets(self):
        # Every other read gives the first digits alone: a number, but none that the counter can have come to.
        rig, summary, run = self.measure_with((1.0, "torn"), (1.6, "ok"),
                                              zone="power=constant:40 update_us=1000 quantum_uj=61 start_uj=123456789000")
        row = energy(summary, CHANNEL)
        self.assertEqual((row["wraps"], row["resets"]), (0, 0))
        self.assertGreaterEqual(row["gaps"], 1)
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))

    def test_sensors_of_every_kind_fail_at_once_and_come_back(self):
        shape = "power=sine:40,15,1.7 update_us=1000"
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 quantum_uj=61 " + shape,
                         "--hwmon", "id=hwmon0 chip=fakeboard label=board only=energy interval_ms=1 " + shape,
                         "--thermal", "id=thermal_zone0 type=hot quantum_mc=500 " + shape,
                         "--supply", "id=BAT0 type=Battery volts=12 " + shape)

        def act():
            time.sleep(1.0)
            rig.fault("*", "eio")
            time.sleep(1.3)
            rig.fault("*", "ok")

        actor = threading.Thread(target=act)
        actor.start()
        try:
            summary = self.record(["sleep", "4"], "--sysfs", rig.path)
        finally:
            actor.join()
        run = next(r for r in self.table("x.prony", "spans") if r["kind"] == "run")
        for domain, channel in (("package-0", CHANNEL), ("fakeboard", "hwmon.fakeboard.board.energy")):
            row = energy(summary, channel)
            truth = rig.truth.joules(domain, run["begin_ns"], run["end_ns"])
            self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
            self.assertEqual((row["wraps"], row["resets"]), (0, 0))
            self.assertGreaterEqual(row["gaps"], 1)
        told = {e["subject"] for e in summary["events"] if e["kind"] == "sensor-lost"}
        for channel in (CHANNEL, "hwmon.fakeboard.board.energy", "thermal.hot.temperature", "power_supply.BAT0.power"):
            self.assertIn(channel, told, summary["events"])

    def test_a_negative_counter_is_a_gap_and_the_counter_bridges_it(self):
        self.bridge("negative")

    def test_a_zone_that_comes_back_is_found_again(self):
        self.bridge("vanish")

    def test_a_permission_that_comes_back_is_found_again(self):
        self.bridge("denied")

    def assert_no_number_but_a_reason(self, summary, words):
        row = energy(summary, CHANNEL)
        self.assertFalse(row["resolvable"])
        self.assertNotIn("gross_j", row)
        self.assertNotIn("needed_s", row, "a longer window would not help")
        reasons = [u["reason"] for u in summary["unavailable"] if CHANNEL in u["name"]]
        self.assertTrue(any(words in reason for reason in reasons), reasons)
        self.assertFalse(any("too short" in reason for reason in reasons), reasons)
        self.assertIn(words, " ".join(self.summary_text.split()))

    def test_a_sensor_that_vanishes_for_good_ends_nothing_but_itself(self):
        _, summary, _ = self.measure_with((1.0, "vanish"), code=7)
        row = energy(summary, CHANNEL)
        self.assertEqual((row["wraps"], row["resets"]), (0, 0))
        self.assertGreaterEqual(row["gaps"], 1)
        self.assertGreater(row["gap_s"], 1)
        self.assertEqual(summary["exit_code"], 7)
        self.assert_no_number_but_a_reason(summary, "the sensor gave no reading in the last")
        self.assert_told(summary)

    def test_a_sensor_that_fails_at_first_is_measured_from_where_it_begins(self):
        # 7 s with nothing in the first one or two: `high` allows for what was not seen.
        rig, summary, run = self.measure_with((2.0, "ok"), first="eio", seconds="7")
        row = energy(summary, CHANNEL)
        self.assertEqual((row["wraps"], row["resets"]), (0, 0))
        truth = rig.truth.joules("package-0", *run)
        # On a busy machine ticks are missed as well, and each time that is a gap too.
        ticks = [r for r in self.table("x.prony", "samples") if r.get(CHANNEL + "_j")]
        missed = sum(later["begin_ns"] - tick["end_ns"] > 20_000_000 for tick, later in zip(ticks, ticks[1:]))
        self.assertEqual(row["gaps"], 1 + missed)
        self.assertGreater(row["gap_s"], 0.5)
        self.assert_told(summary)
        if row["resolvable"]:
            self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
        else:
            self.assert_no_number_but_a_reason(summary, "the sensor gave no reading in the first")

    def test_a_slow_counter_that_fails_and_comes_back_holds_the_truth(self):
        rig, summary, run = self.measure_with((1.0, "eio"), (1.7, "ok"), seconds="4",
                                              zone="curve=square base=40 amp=20 period=1.3 update_us=100000")
        row = energy(summary, CHANNEL)
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
        self.assertGreaterEqual(row["gaps"], 1)

    def test_a_reset_is_no_wrap(self):
        rig, summary, run = self.measure_with((1.5, "reset"))
        row = energy(summary, CHANNEL)
        self.assertEqual(row["wraps"], 0)
        self.assertEqual(row["resets"], 1)
        self.assertIn("counter restarted once", " ".join(self.summary_text.split()))
        truth = rig.truth.joules("package-0", *run)
        self.assertLess(row["gross_j"], truth * 1.05)
        self.assertGreater(row["gross_j"], truth * 0.9)

    def test_a_counter_that_stands_still_for_a_while_loses_nothing(self):
        rig, summary, run = self.measure_with((1.0, "stale"), (1.5, "ok"))
        row = energy(summary, CHANNEL)
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))

    def test_a_gap_over_a_wrap_is_bridged_as_one_wrap(self):
        # A wrap a second, and at the largest power that is believed of a package (1 kW) two need 1.2 s at least: the gap
        # of half a second hides one at most.
        rig, summary, run = self.measure_with((0.8, "eio"), (1.3, "ok"),
                                              zone="curve=constant base=700 update_us=1000 wrap_quanta=700000000")
        row = energy(summary, CHANNEL)
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
        self.assertLess(abs(row["gross_j"] / truth - 1), 0.01)
        self.assertGreaterEqual(row["wraps"], 2)
        self.assertFalse(any("wraps" in u["name"] for u in summary["unavailable"]), summary["unavailable"])

    def test_a_gap_that_may_hide_several_wraps_widens_high_and_says_so(self):
        # 100 J to the wrap: within 0.7 s at up to 1 kW there may have been seven; at 30 W there was none.
        rig, summary, run = self.measure_with((1.0, "eio"), (1.7, "ok"), seconds="4",
                                              zone="curve=constant base=30 update_us=1000 wrap_quanta=100000000")
        row = energy(summary, CHANNEL)
        truth = rig.truth.joules("package-0", *run)
        self.assertTrue(row["low_j"] <= truth <= row["high_j"], (truth, row))
        self.assertGreater(row["high_j"], truth + 300)
        self.assertLess(abs(row["gross_j"] / truth - 1), 0.02)
        self.assertNotEqual(row["kind"], "bound")
        self.assertTrue(any(CHANNEL in u["name"] and "wraps" in u["reason"] for u in summary["unavailable"]))

    def test_a_zone_that_may_not_be_read_says_how_to_mend_it(self):
        rig = self.mount()
        rig.fault("package-0", "denied")
        done = self.prony("sensors", "--sysfs", rig.path)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("permission denied", done.out.lower())
        self.assertIn("sudo prony setup rapl", done.out + self.prony("sensors", "--json", "--sysfs", rig.path).out)

    def test_sensors_lists_what_the_tree_offers(self):
        rig = self.mount()
        listed = json.loads(self.prony("sensors", "--json", "--sysfs", rig.path).out)
        text = json.dumps(listed)
        for word in ("rapl", "package-0", "core", "dram", "hwmon", "fakeboard"):
            self.assertIn(word, text)


if __name__ == "__main__":
    harness.main()
