"""Baselines that are kept and calibrations against a better meter, on machines whose truth is known.

Kills: a slope or offset whose interval misses the truth, a kept baseline that is used unasked or on another machine, a
calibration that is forgotten and goes on being applied, loaded idle that is not told apart.
"""

import json
import mmap
import os
import struct
import subprocess
import threading
import time

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

    def steps_of_vm(self, step_kwh):
        """Steps recorded on the simulated vm, and what a meter at its plug would have shown: its host draws 2 W and 8 W
        more at full load for the processor, 1.25 times that and 1.5 W at the plug (src/machine/room_catalog.cpp)."""
        if not program("prony-burner"):
            self.skipTest("prony-burner was not built")
        done = self.prony("calibrate", "--simulate", "vm", "--steps", "idle,idle,idle,idle,idle", "--for", "1s", "--out",
                          self.path("steps.prony"))
        self.assertEqual(done.returncode, 0, done.err)
        shown = json.loads(self.prony("show", self.path("steps.prony"), "--json").out)
        row = energy(shown, "cpu-model.cpu.power")
        self.assertEqual(row["origin"], "modelled")
        idle_w, full_w = row["model"]["idle_w"], row["model"]["full_w"]
        readings, total_kwh = [], 0.0
        for phase in (p for p in shown["phases"] if p["name"].startswith("step-")):
            load = (phase["headline"]["gross_j"] / phase["duration_s"] - idle_w) / (full_w - idle_w)
            before, total_kwh = total_kwh, total_kwh + (1.25 * (2 + 8 * load) + 1.5) * phase["duration_s"] / 3.6e6
            shown_kwh = [round(kwh / step_kwh) * step_kwh for kwh in (before, total_kwh)]
            readings += ["--meter-kwh", f"{shown_kwh[0]:.9f},{shown_kwh[1]:.9f},{step_kwh:.9f}"]
        self.assertEqual(len(readings), 10)
        return readings, row["model"]

    def test_readings_by_eye_make_the_modelled_channel_derived_and_the_truth_is_inside_what_it_then_tells(self):
        readings, model = self.steps_of_vm(1e-8)
        done = self.prony("calibrate", "--simulate", "vm", "--run", self.path("steps.prony"), *readings)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("modelled so far", done.out)
        self.assertRegex(done.out, r"\n idle [0-9.]+ \([-0-9.]+ to [0-9.]+\) W, where the model has ")
        summary = self.record(["sleep", "2"], "--simulate", "vm")
        row = energy(summary, "cpu-model.cpu.power")
        self.assertEqual((row["origin"], row["domain"], row["kind"], summary["headline"]["origin"]),
                         ("derived", "wall", "interval(0.95)", "derived"))
        self.assertLessEqual(row["low_j"], row["true_j"])
        self.assertLessEqual(row["true_j"], row["high_j"])
        self.assertLess(row["high_j"] - row["low_j"], 0.5 * row["gross_j"])  # the range of the model was far wider
        # At idle and at full load it now tells the plug's own figures.
        for name, truth in (("idle", 4.0), ("full", 14.0)):
            self.assertLessEqual(row["model"][name + "_low_w"], truth)
            self.assertLessEqual(truth, row["model"][name + "_high_w"])
            self.assertLess(abs(row["model"][name + "_w"] - truth), 0.1 * truth)
        self.assertIn("calibrated against kWh meter, read by eye on ", row["model"]["name"])
        self.assertIn(model["name"], row["model"]["source"])
        told = summary["calibrated"]
        self.assertTrue(told["applied_to_channel"])
        self.assertEqual(told["gross_j"], row["gross_j"])  # once, not twice
        self.assertFalse(told["outside_steps"])
        self.assertIn("≈ derived", self.summary_text)
        self.assertNotIn("~", self.summary_text)
        self.assertNotIn("not visible", self.summary_text)  # the plug sees it all
        # From the Run alone: what is kept is gone, and the Run tells the same.
        before = self.prony("show", self.path("x.prony"), "--json").out
        sensors = json.loads(self.prony("sensors", "--simulate", "vm", "--json").out)
        self.assertIn('"origin": "derived"', json.dumps(sensors))
        probe = ("probe", "cpu-model", "--for", "100ms", "--simulate", "vm")
        learned = json.loads(self.prony(*probe, "--json").out)["passports"]
        self.assertEqual([(row["channel"], row["origin"]) for row in learned], [("cpu-model.cpu.power", "derived")])
        self.assertIn("cpu-model.cpu.power: derived, calibrated against", " ".join(self.prony(*probe).out.split()))
        doctor = self.prony("doctor", "--simulate", "vm").out
        self.assertIn("derived: calibrated", doctor)
        self.assertNotIn("modelled here", doctor)
        # A new line is never fitted to what the old one made.
        again = self.prony("calibrate", "--simulate", "vm", "--steps", "idle,idle,idle", "--for", "500ms", "--out",
                           self.path("again.prony"))
        self.assertEqual(again.returncode, 0, again.err)
        fresh = json.loads(self.prony("show", self.path("again.prony"), "--json").out)
        self.assertEqual(energy(fresh, "cpu-model.cpu.power")["origin"], "modelled")
        self.prony("calibrate", "--simulate", "vm", "--forget")
        self.assertEqual(self.prony("show", self.path("x.prony"), "--json").out, before)
        self.assertEqual(json.loads(self.prony(*probe, "--json").out)["passports"][0]["origin"], "modelled")
        plain = energy(self.record(["true"], "--simulate", "vm", name="y"), "cpu-model.cpu.power")
        self.assertEqual(plain["origin"], "modelled")

    def test_a_meters_step_that_is_too_coarse_for_the_steps_widens_the_line_or_refuses_it(self):
        readings, _ = self.steps_of_vm(1e-6)
        done = self.prony("calibrate", "--simulate", "vm", "--run", self.path("steps.prony"), *readings)
        if done.returncode != 0:
            self.assertIn("no calibration", done.err)
            return
        row = energy(self.record(["sleep", "1"], "--simulate", "vm"), "cpu-model.cpu.power")
        self.assertGreater(row["high_j"] - row["low_j"], 0.2 * row["gross_j"])
        self.assertLessEqual(row["low_j"], row["true_j"])
        self.assertLessEqual(row["true_j"], row["high_j"])

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
        self.assertAlmostEqual(row["active_j"], row["gross_j"] - row["idle_w"] * length_s, 6)
        if "marginal_j" in row:
            self.assertLess(row["marginal_low_j"], row["marginal_high_j"])
        else:  # the room's load is a curve of its own
            why = [one["reason"] for one in summary["unavailable"] if one["name"].endswith("psys.energy].marginal_j")]
            self.assertIn("during the baseline", why[0])
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


class Feeder(threading.Thread):
    """Feeds live zones of the FUSE tree: each draws idle_w, and per_cpu_w for each CPU that the burner really used by its
    own clock, so that what others do on this machine does not bear on the truth."""

    def __init__(self, parent, zones):
        super().__init__(daemon=True)
        self.parent, self.over = parent, threading.Event()
        self.zones = []
        for path, idle_w, per_cpu_w in zones:
            with open(path, "wb") as file:
                file.truncate(4096)
            with open(path, "r+b") as file:
                self.zones.append((mmap.mmap(file.fileno(), 4096), idle_w, per_cpu_w))

    def burner_of(self):
        """The burner that our prony started, if it runs."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                    name, rest = file.read().rsplit(") ", 1)
            except OSError:
                continue
            if name.endswith("(prony-burner") and int(rest.split()[1]) == self.parent():
                return int(pid)
        return None

    def run(self):
        begun, burner, used_s = time.monotonic(), None, 0.0
        while not self.over.wait(0.005):
            burner = burner or self.burner_of()
            try:
                if burner:
                    used_s = max(used_s, time.clock_gettime((~burner << 3) | 2))  # its process clock, threads that ended too
            except OSError:
                pass  # it is over: what it used stays used
            passed_s = time.monotonic() - begun
            for mapping, idle_w, per_cpu_w in self.zones:
                mapping[:8] = struct.pack("=Q", int((idle_w * passed_s + per_cpu_w * used_s) * 1e9))

    def end(self):
        self.over.set()
        self.join()
        for mapping, _, _ in self.zones:
            mapping.close()


class RealSteps(harness.RigCase):
    """Steps of load that really run, under counters that follow what the burner really used."""

    SLOPE, OFFSET_W = 1.3, 5.5

    def test_the_line_between_two_counters_under_real_steps_has_the_truth_inside(self):
        if not program("prony-burner"):
            self.skipTest("prony-burner was not built")
        calibrating = []
        feeds = [self.path(name) for name in ("package", "psys")]
        package_w, per_cpu_w = 5, 20
        feeder = Feeder(lambda: calibrating[0].pid if calibrating else None,
                        [(feeds[0], package_w, per_cpu_w),
                         (feeds[1], self.SLOPE * package_w + self.OFFSET_W, self.SLOPE * per_cpu_w)])
        rig = self.mount("--zone", f"id=intel-rapl:0 name=package-0 live={feeds[0]} quantum_uj=61",
                         "--zone", f"id=intel-rapl:1 name=psys live={feeds[1]} quantum_uj=61")
        self.addCleanup(feeder.end)
        feeder.start()
        words = [program("prony"), "calibrate", "--sysfs", rig.path, "--against", "rapl.psys.energy", "--from",
                 "rapl.package-0.energy", "--steps", "idle,50,100", "--for", "2s", "--out", self.path("steps.prony")]
        with subprocess.Popen(words, env=self.environment(XDG_STATE_HOME=self.path("state")), cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            calibrating.append(process)
            out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        told = {}
        for line in out.splitlines():
            words = line.replace("(", "").replace(")", "").split()
            if words[:1] in (["slope"], ["offset"]):
                told[words[0]] = (float(words[2]), float(words[1]), float(words[4]))
        self.assertEqual(out.count(" step "), 3, out)
        for name, truth in (("slope", self.SLOPE), ("offset", self.OFFSET_W)):
            low, value, high = told[name]
            self.assertLessEqual(low, truth, out)
            self.assertLessEqual(truth, high, out)
            self.assertLess(abs(value - truth), 0.3 * truth, out)


if __name__ == "__main__":
    harness.main()
