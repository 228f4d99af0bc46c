"""NVIDIA GPUs by the real prony and a library that stands in for the vendor's, opened by the loader's path.

Kills: joules that are not the GPU's, a reset that becomes 2^64 mJ, a lost GPU that draws nothing, a value that stands for
nothing taken for a number, an old driver that loses everything, a GPU that lies in its module added to it.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time

import harness
from harness import Case, energy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../rigs"))
import truth  # noqa: E402

FIRST, SECOND = "GPU-8f1c2d3e-0000-4000-8000-000000000001", "GPU-70b1c2d3-0000-4000-8000-000000000002"
COUNTER = "nvml.GPU-8f1c2d3e.energy"


class Nvml(Case):
    library = "nvml"

    def script(self, gpus, **more):
        """GPUs whose curves begin now; gives the environment that lets prony find them."""
        self.t0_ns = time.monotonic_ns()
        self.powers = {gpu["uuid"]: gpu["power"] for gpu in gpus}
        with open(self.path("gpus.json"), "w", encoding="utf-8") as file:
            json.dump({"t0_ns": self.t0_ns, "gpus": gpus, **more}, file)
        folder = os.path.join(harness.BUILD, "rigs", self.library)
        self.assertTrue(os.path.exists(os.path.join(folder, "libnvidia-ml.so.1")), "the stand-in was not built")
        return {"LD_LIBRARY_PATH": folder, "PRONY_NVML_SCRIPT": self.path("gpus.json")}

    def measure(self, env, seconds="2", *options):
        return self.record(["sleep", seconds], "--sensors", "nvml,cpu,self", *options, env=env)

    def true_joules(self, uuid, run="x.prony"):
        """What the GPU drew in the measured window, by the curve's own words."""
        window = next(row for row in self.table(run, "spans") if row["kind"] == "run")
        from_zero = [truth.joules_from_zero(self.powers[uuid], (window[key] - self.t0_ns) * 1e-9)
                     for key in ("begin_ns", "end_ns")]
        return from_zero[1] - from_zero[0]

    def hold_truth(self, row, uuid):
        true_j = self.true_joules(uuid)
        self.assertLessEqual(row["low_j"], true_j, row)
        self.assertLessEqual(true_j, row["high_j"], row)
        return true_j

    def words(self):
        return " ".join(self.summary_text.split())

    def test_the_counters_of_two_gpus_hold_their_true_joules_and_power_is_not_added_to_them(self):
        env = self.script([{"uuid": FIRST, "power": "square:100,400,0.7,0.4"}, {"uuid": SECOND, "power": "constant:80"}])
        summary = self.measure(env, "3")
        sums = 0
        for uuid, name in ((FIRST, COUNTER), (SECOND, "nvml.GPU-70b1c2d3.energy")):
            row = energy(summary, name)
            true_j = self.hold_truth(row, uuid)
            sums += true_j
            self.assertIn(row["kind"], ("bound", "interval(0.95)"))
            self.assertLess(row["high_j"] - row["low_j"], 0.6 * true_j)
        self.assertLessEqual(summary["headline"]["low_j"], sums)
        self.assertLessEqual(sums, summary["headline"]["high_j"])
        self.assertLess(summary["headline"]["gross_j"], 1.2 * sums)  # twice that if power were added to its counter
        self.assertEqual(summary["headline"]["origin"], "measured")

    def test_every_gpu_is_known_by_its_uuid(self):
        env = self.script([{"uuid": FIRST, "power": "constant:100"}, {"uuid": SECOND, "power": "constant:80"}])
        done = self.prony("sensors", "--json", env=env)
        row = next(row for row in json.loads(done.out)["sensors"] if row["name"] == "nvml")
        self.assertEqual({channel["device"] for channel in row["channels"]}, {FIRST, SECOND})

    def test_before_volta_joules_are_integrated_from_power_and_that_is_said(self):
        self.library = "nvml-old"
        env = self.script([{"uuid": FIRST, "name": "Tesla P100-PCIE-16GB", "power": "sine:150,50,0.9", "average": False,
                            "quarter": False, "limit_w": 250}])
        summary = self.measure(env, "6")  # nobody documents how old a reading may be
        row = energy(summary, "nvml.GPU-8f1c2d3e.power-instant")
        self.assertTrue(row["headline"])
        self.hold_truth(row, FIRST)
        self.assertIn("joules are integrated from its power", self.prony("sensors", env=env).out.replace("\n", " "))
        self.assertIn("counts no energy", " ".join(u["reason"] for u in summary["unavailable"]))

    def test_power_that_is_sampled_a_quarter_of_the_time_is_shown_beside_the_counter(self):
        # 25 ms of every 100 ms, and a load that is on only in the other 75 ms: the counter knows, sampled power cannot.
        env = self.script([{"uuid": FIRST, "power": "square:400,100,0.1,0.25"}])
        summary = self.measure(env, "3")
        counted = energy(summary, COUNTER)
        true_j = self.hold_truth(counted, FIRST)
        self.assertLess(abs(counted["gross_j"] / true_j - 1), 0.1)
        sampled = energy(summary, "nvml.GPU-8f1c2d3e.power-instant")
        self.assertGreater(abs(sampled["gross_j"] / true_j - 1), 0.15)  # the lie is in the rig

    def test_a_lost_gpu_is_a_gap_with_its_reason_and_what_it_counts_afterwards_is_a_reset(self):
        env = self.script([{"uuid": FIRST, "power": "constant:200"}, {"uuid": SECOND, "power": "constant:80"}],
                          fault={"kind": "lost", "at_s": 1.5, "for_s": 1, "gpu": 0})
        summary = self.measure(env, "5")
        row = energy(summary, COUNTER)
        self.assertEqual((row["resets"], row["wraps"]), (1, 0))
        self.assertLess(row["gross_j"], 1.5 * self.true_joules(FIRST))  # 2^64 mJ is 1.8e16 J
        self.hold_truth(row, FIRST)
        lost = [e for e in summary["events"] if e["kind"] == "sensor-lost"]
        lost = [e for e in lost if e["subject"].startswith("nvml.")]  # beside them: nobody tells who uses it
        self.assertEqual([e["subject"] for e in lost], ["nvml.GPU-8f1c2d3e"])
        self.assertIn("the GPU is lost: it fell off the bus", lost[0]["text"])
        self.assertTrue([e for e in summary["events"] if e["kind"] == "sensor-back"])
        self.hold_truth(energy(summary, "nvml.GPU-70b1c2d3.energy"), SECOND)  # the other was there all the time

    def test_a_driver_that_is_loaded_again_is_a_reset_of_all_and_is_found_again(self):
        env = self.script([{"uuid": FIRST, "power": "constant:200"}], fault={"kind": "driver", "at_s": 1.5, "for_s": 1})
        summary = self.measure(env, "5")
        row = energy(summary, COUNTER)
        self.assertEqual(row["resets"], 1)
        self.hold_truth(row, FIRST)
        self.assertIn("the NVIDIA driver is not loaded", " ".join(e["text"] for e in summary["events"]))

    def test_a_gpu_that_never_comes_back_leaves_what_was_measured_and_no_joules_after_it(self):
        env = self.script([{"uuid": FIRST, "power": "constant:200"}], fault={"kind": "lost", "at_s": 1.5})
        summary = self.measure(env, "3")
        row = energy(summary, COUNTER)
        self.assertGreaterEqual(row["gaps"], 1)
        self.assertTrue("gross_j" not in row or row["low_j"] <= self.true_joules(FIRST) <= row["high_j"], row)

    def test_values_that_stand_for_nothing_are_told_and_not_recorded(self):
        env = self.script([{"uuid": FIRST, "power": "constant:200", "blank": ["temperature", "memory"]}])
        summary = self.measure(env)
        self.hold_truth(energy(summary, COUNTER), FIRST)
        names = {row["channel"] for row in self.table("x.prony", "channels")}
        self.assertNotIn("nvml.GPU-8f1c2d3e.temperature", names)
        self.assertNotIn("nvml.GPU-8f1c2d3e.memory", names)
        self.assertIn("the value that stands for nothing", " ".join(u["reason"] for u in summary["unavailable"]))

    def test_calls_that_wait_for_the_drivers_lock_delay_no_other_sensor(self):
        env = self.script([{"uuid": FIRST, "power": "constant:200"}], latency_us={"fields": 20000})
        summary = self.measure(env, "3")
        self.hold_truth(energy(summary, COUNTER), FIRST)
        self.assertIn("costly to ask, read once a second: average and instant power",
                      " ".join(u["reason"] for u in summary["unavailable"]))
        cpu = [row for row in self.table("x.prony", "samples") if row["group"] == "fast"]
        self.assertGreater(len(cpu), 100)  # of 300: no lane waited for another's call

    def test_a_mig_gpu_says_that_its_energy_cannot_be_divided(self):
        env = self.script([{"uuid": FIRST, "power": "constant:200", "instances": ["MIG-1", "MIG-2", "MIG-3"]}])
        summary = self.measure(env)
        self.hold_truth(energy(summary, COUNTER), FIRST)
        self.assertIn("cannot be divided among its 3 instances", " ".join(u["reason"] for u in summary["unavailable"]))

    def test_a_superchips_module_is_the_whole_and_its_gpu_a_part_of_it(self):
        env = self.script([{"uuid": FIRST, "name": "NVIDIA GH200 480GB", "power": "constant:300", "module": "constant:450"}])
        summary = self.measure(env, "6")
        heads = [row["channel"] for row in summary["energy"] if row["headline"]]
        self.assertEqual(heads, ["nvml.GPU-8f1c2d3e.module-power-average"])

    def test_without_a_driver_or_a_library_the_reason_is_said(self):
        env = self.script([])
        os.remove(self.path("gpus.json"))
        self.assertIn("the NVIDIA driver is not loaded", self.prony("sensors", env=env).out)
        self.assertIn("libnvidia-ml.so.1 is not there", self.prony("sensors").out)

    def processes(self, *names):
        """A folder per GPU in which a process says what it uses: a file named after it, "SHARE BYTES"."""
        folders = [self.path(name) for name in names]
        for folder in folders:
            os.makedirs(folder)
        return folders

    def use(self, folder, share, pid):
        with open(os.path.join(folder, str(pid)), "w", encoding="utf-8") as file:
            file.write(f"{share} 1000000000\n")

    def test_a_gpus_energy_is_split_by_what_two_programs_used_of_it(self):
        folder, = self.processes("gpu0")
        env = self.script([{"uuid": FIRST, "power": "constant:200", "processes": folder}])
        other = subprocess.Popen(["sleep", "60"])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        self.use(folder, 0.2, other.pid)
        summary = self.record(["sh", "-c", f"echo 0.6 2000000000 > {folder}/$$; sleep 8; rm {folder}/$$"],
                              "--sensors", "nvml,cpu,self", env=env)
        row = energy(summary, COUNTER)
        # 0.6 of the time against 0.2; before and after the command, and until the driver's first sample, it was alone.
        ledger = row["ledger"]
        ratio = ledger["target_j"] / (ledger["target_j"] + ledger["foreign_j"])
        self.assertGreater(ratio, 0.62, row)
        self.assertLess(ratio, 0.77, row)
        methods = {c["method"] for c in self.table("x.prony", "charges") if c["channel"] == COUNTER and c["party"] == "target"}
        self.assertEqual(methods, {"the target outside all spans, by use of gpu-0, in windows of 100 ms"})
        self.assertEqual(ledger["prony_j"], 0)

    def test_targets_that_were_chosen_are_charged_for_what_each_used(self):
        folder, = self.processes("gpu0")
        env = self.script([{"uuid": FIRST, "power": "constant:200", "processes": folder}])
        programs = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
        for program, share in zip(programs, (0.75, 0.25)):
            self.addCleanup(program.wait)
            self.addCleanup(program.kill)
            self.use(folder, share, program.pid)
        done = self.prony("run", "--out", self.path("x.prony"), "--json", self.path("x.json"), "--sensors", "nvml,cpu,self",
                          "--pid", str(programs[0].pid), "--pid", str(programs[1].pid), "--for", "6s", env=env)
        self.assertEqual(done.returncode, 0, done.err)
        rows = self.load("x.json")["targets"]
        for row in rows:  # what it holds of the machine's memory, and not the GPU's 0 or 1 GB
            self.assertTrue(100_000 < row["rss_peak_bytes"] < 50_000_000, row)
        targets = {row["name"]: row["charged_j"] for row in rows}
        first, second = (targets[f"pid-{program.pid}"] for program in programs)
        self.assertLess(abs(first / (first + second) - 0.75), 0.03, targets)

    def test_without_use_by_process_the_energy_is_not_separable_and_never_split_by_cpu_time(self):
        env = self.script([{"uuid": FIRST, "power": "constant:200", "process_use": False}])
        summary = self.measure(env, "3")
        row = energy(summary, COUNTER)
        self.assertNotIn("target_j", row["ledger"])
        words = " ".join(u["reason"] for u in summary["unavailable"])
        self.assertIn("who uses gpu-0 cannot be told, so its energy is not separable", words)

    def test_which_of_four_gpus_the_command_used_is_in_the_run_and_the_others_are_named(self):
        folders = self.processes("gpu0", "gpu1", "gpu2", "gpu3")
        uuids = [f"GPU-{i}0000000-0000-4000-8000-000000000000" for i in range(4)]
        env = self.script([{"uuid": uuid, "power": "constant:90", "processes": folder}
                           for uuid, folder in zip(uuids, folders)])
        summary = self.record(["sh", "-c", f"echo 0.9 1000 > {folders[2]}/$$; sleep 3"], "--sensors", "nvml,cpu,self",
                              env={**env, "CUDA_VISIBLE_DEVICES": "2"})
        with contextlib.closing(sqlite3.connect(self.path("x.prony"))) as run:
            facts = dict(run.execute("SELECT key, value FROM fact"))
        self.assertEqual(facts["target.command.devices"], f"gpu-2 ({uuids[2]})")
        self.assertTrue(facts["target.command.visible_devices"].startswith("gpu-2 (if CUDA counts as the driver does"))
        self.assertEqual(facts["devices.not_used"], "gpu-0, gpu-1, gpu-3")
        self.assertIn("used by no target: gpu-0, gpu-1, gpu-3", self.words())
        self.assertEqual(len([r for r in summary["energy"] if r["headline"]]), 4)  # all are metered


if __name__ == "__main__":
    harness.main()
