"""`prony study`: many runs by one file, through crashes: what is done is done once, and a failure never looks like a success."""

import csv
import json
import os
import random
import signal
import subprocess
import time
import unittest

import harness
from harness import Case, Tmpfs, needs_root, program



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
        with open(self.path("out/manifest.json"), "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        self.study("--resume", "out")
        runs = self.manifest()["runs"]
        self.assertTrue(runs[5]["attempts"][0]["adopted"])
        self.assertGreater(runs[5]["attempts"][0]["figures"]["run_s"], 0)
        self.assertEqual([a["status"] for a in runs[4]["attempts"]], ["interrupted", "done"])


class Machine(StudyCase):
    TEXT = """
[study]
stop-after = 1
[base]
command = ["sh", "-c", "cat knob >> seen; {do}"]
vars.do = "true"
sensors = "cpu-model"
[sweep]
machine.cap = [150, 250]
[machine.cap]
get = "cat knob"
set = "echo {value} > knob"
"""

    def setUp(self):
        super().setUp()
        self.file("400\n", "knob")

    def knob(self):
        with open(self.path("knob"), encoding="utf-8") as file:
            return file.read().strip()

    def test_settings_are_in_force_in_each_run_and_put_back_at_the_end(self):
        self.study(self.file(self.TEXT), "--out", "out")
        with open(self.path("seen"), encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["150", "250"])
        self.assertEqual(self.knob(), "400")
        self.assertEqual(self.manifest()["machine_before"], {})

    def test_what_the_machine_does_not_take_fails_the_run_and_is_never_measured(self):
        self.study(self.file(self.TEXT.replace("echo {value} > knob", "true {value}")), "--out", "out", code=1)
        self.assertIn("in force is 400", self.manifest()["runs"][0]["attempts"][0]["reason"])
        self.assertFalse(os.path.exists(self.path("seen")))

    def test_after_kill_9_restore_puts_the_machine_back(self):
        child = self.start(self.file(self.TEXT.replace('"true"', '"sleep 60"')), "--out", "out")
        for _ in range(600):
            if os.path.exists(self.path("seen")):
                break
            time.sleep(0.05)
        child.kill()
        child.wait()
        self.assertEqual(self.knob(), "150")
        self.assertEqual(self.manifest()["machine_before"], {"cap": "400"})
        self.assertIn("1 setting is as before", self.study("--restore", "out").out)
        self.assertEqual(self.knob(), "400")
        self.assertIn("nothing to put back", self.study("--restore", "out").out)


class Ranks(StudyCase):
    def test_ranks_of_one_job_are_kept_with_their_runs_and_each_meter_counts_once(self):
        children = [subprocess.Popen([program("prony"), "run", "--quiet", "--sensors", "cpu-model", "--out", self.path(f"{rank}.prony"), "--",
                                      "sleep", "1.5"], cwd=self.folder, env=self.environment(RANK=str(rank), WORLD_SIZE="2"))
                    for rank in range(2)]
        self.assertEqual([child.wait() for child in children], [0, 0])
        done = self.study("--ranks", "0.prony", "1.prony")
        self.assertIn("2 on 1 host", done.out)
        self.assertIn("1 domain, metered once", done.out)
        self.assertIn("ranks read the same meters", done.out)
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
        for words, small in (("15M", "160k"), ("max-tokens = 64", "max-tokens = 8"), ("repeat = 2", "repeat = 1"), ('gap = "1s"', 'gap = "10ms"')):
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
