"""Baselines that are kept and calibrations against a better meter, on machines whose truth is known.

Kills: a slope or offset whose interval misses the truth, a kept baseline that is used unasked or on another machine, a
calibration that is forgotten and goes on being applied, loaded idle that is not told apart.
"""

import json
import os

import harness
from harness import Case, energy, program

# The laptop's platform is its package and 5 W with a slow wave of half a watt on them.
TRUE_SLOPE, TRUE_OFFSET_W = 1.0, 5.0


class Kept(Case):
    def environment(self, **changes):
        return super().environment(XDG_STATE_HOME=self.path("state"), **changes)

    def calibrate(self, *words):
        if not program("prony-burner"):
            self.skipTest("prony-burner was not built")
        # The load of a simulated machine follows its own curves: idle steps cost this machine nothing.
        return self.prony("calibrate", "--simulate", "laptop", "--steps", "idle,idle,idle,idle,idle,idle", "--for", "1s",
                          "--out", self.path("steps.prony"), *words)

    def test_a_calibration_finds_the_line_that_the_machine_follows_and_runs_tell_it_as_derived(self):
        done = self.calibrate("--against", "rapl.psys.energy", "--from", "rapl.package-0.energy")
        self.assertEqual(done.returncode, 0, done.err)
        summary = self.record(["sleep", "1"], "--simulate", "laptop")
        told = summary["calibrated"]
        self.assertEqual((told["origin"], told["meter"], told["from"]),
                         ("derived", "rapl.psys.energy", ["rapl.package-0.energy"]))
        self.assertEqual(told["steps"], 6)
        self.assertLessEqual(told["slope_low"], TRUE_SLOPE)
        self.assertLessEqual(TRUE_SLOPE, told["slope_high"])
        self.assertLess(told["slope_high"] - told["slope_low"], 1)
        self.assertLessEqual(told["offset_low_w"], TRUE_OFFSET_W)
        self.assertLessEqual(TRUE_OFFSET_W, told["offset_high_w"])
        psys = energy(summary, "rapl.psys.energy")
        self.assertLessEqual(told["low_j"], psys["true_j"])
        self.assertLessEqual(psys["true_j"], told["high_j"])
        self.assertIn("derived", self.summary_text)
        self.assertNotEqual(summary["headline"]["gross_j"], told["gross_j"])  # never the headline, never added
        self.assertIn("slope", self.prony("calibrate", "--simulate", "laptop", "--show").out)
        self.assertNotIn("calibrated", self.record(["true"], "--simulate", "epyc-2s", name="y"))  # another machine
        self.prony("calibrate", "--simulate", "laptop", "--forget")
        self.assertNotIn("calibrated", self.record(["true"], "--simulate", "laptop", name="z"))

    def test_a_line_that_says_nothing_is_refused(self):
        done = self.calibrate("--against", "rapl.psys.energy", "--from", "power_supply.BAT0.power")
        self.assertEqual(done.returncode, 125)
        self.assertIn("no calibration", done.err)
        self.assertFalse(os.path.exists(self.path("state", "prony", "calibrations")))

    def test_a_meter_read_by_eye_needs_a_reading_for_each_step(self):
        if not program("prony-burner"):
            self.skipTest("prony-burner was not built")
        self.assertIn("First:", self.prony("calibrate", "--meter-kwh", "0,0.002,0.001").err)
        done = self.calibrate()
        self.assertEqual(done.returncode, 0, done.err)
        one = self.prony("calibrate", "--simulate", "laptop", "--run", self.path("steps.prony"), "--meter-kwh",
                         "0,0.002,0.001")
        self.assertIn("6 steps and 1 readings", one.err)

    def test_a_kept_baseline_is_used_where_it_is_asked_for_and_only_there(self):
        refused = self.prony("run", "--simulate", "laptop", "--baseline", "stored", "--out", self.path("x.prony"), "--",
                             "true")
        self.assertEqual(refused.returncode, 125)
        self.assertIn("prony baseline --for 10s", refused.err)
        self.assertFalse(os.path.exists(self.path("x.prony")))
        done = self.prony("baseline", "--simulate", "laptop", "--for", "2s")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("rapl.psys.energy", done.out)
        plain = self.record(["sleep", "0.5"], "--simulate", "laptop")
        self.assertNotIn("active_j", energy(plain, "rapl.psys.energy"))
        summary = self.record(["sleep", "0.5"], "--simulate", "laptop", "--baseline", "stored", name="y")
        row = energy(summary, "rapl.psys.energy")
        self.assertEqual(summary["baseline"]["source"], "stored")
        self.assertLess(summary["baseline"]["age_s"], 600)
        self.assertGreater(row["idle_high_w"], row["idle_low_w"])
        length_s = row["gross_j"] / row["mean_w"]
        self.assertAlmostEqual(row["marginal_j"], row["gross_j"] - row["idle_w"] * length_s, 6)
        self.assertIn("kept of this machine", self.summary_text)
        self.assertIn("used by", self.prony("baseline", "--simulate", "laptop", "--show").out)
        path = self.path("state", "prony", "baselines", os.listdir(self.path("state", "prony", "baselines"))[0])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        kept["governor"] = "another"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        expired = self.prony("run", "--simulate", "laptop", "--baseline", "stored", "--", "true")
        self.assertEqual(expired.returncode, 125)
        self.assertIn("expired: another governor", expired.err)
        self.prony("baseline", "--simulate", "laptop", "--forget")
        self.assertIn("no baseline", self.prony("baseline", "--simulate", "laptop", "--show").out)

    def test_loaded_idle_is_measured_before_the_first_prompt_and_told_apart_from_idle(self):
        library = os.path.join(harness.BUILD, "libprony.so.1")
        if not os.path.exists(library):
            self.skipTest("libprony.so was not built: the example worker needs it")
        with open(self.path("p.jsonl"), "w", encoding="utf-8") as file:
            file.write('{"prompt": "One", "id": "a"}\n{"prompt": "Two", "id": "b"}\n')
        done = self.prony("llm", "--model", "pretended.gguf", "--prompts", self.path("p.jsonl"), "--simulate", "laptop",
                          "--baseline", "400ms", "--loaded-baseline", "400ms", "--max-tokens", "60", "--interval", "1ms",
                          "--out", self.path("x.prony"), "--json", self.path("x.json"), "--",
                          "python3", os.path.join(harness.ROOT, "examples/python_worker.py"), env={"LIBPRONY": library})
        self.assertEqual(done.returncode, 0, done.err)
        summary = self.load("x.json")
        loaded = next(row for row in summary["phases"] if row["name"] == "baseline-loaded")
        self.assertGreaterEqual(loaded["duration_s"], 0.39)
        self.assertLess(loaded["begin_s"], summary["requests"][0]["begin_s"])
        head = next(row for row in summary["energy"] if row["headline"])
        self.assertAlmostEqual(head["loaded_idle_w"], loaded["headline"]["gross_j"] / loaded["duration_s"], 6)
        self.assertNotEqual(head["loaded_idle_w"], head["idle_w"])
        net = summary["baseline"]["requests"]
        self.assertAlmostEqual(net["gross_j"], sum(row["headline"]["gross_j"] for row in summary["requests"]), 6)
        # Both are gross less a power times the same time.
        self.assertAlmostEqual((net["gross_j"] - net["net_of_idle_j"]) / head["idle_w"],
                               (net["gross_j"] - net["net_of_loaded_idle_j"]) / head["loaded_idle_w"], 6)
        self.assertIn("net of loaded idle", done.err)

    def test_two_sensors_of_one_thing_stand_side_by_side(self):
        summary = self.record(["sleep", "1"], "--simulate", "epyc-2s")
        told = [row for row in summary["comparisons"] if row["relation"] == "same"]
        self.assertEqual(len(told), 2)
        for row in told:
            self.assertLessEqual(row["ratio_low"], 1)
            self.assertLessEqual(1, row["ratio_high"])
        self.assertIn("two sensors of one thing", self.summary_text)


if __name__ == "__main__":
    harness.main()
