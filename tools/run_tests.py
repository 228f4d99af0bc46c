#!/usr/bin/env python3
"""Builds and runs every test there is, stage by stage, and closes with "N passed, N failed, N skipped".

A stage that cannot run here counts as skipped with its reason, never as passed; a build that fails counts as failed.
usage: run_tests.py [--stages a,b,…] [--fuzz-seconds N] [--keep-going is the default]
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

import run_mutations
from stage_folder import StageFolder

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = str(os.cpu_count() or 2)
TSAN_PARTS = ["client", "sampler", "store", "process"]


class Tally:
    """Counts, and what to say about those that did not pass."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.remarks = []

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def fail(self, what):
        self.failed += 1
        self.remarks.append(f"FAILED  {what}")
        print(f"FAILED  {what}", flush=True)

    def skip(self, what):
        self.skipped += 1
        self.remarks.append(f"skipped {what}")
        print(f"skipped {what}", flush=True)


def run(command, timeout=None, **options):
    """Exit code and everything printed, shown as it is when it fails."""
    environment = {**os.environ, "CCACHE_BASEDIR": ROOT, "CCACHE_NOHASHDIR": "1", **options.pop("env", {})}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, text=True, errors="replace", check=False, **options)
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
        return 124, (out.decode(errors="replace") if isinstance(out, bytes) else out) + f"\n(over {timeout} s)"
    return done.returncode, done.stdout


def show_end(text, lines=60):
    print("\n".join(text.rstrip().splitlines()[-lines:]), flush=True)


def build(tally, folder, configure, targets=()):
    """Configures once, then builds. False when it failed (and is counted)."""
    path = os.path.join(ROOT, "build", folder)
    if not os.path.exists(os.path.join(path, "build.ninja")):
        code, text = run(["cmake", *configure, "-B", path, "-S", ROOT])
        if code != 0:
            show_end(text)
            tally.fail(f"{folder}: configure")
            return False
    command = ["cmake", "--build", path, "-j", JOBS]
    if targets:
        command += ["--target", *targets]
    code, text = run(command)
    if code != 0:
        show_end(text, 100)
        tally.fail(f"{folder}: build")
        return False
    return True


# --- ways to count ---------------------------------------------------------------------------------------------------

def run_ctest(tally, folder):
    path = os.path.join(ROOT, "build", folder)
    report = os.path.join(path, "ctest.xml")
    if os.path.exists(report):
        os.remove(report)
    _, text = run(["ctest", "--test-dir", path, "-j", JOBS, "--output-on-failure", "--output-junit", report])
    if not os.path.exists(report):
        show_end(text)
        tally.fail(f"{folder}: ctest wrote no report")
        return
    for case in xml.parse(report).getroot().iter("testcase"):
        name = case.get("name")
        if case.find("failure") is not None or case.get("status") == "fail":
            out = case.findtext("system-out") or ""
            show_end(out, 40)
            tally.fail(f"{folder}: {name}")
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            tally.skip(f"{folder}: {name}: {skip_reason(case.findtext('system-out') or '')}")
        else:
            tally.add(passed=1)


def skip_reason(text):
    """The line that GTEST_SKIP printed: the one after "Skipped", or before the verdict."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.endswith("Skipped") and number + 1 < len(lines):
            return lines[number + 1]
    return "says no reason"


def run_gtest(tally, stage, program, prefix=(), env=None, timeout=600):
    """One test program as a whole, counted by its own JSON report."""
    report = program + ".json"
    if os.path.exists(report):
        os.remove(report)
    code, text = run([*prefix, program, f"--gtest_output=json:{report}"], timeout=timeout, env=env or {})
    name = os.path.basename(program)
    try:
        with open(report, encoding="utf-8") as file:
            suites = json.load(file)["testsuites"]
    except (OSError, ValueError):
        show_end(text)
        tally.fail(f"{stage}: {name} ended with {code} and left no report")
        return
    failed = 0
    for suite in suites:
        for case in suite["testsuite"]:
            if case.get("failures"):
                failed += 1
                tally.fail(f"{stage}: {suite['name']}.{case['name']}")
                for failure in case["failures"]:
                    show_end(failure.get("failure", ""), lines=12)
            elif case.get("result") == "SKIPPED" or case.get("status") == "NOTRUN":
                reason = (case.get("skipped") or [{}])[0].get("message", "").strip().splitlines()
                tally.skip(f"{stage}: {suite['name']}.{case['name']}" + (f": {reason[-1]}" if reason else ""))
            else:
                tally.add(passed=1)
    if failed or code != 0:
        show_end(text)
    if code != 0 and not failed:
        tally.fail(f"{stage}: {name} ended with {code} (a sanitizer's complaint, or a crash at the end)")


def run_unittest(tally, stage, command, timeout=1200):
    """A Python unittest program, counted by its closing lines; 77 = cannot run here."""
    code, text = run([sys.executable, *command], timeout=timeout)
    if code == 77:
        tally.skip(f"{stage}: {text.strip().splitlines()[-1] if text.strip() else command[0]}")
        return
    ran = re.search(r"^Ran (\d+) tests? in", text, re.M)
    end = text[ran.end():] if ran else ""
    counts = {key: int(number) for key, number in re.findall(r"(failures|errors|skipped)=(\d+)", end)}
    bad = counts.get("failures", 0) + counts.get("errors", 0)
    for name, reason in re.findall(r"^(\S+) \(.*?\)(?:\n.*?)? \.\.\. skipped ['\"](.*)['\"]$", text, re.M):
        tally.remarks.append(f"skipped {stage}: {name}: {reason}")
    tally.add(skipped=counts.get("skipped", 0))
    if not ran or (code != 0 and bad == 0):
        show_end(text)
        tally.fail(f"{stage}: {command[0]} ended with {code}")
        return
    tally.add(passed=int(ran.group(1)) - bad - counts.get("skipped", 0))
    if bad:
        show_end(text, 120)
        for name in re.findall(r"^(?:FAIL|ERROR): (\S+)", text, re.M)[:bad]:
            tally.fail(f"{stage}: {name}")


def run_check(tally, stage, command):
    """A script that is one test: it passes when it exits 0."""
    code, text = run(command)
    if code == 0:
        tally.add(passed=1)
    else:
        show_end(text)
        tally.fail(f"{stage}: {os.path.basename(command[1] if len(command) > 1 else command[0])}")


def test_programs(folder, parts=None):
    where = os.path.join(ROOT, "build", folder, "tests")
    names = [f"test_{p}" for p in parts] if parts else sorted(os.listdir(where))
    paths = [os.path.join(where, n) for n in names]
    return [p for p in paths if os.path.basename(p).startswith("test_") and os.path.isfile(p) and os.access(p, os.X_OK)
            and not p.endswith(".json")]


# --- stages ----------------------------------------------------------------------------------------------------------

def stage_house(tally, _options):
    run_unittest(tally, "house", ["tests/house/test_house.py"])
    run_check(tally, "house", [sys.executable, "tests/house/check_layers.py"])
    run_check(tally, "house", [sys.executable, "tests/house/check_house.py"])
    run_unittest(tally, "house", ["tests/house/test_setup.py"])
    run_unittest(tally, "house", ["tests/house/test_container_page.py"])


def stage_format(tally, _options):
    tool = shutil.which("clang-format-19")
    if not tool:
        tally.skip("format: clang-format-19 is not installed")
        return
    _, listing = run(["git", "ls-files", "*.cpp", "*.hpp", "*.c", "*.h"])
    run_check(tally, "format", [tool, "--dry-run", "-Werror", *listing.split()])


def stage_tidy(tally, _options):
    tool = shutil.which("run-clang-tidy-19")
    if not tool:
        tally.skip("tidy: clang-tidy-19 is not installed")
        return
    if build(tally, "dev", ["--preset", "dev"]):
        run_check(tally, "tidy", [tool, "-quiet", "-p", "build/dev", "src/.*\\.cpp"])


def set_up_llama(tally):
    """The engine's libraries; a machine that cannot have them tests the rest."""
    code, text = run(["sh", "tools/setup-llama.sh"])
    if code != 0:
        show_end(text, 6)
        tally.skip("llama engine: its libraries cannot be had here (see above)")
    return code == 0


def stage_unit(tally, _options):
    set_up_llama(tally)
    if build(tally, "dev", ["--preset", "dev"]):
        run_ctest(tally, "dev")


def stage_rigs(tally, _options):
    program = os.path.join(ROOT, "build/dev/rigs/fakesysfs")
    if not build(tally, "dev", ["--preset", "dev"]):
        return
    if os.path.exists(program):
        run_unittest(tally, "rigs", ["tests/rigs/test_fakesysfs.py", program])
    else:
        tally.skip("rigs: libfuse3-dev is not installed, so the FUSE rig was not built")


def stage_e2e(tally, _options):
    if not build(tally, "dev", ["--preset", "dev"]):
        return
    code, text = run(["sh", "tools/setup-prometheus.sh"], timeout=300)
    if code != 0:  # its test says that it is skipped, and is counted so
        show_end(text, 6)
    suites = sorted(f for f in os.listdir(os.path.join(ROOT, "tests/e2e")) if re.match(r"test_.*\.py$", f))
    for suite in suites:
        run_unittest(tally, "e2e", [f"tests/e2e/{suite}", os.path.join(ROOT, "build/dev")])


def stage_asan(tally, _options):
    # clang: half the time of GCC here, and so everything is compiled by both compilers.
    configure = ["--preset", "asan", "-DPRONY_ENGINE_LLAMA=OFF"]
    if not shutil.which("clang++-19"):
        configure += ["-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++"]
    if not build(tally, "asan", configure):
        return
    env = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
    for program in test_programs("asan"):
        run_gtest(tally, "asan", program, env=env)


def stage_tsan(tally, _options):
    targets = [f"test_{p}" for p in TSAN_PARTS]
    if not build(tally, "tsan", ["--preset", "tsan", "-DPRONY_ENGINE_LLAMA=OFF"], targets):
        return
    # Address space layout randomisation of newer kernels is wider than older thread sanitizers bear.
    still = ["setarch", platform.machine(), "-R"]
    prefix = still if shutil.which("setarch") and run([*still, "true"])[0] == 0 else []
    for program in test_programs("tsan", TSAN_PARTS):
        run_gtest(tally, "tsan", program, prefix=prefix, env={"TSAN_OPTIONS": "halt_on_error=1:die_after_fork=0"})


def stage_fuzz(tally, options):
    if not shutil.which("clang++-19"):
        tally.skip("fuzz: clang-19 with libFuzzer is not installed")
        return
    configure = ["--preset", "fuzz", "-DPRONY_SANITIZE=fuzzer-no-link,address,undefined"]
    if not build(tally, "fuzz", configure, ["fuzzers"]):
        return
    where = os.path.join(ROOT, "build/fuzz/tests/fuzz")
    programs = sorted(f for f in os.listdir(where) if f.startswith("fuzz_") and os.access(os.path.join(where, f), os.X_OK)
                      and os.path.isfile(os.path.join(where, f)))
    for name in programs:
        corpus = os.path.join(where, "corpus", name)
        os.makedirs(corpus, exist_ok=True)
        seeds = os.path.join(ROOT, "tests/fuzz/seeds", name)
        command = [os.path.join(where, name), f"-max_total_time={options.fuzz_seconds}", "-timeout=10", "-rss_limit_mb=2048",
                   f"-artifact_prefix={where}/{name}-", corpus]
        if os.path.isdir(seeds):
            command.append(seeds)
        code, text = run(command, timeout=options.fuzz_seconds + 120)
        if code == 0:
            tally.add(passed=1)
        else:
            show_end(text, 80)
            tally.fail(f"fuzz: {name}: the input that broke it is below {where}")


CROSS = {  # stage: (Debian's name, triplet, emulator)
    "aarch64": ("arm64", "aarch64-linux-gnu", "qemu-aarch64-static"),
    "armhf": ("armhf", "arm-linux-gnueabihf", "qemu-arm-static"),
}


def cross_build(tally, name, targets=()):
    """Prony for another architecture, in build/NAME. False when it cannot be had or failed (and is counted)."""
    arch, triplet, emulator = CROSS[name]
    missing = [p for p in (f"{triplet}-g++", emulator) if not shutil.which(p)]
    if missing:
        tally.skip(f"{name}: {', '.join(missing)} not installed")
        return False
    code, text = run(["sh", "tools/sysroot.sh", arch])
    if code != 0:
        show_end(text, 20)
        tally.fail(f"{name}: the libraries for it could not be fetched")
        return False
    configure = ["-G", "Ninja", f"--toolchain={ROOT}/cmake/{name}.cmake", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                 "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g0", "-DPRONY_ENGINE_LLAMA=OFF"]
    return build(tally, name, configure, targets)


def run_emulated(tally, name):
    arch, triplet, emulator = CROSS[name]
    if not cross_build(tally, name):
        return
    sysroot = os.path.join(ROOT, f"build/sysroot-{arch}")
    prefix = [emulator, "-L", f"/usr/{triplet}", "-E",
              f"LD_LIBRARY_PATH={sysroot}/usr/lib/{triplet}:{sysroot}/lib/{triplet}"]
    for program in test_programs(name):
        run_gtest(tally, name, program, prefix=prefix, env={"PRONY_TEST_EMULATED": "qemu-user"})


def stage_aarch64(tally, _options):
    if platform.machine() == "aarch64":
        tally.skip("aarch64: this machine is one: the unit tests above ran natively")
    else:
        run_emulated(tally, "aarch64")
    run_unittest(tally, "aarch64", ["tests/arm64/test_setup_pi.py", os.path.join(ROOT, "build/dev")])


def stage_armhf(tally, _options):
    run_emulated(tally, "armhf")


def stage_qemu(tally, _options):
    code, text = run(["sh", "tools/setup-qemu.sh"], timeout=600)
    if code == 2:
        tally.skip(f"qemu: {text.strip().splitlines()[-1]}")
        return
    if code != 0:
        show_end(text, 20)
        tally.skip("qemu: the kernels could not be fetched (see above)")
        return
    native = "build/dev/prony" if build(tally, "dev", ["--preset", "dev"], ["prony"]) else "-"
    cross = "build/aarch64/prony" if cross_build(tally, "aarch64", ["prony"]) else "-"
    run_unittest(tally, "qemu", ["tests/qemu/test_qemu.py", native, cross], timeout=300)


def stage_bugs(tally, _options):
    for name, passed, text in run_mutations.results():
        if passed:
            tally.add(passed=1)
        else:
            print(text, flush=True)
            tally.fail(f"bugs: {name}: {text.splitlines()[0]}")


STAGES = {"house": stage_house, "format": stage_format, "unit": stage_unit, "rigs": stage_rigs, "e2e": stage_e2e,
          "asan": stage_asan, "tsan": stage_tsan, "fuzz": stage_fuzz, "aarch64": stage_aarch64,
          "armhf": stage_armhf, "qemu": stage_qemu, "bugs": stage_bugs}
EXTRA = {"tidy": stage_tidy}


def main():
    # Started in the background (make test &) we would ignore Ctrl-C, and so would every program under test.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default=",".join(STAGES), help="of " + ",".join([*STAGES, *EXTRA]))
    parser.add_argument("--fuzz-seconds", type=int, default=10)
    options = parser.parse_args()
    every = {**STAGES, **EXTRA}
    wanted = options.stages.split(",")
    unknown = [s for s in wanted if s not in every]
    if unknown:
        parser.error(f"no such stage: {', '.join(unknown)}")
    tally = Tally()
    for name in wanted:
        begin, before = time.monotonic(), (tally.passed, tally.failed, tally.skipped)
        print(f"== {name}", flush=True)
        with StageFolder(name) as folder:
            every[name](tally, options)
        if folder.left:
            tally.fail(f"{name}: left in the temporary folder: {', '.join(folder.left[:8])}"
                       + (f" and {len(folder.left) - 8} more" if len(folder.left) > 8 else ""))
        now = (tally.passed - before[0], tally.failed - before[1], tally.skipped - before[2])
        print(f"   {name}: {now[0]} passed, {now[1]} failed, {now[2]} skipped in {time.monotonic() - begin:.0f} s\n", flush=True)
    if tally.remarks:
        print("What did not run or did not pass:")
        print("\n".join("  " + r for r in tally.remarks))
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped", flush=True)
    return 1 if tally.failed or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
