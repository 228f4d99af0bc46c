#!/usr/bin/env python3
"""Builds and runs every test there is, stage by stage, and closes with "N passed, N failed, N skipped".

A stage that cannot run here counts as skipped with its reason, never as passed; a build that fails counts as failed.
usage: run_tests.py [--stages a,b,…] [--fuzz-seconds N] [--within MINUTES]
"""

import argparse
import concurrent.futures
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import time

import run_mutations
from stage_folder import StageFolder
from tally import (JOBS, ROOT, Tally, build, run, run_check, run_ctest, run_gtests, run_unittest, run_unittests, show_end,
                   test_programs)

# A build from nothing is all that continuous integration does; who works on a file compiles that file only.
DEV = ["--preset", "dev", *(["-DCMAKE_UNITY_BUILD=ON"] if os.environ.get("CI") else [])]
TSAN_PARTS = ["client", "sampler", "store", "process"]


# --- stages ----------------------------------------------------------------------------------------------------------

def stage_house(tally, _options):
    run_unittest(tally, "house", ["tests/house/test_house.py"])
    run_check(tally, "house", [sys.executable, "tests/house/check_layers.py"])
    run_check(tally, "house", [sys.executable, "tests/house/check_house.py"])
    run_unittest(tally, "house", ["tests/house/test_setup.py"])
    run_unittest(tally, "house", ["tests/house/test_tally.py"])
    run_unittest(tally, "house", ["tests/house/test_container_page.py"])


def stage_format(tally, _options):
    tool = shutil.which("clang-format-19")
    if not tool:
        tally.skip("format: clang-format-19 is not installed")
        return
    _, listing = run(["git", "ls-files", "*.cpp", "*.hpp", "*.c", "*.h"])
    run_check(tally, "format", [tool, "--dry-run", "-Werror", *listing.split()])


def stage_types(tally, _options):
    """The Python package says of every function what it takes and gives; others' programs are checked against that."""
    tool = shutil.which("mypy")
    if not tool:
        tally.skip("types: mypy is not installed")
        return
    with tempfile.TemporaryDirectory() as cache:
        run_check(tally, "types", [tool, "--ignore-missing-imports", "--check-untyped-defs", "--disallow-untyped-defs",
                                   "--cache-dir", cache, "python/prony"])


def stage_tidy(tally, _options):
    tool = shutil.which("run-clang-tidy-19")
    if not tool:
        tally.skip("tidy: clang-tidy-19 is not installed")
        return
    if build(tally, "dev", DEV):
        run_check(tally, "tidy", [tool, "-quiet", "-p", "build/dev", "src/.*\\.cpp"])


def set_up_engines(tally):
    """The engines' libraries; a machine that cannot have them tests the rest."""
    there = True
    for engine, script in (("llama", "tools/setup-llama.sh"), ("onnx", "tools/setup-onnxruntime.sh")):
        code, text = run(["sh", script])
        if code != 0:
            show_end(text, 6)
            tally.skip(f"{engine} engine: its libraries cannot be had here (see above)")
            there = False
    return there


def stage_unit(tally, _options):
    set_up_engines(tally)
    if build(tally, "dev", DEV):
        run_ctest(tally, "dev")


def stage_rigs(tally, _options):
    program = os.path.join(ROOT, "build/dev/rigs/fakesysfs")
    if not build(tally, "dev", DEV):
        return
    if os.path.exists(program):
        run_unittest(tally, "rigs", ["tests/rigs/test_fakesysfs.py", program])
    else:
        tally.skip("rigs: libfuse3-dev is not installed, so the FUSE rig was not built")


def stage_e2e(tally, _options):
    if not build(tally, "dev", DEV):
        return
    code, text = run(["sh", "tools/setup-prometheus.sh"], timeout=300)
    if code != 0:  # its test says that it is skipped, and is counted so
        show_end(text, 6)
    where, built = os.path.join(ROOT, "tests/e2e"), os.path.join(ROOT, "build/dev")
    suites = [os.path.join(where, f) for f in sorted(os.listdir(where)) if re.match(r"test_.*\.py$", f)]
    # They wait far more than they compute. The largest files first: they take longest.
    suites.sort(key=os.path.getsize, reverse=True)
    run_unittests(tally, "e2e", [[os.path.relpath(s, ROOT), built] for s in suites], at_once=int(JOBS) + 1)


def stage_engines(tally, _options):
    """Real servers of language models, which are built once and kept in build/deps."""
    if not build(tally, "dev", DEV):
        return
    for script in ("tools/setup-llama-server.sh", "tools/setup-ollama.sh"):
        code, text = run(["sh", script], timeout=1800)
        if code != 0:  # its test says that it is skipped, and is counted so
            show_end(text, 6)
    for suite in ("test_real_servers.py", "test_servers_killed.py"):
        run_unittest(tally, "engines", ["tests/engines/" + suite, os.path.join(ROOT, "build/dev")], timeout=600)


def configure_asan():
    """One tree for the unit tests and the fuzz targets: they want the same sanitizers."""
    # clang: half the time of GCC here, and so everything is compiled by both compilers.
    if shutil.which("clang++-19"):
        return ["--preset", "asan", "-DPRONY_ENGINE_LLAMA=OFF", "-DPRONY_FUZZ=ON",
                "-DPRONY_SANITIZE=fuzzer-no-link,address,undefined"]
    return ["--preset", "asan", "-DPRONY_ENGINE_LLAMA=OFF", "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++"]


def stage_asan(tally, _options):
    if not build(tally, "asan", configure_asan()):
        return
    env = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
    run_gtests(tally, "asan", test_programs("asan"), env=env)


def stage_tsan(tally, _options):
    targets = [f"test_{p}" for p in TSAN_PARTS]
    if not build(tally, "tsan", ["--preset", "tsan", "-DPRONY_ENGINE_LLAMA=OFF"], targets):
        return
    # Address space layout randomisation of newer kernels is wider than older thread sanitizers bear.
    still = ["setarch", platform.machine(), "-R"]
    prefix = still if shutil.which("setarch") and run([*still, "true"])[0] == 0 else []
    env = {"TSAN_OPTIONS": "halt_on_error=1:die_after_fork=0"}
    run_gtests(tally, "tsan", test_programs("tsan", TSAN_PARTS), prefix=prefix, env=env)


def stage_fuzz(tally, options):
    if not shutil.which("clang++-19"):
        tally.skip("fuzz: clang-19 with libFuzzer is not installed")
        return
    folder, configure = "asan", configure_asan()
    if options.fuzz_seconds > 10:  # a long run earns a build of its own, with optimisation
        folder, configure = "fuzz", ["--preset", "fuzz", "-DPRONY_SANITIZE=fuzzer-no-link,address,undefined"]
    if not build(tally, folder, configure, ["fuzzers"]):
        return
    where = os.path.join(ROOT, "build", folder, "tests/fuzz")
    programs = sorted(f for f in os.listdir(where) if f.startswith("fuzz_") and os.access(os.path.join(where, f), os.X_OK)
                      and os.path.isfile(os.path.join(where, f)))
    with concurrent.futures.ThreadPoolExecutor(int(JOBS)) as pool:
        for name, (code, text) in zip(programs, pool.map(lambda p: run_fuzzer(where, p, options.fuzz_seconds), programs)):
            if code == 0:
                tally.add(passed=1)
            else:
                show_end(text, 80)
                tally.fail(f"fuzz: {name}: the input that broke it is below {where}")


def run_fuzzer(where, name, seconds):
    corpus = os.path.join(where, "corpus", name)
    os.makedirs(corpus, exist_ok=True)
    command = [os.path.join(where, name), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               f"-artifact_prefix={where}/{name}-", corpus]
    seeds = os.path.join(ROOT, "tests/fuzz/seeds", name)
    if os.path.isdir(seeds):
        command.append(seeds)
    return run(command, timeout=seconds + 120)


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
    # -O1 compiles in less time than the emulator gains by -O2; there GCC sees too little to tell what is initialised.
    configure = ["-G", "Ninja", f"--toolchain={ROOT}/cmake/{name}.cmake", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                 "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g0 -Wno-maybe-uninitialized", "-DCMAKE_UNITY_BUILD=ON", "-DPRONY_ENGINE_LLAMA=OFF"]
    return build(tally, name, configure, targets)


def run_emulated(tally, name):
    arch, triplet, emulator = CROSS[name]
    if not cross_build(tally, name):
        return
    sysroot = os.path.join(ROOT, f"build/sysroot-{arch}")
    prefix = [emulator, "-L", f"/usr/{triplet}", "-E",
              f"LD_LIBRARY_PATH={sysroot}/usr/lib/{triplet}:{sysroot}/lib/{triplet}"]
    run_gtests(tally, name, test_programs(name), prefix=prefix, env={"PRONY_TEST_EMULATED": "qemu-user"})


def stage_aarch64(tally, _options):
    if platform.machine() == "aarch64":
        tally.skip("aarch64: this machine is one: the unit tests above ran natively")
    else:
        run_emulated(tally, "aarch64")
    for suite in ("pi", "jetson"):
        run_unittest(tally, "aarch64", [f"tests/arm64/test_setup_{suite}.py", os.path.join(ROOT, "build/dev")])


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
    native = "build/dev/prony" if build(tally, "dev", DEV, ["prony"]) else "-"
    cross = "build/aarch64/prony" if cross_build(tally, "aarch64", ["prony"]) else "-"
    run_unittest(tally, "qemu", ["tests/qemu/test_qemu.py", native, cross], timeout=300)


def stage_bugs(tally, _options):
    for name, passed, text in run_mutations.results():
        if passed:
            tally.add(passed=1)
        else:
            print(text, flush=True)
            tally.fail(f"bugs: {name}: {text.splitlines()[0]}")


def stage_torch(tally, _options):
    """The Python suite's tests that need PyTorch (test_torch*, and test_docs): too much to fetch for the everyday stages."""
    if not build(tally, "dev", DEV, ["python_native", "prony"]):
        return
    code, text = run(["sh", "tools/setup-torch.sh"], timeout=600)
    if code != 0:
        show_end(text, 6)
        tally.skip("torch: PyTorch cannot be had here (see above)")
        return
    python = text.strip().splitlines()[-1]
    print(run([python, "-c", TORCH_VERSIONS])[1].strip(), flush=True)
    run_unittest(tally, "torch", ["-m", "unittest", "discover", "-v", "-s", "python/tests", "-p", "test_[dt]o*.py"],
                 python=python, env={"PYTHONPATH": os.path.join(ROOT, "python"), "PYTHONDONTWRITEBYTECODE": "1",
                                     "PRONY_LIBRARY_DIR": os.path.join(ROOT, "build/dev")})


def stage_transformers(tally, _options):
    """The worker for transformers with PyTorch itself, two ranks too: too much to fetch for the everyday stages."""
    if not build(tally, "dev", DEV, ["prony", "prony_shared", "engine_transformers"]):
        return
    if os.environ.get("CI") and not os.environ.get("PRONY_TORCH_PYTHON"):
        run(["sh", "tools/setup.sh", "torch"], timeout=900)  # what cannot be had is told by the next line
    code, text = run(["sh", "tools/setup-torch.sh"], timeout=600)
    if code != 0:
        show_end(text, 6)
        tally.skip("transformers: PyTorch cannot be had here (see above)")
        return
    python = text.strip().splitlines()[-1]
    print(run([python, "-c", TORCH_VERSIONS])[1].strip(), flush=True)
    run_unittest(tally, "transformers", ["tests/engines/test_transformers.py", os.path.join(ROOT, "build/dev")], timeout=1500,
                 env={"PRONY_TORCH_PYTHON": python, "PYTHONDONTWRITEBYTECODE": "1"})


def stage_sklearn(tally, _options):
    """EdgeProfiler's pipelines against scikit-learn itself, fitted anew."""
    if not build(tally, "dev", DEV, ["prony"]):
        return
    code, text = run(["sh", "tools/setup-sklearn.sh"], timeout=600)
    if code != 0:
        show_end(text, 6)
        tally.skip("sklearn: scikit-learn cannot be had here (see above)")
        return
    run_unittest(tally, "sklearn", ["tests/predict/test_sklearn.py", os.path.join(ROOT, "build/dev")], timeout=3600,
                 python=text.strip().splitlines()[-1])


TORCH_VERSIONS = """
from importlib import metadata
for name in ("torch", "transformers", "torchinfo"):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        print(name, "is not there")
"""

STAGES = {"house": stage_house, "format": stage_format, "types": stage_types, "unit": stage_unit, "rigs": stage_rigs, "e2e": stage_e2e,
          "asan": stage_asan, "tsan": stage_tsan, "fuzz": stage_fuzz, "aarch64": stage_aarch64,
          "qemu": stage_qemu, "bugs": stage_bugs, "armhf": stage_armhf}
# Heavy ones: a server that takes minutes to build, PyTorch, scikit-learn.
EXTRA = {"tidy": stage_tidy, "engines": stage_engines, "torch": stage_torch, "transformers": stage_transformers,
         "sklearn": stage_sklearn}
LONG_EXTRA_MINUTES = 20  # what a stage that continuous integration adds may take


def main():
    # Started in the background (make test &) we would ignore Ctrl-C, and so would every program under test.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # What continuous integration adds, after all others and within its minutes.
    also = [s for s in os.environ.get("PRONY_TEST_ALSO", "").split(",") if s]
    parser.add_argument("--stages", default=",".join([*STAGES, *also]), help="of " + ",".join([*STAGES, *EXTRA]))
    parser.add_argument("--fuzz-seconds", type=int, default=10)
    parser.add_argument("--within", type=float, metavar="MINUTES", default=os.environ.get("PRONY_TEST_MINUTES"),
                        help="begin no stage after that many minutes: what is left counts as skipped")
    options = parser.parse_args()
    started = time.monotonic()
    every = {**STAGES, **EXTRA}
    wanted = options.stages.split(",")
    unknown = [s for s in wanted if s not in every]
    if unknown:
        parser.error(f"no such stage: {', '.join(unknown)}")
    tally = Tally()
    for name in wanted:
        begin, before = time.monotonic(), (tally.passed, tally.failed, tally.skipped)
        print(f"== {name}", flush=True)
        within = options.within - (LONG_EXTRA_MINUTES if name in also else 0) if options.within else None
        if within is not None and begin - started > within * 60:
            tally.skip(f"{name}: the whole stage, since {within:g} minutes were over (tools/run_tests.py --stages {name})")
            continue
        with StageFolder(name) as folder:
            every[name](tally, options)
            tally.settle()
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
