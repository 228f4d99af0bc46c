"""On counters whose true joules are known: every gross energy is inside low–high, and near the truth in long windows.

Kills: an edge taken at the wrong stamp, a wrap lost or invented, a unit slip, bounds that are too narrow, interpolation
that is worse than differencing.
"""

import glob
import os
import sys
import time

import harness
from harness import RigCase, energy

TOLERANCE = 0.005   # of the truth, for windows of at least so many counter updates:
UPDATES = 500


class Truth(RigCase):
    def library(self):
        found = sorted(glob.glob(os.path.join(harness.BUILD, "libprony.so*")))
        if not found:
            self.skipTest("libprony.so was not built")
        return found[0]

    def measure(self, rig, *options, count=3, seconds=0.8, interval="10ms", **more):
        script = os.path.join(harness.HERE, "spans_program.py")
        return self.record([sys.executable, script, self.library(), str(count), str(seconds)], "--sysfs", rig.path,
                           "--interval", interval, *options, **more)

    def windows(self, run="x.prony"):
        """(kind, name) → (begin_ns, end_ns) of the run and its requests."""
        return {(row["kind"], row["name"] if row["kind"] == "request" else "run"): (row["begin_ns"], row["end_ns"])
                for row in self.table(run, "spans") if row["kind"] in ("run", "request")}

    def hold(self, rig, name, window, row, what):
        truth = rig.truth.joules(name, *window)
        self.assertTrue(row["resolvable"], f"{what}: {row}")
        self.assertLessEqual(row["low_j"], truth, f"{what}: truth {truth} J below low: {row}")
        self.assertLessEqual(truth, row["high_j"], f"{what}: truth {truth} J above high: {row}")
        if rig.truth.updates(name, *window) >= UPDATES:
            self.assertLess(abs(row["gross_j"] / truth - 1), TOLERANCE, f"{what}: truth {truth} J: {row}")

    def check(self, rig, summary, names):
        """Run and every request, for each of the rig's domains: {rig's name: channel}."""
        windows = self.windows()
        self.assertGreaterEqual(len(windows), 3)
        for name, channel in names.items():
            self.hold(rig, name, windows["run", "run"], energy(summary, channel), f"run, {channel}")
        for request in summary["requests"]:
            for row in request["energy"]:
                for name, channel in names.items():
                    if row["channel"] == channel:
                        self.hold(rig, name, windows["request", request["id"]], row, f"{request['id']}, {channel}")

    def one_zone(self, words, *options, count=3, **more):
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 " + words)
        summary = self.measure(rig, *options, count=count, **more)
        self.check(rig, summary, {"package-0": "rapl.package-0.energy"})
        self.assertTrue(any(r["channel"] == "rapl.package-0.energy" for r in summary["requests"][0]["energy"]))
        self.assert_charges_close("x.prony")
        return summary

    def test_a_constant_power(self):
        self.one_zone("curve=constant base=37 update_us=1000 quantum_uj=61")

    def test_a_sine(self):
        self.one_zone("curve=sine base=40 amp=20 period=0.7 update_us=1000 phase_us=300 quantum_uj=61")

    def test_a_square_wave(self):
        self.one_zone("curve=square base=40 amp=25 period=0.3 update_us=1000 quantum_uj=61")

    def test_steps(self):
        self.one_zone("curve=steps base=15 amp=60 period=0.9 levels=5 update_us=2000", count=2, seconds=1.2)

    def test_a_counter_that_is_slower_than_the_ticks_still_bounds_the_truth(self):
        # 50 ms between updates: under 500 of them in the window, so only the bounds are promised.
        self.one_zone("curve=sine base=40 amp=20 period=0.7 update_us=50000 quantum_uj=61", interval="5ms")

    def test_a_counter_that_wraps_many_times_loses_nothing(self):
        # About 0.9 s to a wrap, and at the largest power that is believed of a package (1 kW) two more would need over
        # a second: no pause of the sampler on a busy machine is long enough to hide them.
        summary = self.one_zone("curve=sine base=700 amp=150 period=0.5 update_us=1000 wrap_quanta=600000000",
                                count=5)
        row = energy(summary, "rapl.package-0.energy")
        self.assertGreater(row["wraps"], 3)
        self.assertEqual(row["resets"], 0)

    def test_a_counter_that_starts_just_below_its_end(self):
        self.one_zone("curve=constant base=30 update_us=1000 quantum_uj=61 start_uj=261993005000")

    def test_zones_inside_zones_are_each_right_and_never_added(self):
        rig = self.mount()  # package-0 with core and dram, and a board on hwmon
        summary = self.measure(rig)
        rows = {row["domain"]: row for row in summary["energy"] if row["channel"].startswith("rapl.")}
        package = rows["package-0"]
        run = self.windows()["run", "run"]
        self.hold(rig, "package-0", run, package, "package-0")
        for name in ("core", "dram"):
            row = next(r for domain, r in rows.items() if name in domain)
            self.hold(rig, name, run, row, name)
        core = next(r for domain, r in rows.items() if "core" in domain)
        self.assertEqual(core.get("part_of"), package["channel"])
        self.assertFalse(core["headline"])
        headline = sum(r["gross_j"] for r in summary["energy"] if r["headline"])
        self.assertAlmostEqual(summary["headline"]["gross_j"], headline, places=6)
        truth = rig.truth.joules("package-0", *run) + rig.truth.joules("dram", *run)
        self.assertLess(abs(headline / truth - 1), TOLERANCE)
        self.assert_charges_close("x.prony")

    def test_a_board_on_hwmon_gives_power_and_energy_that_agree_with_the_truth(self):
        rig = self.mount("--hwmon", "id=hwmon0 chip=fakeboard label=board curve=sine base=60 amp=20 period=1.1 update_us=1000")
        summary = self.measure(rig)
        rows = {r["channel"].rsplit(".", 1)[1]: r for r in summary["energy"] if r["channel"].startswith("hwmon.")}
        self.assertEqual(sorted(rows), ["energy", "power"])
        run = self.windows()["run", "run"]
        self.hold(rig, "fakeboard", run, rows["energy"], "the board's counter")
        if rows["power"]["resolvable"]:  # read once a second, a gauge that swings may need a longer run
            truth = rig.truth.joules("fakeboard", *run)
            self.assertTrue(rows["power"]["low_j"] <= truth <= rows["power"]["high_j"], (truth, rows["power"]))
        else:
            self.assertGreater(rows["power"]["needed_s"], 1)
        self.assertEqual(rows["power"].get("part_of"), rows["energy"]["channel"], "never added to one another")

    def test_a_power_gauge_alone_holds_the_truth(self):
        # Read on every tick of 10 ms, of a power that moves slowly beside that; run and every request.
        rig = self.mount("--hwmon", "id=hwmon0 chip=fakeboard label=board curve=sine base=60 amp=20 period=1.7 update_us=1000 "
                                    "only=power interval_ms=1")
        summary = self.measure(rig, seconds=1.0)
        rows = [r for r in summary["energy"] if r["channel"].startswith("hwmon.")]
        self.assertEqual([r["channel"] for r in rows], ["hwmon.fakeboard.board.power"])
        self.assertEqual(rows[0]["kind"], "interval(0.95)", "a gauge proves nothing between its readings")
        self.check(rig, summary, {"fakeboard": rows[0]["channel"]})

    def test_a_request_too_short_for_the_sensor_is_not_resolvable_and_says_what_it_would_take(self):
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 base=40 update_us=200000")
        summary = self.measure(rig, count=3, seconds=0.05)
        for request in summary["requests"]:
            row = next(r for r in request["energy"] if r["channel"] == "rapl.package-0.energy")
            self.assertFalse(row["resolvable"])
            self.assertNotIn("gross_j", row)
            self.assertGreater(row["needed_s"], 0.05)

    def test_a_baseline_splits_idle_and_active(self):
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 curve=constant base=40 update_us=1000")
        row = energy(self.measure(rig, "--baseline", "1s"), "rapl.package-0.energy")
        self.assertLess(abs(row["idle_j"] / row["gross_j"] - 1), 0.02)  # this machine draws the same idle or not
        self.assertAlmostEqual(row["active_j"], row["gross_j"] - row["idle_j"], places=6)
        self.assert_charges_close("x.prony")

    def test_a_workload_below_the_baseline_shows_negative_active_joules(self):
        # 60 W in the rig's first four seconds, 20 W in the next four. Prony begins at 2 s: a baseline at 60 W, a command
        # of three seconds that meets more of 20 W, a baseline at 20 W. Idle by both baselines is 40 W: more than gross.
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 curve=square base=40 amp=20 period=8 update_us=1000")
        time.sleep(max(0, 2 - (time.monotonic() - rig.truth.t0_ns * 1e-9)))
        row = energy(self.record(["sleep", "3"], "--sysfs", rig.path, "--baseline", "1s"), "rapl.package-0.energy")
        self.assertLess(row["active_j"], -5)
        self.assertAlmostEqual(row["active_j"], row["gross_j"] - row["idle_j"], places=6)
        self.assertRegex(self.summary_text, r"[−-]\d[\d.]* J")  # shown as it is, never as nought

    def test_without_a_baseline_active_is_absent_with_a_reason(self):
        rig = self.mount("--zone", "id=intel-rapl:0 name=package-0 base=40")
        summary = self.measure(rig, count=3, seconds=0.3)
        row = energy(summary, "rapl.package-0.energy")
        self.assertNotIn("active_j", row)
        self.assertNotIn("idle_j", row)
        self.assertTrue(any("baseline" in u["reason"].lower() for u in summary["unavailable"]), summary["unavailable"])


if __name__ == "__main__":
    harness.main()
