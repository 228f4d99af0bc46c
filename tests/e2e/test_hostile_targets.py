"""Selectors as somebody would write them who is out to break prony: numbers that are none, names with quotes and newlines,
hundreds of targets, targets that overlap, fork, end, or may not be looked at.

What is held for each: an error says what to do and leaves no Run behind; what could be measured is kept, closes, and can
be read again; what could not be seen is said.
"""

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import harness
from harness import Case, needs_root, program

NOBODY = 65534
STORM = """
import os, sys
sys.stdin.readline()
for _ in range({count}):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
print("done", flush=True)
sys.stdin.readline()
"""


class HostileTargets(Case):
    def start(self, *words, **options):
        process = subprocess.Popen(words, **options)

        def stop():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()

        self.addCleanup(stop)
        return process

    def watch(self, *options, **more):
        """A watch that must work: (text, summary); law 1 held."""
        done = self.prony("run", "--out", self.path("w.prony"), "--force", "--json", self.path("w.json"), *options, **more)
        self.assertEqual(done.returncode, 0, done.err)
        summary = self.load("w.json")
        if any("ledger" in row for row in summary["energy"]):
            self.assert_charges_close("w.prony")
        return done.err, summary

    def refused(self, *words):
        done = self.prony("run", "--out", self.path("x.prony"), *words, timeout=30)
        self.assertEqual(done.returncode, 125, (words, done.err))
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("x.prony")], [], words)
        self.assertLess(len(done.err), 600, words)
        self.assert_printable(done.err)
        return done.err

    def assert_printable(self, text):
        for letter in text:
            self.assertTrue(letter == "\n" or letter.isprintable(), (letter, text))

    def said(self, summary, subject):
        return [row for row in summary["unavailable"] if row["name"] == subject]

    def test_numbers_that_are_none_are_refused_by_name(self):
        for word in ("-1", "0", "1.5", "1e3", "0x10", "", " ", "99999999999999999999", "nan", "a=", "=1", "a=b=1"):
            for option in ("--pid", "--port"):
                with self.subTest(option=option, word=word):
                    self.assertIn(option, self.refused(option, word, "--for", "1s"))
        for word in ("99999", "65536"):
            self.assertIn("port", self.refused("--port", word, "--for", "1s"))

    def test_lengths_that_are_none_are_refused_by_name(self):
        for word in ("0", "0s", "-1s", "5", "1 s", "", "9999999999h", "s", "nan"):
            with self.subTest(word=word):
                self.assertIn("for", self.refused("--all", "--for", word))

    def test_the_first_process_can_be_followed_with_its_tree(self):
        _, summary = self.watch("--pid", "1", "--for", "1s")
        self.assertEqual([row["name"] for row in summary["targets"]], ["pid-1"])

    def test_a_port_where_nobody_listens_is_said_and_may_be_taken_later(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
        _, summary = self.watch("--port", f"late={port}", "--for", "1s")
        told = self.said(summary, "target.late")
        self.assertEqual(len(told), 1, summary["unavailable"])
        self.assertIn(str(port), told[0]["reason"])
        script = ("import socket,sys,time\ntime.sleep(1)\ns=socket.socket()\n"
                  f"s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\ns.bind(('127.0.0.1',{port}))\ns.listen()\n"
                  "end=time.time()+20\nwhile time.time()<end: pass")
        self.start(sys.executable, "-c", script)
        _, summary = self.watch("--port", f"late={port}", "--for", "6s")
        self.assertEqual(self.said(summary, "target.late"), [])
        self.assertGreater(summary["targets"][0]["cpu_s"], 0.1)
        self.assertIn(("target-appeared", "late"), [(row["kind"], row["subject"]) for row in summary["events"]])

    def test_names_with_quotes_newlines_and_escapes_neither_reach_the_terminal_nor_break_what_is_written(self):
        for name in ('we"b', "we'b; rm -rf /", "web\nweb", "\x1b[31mred\x07", "../../etc", "näme-€", "a" * 4000, "\ud800".encode(
                "utf-8", "surrogatepass"), b"\xff\xfe", "%s%n", "*", "-"):
            for option in ("--container", "--comm", "--unit", "--cgroup", "--user"):
                with self.subTest(option=option, name=name):
                    done = self.prony("run", "--out", self.path("n.prony"), "--force", "--json", self.path("n.json"), option, name,
                                      "--for", "10ms")
                    self.assertIn(done.returncode, (0, 125))
                    self.assert_printable(done.err)
                    if done.returncode == 0:
                        targets = self.load("n.json")["targets"]  # valid JSON, valid UTF-8
                        self.assertRegex(targets[0]["name"], r"^[A-Za-z0-9._@-]+$")
                        self.assertEqual(self.prony("export", self.path("n.prony"), "--format", "csv", "--table", "samples")
                                         .returncode, 0)

    def test_a_slip_of_the_finger_is_answered_at_once_and_in_the_run(self):
        self.start("sleep", "60")
        text, summary = self.watch("--comm", "near=slepe", "--for", "1s")
        self.assertTrue(text.startswith("prony: so far no process was there that --comm near=slepe names\n"), text)
        for told in (text.split("\n\n")[0], self.said(summary, "target.near")[0]["remedy"]):
            self.assertIn("'sleep'", told)
        text, _ = self.watch("--comm", "slepe", "--for", "1s", "--quiet")
        self.assertEqual(text, "")
        text = self.refused("--pid", "sleep", "--for", "1s")
        self.assertIn("--comm sleep", text)
        text, _ = self.watch("--comm", "weird=a\x1b[2J\nb", "--for", "1s")
        self.assert_printable(text)
        self.assertTrue(text.startswith("prony: so far no process was there that --comm weird=a\ufffd[2J\ufffdb names\n"), text)
        done = threading.Event()
        thread = threading.Thread(target=done.wait)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(done.set)
        self.assertIn(f"is a thread of process {os.getpid()}", self.refused("--pid", str(thread.native_id), "--for", "1s"))

    def test_more_targets_than_there_may_be_are_refused_and_as_many_as_may_be_work(self):
        many = [word for number in range(100) for word in ("--comm", f"t{number}=nobody-{number}")]
        self.assertIn("64", self.refused(*many, "--for", "1s"))
        _, summary = self.watch(*many[:128], "--for", "1s")
        self.assertEqual(len(summary["targets"]), 64)

    def test_targets_that_overlap_are_charged_once_and_the_first_has_it(self):
        burner = self.start(sys.executable, "-c", "while True: pass")
        _, summary = self.watch("--pid", f"one={burner.pid}", "--pid", f"two={burner.pid}", "--user", f"three={os.getuid()}",
                                "--all", "--for", "2s")
        rows = {row["name"]: row for row in summary["targets"]}
        self.assertEqual(list(rows), ["one", "two", "three", "all"])
        self.assertGreater(rows["one"]["cpu_s"], 0.1)
        self.assertEqual(rows["two"].get("cpu_s", 0), 0)

    def test_the_measured_command_belongs_to_no_target_that_names_it_too(self):
        summary = self.record([sys.executable, "-c", "import time\nend = time.time() + 1\nwhile time.time() < end: pass"],
                              "--user", f"me={os.getuid()}", "--all")
        rows = {row["name"]: row for row in summary["targets"]}
        self.assertEqual(list(rows), ["command", "me", "all"])
        self.assertGreater(rows["command"]["cpu_s"], 0.1)
        commands = [row for row in summary["processes"] if row["target"] == "command"]
        self.assertGreater(sum(row["cpu_s"] for row in commands), 0.1, summary["processes"])

    def test_a_target_inside_another_is_told_to_be_the_others_and_has_no_joules_of_its_own(self):
        burner = self.start(sys.executable, "-c", "while True: pass")
        text, summary = self.watch("--pid", f"outer={os.getpid()}", "--pid", f"inner={burner.pid}", "--for", "1s")
        self.assertIn("is of 'outer' already", text)
        self.assertNotIn("near it", text)
        rows = {row["name"]: row for row in summary["targets"]}
        self.assertGreater(rows["outer"]["charged_j"], 0)
        for key in ("charged_j", "cpu_s", "share", "mean_w"):
            self.assertNotIn(key, rows["inner"], "0 would say that it used nothing")
        self.assertEqual(len(self.said(summary, "target.inner")), 1)

    def test_a_process_that_has_ended_and_that_nobody_waits_for_is_no_target(self):
        parent = self.start(sys.executable, "-c", "import os,time\nif os.fork() == 0: os._exit(0)\ntime.sleep(60)")
        deadline = time.monotonic() + 30
        zombie = ""
        while not zombie and time.monotonic() < deadline:
            with open(f"/proc/{parent.pid}/task/{parent.pid}/children", encoding="ascii") as file:
                zombie = file.read().strip()
        while "(zombie)" not in self.status_of(zombie) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertIn("has ended", self.refused("--pid", zombie, "--for", "1s"))

    @staticmethod
    def status_of(pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return file.read()

    def test_a_target_that_is_killed_is_gone_also_while_its_parent_does_not_wait_for_it(self):
        victim = self.start("sh", "-c", "while :; do :; done")
        timer = threading.Timer(1.5, victim.kill)
        timer.start()
        self.addCleanup(timer.cancel)
        _, summary = self.watch("--pid", f"victim={victim.pid}", "--for", "3s")
        if self.said(summary, "target.short_lived"):
            self.skipTest("the kernel tells this user no ends of processes")
        self.assertIn(("target-gone", "victim"), [(row["kind"], row["subject"]) for row in summary["events"]])

    def test_in_a_window_of_milliseconds_nobody_is_charged_less_than_nothing(self):
        summary = self.record(["true"], "--all", "--top", "50")
        for row in summary["targets"]:
            for part in row["energy"]:
                self.assertGreaterEqual(part.get("charged_low_j", 0), 0, part)
        for row in summary["energy"]:
            for key, value in row.get("ledger", {}).items():
                if key.endswith("_low_j"):
                    self.assertGreaterEqual(value, -1e-9, (row["channel"], key))
        for row in summary.get("processes", []):
            self.assertGreaterEqual(row["charged_low_j"], 0, row)

    def test_a_command_that_ends_soon_goes_by_its_own_name_on_every_rung(self):
        """Until it is released it is a copy of Prony, and so it is called."""
        for rung in ("cgroup", "exit-events", "subreaper", "polling"):
            with self.subTest(rung=rung):
                kept = self.path(f"{rung}.prony")
                done = self.prony("run", "--quiet", "--all", "--tree", rung, "--baseline", "300ms", "--out", kept, "--", "sleep", "0.8")
                if done.returncode != 0:
                    self.skipTest(done.err.strip())
                table = self.prony("export", kept, "--format", "csv", "--table", "processes").out
                names = [row["name"] for row in csv.DictReader(io.StringIO(table)) if row["target"] == "command" and row["pid"]]
                self.assertEqual(names, ["sleep"])

    def test_one_name_for_two_targets_is_refused(self):
        self.assertIn("a", self.refused("--comm", "a=x", "--comm", "a=y", "--for", "1s"))
        self.refused("--comm", "command=x", "--for", "1s")

    def test_nothing_to_follow_and_no_command_is_refused(self):
        self.refused("--for", "1s")
        self.refused()

    @needs_root
    def test_an_ordinary_user_may_follow_everybody(self):
        os.chown(self.folder, NOBODY, NOBODY)
        _, summary = self.watch("--all", "--for", "1s", user=NOBODY, group=NOBODY, extra_groups=[])
        self.assertGreater(summary["targets"][0]["processes"], 1)
        self.assertTrue(self.said(summary, "target.short_lived"), summary["unavailable"])

    @needs_root
    def test_a_port_whose_owner_an_ordinary_user_may_not_ask_is_said(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            port = server.getsockname()[1]
            os.chown(self.folder, NOBODY, NOBODY)
            _, summary = self.watch("--port", f"web={port}", "--for", "1s", user=NOBODY, group=NOBODY, extra_groups=[])
        told = self.said(summary, "target.web")
        self.assertEqual(len(told), 1, summary["unavailable"])
        self.assertIn("somebody listens", told[0]["reason"])
        self.assertNotIn("charged_j", summary["targets"][0], "what it used is among the others'")

    def test_a_target_that_forks_thousands_of_times_is_counted_and_ends(self):
        count = 5000
        storm = self.start(sys.executable, "-c", STORM.format(count=count), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        watching = self.start(program("prony"), "run", "--out", self.path("w.prony"), "--json", self.path("w.json"), "--pid",
                              f"storm={storm.pid}", "--top", "5", env=self.environment(), cwd=self.folder, stderr=subprocess.PIPE,
                              text=True)
        self.wait_for_recording(watching)
        storm.stdin.write("go\n")
        storm.stdin.flush()
        self.assertEqual(storm.stdout.readline(), "done\n")
        with open(f"/proc/{storm.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        true_s = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its own and its children's
        with open(f"/proc/{watching.pid}/status", encoding="ascii") as file:
            peak_kb = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
        watching.send_signal(signal.SIGINT)
        _, told = watching.communicate(timeout=60)
        self.assertEqual(watching.returncode, 0, told)
        cpu_s = self.load("w.json")["targets"][0]["cpu_s"]
        print(f"{count} births: {cpu_s:.2f} of {true_s:.2f} CPU s, prony's memory at most {peak_kb} KiB")
        self.assertLess(abs(cpu_s / true_s - 1), 0.15)  # the truth itself is kept in ticks of 10 ms
        self.assertLess(peak_kb, 150_000)

    def wait_for_recording(self, watching):
        deadline = time.monotonic() + 60
        while not os.path.exists(self.path("w.prony-wal")) and time.monotonic() < deadline and watching.poll() is None:
            time.sleep(0.02)
        time.sleep(0.5)

    def test_kill_9_leaves_a_run_that_can_be_read_and_no_process(self):
        watching = self.start(program("prony"), "run", "--out", self.path("w.prony"), "--all", env=self.environment(),
                              cwd=self.folder, stderr=subprocess.DEVNULL, start_new_session=True)
        self.wait_for_recording(watching)
        time.sleep(2)
        watching.kill()
        watching.wait()
        shown = self.prony("show", self.path("w.prony"), "--json")
        self.assertEqual(shown.returncode, 0, shown.err)
        self.assertEqual([row["name"] for row in json.loads(shown.out)["targets"]], ["all"])
        left = [pid for pid in os.listdir("/proc") if pid.isdigit() and self.session_of(pid) == watching.pid]
        self.assertEqual(left, [])

    def session_of(self, pid):
        try:
            return os.getsid(int(pid))
        except OSError:
            return 0

    def test_every_signal_that_asks_it_to_end_ends_a_watch_well(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number):
                watching = self.start(program("prony"), "run", "--out", self.path("w.prony"), "--force", "--pid", str(os.getpid()),
                                      env=self.environment(), cwd=self.folder, stderr=subprocess.PIPE, text=True)
                self.wait_for_recording(watching)
                watching.send_signal(number)
                _, told = watching.communicate(timeout=60)
                self.assertIn(watching.returncode, (0, 128 + number), told)
                self.assertEqual(self.prony("show", self.path("w.prony")).returncode, 0)
                os.remove(self.path("w.prony"))

    def test_a_captured_tree_has_its_own_processes_and_none_of_this_machines(self):
        proc = self.path("proc")
        os.makedirs(os.path.join(proc, "4711"))
        for name, text in {"stat": "cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 10 0 10 100 0 0 0 0 0 0\n", "loadavg": "0 0 0 1/1 4711\n",
                           "4711/stat": "4711 (server) S 1 0 0 0 0 0 0 0 0 0 5 5 0 0 20 0 1 0 100 0 0\n",
                           "4711/cmdline": "server\0", "4711/cgroup": "0::/\n", "4711/statm": "100 10 1 1 0 1 0\n",
                           "4711/status": "Name:\tserver\nUid:\t0\t0\t0\t0\n"}.items():
            with open(os.path.join(proc, name), "w", encoding="utf-8") as file:
                file.write(text)
        _, summary = self.watch("--procfs", proc, "--comm", "server", "--for", "1s")
        self.assertEqual(summary["targets"][0].get("processes", 1), 1)
        done = self.prony("run", "--out", self.path("x.prony"), "--procfs", proc, "--pid", str(os.getpid()), "--for", "1s")
        self.assertEqual(done.returncode, 125, "this test is no process of the other machine")
        os.makedirs(self.path("empty"))
        done = self.prony("run", "--out", self.path("x.prony"), "--procfs", self.path("empty"), "--all", "--for", "1s")
        self.assertIn(done.returncode, (0, 125))
        self.assert_printable(done.err)


if __name__ == "__main__":
    harness.main()
