"""The libraries as a user has them: installed, found by CMake and pkg-config, and every program of docs/library.md run.

usage: test_library.py BUILD_DIR
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import ROOT, Case


# Measures itself, and starts another program meanwhile, by fork and exec.
PARENT = r"""
#include <prony/meter.h>
#include <prony/prony.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  prony_meter_options options = {.struct_size = sizeof options, .out = argv[2], .simulate = "laptop",
                                 .flags = PRONY_METER_ENVIRONMENT};
  options.mode = strcmp(argv[1], "process") == 0 ? PRONY_METER_PROCESS : PRONY_METER_THREAD;
  prony_meter* meter = NULL;
  if (prony_meter_open(&options, &meter) != 0 || prony_meter_start(meter) != 0) {
    fprintf(stderr, "%s\n", prony_last_error());
    return 1;
  }
  prony_span span = prony_span_begin(PRONY_USER, "of the parent", 0);
  pid_t child = fork();
  if (child == 0) {
    execl(argv[3], argv[3], (char*)NULL);
    _exit(127);
  }
  int status = -1;
  if (waitpid(child, &status, 0) != child || status != 0) return 3;
  prony_span_end(span, PRONY_OK);
  if (prony_meter_stop(meter) != 0) {
    fprintf(stderr, "%s\n", prony_last_error());
    return 4;
  }
  return prony_meter_close(meter);
}
"""


def have(*programs):
    return all(shutil.which(p) for p in programs)


class Installed(Case):
    """One installation for all tests, into a folder that is moved afterwards: nothing in it may know where it was."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="prony-install-")
        cls.addClassCleanup(shutil.rmtree, cls.scratch, True)
        if not os.path.exists(os.path.join(harness.BUILD, "libprony-meter.so.1")):
            raise unittest.SkipTest("libprony-meter was not built")
        first, cls.installed = os.path.join(cls.scratch, "first"), os.path.join(cls.scratch, "prefix")
        for component in ("program", "library"):  # the engines need not be built
            done = subprocess.run(["cmake", "--install", harness.BUILD, "--prefix", first, "--component", component],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(done.stdout + done.stderr)
        os.rename(first, cls.installed)
        libraries = subprocess.run(["find", cls.installed, "-name", "libprony.so.1"], capture_output=True, text=True, check=True)
        cls.libdir = os.path.dirname(libraries.stdout.split()[0])

    def call(self, *words, **more):
        env = self.environment(PKG_CONFIG_PATH=os.path.join(self.libdir, "pkgconfig"), LD_LIBRARY_PATH=self.libdir,
                               XDG_STATE_HOME=self.folder, **more)
        done = subprocess.run(words, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def flags(self, package):
        return self.call("pkg-config", "--cflags", "--libs", package).split()

    def test_a_project_that_finds_the_package_builds_and_measures_itself(self):
        self.call("cmake", "-S", os.path.join(ROOT, "examples/consumer"), "-B", "build", f"-DCMAKE_PREFIX_PATH={self.installed}")
        self.call("cmake", "--build", "build")
        out = self.call(self.path("build/measured"), self.path("self.prony"), "laptop")
        self.assertGreater(int(re.search(r"^ticks (\d+)$", out, re.M).group(1)), 3, out)
        self.assertRegex(out, r"(?m)^\S+ +target +program +\d")
        shown = self.prony("show", "--json", self.path("self.prony"))
        self.assertEqual(shown.returncode, 0, shown.err)
        # The same numbers as the command line's.
        for row in json.loads(shown.out)["energy"]:
            if "gross_j" in row:
                self.assertIn(f"{row['gross_j']:.3f} J", out)

    def test_openmp_threads_write_spans_inside_the_loops_span(self):
        self.call("cmake", "-S", os.path.join(ROOT, "examples/consumer"), "-B", "build", f"-DCMAKE_PREFIX_PATH={self.installed}")
        self.call("cmake", "--build", "build", "--target", "threads")
        if "gomp" not in self.call("ldd", self.path("build/threads")):
            self.skipTest("the compiler here has no OpenMP")
        done = self.prony("run", "--out", self.path("x.prony"), "--", self.path("build/threads"),
                          env={"LD_LIBRARY_PATH": self.libdir})
        self.assertEqual(done.returncode, 0, done.err)
        spans = {row["name"]: row for row in self.table("x.prony", "spans")}
        parts = [row for name, row in spans.items() if name.startswith("part-")]
        self.assertEqual(len(parts), 8)
        self.assertEqual({row["parent"] for row in parts}, {spans["loop"]["id"]})
        self.assertGreater(len({row["thread"] for row in parts}), 1)

    def test_a_program_that_the_measured_one_starts_writes_spans_into_its_run_in_both_modes(self):
        if not have("cc", "pkg-config"):
            self.skipTest("no compiler or pkg-config here")
        with open(os.path.join(ROOT, "examples/spans.c"), encoding="utf-8") as file:
            example = file.read()
        for name, text, package in (("parent", PARENT, "prony-meter"), ("child", example, "prony")):
            with open(self.path(f"{name}.c"), "w", encoding="utf-8") as file:
                file.write(text)
            self.call("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", self.path(f"{name}.c"), "-o", self.path(name), *self.flags(package))
        for mode in ("thread", "process"):
            self.call(self.path("parent"), mode, self.path(f"{mode}.prony"), self.path("child"),
                      PATH=os.path.join(self.installed, "bin") + ":" + os.environ["PATH"])
            spans = {row.get("name"): row for row in self.table(f"{mode}.prony", "spans")}
            for name in ("load", "request-1", "request-3"):
                self.assertIn(name, spans, mode)
            self.assertEqual(spans["request-3"]["output_tokens"], 3)
            self.assertNotEqual(spans["request-3"]["pid"], spans["of the parent"]["pid"])

    def test_every_program_of_the_page_builds_without_a_warning_and_runs(self):
        if not have("cc", "c++", "pkg-config"):
            self.skipTest("no compiler or pkg-config here")
        with open(os.path.join(ROOT, "docs/library.md"), encoding="utf-8") as page:
            blocks = re.findall(r"^```(c|cpp)\n(.*?)^```", page.read(), re.M | re.S)
        self.assertEqual(len(blocks), 4)
        for number, (language, text) in enumerate(blocks):
            source, program = self.path(f"{number}.{language}"), self.path(f"program-{number}")
            with open(source, "w", encoding="utf-8") as file:
                file.write(text)
            compiler = ["cc", "-std=c11"] if language == "c" else ["c++", "-std=c++17", "-pthread"]
            self.call(*compiler, "-Wall", "-Wextra", "-Werror", source, "-o", program, *self.flags("prony-meter"))
            out = self.call(program, *([self.path("part.prony")] if "prony_run_open" in text else []))
            if "prony_summary_headline" in text:
                self.assertRegex(out, r"^\d+\.\d\d J \(")
            if "prony_run_readings" in text:
                self.assertRegex(out, r"(?m): [1-9]\d* readings in J$")

    def test_pyarrow_takes_the_tables_over(self):
        try:
            import pyarrow
        except ImportError:
            self.skipTest("pyarrow is not installed")
        library = ctypes.CDLL(os.path.join(self.libdir, "libprony-meter.so.1"))
        run = ctypes.c_void_p()
        shutil.copy(os.path.join(ROOT, "tests/runs/v3.prony"), self.path("kept.prony"))
        self.assertEqual(library.prony_run_open(self.path("kept.prony").encode(), ctypes.byref(run)), 0)
        for name in ("samples", "spans", "charges", "channels", "parties"):
            schema, array = ctypes.create_string_buffer(72), ctypes.create_string_buffer(80)
            self.assertEqual(library.prony_run_table(run, name.encode(), schema, array), 0)
            batch = pyarrow.RecordBatch._import_from_c(ctypes.addressof(array), ctypes.addressof(schema))
            batch.validate(full=True)
            self.assertEqual(batch.num_rows, len(self.table("kept.prony", name)) if name != "parties" else batch.num_rows)
        stream = ctypes.create_string_buffer(40)
        channel = batch.column("channel")[0].as_py()
        library.prony_run_readings.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64,
                                               ctypes.c_void_p]
        self.assertEqual(library.prony_run_readings(run, channel.encode(), -2**63, 2**63 - 1, stream), 0)
        readings = pyarrow.RecordBatchReader._import_from_c(ctypes.addressof(stream)).read_all()
        readings.validate(full=True)
        self.assertGreater(readings.num_rows, 0)
        library.prony_run_close(run)


if __name__ == "__main__":
    harness.main()
