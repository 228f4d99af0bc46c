"""tools/validate_gpu.py against a library that stands in for NVIDIA's: whoever has a GPU for half an hour gets a page with one
command, so that command is tried here.

Kills: a page without date, driver or device; a counter that is not the GPU's; an integral that leaves an edge out; a split of
the wrong programs; a page where there is no GPU.
"""

import json
import os
import re
import subprocess
import sys
import time

import harness
from harness import Case

sys.path.insert(0, os.path.join(harness.HERE, "../rigs"))
sys.path.insert(0, os.path.join(harness.ROOT, "tools"))
import truth  # noqa: E402
from validate_gpu import integral  # noqa: E402

UUID = "GPU-8f1c2d3e-0000-4000-8000-000000000001"
TOOL = os.path.join(harness.ROOT, "tools/validate_gpu.py")
# A program that uses the stand-in's GPU: for as long as it is on, a file says its share.
LOAD = """import json, os, sys, time
folder, share, pattern = sys.argv[1], float(sys.argv[2]), sys.argv[3]
mine = os.path.join(folder, str(os.getpid()))
print(json.dumps({"ready_ns": time.monotonic_ns()}), flush=True)
for word in pattern.split(","):
    name, seconds = word.split(":")
    begin = time.monotonic_ns()
    if name == "on":
        with open(mine, "w") as file:
            file.write(f"{share} 1000000000\\n")
    time.sleep(float(seconds))
    if name == "on":
        os.remove(mine)
    print(json.dumps({"phase": name, "begin_ns": begin, "end_ns": time.monotonic_ns(),
                      "busy_s": share * float(seconds) if name == "on" else 0.0}), flush=True)
"""


class ValidateGpu(Case):
    def script(self, **gpu):
        os.mkdir(self.path("users"))
        with open(self.path("load.py"), "w", encoding="utf-8") as file:
            file.write(LOAD)
        self.t0_ns, self.power = time.monotonic_ns(), gpu.get("power", "square:100,400,3,0.5")
        gpus = [{"uuid": UUID, "processes": self.path("users"), "power": self.power, **gpu}]
        with open(self.path("gpus.json"), "w", encoding="utf-8") as file:
            json.dump({"t0_ns": self.t0_ns, "gpus": gpus}, file)
        folder = os.path.join(harness.BUILD, "rigs/nvml")
        self.assertTrue(os.path.exists(os.path.join(folder, "libnvidia-ml.so.1")), "the stand-in was not built")
        return {"LD_LIBRARY_PATH": folder, "PRONY_NVML_SCRIPT": self.path("gpus.json")}

    def validate(self, env, *words, code=0):
        load = f"{sys.executable} {self.path('load.py')} {self.path('users')}"
        done = subprocess.run([sys.executable, TOOL, "--prony", harness.program("prony"), "--out", self.path("pages"), "--keep",
                               self.path("runs"), "--load", load, *words], capture_output=True, text=True, timeout=170, check=False,
                              env=self.environment(**env), cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_one_command_writes_the_page_and_its_numbers_are_those_of_the_curve(self):
        done = self.validate(self.script(), "--scale", "0.5")
        self.assertEqual(done.stdout.strip(), self.path("pages", "nvidia-h100-80gb-hbm3.md"))
        with open(done.stdout.strip(), encoding="utf-8") as file:
            page = file.read()
        for words in ("# NVIDIA H100 80GB HBM3", "* driver: 550.54.15", UUID, "prony run --sensors nvml,cpu,self", "--pid PID"):
            self.assertIn(words, page)
        self.assertRegex(page, r"on 20\d\d-\d\d-\d\d \d\d:\d\d UTC")
        self.assertIn("Not done: no --model was given", page)
        self.assertNotIn(self.folder, page.replace(self.path("load.py"), "").replace(self.path("users"), ""))
        window = next(s for s in self.table("runs/sequence.prony", "spans") if s["kind"] == "run")
        begin, end = ((window[key] - self.t0_ns) * 1e-9 for key in ("begin_ns", "end_ns"))
        true_j = truth.joules_from_zero(self.power, end) - truth.joules_from_zero(self.power, begin)
        rows = {name: list(map(float, numbers)) for name, *numbers in re.findall(
            r"\| `nvml\.GPU-8f1c2d3e\.([\w-]+)` \| ([\d.]+) J \(([\d.]+)…([\d.]+), [\w().]+\) \| (?:([\d.]+) J|–) ",
            page.replace("| –", "| 0 J"))}
        self.assertEqual(set(rows), {"energy", "power-average", "power-instant"})
        _, low, high, _ = rows["energy"]
        self.assertTrue(low - 0.1 <= true_j <= high + 0.1, (low, true_j, high))
        gross, _, _, by_hand = rows["power-average"]
        self.assertLess(abs(by_hand / true_j - 1), 0.1)  # the mean of a second, over a dozen
        self.assertLess(abs(gross / by_hand - 1), 0.1)   # Prony's integral, and one by other code
        share = float(re.search(r"The first got (0\.\d+) of the joules and did 0\.750 of the kernel time", page).group(1))
        self.assertLess(abs(share - 0.75), 0.05)
        self.assertIn("GPU-8f1c2d3e.energy", page.split("## What the Run learned")[1].split("## Two programs")[0])

    def test_without_a_gpu_it_says_so_and_writes_nothing(self):
        env = self.script()
        os.remove(self.path("gpus.json"))
        self.assertIn("the NVIDIA driver is not loaded", self.validate(env, code=3).stderr)
        self.assertFalse(os.path.exists(self.path("pages")))

    def test_a_load_that_cannot_run_is_told(self):
        env = self.script()
        with open(self.path("load.py"), "w", encoding="utf-8") as file:
            file.write("import sys\nsys.exit('no kernel image')\n")
        self.assertIn("no kernel image", self.validate(env, "--scale", "0.05", code=1).stderr)
        self.assertFalse(os.path.exists(self.path("pages")))

    def test_the_integral_holds_its_ends_and_takes_no_reading_twice(self):
        second = 1_000_000_000
        readings = [(0, 100.0), (second, 100.0), (2 * second, 300.0)]
        self.assertAlmostEqual(integral(readings, 0, 2 * second), 300)                       # 100 + 200
        self.assertAlmostEqual(integral(readings, -second, 3 * second), 700)                 # 100 and 300 more, held
        self.assertIsNone(integral(readings[:1], 0, second))


if __name__ == "__main__":
    harness.main()
