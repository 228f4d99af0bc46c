#!/usr/bin/env python3
"""The Python package: one wheel for every Python, made without a compiler of what the build made, installed in a clean virtual
environment, where its own suite passes. Where the package index cannot be reached the suite runs from the tree instead."""

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

import harness

TREE_TESTS = os.path.join(harness.ROOT, "python/tests")
COLUMNS = ["numpy", "pandas", "polars", "pyarrow"]  # what Prony's columns are handed to


def environment(**changes):
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PRONY_", "PYTHON"))}
    return {**keep, **changes}


def call(*command, timeout=300, **changes):
    """Exit code and everything printed."""
    try:
        done = subprocess.run(command, cwd=changes.pop("cwd", harness.ROOT), env=environment(**changes), timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)
    except subprocess.TimeoutExpired as late:
        return 124, f"{late.stdout}\n(over {timeout} s)"
    return done.returncode, done.stdout


def others():
    """Further CPythons ≥ 3.9 of this machine, on PATH or pyenv's, by version without the last number."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    places = [shutil.which(f"python3.{minor}") for minor in range(9, 20)]
    places += sorted(glob.glob(os.path.join(glob.escape(pyenv), "versions/3.*/bin/python3")))
    found = {}
    for python in filter(None, places):
        code, text = call(python, "-c", "import platform as p; print(p.python_implementation(), *p.python_version_tuple())")
        words = text.split()
        if code == 0 and words[0] == "CPython" and int(words[2]) >= 9 and int(words[2]) != sys.version_info.minor:
            found.setdefault(f"3.{words[2]}", python)
    return found


class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(os.path.join(harness.BUILD, "libprony-meter.so.1")):
            raise unittest.SkipTest("libprony-meter was not built")
        cls.folder = tempfile.mkdtemp(prefix="prony-wheel-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        code, text = call("cmake", "--install", harness.BUILD, "--component", "python", "--prefix", cls.at("staged"))
        assert code == 0, text
        cls.unreachable = cls.tools()

    @classmethod
    def at(cls, *names):
        return os.path.join(cls.folder, *names)

    @classmethod
    def tools(cls):
        """An environment that can make wheels; or why there is none."""
        code, text = call(sys.executable, "-m", "venv", cls.at("maker"))
        if code != 0:
            return "this Python makes no virtual environments: install python3-venv"
        code, text = call(cls.at("maker/bin/pip"), "install", "--quiet", "--no-compile", "--retries", "1",
                          "scikit-build-core>=0.10")
        return None if code == 0 else f"the package index cannot be reached: pip ended with {code}"

    def make(self):
        """The wheel's path. A compiler that is called is an error."""
        code, text = call(self.at("maker/bin/pip"), "wheel", ".", "--quiet", "--no-deps", "--no-build-isolation",
                          "--wheel-dir", self.at("dist"), "-C", f"cmake.define.PRONY_PREBUILT={self.at('staged')}",
                          "-C", f"build-dir={self.at('cmake')}", CC="/bin/false", CXX="/bin/false")
        self.assertEqual(code, 0, text)
        names = os.listdir(self.at("dist"))
        self.assertEqual(len(names), 1, names)
        return self.at("dist", names[0])

    def install(self, *words):
        """Into the clean environment, by the other one's pip: half of what it takes to make one is its pip."""
        return call(self.at("maker/bin/pip"), "--python", self.at("clean/bin/python"), "install", "--quiet", *words)

    def run_suite(self, python, **changes):
        code, text = call(python, "-m", "unittest", "discover", "-v", "-s", TREE_TESTS, cwd=self.folder, timeout=500,
                          PYTHONDONTWRITEBYTECODE="1", **changes)
        ran = re.search(r"^Ran (\d+) tests? in", text, re.M)
        self.assertTrue(code == 0 and ran, text[-12000:])
        skipped = re.findall(r"skipped ['\"](.*)['\"]", text)
        print(f"python suite: {ran.group(1)} tests, {len(skipped)} skipped {skipped}", flush=True)
        return int(ran.group(1))

    def test_one_wheel_for_every_python_is_made_without_a_compiler_and_its_suite_passes_in_a_clean_environment(self):
        if self.unreachable:
            self.skipTest(self.unreachable)
        wheel = self.make()
        self.assertRegex(os.path.basename(wheel), rf"^prony-[\d.]+-py3-none-linux_{platform.machine()}\.whl$")
        with zipfile.ZipFile(wheel) as packed:
            names = set(packed.namelist())
        for name in ("prony/py.typed", "prony/_native/libprony.so.1", "prony/_native/libprony-meter.so.1",
                     "prony/_native/prony", "prony/compat/heflwr/process_monitor.py", "prony/torch.py", "prony/tensorrt.py"):
            self.assertIn(name, names)
        self.assertEqual([n for n in names if "__pycache__" in n or n.startswith("tests")], [])
        code, text = call(sys.executable, "-m", "venv", "--without-pip", self.at("clean"))
        self.assertEqual(code, 0, text)
        code, text = self.install("--no-index", wheel)
        self.assertEqual(code, 0, text)
        code, text = call(self.at("clean/bin/prony"), "--version")
        self.assertEqual((code, re.sub(r"\s.*", "", text)[:5]), (0, "prony"), text)
        code, text = call(self.at("clean/bin/python"), "-c", "import prony; print(prony.__file__)", cwd=self.folder)
        self.assertTrue(text.startswith(self.at("clean")), text)
        self.install("--only-binary", ":all:", "--no-compile", *COLUMNS)  # where they cannot be had: skips, told
        self.assertGreater(self.run_suite(self.at("clean/bin/python")), 30)

    def test_the_suite_passes_from_the_tree_over_what_was_staged(self):
        if not self.unreachable:
            self.skipTest("it ran in a clean environment, which is more")
        self.run_suite(sys.executable, PYTHONPATH=os.path.join(harness.ROOT, "python"),
                       PRONY_LIBRARY_DIR=self.at("staged/prony/_native"))

    def test_each_other_python_that_is_here_writes_spans_and_holds_a_meter_by_the_same_files(self):
        found = others()
        if not found:
            self.skipTest("no other CPython from 3.9 on is installed here")
        for version, python in found.items():
            with self.subTest(version):
                code, text = call(python, "-m", "unittest", "-v", "test_spans",
                                  "test_meter.Meters.test_both_modes_make_a_run_of_this_program", cwd=TREE_TESTS,
                                  PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=os.path.join(harness.ROOT, "python"),
                                  PRONY_LIBRARY_DIR=self.at("staged/prony/_native"))
                self.assertTrue(code == 0 and re.search(r"^Ran [1-9]\d* tests in", text, re.M), text[-4000:])
        print(f"python suite: spans and meters also under {', '.join(found)}", flush=True)

    def test_a_folder_without_libraries_is_named_and_nothing_is_packed(self):
        if self.unreachable:
            self.skipTest(self.unreachable)
        os.mkdir(self.at("empty"))
        code, text = call(self.at("maker/bin/pip"), "wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir",
                          self.at("none"), "-C", f"cmake.define.PRONY_PREBUILT={self.at('empty')}",
                          "-C", f"build-dir={self.at('cmake2')}")
        self.assertNotEqual(code, 0)
        self.assertIn("libprony.so.1", text)


if __name__ == "__main__":
    harness.main()
