"""What the suites share: a scratch folder that is removed, simulated machines, skips with their reason.

Run with the package installed, or from the tree: PYTHONPATH=python PRONY_LIBRARY_DIR=build/dev python3 -m unittest discover
-s python/tests.
"""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import prony


def until_memory_is_told(monitor):
    """What belongs to a program is looked for beside the sampling: on a busy machine that takes a while."""
    deadline = time.monotonic() + 60
    while not any(monitor.stats()["memory_usage"]) and time.monotonic() < deadline:
        time.sleep(0.1)


class Case(unittest.TestCase):
    """A scratch folder per test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="prony-python-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, name="x.prony"):
        return os.path.join(self.folder, name)

    def meter(self, file="x.prony", **options):
        return prony.Meter(self.path(file), **{"simulate": "laptop", **options})

    def python(self, text, *arguments, code=0, **changes):
        """Runs a program in an interpreter of its own; gives what it wrote to both streams together."""
        path = self.path("program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        home = os.path.dirname(os.path.dirname(os.path.abspath(prony.__file__)))
        environment = {**os.environ, "PYTHONPATH": home, **changes}
        done = subprocess.run([sys.executable, "-X", "dev", path, *arguments], capture_output=True, text=True, timeout=120,
                              cwd=self.folder, env=environment, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def library(self, name):
        """A library that Prony hands columns to; the test is skipped where it is not installed."""
        try:
            return importlib.import_module(name)
        except ImportError:
            self.skipTest(f"{name} is not installed")
