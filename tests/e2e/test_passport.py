#!/usr/bin/env python3
"""`prony probe` and the passports of Runs, against the FUSE tree, whose update period and step are known.

usage: test_passport.py [BUILD_DIR]
"""

import json
import os
import signal
import stat
import subprocess
import unittest

import harness
from harness import Case, RigCase, needs_root, program


def one(passports, channel):
    for passport in passports:
        if passport["channel"] == channel:
            return passport
    raise AssertionError(f"no {channel} among {[p['channel'] for p in passports]}")


def zone(number, **keys):
    words = {"name": f"package-{number}", "curve": "sine", "base": 30, "amp": 20, "period": 0.7, "update_us": 10000,
             "quantum_uj": 61.03515625, **keys}
    return ["--zone", f"id=intel-rapl:{number} " + " ".join(f"{k}={v}" for k, v in words.items())]


class Probe(RigCase):
    def setUp(self):
        super().setUp()
        self.state = self.path("state")

    def probe(self, rig, *words, **options):
        options.setdefault("env", {"XDG_STATE_HOME": self.state})
        done = self.prony("probe", *words, "--sysfs", rig.path, "--json", **options)
        self.assertEqual(done.returncode, 0, done.err)
        return json.loads(done.out)

    def files(self):
        return [os.path.join(folder, name) for folder, _, names in os.walk(self.state) for name in names]

    def test_period_and_step_of_the_rig_are_learned_within_five_percent(self):
        # Reads come every 40 to 100 µs: at least ten times an update. Kills: periods of polls, a step of one µJ.
        for update_us in (2000, 10000, 33000):
            rig = self.mount(*zone(0, update_us=update_us))
            found = one(self.probe(rig, "rapl", "--for", "2s")["passports"], "rapl.package-0.energy")
            self.assertLess(abs(found["update_period_ns"] / (update_us * 1e3) - 1), 0.05, found)
            self.assertLess(abs(found["step"] / 61.03515625e-6 - 1), 0.05, found)
            self.assertEqual(found["unit"], "J")
            self.assertIn("read_cost_ns", found)

    def test_the_phase_is_that_of_the_rig(self):
        rig = self.mount(*zone(0, update_us=20000, phase_us=7000))
        found = one(self.probe(rig, "rapl", "--for", "1s")["passports"], "rapl.package-0.energy")
        off = (found["phase_ns"] - rig.truth.t0_ns - 7_000_000) % 20_000_000
        off = min(off, 20_000_000 - off)
        self.assertLess(off, found["phase_doubt_ns"] + 2_000_000, found)

    def test_two_zones_of_one_register_are_told_as_duplicates(self):
        rig = self.mount(*zone(0), *zone(1))
        found = self.probe(rig, "rapl", "--for", "3s")["passports"]
        twin = one(found, "rapl.package-1.energy")
        self.assertEqual(twin.get("duplicate_of"), "rapl.package-0.energy", twin)
        other = self.mount(*zone(0), *zone(1, base=29))
        found = self.probe(other, "rapl", "--for", "3s")["passports"]
        self.assertNotIn("duplicate_of", one(found, "rapl.package-1.energy"))

    def test_what_is_learned_is_kept_for_the_owner_alone_and_used_by_the_next_run(self):
        rig = self.mount(*zone(0, update_us=50000))
        self.probe(rig, "rapl", "--for", "2s")
        files = self.files()
        self.assertEqual(len(files), 1, files)
        self.assertEqual(stat.S_IMODE(os.stat(files[0]).st_mode), 0o600)
        env = {"XDG_STATE_HOME": self.state}
        self.record(["sleep", "0.3"], "--sysfs", rig.path, "--sensors", "rapl", env=env)
        rows = {row["channel"]: row for row in self.table("x.prony", "channels")}
        # RAPL documents 1 ms; this one takes 50.
        self.assertLess(abs(rows["rapl.package-0.energy"]["update_period_s"] / 0.05 - 1), 0.1)
        found = one(self.load("x.json")["passports"], "rapl.package-0.energy")
        self.assertEqual(found["learned_by"], "probe")
        self.assertEqual(self.table("x.prony", "passports")[0]["channel"], "rapl.package-0.energy")
        # Another tree is another machine.
        other = self.mount(*zone(0, update_us=50000))
        self.record(["sleep", "0.1"], "--sysfs", other.path, "--sensors", "rapl", env=env, name="y")
        self.assertEqual(one(self.load("y.json")["passports"], "rapl.package-0.energy")["learned_by"], "run")
        self.assertEqual(self.files(), files)

    def test_a_run_learns_from_its_own_ticks(self):
        rig = self.mount(*zone(0, update_us=40000))
        summary = self.record(["sleep", "2"], "--sysfs", rig.path, "--sensors", "rapl", "--interval", "2ms")
        found = one(summary["passports"], "rapl.package-0.energy")
        self.assertEqual(found["learned_by"], "run")
        self.assertLess(abs(found["update_period_ns"] / 40e6 - 1), 0.05, found)

    def test_a_source_that_changed_its_period_is_told_as_drift(self):
        rig = self.mount(*zone(0, update_us=10000))
        env = {"XDG_STATE_HOME": self.state}
        self.probe(rig, "rapl", "--for", "1s")
        path = self.files()[0]
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        kept["channels"][0]["update_period_ns"] = 50_000_000
        with open(path, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        summary = self.record(["sleep", "1"], "--sysfs", rig.path, "--sensors", "rapl", "--interval", "1ms", env=env)
        drifts = [event for event in summary["events"] if event["kind"] == "passport-drift"]
        self.assertEqual([event["subject"] for event in drifts], ["rapl.package-0.energy"])
        self.assertIn("was 50", drifts[0]["text"])

    def test_a_damaged_file_is_told_ignored_and_learned_again(self):
        rig = self.mount(*zone(0))
        self.probe(rig, "rapl")
        path = self.files()[0]
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"format": "prony.pass')
        answer = self.probe(rig, "rapl")
        self.assertTrue(any("ignored" in note for note in answer["notes"]), answer["notes"])
        self.assertFalse(self.probe(rig, "rapl")["notes"][1:])

    def test_a_place_that_cannot_be_written_costs_no_run_and_no_probe(self):
        rig = self.mount(*zone(0))
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        env = {"XDG_STATE_HOME": self.path("file")}  # a file where a folder is needed: also root cannot
        answer = self.probe(rig, "rapl", env=env)
        self.assertNotIn("kept", answer)
        self.assertTrue(any("not kept" in note or "ignored" in note for note in answer["notes"]), answer["notes"])
        self.record(["true"], "--sysfs", rig.path, env=env)
        self.record(["true"], "--sysfs", rig.path, env={"HOME": "", "XDG_STATE_HOME": ""}, name="y")

    def test_faults_while_it_is_watched_are_told_and_break_nothing(self):
        for fault in ("eio", "rubbish", "empty", "negative", "vanish", "stale", "denied"):
            rig = self.mount(*zone(0))
            env = self.environment(XDG_STATE_HOME=self.path("state-" + fault))
            with subprocess.Popen([program("prony"), "probe", "rapl", "--for", "1200ms", "--json", "--sysfs", rig.path],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True) as process:
                try:
                    process.communicate(timeout=0.6)
                except subprocess.TimeoutExpired:
                    rig.fault("package-0", fault)
                out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, fault + err)
            found = one(json.loads(out)["passports"], "rapl.package-0.energy")
            self.assertIn("update_period_ns", found, fault + str(found))
            self.assertLess(abs(found["update_period_ns"] / 10e6 - 1), 0.05, fault)
            if fault != "stale":
                self.assertGreater(found["gaps"], 0, fault)

    def test_ctrl_c_half_way_keeps_what_was_learned(self):
        rig = self.mount(*zone(0))
        env = self.environment(XDG_STATE_HOME=self.state)
        with subprocess.Popen([program("prony"), "probe", "rapl", "--for", "60s", "--sysfs", rig.path],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True) as process:
            try:
                process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn("interrupted", out)
        self.assertIn("10 ms", out)
        self.assertEqual(len(self.files()), 1)

    def test_the_list_of_sensors_marks_what_was_learned(self):
        rig = self.mount(*zone(0, update_us=10000))
        env = {"XDG_STATE_HOME": self.state}
        self.probe(rig, "rapl", "--for", "1s")
        table = self.prony("sensors", "--sysfs", rig.path, env=env).out
        row = next(line for line in table.splitlines() if line.startswith(" rapl "))
        self.assertRegex(row, r"(9\.9|10|10\.0)\d* ms learned")
        document = json.loads(self.prony("sensors", "--sysfs", rig.path, "--json", env=env).out)
        rapl = next(sensor for sensor in document["sensors"] if sensor["name"] == "rapl")
        self.assertEqual(rapl["channels"][0]["update_period_ns"], 1_000_000)  # documented
        self.assertLess(abs(rapl["channels"][0]["learned"]["update_period_ns"] / 10e6 - 1), 0.05)


class Words(Case):
    def test_an_unknown_name_is_answered_with_the_nearest(self):
        done = self.prony("probe", "memry")
        self.assertEqual(done.returncode, 125)
        self.assertIn("Did you mean 'memory'?", done.err)

    def test_a_sensor_that_is_not_here_says_why(self):
        os.makedirs(self.path("empty"))
        done = self.prony("probe", "rapl", "--sysfs", self.path("empty"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("powercap", done.err)
        self.assertIn("\n       ", done.err)

    def test_a_time_that_makes_no_sense_is_refused(self):
        for word in ("0s", "5", "-1s", "11m", "nan"):
            self.assertEqual(self.prony("probe", "cpu", "--for=" + word).returncode, 125, word)

    def test_the_table_keeps_to_the_width(self):
        for width in ("60", "80", "140"):
            done = self.prony("probe", "cpu", env={"COLUMNS": width, "XDG_STATE_HOME": self.path("state")})
            self.assertEqual(done.returncode, 0, done.err)
            for line in done.out.splitlines()[1:]:
                if "kept" not in line:
                    self.assertLessEqual(len(line), int(width), line)

    @needs_root
    def test_a_home_of_somebody_else_is_no_failure(self):
        os.makedirs(self.path("home"))
        done = self.prony("probe", "cpu", env={"HOME": self.path("home"), "XDG_STATE_HOME": ""})
        self.assertEqual(done.returncode, 0, done.err)


if __name__ == "__main__":
    harness.main()
