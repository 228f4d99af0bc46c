"""`prony run --pid N --until-exit`: the end of a process that is not Prony's child ends the recording, and is told.

usage: test_until_exit.py BUILD_DIR
"""

import os
import re
import signal
import subprocess
import unittest

import harness
from harness import Case


class UntilExit(Case):
    def watch(self, shell, end=None):
        """Watches a shell program to its end (`end` does something to it once Prony measures); the summary."""
        watched = subprocess.Popen(["sh", "-c", shell], stdin=subprocess.PIPE)
        self.addCleanup(watched.stdin.close)
        self.addCleanup(watched.wait)
        self.addCleanup(watched.kill)
        ready, tells = os.pipe()
        env = self.environment(PRONY_READY_FD=str(tells))
        prony = subprocess.Popen([harness.program("prony"), "run", "--simulate", "laptop", "--pid", f"it={watched.pid}", "--until-exit",
                                  "--quiet", "--out", self.path("x.prony"), "--json", self.path("x.json")], pass_fds=[tells],
                                 env=env, cwd=self.folder, stderr=subprocess.PIPE)
        self.addCleanup(prony.stderr.close)
        self.addCleanup(prony.kill)
        os.close(tells)
        with os.fdopen(ready) as told:
            lines = told.read().split("\n")
        self.assertEqual(lines[0], self.path("x.prony"))
        self.assertTrue(lines[1].endswith(".spans"), lines)
        if end:
            end(watched)
        else:
            watched.stdin.write(b"go\n")
            watched.stdin.flush()
        self.assertEqual(prony.wait(timeout=60), 0, prony.stderr.read())
        return self.load("x.json")

    def ended(self, summary):
        return [event["text"] for event in summary["events"] if event["kind"] == "target-ended"]

    def test_its_exit_code_is_told(self):
        summary = self.watch("read line; exit 3")
        self.assertEqual(summary["exit_code"], 3)
        self.assertNotIn("exit_signal", summary)
        self.assertEqual(self.ended(summary), ["exit code 3"])

    def test_an_end_that_was_well_is_told_too(self):
        self.assertEqual(self.watch("read line; exit 0")["exit_code"], 0)

    def test_the_signal_that_killed_it_is_told(self):
        summary = self.watch("read line", lambda watched: os.kill(watched.pid, signal.SIGKILL))
        self.assertEqual(summary["exit_signal"], 9)
        self.assertEqual(summary["exit_code"], 137)
        self.assertEqual(self.ended(summary), ["killed by signal 9 (SIGKILL)"])
        text = self.prony("show", "x.prony").out
        self.assertIn("it: killed by signal 9 (SIGKILL) at ", text)
        self.assertIn("· killed by signal 9 ·", text)

    def test_one_that_its_parent_has_reaped_at_once_is_told_where_the_kernel_keeps_it(self):
        # The parent waits already when it ends: who reads first is chance, and both ways must tell the same.
        summary = self.watch("sh -c 'read line; exit 5'; exit $?", lambda w: (w.stdin.write(b"x\n"), w.stdin.flush(), w.wait()))
        kernel = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
        if kernel < (6, 15) and "exit_code" not in summary:
            self.assertEqual(self.ended(summary), ["it ended; how, nobody could tell (Linux 6.15 tells all users)"])
            self.skipTest("this kernel forgets how a process ended when it is reaped; Prony came second")
        self.assertEqual(self.ended(summary), ["exit code 5"])
        self.assertEqual(summary["exit_code"], 5)

    def test_without_a_process_to_wait_for_it_is_refused(self):
        for words in (["--until-exit", "--", "true"], ["--port", "1", "--until-exit"]):
            done = self.prony("run", *words)
            self.assertEqual(done.returncode, 125)
            self.assertIn("--until-exit", done.err)
        gone = subprocess.Popen(["true"])
        gone.wait()
        done = self.prony("run", "--pid", str(gone.pid), "--until-exit")
        self.assertEqual(done.returncode, 125)
        self.assertIn("cannot be watched", done.err)


if __name__ == "__main__":
    harness.main()
