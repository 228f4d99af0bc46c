"""What the end-to-end suites share: running the built prony, its exports, scratch folders, the FUSE rig.

Each suite is a unittest program: `python3 test_x.py BUILD_DIR`. Nothing here asserts a timing.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

# A shell that starts a job in the background has it ignore Ctrl-C, and what ignores it hands that on: a test that types
# Ctrl-C must not inherit it.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../rigs"))
import rig as rigs  # noqa: E402

ROOT = os.path.abspath(os.path.join(HERE, "../.."))
BUILD = os.path.join(ROOT, "build/dev")


def program(name):
    """A built program, wherever the build put it; None if it was not built."""
    for folder in ("", "rigs", "engines/llama"):
        path = os.path.join(BUILD, folder, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


class Case(unittest.TestCase):
    """A scratch folder per test, and prony run in it with a plain environment."""

    prefix = ()  # words before prony: a program that gives it other surroundings

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="prony-e2e-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def environment(self, **changes):
        keep = {k: v for k, v in os.environ.items() if not k.startswith("PRONY_") and k not in ("COLUMNS", "NO_COLOR")}
        return {**keep, "HOME": self.folder, "COLUMNS": "100", **changes}

    def prony(self, *words, env=None, timeout=120, **options):
        """Runs prony to its end; bytes in and out. Text is at .out and .err."""
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        done = subprocess.run([*self.prefix, program("prony"), *words], capture_output=True, cwd=self.folder, timeout=timeout,
                              env=self.environment(**(env or {})), check=False, **options)
        done.out = done.stdout.decode(errors="replace")
        done.err = done.stderr.decode(errors="replace")
        return done

    def record(self, command, *options, name="x", code=0, **more):
        """`prony run` of a command; gives its summary as JSON. The Run lies at self.path(name + ".prony")."""
        done = self.prony("run", "--out", self.path(name + ".prony"), "--json", self.path(name + ".json"), *options, "--",
                          *command, **more)
        self.assertEqual(done.returncode, code, done.err)
        self.summary_text = done.err
        summary = self.load(name + ".json")
        if any("ledger" in row for row in summary["energy"]):
            self.assert_charges_close(name + ".prony")  # law 1, on every Run that a suite records
        return summary

    def load(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return json.load(file)

    def table(self, run, table):
        """A table of a Run as a list of dicts."""
        done = self.prony("export", self.path(run), "--format", "jsonl", "--table", table)
        self.assertEqual(done.returncode, 0, done.err)
        return [json.loads(line) for line in done.out.splitlines()]

    def assert_charges_close(self, run):
        """Law 1: the charges of every channel add up to what the channel recorded, to rounding."""
        summary = json.loads(self.prony("show", self.path(run), "--json").out)
        ledgers = {e["channel"]: e["ledger"] for e in summary["energy"] if "ledger" in e}
        self.assertTrue(ledgers)
        recorded = {channel: ledger.get("recorded_j", 0) for channel, ledger in ledgers.items()}  # absent: never read
        sums = dict.fromkeys(recorded, 0.0)
        for row in self.table(run, "charges"):
            sums[row["channel"]] += row["charged_j"]
        for channel, total in recorded.items():
            self.assertLessEqual(abs(sums[channel] - total), 1e-6 * max(1.0, abs(total)), channel)
        return recorded


def needs_root(test):
    return unittest.skipUnless(os.geteuid() == 0, "needs root (a mount, or another user)")(test)


class RigCase(Case):
    """A test on the FUSE tree; skipped with the reason where none can be mounted."""

    def mount(self, *options):
        reason = rigs.why_no_fuse()
        if not program("fakesysfs"):
            reason = "the FUSE rig was not built (libfuse3-dev)"
        if reason:
            self.skipTest(reason)
        rig = rigs.Rig(program("fakesysfs"), options)
        self.addCleanup(rig.close)
        return rig


class Tmpfs:
    """A small file system of its own: `with Tmpfs(path, "size=1m"):`. Needs root."""

    def __init__(self, path, options):
        self.path = path
        self.options = options
        os.makedirs(path, exist_ok=True)

    def __enter__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", self.path.encode(), b"tmpfs", 0, self.options.encode()) != 0:
            raise unittest.SkipTest(f"tmpfs cannot be mounted here: {os.strerror(ctypes.get_errno())}")
        os.chmod(self.path, 0o755)
        return self

    def remount_read_only(self):
        ctypes.CDLL(None).mount(b"tmpfs", self.path.encode(), b"tmpfs", 1 | 32, self.options.encode())

    def __exit__(self, *_):
        ctypes.CDLL(None).umount2(self.path.encode(), 2)


def energy(summary, channel):
    for row in summary["energy"]:
        if row["channel"] == channel:
            return row
    raise AssertionError(f"no {channel} among {[r['channel'] for r in summary['energy']]}")


def main():
    global BUILD
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        BUILD = os.path.abspath(sys.argv.pop(1))
    if program("prony") is None:
        sys.exit(f"there is no prony in {BUILD}: build it first")
    unittest.main(module="__main__", verbosity=2)
