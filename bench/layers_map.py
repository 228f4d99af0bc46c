#!/usr/bin/env python3
"""bench/layers_map.py BUILD_DIR [--scale 1] [--python-scale 0.1]: EdgeProfiler's mapping of power to layers, by
`prony layers map --legacy` and by the same rule written plainly in Python, on recordings made here.

At scale 1: 2.5 million power readings, 30 000 inferences of 150 layers. Prony reads, maps, and prints a row for each layer, pinned to one
core; once more it writes the preprocessed data as well. Python is given a part of it (its objects take gigabytes), and Prony the same part:
the ratio is taken there, of whole processes that both read their files. Figures go to docs/performance.md by hand, with the machine's load.
"""

import argparse
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

START = datetime.datetime(2024, 11, 21, 5, 20, 4)
PLAIN = r'''
import json, sys
from datetime import datetime, timedelta
folder, name = sys.argv[1], sys.argv[2]
stamp = lambda text: datetime.strptime(text, "%Y%m%d-%H:%M:%S.%f")
idle = json.load(open(folder + "/idling_power.json"))["avg_idle_power"]
log = []
for line in open(f"{folder}/{name}/{name}_power_log.log"):
    time, volts, amperes = line.strip().split(",")
    log.append((stamp(time), float(volts) * float(amperes)))
layers = json.load(open(f"{folder}/{name}/trt_profiling/trt_layer_latency.json"))
cycles = {}
for layer, times in layers.items():
    for cycle, (ms, told) in enumerate(times):
        end = stamp(told)
        cycles.setdefault(cycle, []).append((cycle, end - timedelta(milliseconds=ms), end, ms, layer))
at, rows = 0, []
for cycle in cycles.values():
    for number, begin, end, ms, layer in cycle:
        powers = []
        while at < len(log) and log[at][0] < begin: at += 1
        while at < len(log) and log[at][0] <= end:
            powers.append(log[at][1]); at += 1
        mean = sum(powers) / len(powers) if powers else None
        rows.append((number + 1, layer, mean, mean - idle if mean else None, ms))
print(len(rows), sum(row[2] is not None for row in rows))
'''


def write_recording(folder, readings, inferences, layers):
    """One network "big": inferences back to back, all of its layers told one after the other where they end."""
    os.makedirs(os.path.join(folder, "big", "trt_profiling"))
    rng = random.Random(1)
    with open(os.path.join(folder, "idling_power.json"), "w", encoding="utf-8") as file:
        json.dump({"timestamp": "20241121-051743", "avg_idle_power": 4.2e6}, file)
    ms = [round(rng.uniform(0.01, 0.05), 4) for _ in range(layers)]
    ends, done = [], 0.0
    for one in ms:
        done += one
        ends.append(done)
    period_us = done * 1000 + 20

    def stamp(us):
        return (START + datetime.timedelta(microseconds=round(us))).strftime("%Y%m%d-%H:%M:%S.%f")

    with open(os.path.join(folder, "big", "trt_profiling", "trt_layer_latency.json"), "w", encoding="utf-8") as file:
        file.write("{")
        for layer in range(layers):
            file.write((", " if layer else "") + f'"layer {layer}": [')
            file.write(", ".join(f'[{ms[layer]}, "{stamp(i * period_us + ends[layer] * 1000)}"]' for i in range(inferences)) + "]")
        file.write("}")
    with open(os.path.join(folder, "big", "trt_profiling", "trt_engine_info.json"), "w", encoding="utf-8") as file:
        json.dump({"Layers": [{"Name": f"layer {i}", "LayerType": "CaskConvolution"} for i in range(layers)]}, file)
    with open(os.path.join(folder, "big", "big_power_log.log"), "w", encoding="utf-8") as file:
        step = inferences * period_us / readings
        for i in range(readings):
            file.write(f"{stamp(i * step)},5000.0,{float(1000 + 8 * rng.randrange(40))}\n")


def run(words):
    """Seconds and peak MiB of one process on one core."""
    core = min(os.sched_getaffinity(0))
    begin = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status != 0:
        sys.exit(f"{words[0]} failed: {status}")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--python-scale", type=float, default=0.1)
    given = parser.parse_args()
    prony = os.path.join(given.build, "prony")
    scratch = tempfile.mkdtemp(prefix="prony-bench-")
    try:
        for scale, python in ((given.scale, False), (given.python_scale, True)):
            folder = os.path.join(scratch, str(scale))
            readings, inferences = int(2_500_000 * scale), int(30_000 * scale)
            write_recording(folder, readings, inferences, 150)
            size = sum(os.path.getsize(os.path.join(where, f)) for where, _, files in os.walk(folder) for f in files) / 2**20
            print(f"{readings} readings, {inferences} inferences of 150 layers, {size:.0f} MiB of files, load {os.getloadavg()[0]:.1f}")
            turns, plain = [], []  # Prony five times for each of Python: one of its turns is short
            for _ in range(3 if python else 1):
                turns += [run([prony, "layers", "map", "--legacy", folder]) for _ in range(5 if python else 1)]
                plain += [run([sys.executable, "-c", PLAIN, folder, "big"])] if python else []
            wall, cpu, peak, _ = sorted(turns)[len(turns) // 2]
            print(f"  prony, a row for each layer: {wall:.2f} s, CPU {cpu:.2f} s, peak {peak:.0f} MiB")
            if python:
                p_wall, p_cpu, p_peak, out = sorted(plain)[len(plain) // 2]
                print(f"  plain Python {sys.version.split()[0]}: {p_wall:.2f} s, CPU {p_cpu:.2f} s, peak {p_peak:.0f} MiB; rows, with power: {out.strip()}")
                print(f"  Python ÷ prony: {p_wall / wall:.0f} of time, {p_cpu / cpu:.0f} of CPU")
            else:
                wall, cpu, peak, _ = run([prony, "layers", "map", "--legacy", folder, "-o", os.path.join(scratch, "out")])
                print(f"  prony, every row written: {wall:.2f} s, CPU {cpu:.2f} s, peak {peak:.0f} MiB")
            shutil.rmtree(folder)
            shutil.rmtree(os.path.join(scratch, "out"), ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
