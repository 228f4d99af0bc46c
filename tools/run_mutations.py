#!/usr/bin/env python3
"""Plants each bug of tests/bugs/*.patch in a copy of the sources and sees that the tests it names turn red.

usage: run_mutations.py [NAME…]      all, or those whose file name contains one of the words
The copy is build/mutations/source, its build (unoptimised, kept between runs) build/mutations/build. First the tests that
the patches name must be green without a bug; then, patch by patch: apply, build the one test program it names, run the
tests it names, take it back. A patch that does not apply or build, names no test that there is, or leaves its tests green
is a failure. Exits 1 if there is one. What a patch looks like: tests/bugs/README.md.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATCHES = os.path.join(ROOT, "tests/bugs")
PLACE = os.path.join(ROOT, "build/mutations")
SOURCE = os.path.join(PLACE, "source")
BUILD = os.path.join(PLACE, "build")
COPIED = ["CMakeLists.txt", "cmake", "engines", "examples", "include", "src", "tests"]
JOBS = str(os.cpu_count() or 2)
BUILD_TIMEOUT_S = 900  # the first build, on a machine that others use too
TEST_TIMEOUT_S = 60
# No optimiser: a bug is built in seconds. No -Werror: a bug may leave a name unused, which is not what is asked here.
CONFIGURE = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -g0", "-DPRONY_WERROR=OFF",
             "-DPRONY_ENGINE_LLAMA=OFF"]


class Failure(Exception):
    """What is wrong with a patch, or with the tests without one; the text is for a person."""


class Patch:
    """A bug: its name, why it is on the list, what it changes, and the tests that must see it."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as file:
            text = file.read()
        head = text.split("\n--- ", 1)[0]
        self.why = " ".join(" ".join(re.findall(r"^Why: (.*(?:\n  .*)*)", head, re.M)).split())
        self.reds = [tuple(line.split(None, 1)) for line in re.findall(r"^Red: (\S+ \S+)$", head, re.M)]
        self.files = re.findall(r"^\+\+\+ b/(\S+)", text, re.M)
        if not self.why or not self.reds or not self.files:
            raise Failure("wants 'Why: …' and 'Red: PROGRAM TESTS' above a diff with a/ and b/")

    def apply(self):
        run(["git", "apply", "--unidiff-zero", "-p1", self.path], "the patch does not apply: has the code moved on?", cwd=SOURCE,
            env={"GIT_CEILING_DIRECTORIES": PLACE})

    def take_back(self):
        for name in self.files:
            copy_file(os.path.join(ROOT, name), os.path.join(SOURCE, name))


def run(command, complaint, timeout=BUILD_TIMEOUT_S, cwd=ROOT, env=None):
    """What it printed. Raises Failure with the end of that when it does not exit 0."""
    environment = {**os.environ, "CCACHE_BASEDIR": SOURCE, "CCACHE_NOHASHDIR": "1", **(env or {})}
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{complaint} (over {timeout} s)") from late
    if done.returncode != 0:
        raise Failure(complaint + "\n" + "\n".join(done.stdout.rstrip().splitlines()[-30:]))
    return done.stdout


def copy_file(original, copy):
    """Writes only where the bytes differ, with a new time: so what was mutated, here or in a broken-off run, is rebuilt."""
    with open(original, "rb") as file:
        wanted = file.read()
    try:
        with open(copy, "rb") as file:
            if file.read() == wanted:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(copy), exist_ok=True)
    with open(copy, "wb") as file:
        file.write(wanted)
    shutil.copymode(original, copy)


def copy_sources():
    wanted = set()
    for top in COPIED:
        path = os.path.join(ROOT, top)
        if os.path.isfile(path):
            wanted.add(top)
        for where, folders, files in os.walk(path):
            folders[:] = [f for f in folders if f != "__pycache__"]
            wanted.update(os.path.relpath(os.path.join(where, f), ROOT) for f in files)
    for where, _, files in os.walk(SOURCE):
        for file in files:  # a source that is gone must not be built any more
            if os.path.relpath(os.path.join(where, file), SOURCE) not in wanted:
                os.remove(os.path.join(where, file))
    for name in wanted:
        if os.path.exists(os.path.join(ROOT, name)):  # not a dangling link of a captured machine
            copy_file(os.path.join(ROOT, name), os.path.join(SOURCE, name))


def build(targets):
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        run(["cmake", "-S", SOURCE, "-B", BUILD, *CONFIGURE], "the copy cannot be configured")
    run(["cmake", "--build", BUILD, "-j", JOBS, "--target", *targets], "it does not build")


def run_tests(program, tests):
    """→ (exit code, how many ran, the names of those that failed)."""
    path = os.path.join(BUILD, "tests", program)
    try:
        done = subprocess.run([path, f"--gtest_filter={tests}"], cwd=PLACE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TEST_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return 124, 1, [f"{program} hung"]
    ran = re.search(r"Running (\d+) tests?", done.stdout)
    failed = re.findall(r"^\[  FAILED  \] (\S+?)(?:,| \()", done.stdout, re.M)
    return done.returncode, int(ran.group(1)) if ran else 0, sorted(set(failed))


def must_be_green(patches):
    """Without a bug every test that is named is there and passes; else red would say nothing."""
    build(sorted({program for patch in patches for program, _ in patch.reds}))
    for program, tests in sorted({red for patch in patches for red in patch.reds}):
        code, ran, failed = run_tests(program, tests)
        if ran == 0:
            raise Failure(f"{program} has no test {tests}")
        if code != 0 and run_tests(program, tests)[0] != 0:  # not by chance
            raise Failure(f"{program} {tests} fails without any bug: {', '.join(failed) or f'it ended with {code}'}")


def must_be_red(patch):
    """→ the tests that saw the bug."""
    seen = []
    try:
        patch.apply()
        build(sorted({program for program, _ in patch.reds}))
        for program, tests in patch.reds:
            code, _, failed = run_tests(program, tests)
            if code == 0:
                raise Failure(f"{program} {tests} stays green: the bug would go unseen")
            seen += failed or [f"{program} (ended with {code})"]
    finally:
        patch.take_back()
    return seen


def results(words=()):
    """Yields (name, passed, text): first of the tests without a bug, then of each patch."""
    patches = []
    for path in sorted(glob.glob(os.path.join(PATCHES, "*.patch"))):
        if words and not any(word in os.path.basename(path) for word in words):
            continue
        try:
            patches.append(Patch(path))
        except Failure as failure:
            yield os.path.basename(path), False, str(failure)
    if not patches:
        yield "tests/bugs", False, "no such patch"
        return
    try:
        copy_sources()
        must_be_green(patches)
    except Failure as failure:
        yield "without a bug", False, str(failure)
        return
    yield "without a bug", True, "every test that a patch names is green"
    for patch in patches:
        begin = time.monotonic()
        try:
            seen = must_be_red(patch)
            yield patch.name, True, f"red in {time.monotonic() - begin:.0f} s: {', '.join(seen)}"
        except Failure as failure:
            yield patch.name, False, str(failure)


def main():
    begin = time.monotonic()
    bad = count = 0
    for name, passed, text in results(sys.argv[1:]):
        print(f"{'ok    ' if passed else 'FAILED'} {name}: {text}", flush=True)
        count += 1
        bad += not passed
    print(f"{count - bad} of {count} as they should be, {time.monotonic() - begin:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
