"""`prony study`: many runs by one file, through crashes: what is done is done once, and a failure never looks like a success."""

import csv
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time

import harness
from harness import Case, Tmpfs, needs_root, program

NOBODY = 65534


class StudyCase(Case):
    def file(self, text, name="s.toml"):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def study(self, *words, code=0, **options):
        done = self.prony("study", *words, **options)
        self.assertEqual(done.returncode, code, done.out + done.err)
        return done

    def manifest(self, folder="out"):
        return self.load(os.path.join(folder, "manifest.json"))

    def start(self, *words):
        return subprocess.Popen([program("prony"), "study", *words], cwd=self.folder, env=self.environment(),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def check_manifest(self, manifest):
        """What holds of every manifest: ids are unique, and what counts is one whole Run of its own."""
        ids = [a["id"] for run in manifest["runs"] for a in run["attempts"]]
        self.assertEqual(len(ids), len(set(ids)))
        for run in manifest["runs"]:
            good = [a for a in run["attempts"] if a["status"] == "done"]
            self.assertEqual(len(good), 1 if run["status"] == "done" else 0, run)
            for attempt in good:
                shown = self.prony("show", self.path("out", attempt["run"]), "--json")
                self.assertEqual(shown.returncode, 0, shown.err)
                self.assertEqual(json.loads(shown.out)["state"], "complete")

    def assert_nobody_runs(self, word):
        for _ in range(100):
            found = [p for p in os.listdir("/proc") if p.isdigit() and self.says(p, word)]
            if not found:
                return
            time.sleep(0.1)
        self.fail(f"still there: {found}")

    @staticmethod
    def says(pid, word):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return word.encode() in file.read()
        except OSError:
            return False


COUNTED = """
[study]
name = "counted"
cycles = 2
order = "reverse"
[base]
command = ["sh", "-c", "echo {n} >> ran"]
sensors = "cpu-model"
[sweep]
vars.n = [1, 2, 3]
"""


class Whole(StudyCase):
    def test_a_dry_run_tells_runs_order_and_time_and_runs_nothing(self):
        text = COUNTED.replace("[base]", 'experiment-gap = "2s"\ncycle-gap = "1m"\n[base]')
        done = self.study(self.file(text), "--dry-run", "--out", "out")
        self.assertIn("3 variants × 2 cycles = 6 runs", done.out)
        self.assertIn("1, 2, 3", done.out)
        self.assertIn("3, 2, 1", done.out)
        self.assertIn("1:08 of rests (4 between runs, 1 between cycles)", done.out)
        self.assertFalse(os.path.exists(self.path("out")) or os.path.exists(self.path("ran")))
        settings = self.study(self.path("s.toml"), "--settings").out
        self.assertIn("vars.n = 2   (sweep vars.n, line", settings)
        self.assertIn("sensors = cpu-model   (base, line", settings)

    def test_every_variant_runs_once_a_cycle_in_the_order_and_the_results_have_a_row_each(self):
        done = self.study(self.file(COUNTED), "--out", "out")
        with open(self.path("ran"), encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["1", "2", "3", "3", "2", "1"])
        manifest = self.manifest()
        self.assertEqual(manifest["status"], "complete")
        self.check_manifest(manifest)
        self.assertIn("6 of 6 runs done", done.out)
        self.assertIn("Student", done.out)
        with open(self.path("out/results_wide.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["variant"] for row in rows], ["1", "2", "3", "3", "2", "1"])
        self.assertTrue(all(float(row["run_s"]) > 0 for row in rows))
        with open(self.path("out/results_long.csv"), encoding="utf-8") as file:
            figures = [row["figure"] for row in csv.DictReader(file)]
        self.assertEqual(figures.count("run_s"), 6)
        with open(self.path("out", manifest["runs"][0]["attempts"][0]["run"].replace(".prony", ".settings.json")),
                  encoding="utf-8") as file:
            kept = json.load(file)
        self.assertIn({"key": "vars.n", "value": "1", "source": "sweep vars.n", "line": 10}, kept["declared"])
        self.assertIn("sensors", [row["key"] for row in kept["resolved"]])
        self.assertEqual(self.study("--show", "out").out.splitlines()[0].strip().split(" · ")[0], "prony study")

    def test_runs_of_a_study_know_their_cycle_so_that_they_are_compared_in_pairs(self):
        self.study(self.file(COUNTED), "--out", "out")
        for variant in ("1", "3"):
            os.mkdir(self.path(variant))
            for run in self.manifest()["runs"]:
                if run["variant"] == variant:
                    os.link(self.path("out", run["attempts"][0]["run"]), self.path(variant, f"{run['cycle']}.prony"))
        done = self.prony("compare", self.path("1"), self.path("3"), "--json")
        rows = [row for row in json.loads(done.out)["metrics"] if "paired" in row]
        self.assertIn("wall_s", [row["metric"] for row in rows])
        self.assertTrue(all(row["paired"] for row in rows), done.out)
        self.assertEqual(json.loads(self.prony("show", self.path("1/2.prony"), "--json").out)["study"], {"cycle": "2"})

    def test_a_study_file_that_cannot_be_is_refused_with_its_line_before_anything_runs(self):
        for text, line, words in ((COUNTED.replace("cycles", "cycels"), 4, "'cycles'"),
                                  (COUNTED.replace("sensors", "sensor"), 8, "'sensors'"),
                                  (COUNTED.replace("[1, 2, 3]", "[]"), 10, "no values"),
                                  (COUNTED + "group = [{ vars.n = 4 }]\n", 11, "both say")):
            done = self.study(self.file(text), "--out", "out", code=125)
            self.assertIn(f"s.toml:{line}", done.err)
            self.assertIn(words, done.err)
            self.assertFalse(os.path.exists(self.path("out")))
        self.assertIn("no such file", self.study("nothing.toml", code=125).err.lower())

    def test_what_fails_for_one_reason_in_all_runs_is_told_once(self):
        file = self.file('[study]\ncycles = 3\n[base]\ncommand = ["false"]\nsensors = "cpu-model"\n')
        done = self.study(file, "--out", "out", code=1)
        self.assertIn("run 1 (base, cycle 1, 1 attempt) and 2 more: its command ended with code 1", " ".join(done.out.split()))
        self.assertEqual(done.out.count("ended with code 1"), 1)

    def test_two_at_once_in_one_folder_are_refused_and_a_second_beginning_too(self):
        first = self.start(self.file(COUNTED.replace("echo {n}", "sleep 5; echo {n}")), "--out", "out")
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        for _ in range(200):
            if os.path.exists(self.path("out/manifest.json")):
                break
            time.sleep(0.05)
        self.assertIn("another prony", self.study("--resume", "out", code=125).err)
        first.terminate()
        self.assertEqual(first.wait(), 128 + signal.SIGTERM)
        self.assertEqual(self.manifest()["status"], "interrupted")
        self.assertIn("lies there already", self.study(self.path("s.toml"), "--out", "out", code=125).err)

    def test_a_resumed_study_takes_more_cycles_but_no_other_design(self):
        self.study(self.file(COUNTED), "--out", "out")
        ids = [run["attempts"][0]["id"] for run in self.manifest()["runs"]]
        changed = self.file(COUNTED.replace("[1, 2, 3]", "[1, 2, 4]"), "changed.toml")
        refused = self.study(changed, "--resume", "out", code=125)
        self.assertIn("no longer in the file: 3", refused.err)
        self.assertIn("not yet in the folder: 4", refused.err)
        self.study("--resume", "out", "--cycles", "3")
        manifest = self.manifest()
        self.assertEqual(len(manifest["runs"]), 9)
        self.assertEqual([run["attempts"][0]["id"] for run in manifest["runs"]][:6], ids)
        self.check_manifest(manifest)

    def test_what_runs_on_another_machine_than_the_study_was_begun_on_is_told_and_flagged(self):
        self.study(self.file(COUNTED), "--out", "out", "--cycles", "1")
        manifest = self.manifest()
        manifest["host"] = "elsewhere"
        with open(self.path("out/manifest.json"), "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        done = self.study("--resume", "out", "--cycles", "2")
        self.assertIn("the study was begun on elsewhere", done.err)
        flags = [run["attempts"][0].get("flags", []) for run in self.manifest()["runs"]]
        self.assertEqual(flags[:3], [[], [], []])
        for flag in flags[3:]:
            self.assertRegex(flag[0], "another machine: run on .+, the study was begun on elsewhere")
        self.assertIn("another machine", done.out)

    def test_joules_of_a_simulated_machine_are_never_told_as_measured_ones(self):
        # It works: what a sleep draws on a machine at rest is too little for the model to tell.
        text = ('[study]\nkind = "run"\n[base]\ncommand = ["sh", "-c", "timeout 0.4 sh -c \'while :; do :; done\'; true"]\n[sweep]\n'
                'where = [{simulate = "laptop", label = "there"}, {sensors = "cpu-model", label = "here"}]\n')
        done = self.study(self.file(text), "--out", "out")
        self.assertIn("simulated: no joule of there is real", done.out)
        self.assertRegex(done.err, r"there  .* J \(simulated\)")
        with open(self.path("out/results_wide.csv"), encoding="utf-8", newline="") as file:
            self.assertEqual([row["joules_origin"] for row in csv.DictReader(file)], ["simulated", "modelled"])

    def test_what_a_variant_comes_to_over_its_cycles_is_in_files_of_its_own(self):
        self.study(self.file(COUNTED), "--out", "out", "--cycles", "3")
        with open(self.path("out/results_variants.csv"), encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["figure"] == "run_s"]
        self.assertEqual([row["variant"] for row in rows], ["1", "2", "3"])
        runs = [json.loads(line) for line in self.lines("out/results_runs.jsonl")]
        self.assertEqual(len(runs), 9)
        variants = [json.loads(line) for line in self.lines("out/results_variants.jsonl")]
        for row, variant in zip(rows, variants):
            values = [run["figures"]["run_s"] for run in runs if run["variant"] == row["variant"]]
            mean, sd = statistics.mean(values), statistics.stdev(values)
            half = 4.302652730 * sd / 3 ** 0.5  # Student's t, two degrees of freedom
            told = variant["figures"]["run_s"]
            self.assertEqual((row["n"], row["unit"], told["n"]), ("3", "s", 3))
            for name, value in (("mean", mean), ("sd", sd), ("cv", sd / mean), ("t_low", mean - half), ("t_high", mean + half)):
                self.assertAlmostEqual(float(row[name]), value, delta=1e-9 + abs(value) * 1e-6)
                self.assertAlmostEqual(told[name], value, delta=1e-9 + abs(value) * 1e-6)
            self.assertLessEqual(min(values) - 1e-9, float(row["bca_low"]))
            self.assertLessEqual(float(row["bca_high"]), max(values) + 1e-9)
            self.assertGreaterEqual(int(row["runs_for_5_percent"]), 2)

    def lines(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().splitlines()

    def test_a_study_that_is_resumed_for_fewer_cycles_loses_nothing_that_was_run(self):
        self.study(self.file(COUNTED), "--out", "out", "--cycles", "3")
        before = self.manifest()["runs"]
        self.assertIn("cycle 3 of this study was begun already", self.study("--resume", "out", "--cycles", "2", code=125).err)
        self.study(self.path("s.toml"), "--resume", "out")  # that speaks of two
        self.study("--resume", "out")
        self.assertEqual(self.manifest()["runs"], before)
        with open(self.path("out/results_wide.csv"), encoding="utf-8", newline="") as file:
            self.assertEqual(len(list(csv.DictReader(file))), 9)
        self.study("--resume", "out", "--cycles", "4")
        self.check_manifest(self.manifest())
        self.assertEqual(len(self.manifest()["runs"]), 12)

    def test_the_unit_for_systemd_resumes_this_folder(self):
        unit = self.study("--print-unit", "--resume", "out").out
        self.assertIn(f'study --resume "{self.path("out")}"', unit)
        self.assertIn("[Install]", unit)


class Failing(StudyCase):
    def one(self, command, head="", more=""):
        return self.file(f'[study]\nback-off = "100ms"\n{head}\n[base]\nsensors = "cpu-model"\ncommand = {json.dumps(command)}\n{more}')

    def test_exit_0_without_a_run_is_a_failure(self):
        self.study(self.one(["sh", "-c", "rm -f out/runs/*.prony"]), "--out", "out", code=1)
        manifest = self.manifest()
        self.assertEqual(manifest["status"], "failed")
        self.assertIn("Run", manifest["runs"][0]["attempts"][0]["reason"])
        self.assertNotIn("figures", [k for k in manifest["runs"][0]["attempts"][0] if k == "status"])

    def test_every_attempt_is_kept_with_an_id_of_its_own_and_the_good_one_counts(self):
        done = self.study(self.one(["sh", "-c", "echo x >> tries; test $(wc -l < tries) -ge 3"], "retries = 4"), "--out", "out")
        run = self.manifest()["runs"][0]
        self.assertEqual([a["status"] for a in run["attempts"]], ["failed", "failed", "done"])
        self.assertEqual(len({a["id"] for a in run["attempts"]}), 3)
        self.assertEqual(run["attempts"][0]["exit_code"], 1)
        self.assertIn("3 attempts", done.out)
        self.check_manifest(self.manifest())

    def test_a_run_that_hangs_silently_is_ended_with_all_that_left_its_group(self):
        word = f"hang-{os.getpid()}-{random.random()}"
        script = f"setsid sh -c ': {word}; sleep 300' & : {word}; sleep 300"
        self.study(self.one(["sh", "-c", script], 'silence = "1s"'), "--out", "out", code=1)
        self.assertIn("nothing was heard", self.manifest()["runs"][0]["attempts"][0]["reason"])
        self.assert_nobody_runs(word)

    def test_a_run_that_takes_too_long_is_ended(self):
        self.study(self.one(["sh", "-c", "while :; do echo on; sleep 0.1; done"], 'timeout = "1s"\nsilence = "30s"'),
                   "--out", "out", code=1)
        self.assertIn("longer than 1 s", self.manifest()["runs"][0]["attempts"][0]["reason"])

    def test_failures_in_a_row_stop_the_study_and_it_goes_on_when_the_cause_is_mended(self):
        file = self.one(["sh", "-c", "test -e good"], "stop-after = 2\ncycles = 4")
        done = self.study(file, "--out", "out", code=1)
        manifest = self.manifest()
        self.assertEqual((manifest["status"], manifest["why"][:6]), ("stopped", "2 runs"))
        self.assertEqual([run["status"] for run in manifest["runs"]], ["failed", "failed", "pending", "pending"])
        self.assertIn("0 of 4 runs done", done.out)
        self.file("", "good")
        self.study("--resume", "out")
        self.assertEqual([len(run["attempts"]) for run in self.manifest()["runs"]], [2, 2, 1, 1])
        self.check_manifest(self.manifest())

    @needs_root
    def test_a_disk_that_is_full_in_a_later_cycle_loses_nothing(self):
        with Tmpfs(self.path("disk"), "size=32m"):
            fill = "echo x >> ran; test $(wc -l < ran) -ne 2 || head -c 31M /dev/zero > disk/filler 2>/dev/null; true"
            file = self.one(["sh", "-c", fill], "cycles = 4\nretries = 2")
            done = self.study(file, "--out", "disk/out", code=125)
            self.assertIn("Make room", done.err)
            before = self.manifest("disk/out")
            self.assertEqual(before["runs"][0]["status"], "done")
            os.unlink(self.path("disk/filler"))
            self.study("--resume", "disk/out")
            after = self.manifest("disk/out")
            self.assertEqual([run["status"] for run in after["runs"]], ["done"] * 4)
            self.assertEqual(after["runs"][0]["attempts"], before["runs"][0]["attempts"])


    def test_a_run_that_holds_too_much_memory_is_ended_with_that_reason_and_all_of_its_processes(self):
        word = f"hoard-{os.getpid()}-{random.random()}"
        hoard = f"import time; '{word}'; held = bytearray(b'x') * (192 << 20); time.sleep(300)"
        file = self.one([sys.executable, "-c", hoard], 'memory-limit = "128MiB"')
        self.assertIn("memory", self.study(file, "--dry-run").out)
        self.study(file, "--out", "out", code=1)
        attempt = self.manifest()["runs"][0]["attempts"][0]
        self.assertEqual(attempt["status"], "failed")
        self.assertRegex(attempt["memory_limit"], "^(enforced: control group, version [12]|watched: .+)$")
        by_kernel = r"needed more than its 128 MiB of memory: the kernel ended \d+ of its processes"
        watched = r"it held \d+(\.\d+)? MiB of memory, more than 128 MiB, and was ended"
        kept = f"{by_kernel}|{watched}" if attempt["memory_limit"].startswith("enforced") else watched
        self.assertRegex(attempt["reason"], kept)
        self.assert_nobody_runs(word)
        small = [sys.executable, "-c", "held = bytearray(b'x') * (8 << 20)"]
        self.study(self.one(small, 'memory-limit = "4GiB"'), "--out", "small")

    def test_a_run_is_in_a_control_group_of_its_own_exactly_where_the_result_says_that_its_limit_was_enforced(self):
        file = self.one(["sh", "-c", "cat /proc/self/cgroup > groups"], 'memory-limit = "4GiB"')
        done = self.study(file, "--out", "out")
        kept = self.manifest()["runs"][0]["attempts"][0]["memory_limit"]
        with open(self.path("groups"), encoding="utf-8") as groups:
            self.assertEqual("/prony-study-" in groups.read(), kept.startswith("enforced: "), kept)
        self.assertIn("limit of memory " + kept.split(":")[0], " ".join(done.out.split()))
        self.study(self.one(["true"]), "--out", "none")
        self.assertNotIn("memory_limit", self.manifest("none")["runs"][0]["attempts"][0])

    @needs_root
    def test_where_no_control_group_may_be_made_the_limit_is_watched_and_the_result_says_why(self):
        os.chown(self.folder, NOBODY, NOBODY)
        hoard = "head -c 192M /dev/zero | tail -c 192M | sleep 300"  # tail keeps all of it, and nobody reads it
        self.study(self.one(["sh", "-c", hoard], 'memory-limit = "128MiB"'), "--out", "out", code=1, user=NOBODY, group=NOBODY,
                   extra_groups=[])
        attempt = self.manifest()["runs"][0]["attempts"][0]
        self.assertRegex(attempt["memory_limit"], "^watched: .+")
        self.assertRegex(attempt["reason"], r"it held \d+(\.\d+)? MiB of memory, more than 128 MiB, and was ended")

    def test_past_its_wall_limit_no_run_is_begun_and_resume_runs_the_rest(self):
        file = self.one(["sh", "-c", "echo x >> ran; sleep 0.5"], 'wall-limit = "300ms"\ncycles = 3')
        done = self.study(file, "--out", "out", code=1)
        manifest = self.manifest()
        self.assertEqual(manifest["status"], "stopped")
        self.assertIn("wall limit", manifest["why"])
        before = [run["status"] for run in manifest["runs"]]
        self.assertIn("pending", before)
        self.assertLess(before.count("done"), 2)  # one takes longer than the limit
        self.assertIn("of 3 runs done", done.out)
        with open(file, encoding="utf-8") as text:
            longer = self.file(text.read().replace("300ms", "1h"), "longer.toml")
        self.study(longer, "--resume", "out")
        self.assertEqual([run["status"] for run in self.manifest()["runs"]], ["done"] * 3)

    def test_a_command_is_told_of_the_end_and_of_a_study_that_was_stopped_and_of_nothing_else(self):
        tell = "echo $PRONY_STUDY_NAME $PRONY_STUDY_STATUS $PRONY_STUDY_DONE/$PRONY_STUDY_RUNS $PRONY_STUDY_WHY >> told"
        self.study(self.one(["true"], f'name = "n"\ncycles = 2\nnotify = "{tell}"'), "--out", "out")
        self.study(self.one(["false"], f'name = "n"\ncycles = 5\nstop-after = 2\nnotify = "{tell}"'), "--out", "bad", code=1)
        with open(self.path("told"), encoding="utf-8") as file:
            told = file.read().splitlines()
        self.assertEqual(told[0], "n complete 2/2")
        self.assertTrue(told[1].startswith("n stopped 0/5 2 runs in a row failed"), told)
        self.assertEqual(len(told), 2)
        done = self.study(self.one(["true"], 'notify = "echo no; exit 3"'), "--out", "third")  # the study is well all the same
        self.assertIn("failed with code 3", done.err)
        with open(self.path("third/notify.log"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "no\n")


class Hours(StudyCase):
    TEXT = '[study]\ncycles = 2\n[schedule]\n{schedule}\n[base]\ncommand = ["sh", "-c", "echo x >> ran"]\nsensors = "cpu-model"\n'

    def zone(self, minute):
        """A time zone in which it is now this minute of the day."""
        off = (minute - int(time.time() // 60)) % 1440
        return f"XXX-{off // 60}:{off % 60:02}"

    def started(self, schedule, minute):
        child = subprocess.Popen([program("prony"), "study", self.file(self.TEXT.format(schedule=schedule)), "--out", "out"],
                                 cwd=self.folder, env=self.environment(TZ=self.zone(minute)), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.addCleanup(child.stderr.close)
        return child

    def test_inside_its_hours_a_study_runs_and_outside_of_them_it_waits(self):
        child = self.started('window = "11:00-13:00"', 12 * 60)
        self.assertEqual(child.wait(), 0)
        os.remove(self.path("ran"))
        os.rename(self.path("out"), self.path("first"))
        child = self.started('window = "11:00-13:00"', 15 * 60)
        self.assertIn("prony study --resume", child.stderr.readline())
        self.assertIn("waiting: runs are begun only 11:00-13:00 (local time)", child.stderr.readline())
        child.terminate()
        self.assertEqual(child.wait(), 128 + signal.SIGTERM)
        self.assertFalse(os.path.exists(self.path("ran")))
        manifest = self.manifest()
        self.assertEqual(manifest["status"], "interrupted")
        self.assertEqual([run["attempts"] for run in manifest["runs"]], [[], []])

    def test_the_first_run_waits_for_its_time_of_day_and_what_was_begun_is_not_put_off_again(self):
        child = self.started('at = "15:00"', 12 * 60)
        self.assertIn("--resume", child.stderr.readline())
        self.assertIn("waiting for the next 15:00", child.stderr.readline())
        child.terminate()
        child.wait()
        os.rename(self.path("out"), self.path("waited"))
        self.study(self.file(self.TEXT.format(schedule='days = "daily"'), "now.toml"), "--out", "out")
        self.study(self.path("s.toml"), "--resume", "out", "--cycles", "3")
        self.assertEqual(self.manifest()["status"], "complete")
        self.assertIn("from the next 15:00 on", self.study(self.path("s.toml"), "--dry-run").out)


class Base(StudyCase):
    def test_a_base_of_another_file_is_told_with_its_file_and_line_and_kept_with_the_study(self):
        self.file('[base]\ncommand = ["sh", "-c", "echo {n} >> ran"]\nsensors = "cpu-model"\nvars.n = 7\n', "other.toml")
        study = self.file('base = "other.toml"\n[study]\ncycles = 1\n')
        self.assertIn("vars.n = 7   (base other.toml, line 4)", self.study(study, "--settings").out)
        self.study(study, "--out", "out")
        settings = self.manifest()["variants"][0]["settings"]
        self.assertIn({"key": "vars.n", "value": "7", "canonical": "7", "source": "base other.toml", "line": 4,
                       "file": "other.toml"}, settings)
        os.remove(self.path("other.toml"))
        self.study("--resume", "out", "--cycles", "2")  # from its own copy
        with open(self.path("ran"), encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["7", "7"])
        missing = self.study(study, "--dry-run", code=125)
        self.assertIn("other.toml", missing.err)


class Killed(StudyCase):
    def test_kill_9_at_any_moment_loses_at_most_the_run_that_was_under_way(self):
        seed = random.randrange(1 << 30)
        luck = random.Random(seed)
        file = self.file(COUNTED.replace("cycles = 2", "cycles = 3"))
        words = [file, "--out", "out"]
        done_before = set()
        for kill in range(14):
            child = self.start(*words)
            try:
                code = child.wait(luck.uniform(0.02, 1.6))
            except subprocess.TimeoutExpired:
                child.kill()
                code = child.wait()
            if os.path.exists(self.path("out/manifest.json")):
                words = ["--resume", "out"]
                manifest = self.manifest()  # whole at every moment
                done = {a["id"] for r in manifest["runs"] for a in r["attempts"] if a["status"] == "done"}
                self.assertLessEqual(done_before, done, f"seed {seed}, kill {kill}: what was done is done")
                done_before = done
            if code == 0:
                break
        self.study(*words)
        manifest = self.manifest()
        self.assertEqual([run["status"] for run in manifest["runs"]], ["done"] * 9, f"seed {seed}")
        self.check_manifest(manifest)
        self.assertLessEqual(done_before, {a["id"] for r in manifest["runs"] for a in r["attempts"] if a["status"] == "done"})

    def test_a_run_whose_study_died_after_it_was_whole_is_taken_as_it_is(self):
        self.study(self.file(COUNTED), "--out", "out")
        manifest = self.manifest()
        manifest["runs"][5]["status"] = manifest["runs"][5]["attempts"][0]["status"] = "running"
        manifest["status"] = "running"
        del manifest["runs"][5]["attempts"][0]["figures"]
        manifest["runs"][4]["status"] = manifest["runs"][4]["attempts"][0]["status"] = "running"
        os.truncate(self.path("out", manifest["runs"][4]["attempts"][0]["run"]), 2000)
        settings = self.path("out", manifest["runs"][5]["attempts"][0]["run"].replace(".prony", ".settings.json"))
        os.remove(settings)  # what is written when a run was judged
        with open(self.path("out/manifest.json"), "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        self.study("--resume", "out")
        runs = self.manifest()["runs"]
        self.assertTrue(runs[5]["attempts"][0]["adopted"])
        self.assertEqual(self.load(settings)["attempt"], runs[5]["attempts"][0]["id"])
        self.assertGreater(runs[5]["attempts"][0]["figures"]["run_s"], 0)
        self.assertEqual([a["status"] for a in runs[4]["attempts"]], ["interrupted", "done"])


class Ranks(StudyCase):
    def test_ranks_of_one_job_are_kept_with_their_runs_and_each_meter_counts_once(self):
        children = [subprocess.Popen([program("prony"), "run", "--quiet", "--sensors", "cpu-model", "--out", self.path(f"{rank}.prony"), "--",
                                      "sh", "-c", "timeout 1.5 sh -c 'while :; do :; done'; true"], cwd=self.folder, env=self.environment(RANK=str(rank), WORLD_SIZE="2"))
                    for rank in range(2)]
        self.assertEqual([child.wait() for child in children], [0, 0])
        done = self.study("--ranks", "0.prony", "1.prony")
        self.assertIn("2 on 1 host", done.out)
        self.assertIn("1 domain, metered once", done.out)
        self.assertIn("ranks read the same meters", done.out)
        self.assertRegex(done.out, r"energy +[\d.]+ J (±|\()")
        self.assertIn("rank 1 of 2 is missing", self.study("--ranks", "0.prony", code=125).err)


class Precision(StudyCase):
    def setUp(self):
        super().setUp()
        if program("prony-engine-llama") is None:
            self.skipTest("prony-engine-llama was not built (tools/setup-llama.sh)")

    def llm(self, more, head=""):
        done = self.prony("synth", "llama", "--params", "160k", "-o", self.path("m.gguf"))
        self.assertEqual(done.returncode, 0, done.err)
        return self.file(f'[study]\n{head}\n[base]\nmodel = "m.gguf"\nthreads = 1\nmax-tokens = 4\n{more}\n')

    def test_what_the_engine_did_not_honour_is_a_flag_of_the_run(self):
        done = self.study(self.llm("ignore-eos = true\nctx = 300"), "--out", "out")
        attempt = self.manifest()["runs"][0]["attempts"][0]
        self.assertEqual(attempt["status"], "done")
        with open(self.path("out", attempt["run"].replace(".prony", ".settings.json")), encoding="utf-8") as file:
            seen = json.load(file)["observed"]["engine.ctx"]
        self.assertNotEqual(seen, "300")
        self.assertEqual(attempt["flags"], [f"ctx: asked for 300, the engine says {seen}"])
        self.assertIn(f"ctx: asked for 300, the engine says {seen}", done.out)

    def test_a_warm_up_that_was_not_steady_is_a_flag_of_the_run(self):
        done = self.study(self.llm('ignore-eos = true\nwarmup-until = "cv=0.000001%,window=2,most=2"'), "--out", "out")
        flag = "warm-up: not steady after 2 prompts (at most 2 prompts)"
        self.assertEqual(self.manifest()["runs"][0]["attempts"][0]["flags"], [flag])
        self.assertIn(flag, " ".join(done.out.split()))

    def test_a_cold_start_tells_seconds_and_joules_to_the_first_token(self):
        done = self.study(self.llm("repeat = 1", 'kind = "cold-start"\ncycles = 2'), "--out", "out")
        self.assertIn("s to first token", done.out)
        for run in self.manifest()["runs"]:
            figures = run["attempts"][0]["figures"]
            self.assertGreater(figures["cold_first_token_s"], figures["load_s"])
            self.assertIn("model_cached_share", figures)

    def test_the_example_compares_three_precisions_of_one_model(self):
        with open(os.path.join(harness.ROOT, "examples/precision.toml"), encoding="utf-8") as file:
            text = file.read()
        for words, small in (("15M", "160k"), ("max-tokens = 192", "max-tokens = 8"), ("repeat = 2", "repeat = 1"), ('gap = "1s"', 'gap = "10ms"')):
            self.assertIn(words, text)
            text = text.replace(words, small)
        done = self.study(self.file(text, "precision.toml"), "--out", "out")
        manifest = self.manifest()
        self.check_manifest(manifest)
        self.assertEqual(len(manifest["runs"]), 9)
        self.assertEqual({run["variant"] for run in manifest["runs"]}, {"F16", "Q8_0", "Q4_0"})
        sizes = [os.path.getsize(self.path(f"models/{name}.gguf")) for name in ("f16", "q8_0", "q4_0")]
        self.assertGreater(sizes[0], sizes[1])
        self.assertGreater(sizes[1], sizes[2])
        tokens = {run["attempts"][0]["figures"]["output_tokens"] for run in manifest["runs"]}
        self.assertEqual(len(tokens), 1)
        for name in ("F16", "Q8_0", "Q4_0"):
            self.assertRegex(done.out, rf"{name} +3/3")


if __name__ == "__main__":
    harness.main()
