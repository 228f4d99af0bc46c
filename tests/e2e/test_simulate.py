"""The simulated machine room: real commands on machines whose true joules are known.

Kills: truth of another window or domain than what was measured, a fault that turns into joules, a simulated Run that
looks like a real one, a `show` that differs from what was printed.
"""

import json
import math
import os

import harness
from harness import Case, energy

MACHINES = {  # name → channels that must be there, and whether they are measured
    "laptop": (["rapl.psys.energy", "rapl.package-0.energy", "rapl.core-0.energy", "rapl.uncore-0.energy"], "measured"),
    "epyc-2s": (["rapl.package-0.energy", "rapl.package-1.energy", "hwmon.amd_energy.Esocket0.energy"], "measured"),
    "intel-2s": (["rapl.psys.energy", "rapl.package-0.energy", "rapl.package-1.energy", "rapl.dram-0.energy"],
                 "measured"),
    "board": (["cpu-model.cpu.power"], "modelled"),
    "vm": (["cpu-model.cpu.power"], "modelled"),
    "jetson-orin": (["hwmon.ina3221.VDD_IN.power", "hwmon.ina3221.VDD_CPU_GPU_CV.power", "hwmon.ina3221.VDD_SOC.power"],
                    "measured"),
    "arc": (["rapl.package-0.energy", "intel-gpu.i915.energy"], "measured"),
    "mi300": (["rapl.package-0.energy", *(f"amdgpu.amdgpu-{n}.energy" for n in range(4))], "measured"),
    "xavier": ([f"jetson.{rail}.power" for rail in ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")], "measured"),
}
NOTE = "no joule here is real"


class Simulate(Case):
    def simulate(self, choice, seconds="1", **more):
        """A Run on a simulated machine; law 1 is checked by record()."""
        return self.record(["sleep", seconds], "--simulate", choice, "--force", **more)

    def hold_truth(self, summary):
        """Every row that gives joules and whose truth is known has it between low and high."""
        told = [row for row in summary["energy"] if "true_j" in row and "gross_j" in row]
        for row in told:
            self.assertLessEqual(row["low_j"], row["true_j"], row)
            self.assertLessEqual(row["true_j"], row["high_j"], row)
            if row["origin"] == "measured":
                self.assertLess(abs(row["gross_j"] / row["true_j"] - 1), 0.05, row)
        return told

    def test_on_every_machine_the_truth_is_between_low_and_high(self):
        for name, (channels, origin) in MACHINES.items():
            with self.subTest(name):
                # Gauges of which nobody documents when they are renewed take seconds to be resolvable.
                summary = self.simulate(name, {"xavier": "9"}.get(name, "1"))
                self.assertEqual(summary["simulated"]["machine"], name)
                self.assertEqual(summary["simulated"]["note"], NOTE)
                self.assertGreaterEqual(len(self.hold_truth(summary)), len(channels))
                for channel in channels:
                    self.assertIn("true_j", energy(summary, channel))
                self.assertEqual(summary["headline"]["origin"], origin)
                heads = [row for row in summary["energy"] if row["headline"]]
                self.assertAlmostEqual(summary["headline"]["true_j"], sum(row["true_j"] for row in heads), 9)
                self.assertLessEqual(summary["headline"]["low_j"], summary["headline"]["true_j"])
                self.assertLessEqual(summary["headline"]["true_j"], summary["headline"]["high_j"])
                self.assertIn("SIMULATED", self.summary_text)
                self.assertIn(f"{name}: {NOTE}", self.summary_text)

    def test_the_counters_of_eight_gpus_and_their_power_hold_the_truth(self):
        summary = self.simulate("h100x8", "5")
        names = [f"nvml.GPU-{'abcdefab'[i]}51{i}0000.energy" for i in range(8)]
        for name in names:
            row = energy(summary, name)
            self.assertTrue(row["headline"])
            self.assertIn(row["kind"], ("bound", "interval(0.95)"))
            self.assertLessEqual(row["low_j"], row["true_j"], row)
            self.assertLessEqual(row["true_j"], row["high_j"], row)
            self.assertLess(abs(row["gross_j"] / row["true_j"] - 1), 0.05, row)
        heads = [row for row in summary["energy"] if row["headline"]]
        self.assertEqual(len(heads), 12)  # eight GPUs, two packages, their memory
        self.assertLessEqual(summary["headline"]["low_j"], summary["headline"]["true_j"])
        self.assertLessEqual(summary["headline"]["true_j"], summary["headline"]["high_j"])
        self.assertTrue([e for e in summary["events"] if e["kind"] == "throttle" and "gpu-7" in e["text"]])

        # Power is a mean of the last second, or of a quarter of the time: what it tells of 5 s is wide, and holds the truth.
        for kind in ("power-average", "power-instant"):
            rows = [row for row in summary["energy"] if row["channel"].endswith(kind)]
            self.assertEqual(len(rows), 8)
            told = [row for row in rows if "gross_j" in row]
            self.assertTrue(told or kind == "power-instant", rows)
            for row in told:
                self.assertFalse(row["headline"])
                self.assertLessEqual(row["low_j"], row["true_j"], row)
                self.assertLessEqual(row["true_j"], row["high_j"], row)

    def test_gpus_that_vanish_are_told_and_draw_no_joules_afterwards(self):
        summary = self.simulate("h100x8,fault=vanish,at=2", "4")
        lost = [e["text"] for e in summary["events"] if e["kind"] == "sensor-lost" and "GPU" in e["subject"]]
        self.assertEqual(len(lost), 8, summary["events"])
        self.assertIn("the GPU is lost", lost[0])

    def test_a_raspberry_pi_5_has_its_rails_inside_their_sum_and_the_truth_of_each_between_low_and_high(self):
        summary = self.simulate("pi5", seconds="4")
        told = self.hold_truth(summary)
        self.assertGreaterEqual(len(told), 14)
        rows = {row["channel"]: row for row in summary["energy"]}
        self.assertEqual(rows["raspberry.dram.power"]["origin"], "derived")
        self.assertEqual(summary["headline"]["gross_j"], rows["raspberry.rails.power"]["gross_j"])
        self.assertIn("the firmware holds the board back: none → soft temperature limit", str(summary["events"]))
        self.assertNotIn("raspberry.wall-estimate.power", rows)

    def test_what_a_hailo_module_draws_is_in_no_rail_and_only_its_temperature_is_read(self):
        """Kills: a channel without its sensor, a module's watts made up, the note on the rails lost."""
        summary = self.simulate("pi5-hailo", seconds="4")
        self.hold_truth(summary)
        rows = {row["channel"]: row for row in summary["energy"]}
        self.assertEqual(summary["headline"]["gross_j"], rows["raspberry.rails.power"]["gross_j"])
        self.assertNotIn("hailo.hailo-0.power", rows)
        told = {one["name"]: one["reason"] for one in summary["unavailable"]}
        self.assertIn("not visible to the board's rails", told["raspberry.hailo"])
        self.assertIn("no power meter that can be read without harm", told["hailo.hailo-0.power"])
        chip = {row.get("hailo.hailo-0-chip-0.temperature_celsius") for row in self.table("x.prony", "samples")} - {None}
        self.assertTrue(chip and chip <= {42.5, 60.5}, chip)  # 38 °C + 9 °C/W at 0.5 W and at 2.5 W

    def test_the_estimate_of_the_plug_is_asked_for_and_never_the_headline(self):
        summary = self.record(["sleep", "4"], "--simulate", "pi5", "--force", "--wall-estimate")
        rows = {row["channel"]: row for row in summary["energy"]}
        rails, wall = rows["raspberry.rails.power"], rows["raspberry.wall-estimate.power"]
        self.assertAlmostEqual(wall["mean_w"], 1.1451 * rails["mean_w"] + 0.5879, places=2)
        self.assertEqual((wall["origin"], wall["coverage_known"], wall["headline"]), ("derived", False, False))
        self.assertEqual(summary["headline"]["gross_j"], rails["gross_j"])
        self.assertIn("github.com/jfikar/RPi5-power", str(summary["unavailable"]))

    def test_a_raspberry_pi_4_says_that_it_has_no_rails_and_is_modelled(self):
        summary = self.simulate("pi4")
        self.assertEqual(summary["headline"]["origin"], "modelled")
        self.assertIn("Command not registered", str(summary["unavailable"]))

    def test_a_part_is_never_added_to_its_whole(self):
        summary = self.simulate("laptop")
        self.assertAlmostEqual(summary["headline"]["true_j"], energy(summary, "rapl.psys.energy")["true_j"], 9)

    def test_of_a_board_the_headline_is_the_input_or_the_rails_that_are_side_by_side(self):
        """Kills: parts of VDD_IN added to it; one of six rails taken for the module."""
        summary = self.simulate("jetson-orin")
        self.assertAlmostEqual(summary["headline"]["true_j"], energy(summary, "hwmon.ina3221.VDD_IN.power")["true_j"], 9)
        summary = self.simulate("xavier", "9")
        rails = [row for row in summary["energy"] if row["channel"].startswith("jetson.")]
        self.assertEqual(len(rails), 6)
        self.assertAlmostEqual(summary["headline"]["true_j"], sum(row["true_j"] for row in rails), 9)

    def test_cards_are_added_to_the_packages_beside_them(self):
        """Kills: a card left out of the machine's joules; its counter read by hwmon a second time and added twice."""
        for name, heads in (("arc", {"rapl.package-0.energy", "intel-gpu.i915.energy"}),
                            ("mi300", {"rapl.package-0.energy", "rapl.package-1.energy",
                                       *(f"amdgpu.amdgpu-{n}.energy" for n in range(4))})):
            with self.subTest(name):
                summary = self.simulate(name)
                self.assertEqual({row["channel"] for row in summary["energy"] if row["headline"]}, heads)
                card = energy(summary, next(c for c in heads if "rapl" not in c))
                self.assertNotIn("target_share", card)  # who used it was not recorded: nobody gets a guess

    def test_a_counter_that_wraps_while_it_is_measured_loses_nothing(self):
        for _ in range(5):  # on a slow machine the wrap can be over before the recording begins
            summary = self.simulate("intel-2s")
            self.hold_truth(summary)
            if energy(summary, "rapl.package-0.energy")["wraps"] == 1:
                return
        self.fail("no recording saw the wrap")

    def test_the_true_joules_are_those_of_the_runs_own_window(self):
        """Once more by other means: a sum over thin slices of what the curve's own words say."""
        summary = self.simulate("vm")
        run = next(row for row in self.table("x.prony", "spans") if row["kind"] == "run")
        start_ns, words = summary["simulated"]["start_ns"], summary["simulated"]["curves"]["cpu"]
        slices = 20_000
        step_s = (run["end_ns"] - run["begin_ns"]) * 1e-9 / slices
        times = [(run["begin_ns"] - start_ns) * 1e-9 + (i + 0.5) * step_s for i in range(slices)]
        joules = slack = 0.0
        for term in words.split("+"):
            shape, _, rest = term.partition(":")
            number = [float(part) for part in rest.split(",")]
            if shape == "constant":
                joules += number[0] * step_s * slices
            elif shape == "sine":
                mean, amplitude, period_s, phase = number
                joules += sum(mean + amplitude * math.sin(2 * math.pi * (t / period_s + phase)) for t in times) * step_s
            else:  # noise: its blocks of 16 cells sum to the mean; an unfinished block may be off at either end
                self.assertEqual(shape, "noise")
                joules += number[1] * step_s * slices
                slack += 2 * 8 * number[3] * number[2]
        self.assertLess(slack, joules / 20)
        self.assertAlmostEqual(energy(summary, "cpu-model.cpu.power")["true_j"], joules, delta=slack + 1e-6)

    def test_show_is_what_was_printed_and_the_export_has_the_truth(self):
        summary = self.simulate("laptop")
        shown = self.prony("show", "x.prony", "--json")
        self.assertEqual(json.loads(shown.out), summary)
        again = self.prony("show", self.path("x.prony"))
        self.assertIn(NOTE, again.out)
        self.assertEqual(again.out, self.prony("show", self.path("x.prony")).out)
        rows = {row["channel"]: row for row in self.table("x.prony", "channels")}
        self.assertEqual(rows["rapl.psys.energy"]["true_j"], energy(summary, "rapl.psys.energy")["true_j"])
        export = self.prony("export", self.path("x.prony"), "--table", "samples")
        self.assertIn(NOTE, export.err)
        self.assertNotIn(NOTE, export.out)

    def test_an_io_error_is_a_gap_and_no_joules(self):
        summary = self.simulate("laptop,fault=eio,at=0.4,for=0.3")
        self.hold_truth(summary)
        row = energy(summary, "rapl.package-0.energy")
        self.assertGreater(row["gaps"], 0)
        self.assertEqual(row["resets"], 0)
        self.assertIn("Input/output error", self.summary_text)

    def test_a_reset_is_no_wrap(self):
        summary = self.simulate("laptop,fault=reset,at=0.7", seconds="1.2")
        for row in self.hold_truth(summary):
            if row["origin"] == "measured":
                self.assertEqual(row["wraps"], 0)
        self.assertGreaterEqual(energy(summary, "rapl.psys.energy")["resets"], 1)

    def test_a_device_that_left_has_no_joules_but_a_reason(self):
        summary = self.simulate("epyc-2s,fault=vanish,at=0.4")
        row = energy(summary, "rapl.package-0.energy")
        self.assertNotIn("gross_j", row)
        self.assertIn("true_j", row)
        self.assertNotIn("headline", summary)
        self.assertIn("No such device", self.summary_text)
        told = [entry for entry in summary["unavailable"] if entry["name"].startswith("energy[rapl.package-0.energy].gross")]
        self.assertTrue(told and told[0]["reason"], summary["unavailable"])

    def test_a_sensor_that_stands_still_is_not_zero_watts(self):
        summary = self.simulate("laptop,fault=stale,at=0.4")
        self.hold_truth(summary)  # where there is a gross at all, the truth is in it
        for row in summary["energy"]:
            if row["channel"].startswith("rapl."):
                self.assertTrue("gross_j" in row or not row["resolvable"], row)
                self.assertNotEqual(row.get("gross_j"), 0, row)

    def test_a_gauge_that_stands_still_though_it_moves_else_is_told(self):
        summary = self.record(["sleep", "2.5"], "--simulate", "jetson-orin,fault=stale,at=0.6,for=0.8", "--force", "--interval", "5ms")
        held = [row["held_s"] for row in summary["energy"] if "held_s" in row]
        self.assertTrue(held, "no rail is said to have stood still")
        self.assertTrue(all(0.6 < seconds < 1.2 for seconds in held), held)
        self.assertIn("one and the same value for", self.summary_text)
        without = self.record(["sleep", "2.5"], "--simulate", "jetson-orin", "--force", "--interval", "5ms")
        self.assertFalse([row for row in without["energy"] if "held_s" in row])

    def test_sensors_of_a_simulated_machine_say_that_they_are(self):
        text = self.prony("sensors", "--simulate", "laptop")
        self.assertEqual(text.returncode, 0, text.err)
        self.assertTrue(text.out.startswith(f" simulated laptop: {NOTE}\n"), text.out)
        self.assertIn("package-0", text.out)
        listed = json.loads(self.prony("sensors", "--simulate", "vm", "--json").out)
        self.assertEqual(listed["simulated"], {"machine": "vm", "note": NOTE})
        self.assertNotIn("simulated", json.loads(self.prony("sensors", "--json").out))

    def test_sensors_of_each_machine_are_what_its_user_expects(self):
        """Kills: a device that is not seen, advice that cannot help there, a channel called a part of its own namesake."""
        energy_of = {  # machine → sensors that tell its energy → domains
            "laptop": {"rapl": ["psys", "package-0", "core-0", "uncore-0"], "power_supply": ["supply-BAT0"]},
            "epyc-2s": {"rapl": ["package-0", "core-0", "package-1", "core-1"],
                        "hwmon": ["amd_energy-Esocket0", "amd_energy-Esocket1"]},
            "intel-2s": {"rapl": ["psys", "package-0", "dram-0", "package-1", "dram-1"]},
            "h100x8": {"rapl": ["package-0", "dram-0", "package-1", "dram-1"],
                       "nvml": [f"gpu-{n}{kind}" for n in range(8) for kind in ("", "-average", "-instant")]},
            "board": {}, "vm": {}, "pi4": {},
            "pi5": {"raspberry": ["rails", "dram", "3v7-wl-sw", "3v3-sys", "1v8-sys", "ddr-vdd2", "ddr-vddq", "1v1-sys",
                                  "0v8-sw", "core", "3v3-dac", "3v3-adc", "0v8-aon", "hdmi"]},
            "jetson-orin": {"hwmon": ["ina3221-VDD_IN", "ina3221-VDD_CPU_GPU_CV", "ina3221-VDD_SOC"]},
            "xavier": {"jetson": ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"]},
            "mi300": {"rapl": ["package-0", "package-1"], "amdgpu": [f"amdgpu-{n}" for n in range(4)] * 2},
            "arc": {"rapl": ["package-0", "core-0"], "intel-gpu": ["i915"]},
        }
        energy_of["pi5-hailo"] = energy_of["pi5"]
        boards = ("board", "pi4", "pi5", "pi5-hailo", "jetson-orin", "xavier")
        for name, expected in energy_of.items():
            with self.subTest(name):
                told = self.prony("sensors", "--simulate", name)
                self.assertEqual(told.returncode, 0, told.err)
                listed = json.loads(self.prony("sensors", "--simulate", name, "--json").out)["sensors"]
                found = {s["name"]: [c["domain"] for c in s.get("channels", []) if c["measure"] in ("energy", "power")]
                         for s in listed if s["state"] != "stand-in"}
                self.assertEqual({sensor: domains for sensor, domains in found.items() if domains}, expected)
                stand_in = next(s for s in listed if s["name"] == "cpu-model")
                self.assertEqual("used: nothing above" in told.out, not expected or stand_in["in_use"], told.out)
                self.assertNotRegex(told.out, r"(?s)(\S+) \(in \1\)")
                if name in boards:
                    self.assertNotIn("intel_rapl_msr", told.out)
                    self.assertNotIn("install the NVIDIA driver", told.out)

    def test_the_list_names_every_machine_and_a_slip_the_nearest(self):
        for words in (["run"], ["llm"], ["sensors"]):
            listed = self.prony(*words, "--simulate", "list")
            self.assertEqual(listed.returncode, 0, listed.err)
            for name in MACHINES:
                self.assertIn(f"  {name} ", listed.out)
        slip = self.prony("run", "--simulate", "labtop", "--", "true")
        self.assertEqual(slip.returncode, 125)
        self.assertIn("Did you mean 'laptop'?", slip.err)
        self.assertEqual(os.listdir(self.folder), [])  # nothing ran, nothing was written
        both = self.prony("run", "--simulate", "laptop", "--sysfs", self.folder, "--", "true")
        self.assertEqual(both.returncode, 125)
        self.assertIn("files of its own", both.err)

    def test_the_environment_and_the_file_may_choose_it_too(self):
        summary = self.record(["true"], "--force", env={"PRONY_SIMULATE": "vm"})
        self.assertEqual(summary["simulated"]["machine"], "vm")
        self.assertIn({"name": "simulate", "value": "vm", "origin": "environment"}, summary["settings"])
        with open(self.path("c.toml"), "w", encoding="utf-8") as file:
            file.write('simulate = "board"\n')
        summary = self.record(["true"], "--force", "--config", self.path("c.toml"))
        self.assertEqual(summary["simulated"]["machine"], "board")

    def test_the_commands_own_exit_code_wins_on_a_simulated_machine_too(self):
        self.assertEqual(self.prony("run", "--simulate", "laptop", "--", "sh", "-c", "exit 7").returncode, 7)


if __name__ == "__main__":
    harness.main()
