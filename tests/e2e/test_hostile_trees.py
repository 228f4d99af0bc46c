"""prony on trees that are out to break it, by every subcommand that reads one.

Kills: a name that colours a terminal, ends a line or a field; JSON or CSV that nobody can parse; a number that rubbish
turned into; a search that never ends; words that lead nowhere.
"""

import csv
import io
import json
import os
import re
import signal
import subprocess
import time

import harness
import hostile_trees
from harness import Case, Tmpfs, needs_root, program

RAW = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")  # what a terminal acts on; colour is off where output is no terminal


class Trees(Case):
    def tree(self, make, *more):
        root = self.path("tree")
        os.makedirs(root)
        make(root, *more)
        return "--sysfs", root + "/sys", "--procfs", root + "/proc"

    def hold_text(self, done, codes=(0,)):
        self.assertIn(done.returncode, codes, done.err)
        for stream in (done.stdout, done.stderr):
            self.assertIsNone(RAW.search(stream), stream[:3000])
            stream.decode("utf-8")  # and nothing that is not UTF-8
        return done

    def hold_export(self, run):
        for table in ("channels", "samples", "charges", "spans"):
            done = self.prony("export", self.path(run), "--format", "csv", "--table", table)
            rows = list(csv.reader(io.StringIO(done.stdout.decode("utf-8"), newline="")))
            self.assertGreater(len(rows), 1, done.err)
            self.assertEqual(len({len(row) for row in rows}), 1, f"{table}: lines of different lengths")
            self.assertTrue(all(self.table(run, table)))

    def test_names_and_values_that_are_out_to_break_it_break_nothing(self):
        tree = self.tree(hostile_trees.make_evil)
        for words in (("sensors",), ("doctor",), ("probe", "--for", "0.01s")):
            self.hold_text(self.prony(*words, *tree), (0, 1))
            json.loads(self.hold_text(self.prony(*words, "--json", *tree), (0, 1)).out)
        summary = self.record(["sleep", "0.5"], *tree)
        self.assertIsNone(RAW.search(self.summary_text.encode()), self.summary_text)
        self.hold_text(self.prony("show", self.path("x.prony")))
        self.hold_export("x.prony")
        for row in summary["energy"]:
            self.assertLessEqual(len(row["channel"]), 200)
            if "gross_j" in row and row["channel"].startswith("rapl"):
                self.assertEqual(row["gross_j"], 0)  # no file of this tree moves

    def test_rubbish_is_named_malformed_and_the_sound_zone_goes_on(self):
        tree = self.tree(hostile_trees.make_evil)
        sensors = json.loads(self.prony("sensors", "--json", *tree).out)["sensors"]
        rapl = next(sensor for sensor in sensors if sensor["name"] == "rapl")
        self.assertEqual(rapl["state"], "partial")
        told = {entry["subject"]: entry["kind"] for entry in rapl["unavailable"]}
        silent = {channel["name"] for channel in rapl["channels"] if channel.get("silent")}
        self.assertEqual(len(silent), len(hostile_trees.VALUES))
        self.assertEqual({told[name] for name in silent}, {"malformed"})
        self.assertNotIn("rapl.package-0.energy", silent)
        doctor = json.loads(self.prony("doctor", "--json", *tree).out)
        shown = {source["channel"] for source in doctor["energy"]}
        self.assertIn("rapl.package-0.energy", shown)
        self.assertFalse(shown & silent, "the doctor promises joules of what gives none")

    def test_links_in_circles_end(self):
        tree = self.tree(hostile_trees.make_circles)
        for words in (("sensors",), ("doctor",), ("probe", "--for", "0.01s"), ("run", "--", "true")):
            before_dashes = words.index("--") if "--" in words else len(words)
            self.hold_text(self.prony(*words[:before_dashes], *tree, *words[before_dashes:], timeout=60), (0, 1))

    def test_thousands_of_zones_are_a_list_and_not_a_hang(self):
        tree = self.tree(hostile_trees.make_many, 2000)
        self.hold_text(self.prony("sensors", *tree, timeout=60))
        done = self.hold_text(self.prony("doctor", *tree, timeout=60), (0, 1))
        self.assertLess(len(done.out.splitlines()), 100, "a screen, not a list")
        summary = self.record(["sleep", "0.2"], "--interval", "100ms", *tree, timeout=100)
        self.assertEqual(sum(row["channel"].startswith("rapl.") for row in summary["energy"]), 2000)
        self.hold_text(self.prony("show", self.path("x.prony"), timeout=60))


class Words(Case):
    def test_a_slip_of_the_finger_is_answered_with_the_nearest_word(self):
        for words, near in ((("docter",), "doctor"), (("doctor", "--jsn"), "--json"), (("probe", "rappl", "--simulate", "laptop"), "rapl"),
                            (("run", "--simulate", "labtop", "--", "true"), "laptop"), (("sensors", "--sysf", "/"), "--sysfs"),
                            (("run", "--simulate", "laptop,fault=eoi", "--", "true"), "eio"), (("synth", "lama"), "llama"),
                            (("setup", "rappl"), "rapl"), (("help", "sings"), "signs")):
            with self.subTest(words=words):
                done = self.prony(*words)
                self.assertEqual(done.returncode, 125)
                self.assertRegex(done.err, f"(?i)did you mean '?{near}'?\\?")

    def test_output_that_cannot_be_written_is_125_and_no_crash(self):
        for words in (("sensors",), ("doctor",), ("probe", "self", "--for", "0.01s")):
            with self.subTest(words=words):
                with open("/dev/full", "wb") as full:
                    done = subprocess.run([program("prony"), *words], stdout=full, stderr=subprocess.PIPE, cwd=self.folder,
                                          env=self.environment(), timeout=60, check=False)
                self.assertEqual((done.returncode, b"No space left" in done.stderr), (125, True), done.stderr)
                done = self.prony(*words, preexec_fn=lambda: os.close(1))
                self.assertEqual(done.returncode, 125, done.err)

    def test_ctrl_c_ends_probe_and_doctor_and_leaves_nothing_half_written(self):
        for words in (("probe", "self", "--for", "60s"), ("doctor",)):
            with self.subTest(words=words):
                started = subprocess.Popen([program("prony"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           cwd=self.folder, env=self.environment())
                time.sleep(0.3)  # wherever it is by now, it has to end
                started.send_signal(signal.SIGINT)
                started.communicate(timeout=30)
                self.assertIn(started.returncode, (0, 1, -signal.SIGINT))
        left = [name for _, _, names in os.walk(self.folder) for name in names if not name.endswith(".json")]
        self.assertEqual(left, [])


class Passports(Case):
    WORDS = ("probe", "self", "--for", "0.05s")

    def stored(self):
        return [os.path.join(where, name) for where, _, names in os.walk(self.folder) for name in names]

    def test_many_at_once_leave_one_whole_passport(self):
        several = [subprocess.Popen([program("prony"), *self.WORDS], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                    cwd=self.folder, env=self.environment(XDG_STATE_HOME="")) for _ in range(8)]
        self.assertEqual([one.communicate(timeout=60) and one.returncode for one in several], [0] * 8)
        files = self.stored()
        self.assertEqual(len(files), 1, files)
        with open(files[0], encoding="utf-8") as file:
            json.load(file)

    def test_a_home_that_is_none_is_told_and_fails_nothing(self):
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        for home in ("", self.path("file"), "/proc/nowhere"):
            with self.subTest(home=home):
                done = self.prony(*self.WORDS, env={"XDG_STATE_HOME": home, "HOME": home})
                self.assertEqual(done.returncode, 0, done.err)
                self.assertRegex(done.out + done.err, "not kept")
                self.assertEqual(self.prony("run", "--quiet", "--out", self.path("h.prony"), "--force", "--", "true",
                                            env={"XDG_STATE_HOME": home, "HOME": home}).returncode, 0)

    @needs_root
    def test_a_disk_that_is_full_keeps_no_half_of_a_passport(self):
        with Tmpfs(self.path("full"), "size=4k") as disk:
            with open(self.path("full", "filler"), "wb") as file:
                file.write(b"x" * 4096)
            done = self.prony(*self.WORDS, env={"XDG_STATE_HOME": disk.path})
            self.assertEqual(done.returncode, 0, done.err)
            self.assertIn("No space left", done.out + done.err)
            self.assertEqual([name for _, _, names in os.walk(disk.path) for name in names], ["filler"])


if __name__ == "__main__":
    harness.main()
