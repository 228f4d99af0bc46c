"""Targets: a server beside its client, a container, a process by its number: rows that add up, in text, JSON and tables."""

import os
import re
import signal
import subprocess
import sys
import time

import harness
from harness import Case, program

# Answers each connection after some work; stops when its standard input is closed.
SERVER = """
import socketserver, sys, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        total = 0
        for i in range(1500000):
            total += i * i
        self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n%d\\n" % total)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""
CLIENT = """#!{python}
import socket
for _ in range(8):
    with socket.create_connection(("127.0.0.1", {port})) as link:
        link.sendall(b"GET / HTTP/1.0\\r\\n")
        while link.recv(4096):
            pass
"""
BURN = "import time\nend = time.time() + {seconds}\nwhile time.time() < end: pass"


def stopped(process):
    if process.stdin:
        process.stdin.close()
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


class Targets(Case):
    def start(self, *words, **options):
        process = subprocess.Popen(words, **options)
        self.addCleanup(stopped, process)
        return process

    def server(self):
        server = self.start(sys.executable, "-c", SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port = int(server.stdout.readline())
        client = self.path("client")
        with open(client, "w", encoding="utf-8") as file:
            file.write(CLIENT.format(python=sys.executable, port=port))
        os.chmod(client, 0o755)
        return port

    def watch(self, *options, **more):
        done = self.prony("run", "--out", self.path("w.prony"), "--force", "--json", self.path("w.json"), *options, **more)
        self.assertEqual(done.returncode, 0, done.err)
        return done, self.load("w.json")

    def assert_adds_up(self, summary):
        split = summary["split"]
        if "gross_j" not in split:
            return False
        parts = sum(row.get("charged_j", 0) for row in summary["targets"])
        parts += sum(split.get(name, 0) for name in ("foreign_j", "prony_j", "idle_j", "unattributed_j"))
        self.assertAlmostEqual(parts, split["gross_j"], delta=1e-6 * max(1, split["gross_j"]))
        return True

    def test_a_server_by_its_port_beside_the_client_that_asks_it(self):
        port = self.server()
        summary = self.record(["./client"], "--port", str(port))
        names = [row["name"] for row in summary["targets"]]
        self.assertEqual(names, ["command", f"port-{port}"])
        self.assertGreater(summary["targets"][1]["cpu_s"], summary["targets"][0]["cpu_s"], "the work is the server's")
        self.assertTrue(self.assert_adds_up(summary))
        for words in ("command", f"--port {port}", "others", "gross", "add up to gross"):
            self.assertIn(words, self.summary_text)
        shown = self.prony("show", self.path("x.prony"))
        self.assertEqual(shown.out.strip(), self.summary_text.strip())

    @staticmethod
    def forget(folder):
        """A group that held a process may need a moment after its end."""
        for _ in range(100):
            try:
                return os.rmdir(folder)
            except OSError:
                time.sleep(0.05)

    def test_docs_show_output_of_this_shape(self):
        with open(os.path.join(harness.ROOT, "docs/targets.md"), encoding="utf-8") as file:
            page = file.read()
        block = re.search(r"\$ prony run --port 8080 -- ./client\n(.*?)```", page, re.S)
        self.assertIsNotNone(block)
        port = self.server()
        self.record(["./client"], "--port", f"port-8080={port}", name="y")
        def shape(text):
            tables = text[text.index("\n domain"):]  # a warning stands above, where others used the machine
            rows = [line.split()[0] for line in tables.splitlines() if line.strip()]
            kept = ("target", "command", "port-8080", "others", "Prony", "gross", "targets", "split", "saved")
            return [word for word in rows if word in kept]
        self.assertEqual(shape(self.summary_text), shape(block.group(1)))

    def test_without_a_command_it_records_until_for_is_over(self):
        burner = self.start(sys.executable, "-c", BURN.format(seconds=30))
        done, summary = self.watch("--pid", f"burner={burner.pid}", "--for", "2s", "--top", "3")
        self.assertEqual(summary["kind"], "watch")
        self.assertNotIn("exit_code", summary)
        self.assertEqual([row["name"] for row in summary["targets"]], ["burner"])
        self.assertGreater(summary["targets"][0]["cpu_s"], 0)
        self.assertTrue(self.assert_adds_up(summary))
        self.assertIn(burner.pid, [row["pid"] for row in summary["processes"]])
        for row in summary["targets"]:
            followed = sum(p["charged_j"] for p in summary["processes"] if p["target"] == row["name"])
            rest = sum(u["charged_j"] for u in summary["unseen"] if u["target"] == row["name"])
            self.assertAlmostEqual(followed + rest, row["charged_j"], delta=1e-6 * max(1, row["charged_j"]))
        rows = self.table("w.prony", "processes")
        self.assertTrue(any(row.get("pid") == burner.pid for row in rows))
        self.assertIn("not seen one by one", done.err)

    def test_a_list_of_processes_and_the_callers_tree_are_targets_too(self):
        one, two, child = (self.start(sys.executable, "-c", BURN.format(seconds=30)) for _ in range(3))
        _, summary = self.watch("--pid", f"one={one.pid}", "--pid", f"two={two.pid}", "--pid", f"caller={os.getpid()}", "--for", "2s",
                                "--top", "5")
        rows = {row["name"]: row for row in summary["targets"]}
        self.assertEqual(list(rows), ["one", "two", "caller"])
        for row in rows.values():
            self.assertGreater(row["cpu_s"], 0)
        callers = [row for row in summary["processes"] if row["target"] == "caller"]
        self.assertIn(child.pid, [row["pid"] for row in callers])
        self.assertNotIn("prony", [row["name"] for row in callers], "what Prony uses is Prony's own")
        self.assertTrue(self.assert_adds_up(summary))

    def test_ctrl_c_ends_a_watch_and_keeps_it(self):
        burner = self.start(sys.executable, "-c", BURN.format(seconds=60))
        watching = self.start(program("prony"), "run", "--out", self.path("c.prony"), "--pid", str(burner.pid),
                              env=self.environment(), stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.path("c.prony-wal")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        watching.send_signal(signal.SIGINT)
        _, told = watching.communicate(timeout=60)
        self.assertEqual(watching.returncode, 0, told)
        shown = self.prony("show", self.path("c.prony"), "--json")
        self.assertEqual(shown.returncode, 0, shown.err)

    def test_all_is_every_process(self):
        self.start(sys.executable, "-c", BURN.format(seconds=30))
        _, summary = self.watch("--all", "--for", "2s")
        self.assertEqual([row["name"] for row in summary["targets"]], ["all"])
        self.assertLess(summary["cpu"].get("foreign_share", 0), 0.5)
        self.assertGreater(len(summary["processes"]), 0)
        self.assertTrue(self.assert_adds_up(summary))

    def test_idle_goes_where_the_policy_says_and_the_sum_stays(self):
        script = "import time\n" + BURN.format(seconds=1)
        self.record([sys.executable, "-c", script], "--user", f"me={os.getuid()}", "--baseline", "500ms",
                    "--simulate", "laptop", name="z")
        told = {}
        for policy in ("none", "share", "target"):
            done = self.prony("show", self.path("z.prony"), "--json", "--idle-to", policy)
            self.assertEqual(done.returncode, 0, done.err)
            summary = harness.json.loads(done.out)
            self.assertEqual(summary["idle_to"], policy)
            if not self.assert_adds_up(summary):
                self.skipTest("the simulated machine's energy could not be split in so short a window")
            told[policy] = sum(row.get("charged_j", 0) for row in summary["targets"])
        self.assertGreater(told["target"], told["none"])
        self.assertGreaterEqual(told["target"] + 1e-9, told["share"])

    def test_a_container_by_its_name_in_a_control_group_called_like_one(self):
        name = "ab" * 32
        tree = next((t for t in ("", "unified", "pids", "memory", "cpu") if os.path.exists(f"/sys/fs/cgroup/{t}/cgroup.procs")), None)
        if tree is None:
            self.skipTest("no tree of control groups is mounted here")
        folder = os.path.join("/sys/fs/cgroup", tree, f"docker-{name}.scope")
        try:
            os.mkdir(folder)
        except OSError as why:
            self.skipTest(f"no control group can be made here: {why}")
        self.addCleanup(self.forget, folder)
        burner = self.start(sys.executable, "-c", BURN.format(seconds=30))
        try:
            with open(os.path.join(folder, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write(str(burner.pid))
        except OSError as why:
            self.skipTest(f"no process can be put into it: {why}")
        _, summary = self.watch("--container", "web=" + name[:12], "--for", "2s")
        self.assertGreater(summary["targets"][0]["cpu_s"], 0)
        self.assertEqual(summary["targets"][0]["selector"], f"--container web={name[:12]}")


class Wrong(Case):
    def refused(self, *words):
        done = self.prony("run", "--out", self.path("x.prony"), *words)
        self.assertEqual(done.returncode, 125, done.err)
        self.assertFalse(os.path.exists(self.path("x.prony")), "nothing was measured, so no Run is left behind")
        return done.err

    def test_what_is_wrong_says_what_to_do(self):
        self.assertIn("prony help targets", self.refused("--for", "1s"))
        self.assertIn("--port", self.refused("--port", "http", "--for", "1s"))
        self.assertIn("none", self.refused("--pid", "1", "--idle-to", "nobody", "--for", "1s"))
        self.assertIn("timeout", self.refused("--pid", "1", "--for", "1s", "--", "true"))
        self.assertIn("a=", self.refused("--pid", "a=1", "--pid", "a=1", "--for", "1s").replace("'a'", "a="))
        self.assertIn("999999999", self.refused("--pid", "999999999", "--for", "1s"))

    def test_help_names_them_and_has_a_page(self):
        brief = self.prony("run", "--help").out
        self.assertLessEqual(len(brief.splitlines()), 40, brief)
        self.assertIn("--port", brief)
        page = self.prony("help", "targets").out
        for option in ("--pid", "--comm", "--user", "--cgroup", "--container", "--unit", "--port", "--all", "--for",
                       "--idle-to", "--top"):
            self.assertIn(option, page)


if __name__ == "__main__":
    harness.main()
