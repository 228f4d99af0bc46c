"""`prony run`: the command is untouched, its exit code is its own, and what was recorded can be read again."""

import contextlib
import glob
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

import harness
from harness import Case, needs_root, program


class ExitCodes(Case):
    def code(self, *command):
        return self.prony("run", "--out", self.path("x.prony"), "--force", "--", *command).returncode

    def test_the_exit_code_is_the_commands_own(self):
        for code in (0, 1, 7, 125, 255):
            self.assertEqual(self.code("sh", "-c", f"exit {code}"), code)

    def test_a_killed_command_gives_128_and_the_signals_number(self):
        self.assertEqual(self.code("sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM)
        self.assertEqual(self.code("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL)

    def test_not_found_is_127_and_not_executable_126(self):
        self.assertEqual(self.code("no-such-program-here"), 127)
        with open(self.path("plain"), "w", encoding="utf-8") as file:
            file.write("not a program")
        self.assertEqual(self.code(self.path("plain")), 126)
        self.assertFalse(os.path.exists(self.path("x.prony")), "nothing ran, so no Run is left behind")

    def test_bad_usage_is_125_and_says_what_was_meant(self):
        done = self.prony("run", "--intervall", "10ms", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--interval", done.err)
        self.assertEqual(self.prony("run", "--interval", "10", "--", "true").returncode, 125)
        self.assertEqual(self.prony("run").returncode, 125)


class Untouched(Case):
    def test_stdin_stdout_and_stderr_are_the_commands(self):
        data = os.urandom(1 << 20)
        done = self.prony("run", "--quiet", "--out", self.path("x.prony"), "--", "sh", "-c", "cat; echo said >&2", input=data)
        self.assertEqual(done.stdout, data)
        self.assertEqual(done.stderr, b"said\n")

    def test_the_summary_goes_to_stderr(self):
        done = self.prony("run", "--out", self.path("x.prony"), "--", "echo", "out")
        self.assertEqual(done.stdout, b"out\n")
        self.assertIn("exit 0", done.err)

    def test_the_command_sees_no_stray_descriptors_and_the_old_signal_mask(self):
        listing = "import os,signal; print(sorted(os.listdir('/proc/self/fd')), signal.pthread_sigmask(0, []), " \
                  "[signal.getsignal(s) for s in (2, 3, 13, 15, 17)])"
        bare = subprocess.run([sys.executable, "-c", listing], capture_output=True, stdin=subprocess.DEVNULL,
                              env=self.environment(), check=True).stdout
        done = self.prony("run", "--quiet", "--out", self.path("x.prony"), "--", sys.executable, "-c", listing)
        self.assertEqual(done.stdout, bare)

    def test_the_command_has_the_limit_of_open_files_that_the_shell_outside_has(self):
        for soft in (256, 1024):
            limited = f"ulimit -Sn {soft}; exec {program('prony')} run --quiet --out {self.path('x.prony')} --force -- sh -c 'ulimit -Sn; ulimit -Hn'"
            done = subprocess.run(["sh", "-c", limited], capture_output=True, env=self.environment(), check=True)
            hard = subprocess.run(["sh", "-c", "ulimit -Hn"], capture_output=True, check=True).stdout.split()[0]
            self.assertEqual(done.stdout.split(), [str(soft).encode(), hard])

    def test_arguments_after_the_dashes_are_not_pronys(self):
        done = self.prony("run", "--quiet", "--out", self.path("x.prony"), "--", "echo", "--json", "--", "--help")
        self.assertEqual(done.stdout, b"--json -- --help\n")


class Interrupts(Case):
    def in_terminal(self, words, keys=b"", wait_for=b"ready", env=None):
        """Runs prony on a terminal of its own; types `keys` once `wait_for` was printed. → (status, everything shown)."""
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(program("prony"), ["prony", *words], self.environment(TERM="xterm", **(env or {})))
        shown = b""
        typed = not keys
        end = time.monotonic() + 60
        while time.monotonic() < end:
            ready, _, _ = select.select([master], [], [], 0.1)
            if ready:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    break
                if not data:
                    break
                shown += data
            if not typed and wait_for in shown:
                os.write(master, keys)
                typed = True
        os.close(master)  # a terminal that has gone is SIGHUP for whoever is still there
        deadline = time.monotonic() + 10
        status = None
        while status is None and time.monotonic() < deadline:
            done, code = os.waitpid(pid, os.WNOHANG)
            status = code if done else None
            time.sleep(0.01)
        if status is None:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.fail(f"prony {words} did not end; shown so far: {shown!r}")
        return os.waitstatus_to_exitcode(status), shown

    def test_ctrl_c_reaches_the_command_which_decides(self):
        script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done"
        code, shown = self.in_terminal(["run", "--out", self.path("x.prony"), "--", "sh", "-c", script], b"\x03")
        self.assertIn(b"caught", shown)
        self.assertEqual(code, 5)
        self.assertEqual(self.prony("show", self.path("x.prony")).returncode, 0)

    def test_sigterm_to_prony_reaches_the_command(self):
        script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
        child = subprocess.Popen([program("prony"), "run", "--out", self.path("x.prony"), "--", "sh", "-c", script],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment())
        child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(30), 9)
        child.stdout.close()

    def test_a_long_run_shows_a_live_line_on_a_terminal_and_leaves_none_behind(self):
        _, shown = self.in_terminal(["run", "--out", self.path("x.prony"), "--", "sleep", "2.5"])
        self.assertIn(b"\r", shown.replace(b"\r\n", b"\n"))

    def test_no_colour_is_no_colour(self):
        words = ["run", "--out", self.path("x.prony"), "--force", "--", "true"]
        _, shown = self.in_terminal(words, env={"NO_COLOR": "1"})
        self.assertIsNone(re.search(rb"\x1b\[[0-9;]*m", shown))

    def test_narrow_terminals_are_respected(self):
        for width in (60, 80):
            _, shown = self.in_terminal(["run", "--out", self.path("x.prony"), "--force", "--", "true"],
                                        env={"COLUMNS": str(width), "NO_COLOR": "1"})
            for line in shown.decode().replace("\r", "").splitlines():
                if self.folder not in line:  # a path is never cut: it is there to be copied
                    self.assertLessEqual(len(line), width, line)


class Files(Case):
    def test_the_default_place_is_runs_with_time_and_name(self):
        self.assertEqual(self.prony("run", "--", "true").returncode, 0)
        names = os.listdir(self.path("runs"))
        self.assertEqual(len(names), 1)
        self.assertRegex(names[0], r"^\d{8}T\d{6}-true\.prony$")

    def test_a_run_is_never_overwritten_without_force(self):
        words = ["run", "--out", self.path("x.prony"), "--", "touch", self.path("ran")]
        self.assertEqual(self.prony(*words).returncode, 0)
        os.remove(self.path("ran"))
        done = self.prony(*words)
        self.assertEqual(done.returncode, 125)
        self.assertFalse(os.path.exists(self.path("ran")), "said before the command starts")
        self.assertIn("--force", done.err)
        self.assertEqual(self.prony("run", "--force", *words[1:]).returncode, 0)

    def test_json_has_the_promised_names_and_nothing_that_is_not_finite(self):
        summary = self.record(["sh", "-c", "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done"])
        for key in ("schema", "wall_s", "exit_code", "process", "energy", "requests", "sampler", "unavailable"):
            self.assertIn(key, summary)
        for key in ("cpu_user_s", "cpu_system_s", "rss_peak_bytes"):
            self.assertIn(key, summary["process"])
        for key in ("ticks", "missed", "cpu_s"):
            self.assertIn(key, summary["sampler"])
        self.assertTrue(summary["energy"])
        for row in summary["energy"]:
            for key in ("channel", "domain", "origin", "scope", "resolvable"):
                self.assertIn(key, row)
            if "gross_j" in row:
                self.assertLessEqual(row["low_j"], row["gross_j"])
                self.assertLessEqual(row["gross_j"], row["high_j"])
                self.assertIn(row["kind"], ("bound", "interval(0.95)", "range"))
            if row["origin"] == "modelled" and "gross_j" in row:
                self.assertEqual(row["kind"], "range")
        for absent in summary["unavailable"]:
            self.assertTrue(absent["reason"])

    def test_show_prints_the_same_bytes_as_the_end_of_the_run(self):
        self.record(["sh", "-c", "sleep 0.3"])
        shown = self.prony("show", self.path("x.prony"))
        self.assertEqual(shown.returncode, 0)
        self.assertEqual(shown.out, self.summary_text)
        self.assertEqual(self.prony("show", self.path("x.prony")).stdout, shown.stdout)

    def test_every_table_exports_in_both_formats(self):
        self.record(["sleep", "0.2"])
        for table in ("samples", "spans", "charges", "channels", "requests"):
            csv = self.prony("export", self.path("x.prony"), "--format", "csv", "--table", table)
            self.assertEqual(csv.returncode, 0, csv.err)
            self.assertTrue(csv.out.splitlines(), table)
            self.table("x.prony", table)
        near = self.prony("export", self.path("x.prony"), "--table", "sampels")
        self.assertEqual(near.returncode, 125)
        self.assertIn("samples", near.err)

    def test_charges_add_up_to_what_each_channel_recorded(self):
        self.record(["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"], "--baseline", "300ms")
        self.assert_charges_close("x.prony")

    def test_csv_writes_samples_with_units(self):
        self.record(["sleep", "0.2"], "--csv", self.path("csv"))
        with open(self.path("csv", "samples.csv"), encoding="utf-8") as file:
            head = file.readline()
            self.assertGreater(len(file.readlines()), 5)
        self.assertRegex(head, r"_ns")

    def test_settings_say_where_each_value_came_from(self):
        with open(self.path("c.toml"), "w", encoding="utf-8") as file:
            file.write('interval = "20ms"\nquiet = true\n')
        self.record(["true"], "--config", self.path("c.toml"), "--tag", "board=pi5", env={"PRONY_SENSORS": "cpu,memory"})
        shown = self.prony("show", self.path("x.prony"), "--settings").out
        for word, origin in (("interval", "file"), ("sensors", "environment"), ("tag", "flag"), ("baseline", "default")):
            self.assertRegex(shown, rf"(?m)^.*\b{word}\b.*\b{origin}\b", word)
        self.record(["true"], "--config", self.path("c.toml"), "--interval", "30ms", "--force")
        self.assertRegex(self.prony("show", self.path("x.prony"), "--settings").out, r"(?m)^.*interval.*30ms.*flag")

    def test_what_is_no_run_is_named(self):
        with open(self.path("no.prony"), "wb") as file:
            file.write(b"not a run")
        for path in (self.path("no.prony"), self.path("absent.prony")):
            done = self.prony("show", path)
            self.assertEqual(done.returncode, 125)
            self.assertIn(os.path.basename(path), done.err)


class Death(Case):
    def start(self, *options, seconds="6"):
        child = subprocess.Popen(
            [program("prony"), "run", "--quiet", "--out", self.path("x.prony"), *options, "--", "sh", "-c",
             f"echo $$; exec sleep {seconds}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment(), cwd=self.folder)
        pid = int(child.stdout.readline())
        return child, pid

    def alive(self, pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def test_killed_in_mid_run_the_file_opens_and_at_most_the_last_second_is_missing(self):
        child, pid = self.start()
        time.sleep(2.5)
        killed_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        child.kill()
        child.wait()
        try:
            self.assertTrue(self.alive(pid), "the command goes on undisturbed")
            shown = self.prony("show", self.path("x.prony"))
            self.assertEqual(shown.returncode, 0, shown.err)
            self.assertIn("interrupted", shown.out)
            rows = self.table("x.prony", "samples")
            last = max(row["begin_ns"] for row in rows)
            self.assertGreater(last, killed_ns - 1_000_000_000)
            self.assert_charges_close("x.prony")
        finally:
            if self.alive(pid):
                os.kill(pid, signal.SIGKILL)
            child.stdout.close()

    # Kills: a ring that is emptied at the end alone, or no more often than blocks of ticks come at such an interval.
    def test_a_command_that_begins_late_to_say_what_it_does_loses_no_span_of_a_ring_and_a_half(self):
        found = sorted(glob.glob(os.path.join(harness.BUILD, "libprony.so*")))
        if not found:
            self.skipTest("libprony.so was not built")
        says = ("import ctypes, sys, time\ntime.sleep(1.3)\nlib = ctypes.CDLL(sys.argv[1])\n"
                "lib.prony_span_begin.restype = ctypes.c_uint64\n"
                "lib.prony_span_begin.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64]\n"
                "lib.prony_span_end.argtypes = [ctypes.c_uint64, ctypes.c_int]\n"
                "if lib.prony_open(None) != 0: sys.exit('nobody records')\n"
                "for round in range(3):\n"
                "    for n in range(4000): lib.prony_span_end(lib.prony_span_begin(2, b'r', 0), 0)\n"
                "    time.sleep(1)\n"
                "lib.prony_close()\n")
        self.record([sys.executable, "-c", says, found[0]], "--interval", "60s")
        with contextlib.closing(sqlite3.connect(self.path("x.prony"))) as run:
            self.assertEqual(run.execute("SELECT value FROM meta WHERE key = 'spans_lost'").fetchone()[0], "0")
            self.assertEqual(run.execute("SELECT count(*) FROM span WHERE name = 'r'").fetchone()[0], 12000)

    def test_die_with_prony_ends_the_tree(self):
        child, pid = self.start("--die-with-prony", seconds="60")
        time.sleep(0.5)
        child.kill()
        child.wait()
        child.stdout.close()
        end = time.monotonic() + 20
        while self.alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        gone = not self.alive(pid)
        if not gone:
            os.kill(pid, signal.SIGKILL)
        self.assertTrue(gone)


class Disks(Case):
    @needs_root
    def test_a_read_only_disk_is_said_before_the_command_starts(self):
        for size in ("16m", "1m"):  # the small one has less room than a Run needs, too: that is not what is wrong with it
            with self.subTest(size), harness.Tmpfs(self.path("ro"), f"size={size}") as disk:
                disk.remount_read_only()
                done = self.prony("run", "--out", self.path("ro", "x.prony"), "--", "touch", self.path("ran"))
                self.assertEqual(done.returncode, 125)
                self.assertFalse(os.path.exists(self.path("ran")))
                self.assertIn("read-only", done.err.lower())

    @needs_root
    def test_a_full_disk_is_said_before_the_command_starts(self):
        with harness.Tmpfs(self.path("small"), "size=64k") as _:
            done = self.prony("run", "--out", self.path("small", "x.prony"), "--", "touch", self.path("ran"))
        self.assertEqual(done.returncode, 125)
        self.assertFalse(os.path.exists(self.path("ran")))
        self.assertRegex(done.err.lower(), "space|full")

    @needs_root
    def test_a_disk_that_fills_in_mid_run_stops_the_recording_and_not_the_command(self):
        with harness.Tmpfs(self.path("small"), "size=24m") as _:
            script = f"sleep 1; cat /dev/zero > {self.path('small', 'fill')} 2>/dev/null; sleep 3; touch {self.path('end')}; exit 7"
            done = self.prony("run", "--interval", "1ms", "--out", self.path("small", "x.prony"), "--", "sh", "-c", script)
            self.assertEqual(done.returncode, 7, done.err)
            self.assertTrue(os.path.exists(self.path("end")))
            self.assertRegex(done.err.lower(), "space|full")
            os.remove(self.path("small", "fill"))
            shown = self.prony("show", "--json", self.path("small", "x.prony"))
            self.assertEqual(shown.returncode, 0, shown.err)
            self.assertEqual(json.loads(shown.out)["state"], "interrupted")
            self.assertGreater(len(self.table("small/x.prony", "samples")), 100, "what was recorded before is kept")
            self.assert_charges_close("small/x.prony")


class OrdinaryUser(Case):
    @needs_root
    def test_an_ordinary_user_gets_a_result_too(self):
        with harness.Tmpfs(self.path("home"), "size=256m,mode=0777") as home:
            os.chmod(home.path, 0o777)
            binary = os.path.join(home.path, "prony")
            with open(program("prony"), "rb") as source, open(binary, "wb") as copy:
                copy.write(source.read())
            os.chmod(binary, 0o755)
            done = subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary, "run", "--out",
                 os.path.join(home.path, "x.prony"), "--json", os.path.join(home.path, "x.json"), "--", "sh", "-c",
                 "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"],
                capture_output=True, cwd=home.path, env=self.environment(HOME=home.path), check=False)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            summary = self.load("home/x.json")
            self.assertGreater(summary["process"]["cpu_user_s"], 0)
            self.assertTrue(summary["energy"])


if __name__ == "__main__":
    harness.main()
