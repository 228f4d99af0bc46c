"""Surroundings that are out to break prony: closed streams, limits, readers that have gone, signals, hostile words.

What is held here for each: the command's own exit code wins, nothing that was measured is lost, nothing is left behind.
"""

import json
import os
import resource
import signal
import stat
import subprocess
import time
import unittest

import harness
from harness import Case, program


class Streams(Case):
    def run_with(self, setup, *words):
        """prony run in a child that does `setup` between fork and exec."""
        return subprocess.run([program("prony"), "run", "--out", self.path("x.prony"), *words], cwd=self.folder,
                              env=self.environment(), preexec_fn=setup, timeout=60, check=False).returncode

    def exit_code_in_run(self):
        shown = self.prony("show", self.path("x.prony"), "--json")
        self.assertEqual(shown.returncode, 0, shown.err)
        return json.loads(shown.out)["exit_code"]

    def test_closed_standard_streams_neither_end_nor_spoil_a_run(self):
        for closed in ((2,), (0, 1, 2), (1,), (0,)):
            with self.subTest(closed=closed):
                code = self.run_with(lambda closed=closed: [os.close(fd) for fd in closed], "--force", "--", "sh", "-c",
                                     "exit 5")
                self.assertEqual(code, 5)
                self.assertEqual(self.exit_code_in_run(), 5)

    def test_a_command_finds_closed_what_was_closed(self):
        code = self.run_with(lambda: os.close(2), "--", "sh", "-c", "[ ! -e /proc/self/fd/2 ] && exit 6")
        self.assertEqual(code, 6)

    def test_a_reader_that_has_gone_does_not_change_the_exit_code(self):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([program("prony"), "run", "--out", self.path("x.prony"), "--", "sh", "-c", "exit 9"],
                              stderr=write, stdout=write, cwd=self.folder, env=self.environment(), timeout=60, check=False)
        os.close(write)
        self.assertEqual(done.returncode, 9)
        self.assertEqual(self.exit_code_in_run(), 9)

    def test_the_command_still_dies_of_a_broken_pipe_as_it_would_alone(self):
        done = self.prony("run", "--quiet", "--", "sh", "-c", "kill -PIPE $$; exit 3")
        self.assertEqual(done.returncode, 128 + signal.SIGPIPE)

    def test_a_limit_on_file_sizes_is_said_before_the_command_starts_and_leaves_nothing(self):
        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

        done = self.prony("run", "--out", self.path("x.prony"), "--", "touch", self.path("started"), preexec_fn=limited)
        self.assertEqual(done.returncode, 125)
        self.assertIn("File too large", done.err)
        self.assertEqual(os.listdir(self.folder), [])


class Places(Case):
    def test_a_pipe_is_never_replaced_by_a_run_or_a_model(self):
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        for words in (("run", "--force", "--out", pipe, "--", "true"),
                      ("synth", "llama", "--params", "160k", "--force", "-o", pipe)):
            done = self.prony(*words)
            self.assertEqual(done.returncode, 125)
            self.assertIn("this is no regular file", done.err)
        self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))

    def test_a_run_is_not_overwritten_for_a_command_that_does_not_exist(self):
        self.record(["true"])
        for command, code in (("no-such-program", 127), ("/etc/passwd", 126)):
            done = self.prony("run", "--force", "--out", self.path("x.prony"), "--", command)
            self.assertEqual(done.returncode, code, done.err)
            self.assertEqual(self.prony("show", self.path("x.prony")).returncode, 0)

    def test_many_at_once_in_one_folder_get_a_file_each(self):
        several = [subprocess.Popen([program("prony"), "run", "--quiet", "--", "true"], cwd=self.folder,
                                    env=self.environment()) for _ in range(12)]
        self.assertEqual([one.wait(60) for one in several], [0] * 12)
        files = os.listdir(self.path("runs"))
        self.assertEqual(len(files), 12, files)
        self.assertTrue(all(name.endswith(".prony") for name in files), files)


class Words(Case):
    def test_numbers_that_are_none_or_out_of_range_are_refused_by_name(self):
        for option, word in (("--temperature", "nan"), ("--temperature", "-1"), ("--threads", "-1"), ("--top-p", "7"),
                             ("--max-tokens", "1e400"), ("--repeat", "0"), ("--ctx", "99999999999")):
            with self.subTest(option=option, word=word):
                done = self.prony("llm", "--model", "none.gguf", option, word)
                self.assertEqual(done.returncode, 125)
                self.assertIn(option, done.err)
                self.assertLess(len(done.err), 200)  # no limit in 309 digits

    def test_each_help_fits_a_screen_and_ends_with_two_examples(self):
        for name in ("run", "llm", "sensors", "probe", "doctor", "setup", "show", "export", "synth", "help", "baseline",
                     "calibrate", "attach", "monitor", "compare", "import", "study", "quality", "inspect", "layers"):
            lines = self.prony(name, "--help").out.rstrip().splitlines()
            self.assertLessEqual(len(lines), 40, name)
            self.assertLessEqual(max(map(len, lines)), 100, name)
            self.assertEqual(lines[-3], "Examples:", name)


class Ends(Case):
    def test_a_command_that_was_killed_has_no_exit_code_of_success(self):
        summary = self.record(["sh", "-c", "kill -ABRT $$"], code=128 + signal.SIGABRT)
        self.assertEqual((summary["exit_code"], summary["exit_signal"]), (128 + signal.SIGABRT, signal.SIGABRT))
        self.assertIn("killed by signal 6", self.summary_text)

    def test_how_a_worker_ended_is_not_made_up_when_it_is_not_known(self):
        with open(self.path("none.gguf"), "wb") as file:
            file.write(b"GGUF")
        done = self.prony("llm", "--model", "none.gguf", "--json", self.path("x.json"))
        self.assertEqual(done.returncode, 125)
        if program("prony-engine-llama"):
            self.assertNotIn("exit_code", self.load("x.json"))


class Memory(Case):
    @unittest.skipIf(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 64 << 30, "this machine may hold it")
    def test_a_context_that_no_memory_holds_is_refused_before_it_is_tried(self):  # the kernel would kill, and whom?
        if program("prony-engine-llama") is None:
            self.skipTest("prony-engine-llama was not built (no libllama)")
        made = self.prony("synth", "llama", "--params", "15M", "-o", "m.gguf")
        self.assertEqual(made.returncode, 0, made.err)
        done = self.prony("llm", "--model", "m.gguf", "--ctx", "999999999")
        self.assertEqual(done.returncode, 125)
        self.assertIn("this machine has", done.err)


class Stopped(Case):
    def test_a_command_that_stops_itself_is_waited_for_until_it_goes_on(self):
        one = subprocess.Popen([program("prony"), "run", "--quiet", "--out", self.path("x.prony"), "--", "sh", "-c",
                                f"echo $$ > {self.path('pid')}; kill -STOP $$; exit 4"], cwd=self.folder,
                               env=self.environment())
        while not (os.path.exists(self.path("pid")) and os.path.getsize(self.path("pid"))):
            time.sleep(0.02)
        with open(self.path("pid"), encoding="ascii") as file:
            pid = int(file.read())
        while True:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "T":
                    break
            time.sleep(0.02)
        self.assertIsNone(one.poll())
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(one.wait(60), 4)


if __name__ == "__main__":
    harness.main()
