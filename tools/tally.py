"""How programs are built and run by the stages of run_tests.py, and how what they say is counted."""

import concurrent.futures
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = str(os.cpu_count() or 2)


MOST_UNSTEADY = 6  # in one stage; more than that is no chance


class Tally:
    """Counts, and what to say about those that did not pass."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.remarks = []
        self.doubtful = []  # (name, how it is run again by itself) of tests that failed while others ran beside them

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def fail(self, what):
        self.failed += 1
        self.remarks.append(f"FAILED  {what}")
        print(f"FAILED  {what}", flush=True)

    def doubt(self, what, again):
        """A test failed beside others. `again` runs it alone: → (exit code, what it printed)."""
        print(f"FAILED beside others  {what}", flush=True)
        self.doubtful.append((what, again))

    def settle(self):
        """Runs the doubtful ones once more, alone: one that fails again has failed, one that passes is told as unsteady."""
        doubtful, self.doubtful = self.doubtful, []
        for what, again in doubtful:
            if len(doubtful) > MOST_UNSTEADY:
                self.fail(what)
                continue
            code, text = again()
            if code == 0:
                self.add(passed=1)
                self.remarks.append(f"UNSTEADY {what}: failed beside others, passed alone")
                print(f"UNSTEADY  {what}: failed beside others, passed alone", flush=True)
            else:
                show_end(text, 120)
                self.fail(what)

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
            tally.doubt(f"{folder}: {name}", lambda name=name: run(["ctest", "--test-dir", path, "--output-on-failure",
                                                                    "--no-tests=error", "-R", f"^{re.escape(name)}$"]))
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


def run_gtests(tally, stage, programs, prefix=(), env=None, timeout=1500):
    """Test programs, as many at once as there are CPUs, the largest first; each counted by its own JSON report."""
    def end_of(program, *options):
        report = program + ".json"
        if os.path.exists(report):
            os.remove(report)
        return run([*prefix, program, *options, f"--gtest_output=json:{report}"], timeout=timeout, env=env or {})
    programs = sorted(programs, key=os.path.getsize, reverse=True)
    with concurrent.futures.ThreadPoolExecutor(int(JOBS)) as pool:
        for program, (code, text) in zip(programs, pool.map(end_of, programs)):
            count_gtest(tally, stage, program, code, text, end_of)


def alone(program, name, end_of):
    """A single test of a program: → (exit code, text); one that was not run or was skipped has not passed."""
    code, text = end_of(program, f"--gtest_filter={name}")
    return (code if "[       OK ] " + name in text else code or 1), text


def count_gtest(tally, stage, program, code, text, end_of):
    """Counts what a test program left: its exit code, all that it printed and its JSON report."""
    name = os.path.basename(program)
    try:
        with open(program + ".json", encoding="utf-8") as file:
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
                test = f"{suite['name']}.{case['name']}"
                tally.doubt(f"{stage}: {test}", lambda test=test: alone(program, test, end_of))
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


def run_unittest(tally, stage, command, timeout=1200, python=sys.executable, env=None):
    """A Python unittest program, counted by its closing lines; 77 = cannot run here."""
    def end_of(*names):
        return run([python, *command, *names], timeout=timeout, env=env or {})
    count_unittest(tally, stage, command, *end_of(), end_of)


def run_unittests(tally, stage, commands, at_once):
    """Several such programs, `at_once` at a time, begun and counted in their order."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        ends = pool.map(lambda command: run([sys.executable, *command], timeout=1200), commands)
        for command, end in zip(commands, ends):
            count_unittest(tally, stage, command, *end,
                           lambda *names, command=command: run([sys.executable, *command, *names], timeout=1200))


def count_unittest(tally, stage, command, code, text, end_of):
    """Counts what a unittest program left: its exit code and all that it printed."""
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
    # A test with several subtests may fail several times: it is one.
    names = dict.fromkeys(re.findall(r"^(?:FAIL|ERROR): (\S+) \((?:__main__\.)?(\S+?)\)", text, re.M))
    tally.add(passed=max(int(ran.group(1)) - len(names) - counts.get("skipped", 0), 0))
    if not bad:
        return
    show_end(text, 120)
    for name, identity in names:
        if name.startswith(("setUp", "tearDown")) or command[0] == "-m":  # of a whole class; or found in a folder
            tally.fail(f"{stage}: {name}")
        else:
            tally.doubt(f"{stage}: {name}", lambda identity=identity: passed_alone(*end_of(identity)))
    if not names:
        tally.fail(f"{stage}: {command[0]}: {bad} failed")


def passed_alone(code, text):
    """A unittest program that was asked for one test: → (exit code, text); one that did not run has not passed."""
    return (code if re.search(r"^Ran 1 test in", text, re.M) and "skipped=" not in text else code or 1), text


def run_check(tally, stage, command):
    """A script that is one test: it passes when it exits 0."""
    code, text = run(command)
    if code == 0:
        tally.add(passed=1)
    else:
        show_end(text)
        tally.fail(f"{stage}: {os.path.basename(command[1] if command[0] == sys.executable else command[0])}")


def test_programs(folder, parts=None):
    where = os.path.join(ROOT, "build", folder, "tests")
    names = [f"test_{p}" for p in parts] if parts else sorted(os.listdir(where))
    paths = [os.path.join(where, n) for n in names]
    return [p for p in paths if os.path.basename(p).startswith("test_") and os.path.isfile(p) and os.access(p, os.X_OK)
            and not p.endswith(".json")]
