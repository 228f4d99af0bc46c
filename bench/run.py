#!/usr/bin/env python3
"""bench/run.py BUILD_DIR: runs the benchmarks, each beside its floor, and rewrites the table in docs/performance.md.

Builds nothing. What cannot be measured here is written down as "not measured", with the reason. Exit code 1: a ratio that
was measured is above its bound.
"""
import json
import os
import platform
import shlex
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import client
import collectors
import exporters
import machine_tree
import proxy

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "performance.md")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


class NotMeasured(Exception):
    pass


def program(build, name):
    for folder in ("bench", "."):
        path = os.path.join(build, folder, name)
        if os.access(path, os.X_OK):
            return path
    raise NotMeasured(f"{name} is not built")


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise NotMeasured(f"{os.path.basename(command[0])} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return done.stdout


def tick(build, scratch):
    got = json.loads(output_of(program(build, "bench_tick"), os.path.join(scratch, "tick")))
    ratio = got["ratio"]
    detail = (f"median of {got['rounds']} turns of {got['ticks']} ticks each; medians {got['tick_ns']:.0f} against "
              f"{got['floor_ns']:.0f} ns, least {got['least_tick_ns']:.0f} against {got['least_floor_ns']:.0f} ns, {got['files']} files on tmpfs")
    return [("a tick over 20 files ÷ the floor", f"{ratio:.2f}", "≤ 1.2", ratio <= 1.2, detail)]


def spread(values, unit="", digits=2):
    return f"{min(values):.{digits}f}–{max(values):.{digits}f}{unit}"


def hundred_channels(build, scratch):
    root = os.path.join(scratch, "hundred")
    files = machine_tree.make(root)
    done = subprocess.run([program(build, "bench_channels"), f"{root}/sys", f"{scratch}/hundred.prony", "9"],
                          input="\n".join(files) + "\n", capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise NotMeasured(f"bench_channels ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    got = json.loads(done.stdout)
    def ratios(of, floor):
        return [a / b for a, b in zip(got[of], got[floor])]
    def middle(name):
        return statistics.median(got[name])
    recorded, lane, hot = (ratios("record_percent", "floor_percent"), ratios("lane_percent", "floor_percent"),
                           ratios("tick_ns", "floor_tick_ns"))
    ratio, ratio_hot = statistics.median(recorded), statistics.median(hot)
    return [("100 channels at 100 Hz into a Run file ÷ the floor", f"{ratio:.2f}", "≤ 1.3", ratio <= 1.3,
             f"medians of {len(recorded)} turns of 1 s each, turns {spread(recorded)}; {middle('record_percent'):.2f} against "
             f"{middle('floor_percent'):.2f} % of a core; without the Run file {statistics.median(lane):.2f}; "
             f"missed {got['missed']} of {got['ticks']} ticks"),
            ("the same tick back to back ÷ the floor", f"{ratio_hot:.2f}", "≤ 1.3", ratio_hot <= 1.3,
             f"turns {spread(hot)} of 1000 ticks; {middle('tick_ns') / 1e3:.1f} against {middle('floor_tick_ns') / 1e3:.1f} µs "
             f"for {got['files']} files")]


def lanes(build, scratch):
    got = json.loads(output_of(program(build, "bench_lanes"), os.path.join(scratch, "lanes")))
    def us(kind, name):
        return got[kind][name] / 1e3
    def told(kind):
        return (f"{us(kind, 'p50'):.0f} / {us(kind, 'p99'):.0f} µs (p99 of the turns "
                f"{spread([ns / 1e3 for ns in got[kind]['each_p99']], digits=0)})")
    # A busy machine's own noise differs from turn to turn: the noisier of the two without the sensor is the measure.
    bound = 1.5 * max(us("alone", "p99"), us("bare", "p99"))
    held = us("beside", "p99") <= bound and us("beside", "p50") <= 1.5 * max(us("alone", "p50"), us("bare", "p50"))
    return [("fast lane's lateness p50 / p99 beside a sensor that blocks for 2 s",
             f"{us('beside', 'p50'):.0f} / {us('beside', 'p99'):.0f} µs", "≤ 1.5 × without it", held,
             f"beside it {told('beside')}; alone {told('alone')}; a bare thread that only sleeps {told('bare')}; "
             f"{got['beside']['ticks']} ticks of 20 counters at 100 Hz, {got['turns']} turns, {got['blocking_reads']} blocked reads")]


def replay(build, scratch):
    run = os.path.join(scratch, "hour.prony")
    output_of(program(build, "bench_record"), "bytes", "10000000", "360000", run)
    prony, each = program(build, "prony"), []
    for _ in range(5):
        begin = time.perf_counter()
        output_of(prony, "show", run)
        each.append(time.perf_counter() - begin)
    return [("`prony show` of an hour: 20 channels at 100 Hz, 3600 requests", f"{statistics.median(each):.2f} s", "–", None,
             f"{spread(each, ' s')} in 5; {7.2 / statistics.median(each):.0f} million readings/s; the Run file has "
             f"{os.path.getsize(run) / 1e6:.1f} MB")]


def record_live(build, scratch):
    run = os.path.join(scratch, "live.prony")
    rounds = [json.loads(output_of(program(build, "bench_record"), "live", os.path.join(scratch, "rec"), "5", run))
              for _ in range(3)]
    above = statistics.median(r["record_percent"] - r["floor_percent"] for r in rounds)
    floor = statistics.median(r["floor_percent"] for r in rounds)
    detail = f"floor {floor:.2f} %; missed {sum(r['missed'] for r in rounds)} of {sum(r['ticks'] for r in rounds)} ticks"
    return [("recording 1 kHz × 20 channels, above the floor", f"{above:.2f} % of a core", "≤ 1.5 %", above <= 1.5, detail)]


def record_bytes(build, scratch):
    rows = []
    for name, interval, ticks, bound in (("1 kHz", 1_000_000, 60_000, 2.0), ("10 Hz", 100_000_000, 6_000, 4.0)):
        run = os.path.join(scratch, "bytes.prony")
        output_of(program(build, "bench_record"), "bytes", str(interval), str(ticks), run)
        with sqlite3.connect(run) as database:
            size = database.execute("SELECT sum(length(data)) FROM chunk").fetchone()[0]
        per_reading = size / (ticks * 20)
        rows.append((f"bytes per reading at {name}", f"{per_reading:.2f}", f"≤ {bound:.0f}", per_reading <= bound,
                     "8 bits of noise per reading, 14 + 10 bits of jitter per tick's stamps; rollup apart"))
    return rows


def wall_ms(command):
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - begin) * 1e3


def run_true(build, scratch):
    prony = program(build, "prony")
    out = os.path.join(scratch, "true.prony")
    with_prony = [prony, "run", "--force", "--out", out, "--", "true"]
    output_of(*with_prony)
    bare, full = [], []
    for _ in range(6):  # spread over half a minute: somebody else's burst must not decide
        for _ in range(15):  # interleaved: what disturbs one disturbs the other
            bare.append(wall_ms(["true"]))
            full.append(wall_ms(with_prony))
        time.sleep(4)
    above = statistics.median(full) - statistics.median(bare)
    usage = subprocess.run([sys.executable, "-c", "import resource,subprocess,sys\n"
                            "subprocess.run(sys.argv[1:],stderr=subprocess.DEVNULL)\n"
                            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)", *with_prony],
                           capture_output=True, text=True, check=True)
    peak = int(usage.stdout) / 1024
    return [("`prony run -- true` above `true`", f"{above:.1f} ms", "≤ 15 ms", above <= 15,
             f"medians of {len(full)} in 6 turns, interleaved, on tmpfs: {statistics.median(full):.1f} against {statistics.median(bare):.1f} ms; "
             f"least {min(full):.1f} against {min(bare):.1f} ms"),
            ("its peak RSS", f"{peak:.1f} MiB", "≤ 30 MiB", peak <= 30, "ru_maxrss: at most, for it counts in the Python that started it")]


def own_cost(build, scratch):
    prony, record = program(build, "prony"), program(build, "bench_record")
    out, told = os.path.join(scratch, "own.prony"), os.path.join(scratch, "own.json")
    def cpu_of(*command):
        output_of(prony, "run", "--quiet", "--force", "--out", out, "--json", told, "--", *command)
        with open(told, encoding="utf-8") as text:
            summary = json.load(text)
        return summary["prony"]["cpu_s"], summary["wall_s"], summary["sampler"]["ticks"]

    ends, shares, floors = [], [], []
    for _ in range(3):  # in turns, as above
        ends.append(cpu_of("true")[0])
        cpu_s, wall_s, ticks = cpu_of("sleep", "8")
        shares.append((cpu_s - ends[-1]) / wall_s * 100)
        floors.append(json.loads(output_of(record, "sleep", "4"))["sleep_percent"])
    share, floor = statistics.median(shares), statistics.median(floors)
    detail = (f"{share:.2f} % while it runs, over 8 s of `sleep` at the default 10 ms ({ticks} ticks); {floor:.2f} % is what "
              f"sleeping to every 10 ms costs; start and end {statistics.median(ends) * 1e3:.1f} ms of CPU once; medians of 3")
    return [("`prony run` itself, above a thread that only sleeps", f"{share - floor:.2f} % of a core", "–", None, detail)]


def follow(build, scratch):
    del scratch
    path = program(build, "bench_follow")
    psutil = exporters.python_with_psutil()
    script = [shlex.join([psutil, os.path.join(ROOT, "bench", "follow_psutil.py"), "5"])] if psutil else []
    got = json.loads(output_of(path, "1000", "5", *script))
    ratio, look = got["ratio"], got["look_ns"]
    rows = [("a look at 1000 followed processes ÷ the floor", f"{ratio:.2f}", "≤ 1.5", ratio <= 1.5,
             f"median of {got['turns']} turns; {look / 1e3:.0f} against {got['floor_ns'] / 1e3:.0f} µs for one listing of /proc and every "
             f"process clock; where nobody was born {got['quiet_look_ns'] / 1e3:.0f} µs; `--all` at 10 Hz {got['percent_at_10_hz']:.2f} % of a core")]
    if psutil and got["other_ns"] > 0:
        times = got["other_ns"] / look
        rows.append(("the same look by psutil ÷ Prony's", f"{times:.0f}", "≥ 30", times >= 30,
                     f"name, parent and CPU times of every process: {got['other_ns'] / 1e6:.1f} ms, while the same processes sleep"))
    else:
        rows.append(("the same look by psutil ÷ Prony's", "not measured", "≥ 30", None,
                     "python3-psutil is not installed (tools/setup.sh bench)"))
    many = json.loads(output_of(path, "5000", "10"))
    rows.append(("following 5000 processes at 1 Hz", f"{many['percent_at_1_hz']:.2f} % of a core", "≤ 1 %", many["percent_at_1_hz"] <= 1,
                 f"as `prony run --all --interval 1s` does it, a birth a second; a look costs {many['look_ns'] / 1e6:.1f} ms, one listing of "
                 f"/proc and every process clock {many['floor_ns'] / 1e6:.1f} ms"))
    return rows


def span(build, scratch):
    path = program(build, "bench_span")
    idle = json.loads(output_of(path))
    busy = json.loads(output_of(path, os.path.join(scratch, "spans")))
    return [("span begin + end, nobody records", f"{idle['begin_end_ns']:.1f} ns", "≤ 150 ns", idle["begin_end_ns"] <= 150,
             "median of 21 rounds of 8000"),
            ("span begin + end, recorded", f"{busy['begin_end_ns']:.0f} ns", "≤ 500 ns", busy["begin_end_ns"] <= 500,
             f"into a ring that is emptied; {busy['lost']} lost; median of 21 rounds of 8000")]


def fleet(build, scratch):
    try:
        return collectors.measure(program(build, "prony"), scratch)
    except collectors.NotMeasured as why:
        raise NotMeasured(str(why)) from why


def http_client(build, scratch):
    try:
        return client.rows(build, scratch)
    except client.NotMeasured as why:
        raise NotMeasured(str(why)) from why


def passing_on(build, scratch):
    program(build, "prony-proxy")
    try:
        return proxy.measure(program(build, "prony"), scratch)
    except proxy.NotMeasured as why:
        raise NotMeasured(str(why)) from why


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def build_kind(build):
    try:
        with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as cache:
            return next(line.split("=", 1)[1].strip() for line in cache if line.startswith("CMAKE_BUILD_TYPE:"))
    except (OSError, StopIteration):
        return "unknown"


def rows_of(build, scratch):
    for measure, what in ((tick, "a tick over 20 files ÷ the floor"), (hundred_channels, "100 channels at 100 Hz ÷ the floor"),
                          (lanes, "the fast lane's lateness beside a sensor that blocks"), (record_live, "recording 1 kHz × 20 channels"),
                          (record_bytes, "bytes per reading"), (run_true, "`prony run -- true`"),
                          (own_cost, "`prony run` itself"), (replay, "`prony show` of an hour"),
                          (follow, "a look at 1000 followed processes ÷ the floor"), (span, "span begin + end"),
                          (http_client, "the client of servers"), (passing_on, "what `prony proxy` adds to a request, p50"),
                          (fleet, "1000 clients × 1 Hz into `prony collect`")):
        try:
            yield from measure(build, scratch)
        except (NotMeasured, OSError, ValueError, sqlite3.Error, subprocess.SubprocessError) as why:
            yield what, "not measured", "", None, str(why).replace("\n", " ")


def comparison(build, scratch):
    """CPU per reading beside other tools. Lines of the page, and whether the bound holds (None: psutil was not measured)."""
    root = os.path.join(scratch, "tree")
    rows = exporters.compare(root, machine_tree.make(root), program(build, "prony"), program(build, "bench_channels"))
    first = next((us for name, us, *_ in rows if name.startswith("Prony") and us), None)
    psutil = next((us for name, us, *_ in rows if name.startswith("psutil") and us), None)
    lines = ["", f"CPU per reading on one tree of 100 readings, every tool asked every 10 ms; medians of {exporters.TURNS} turns:", "",
             "| tool | readings | CPU per reading | of the turns | ÷ Prony | how |", "|---|---|---|---|---|---|"]
    for name, us, least, most, readings, how in rows:
        if us is None:
            lines.append(f"| {name} | – | not measured | – | – | {how} |".replace("\n", " "))
            continue
        times = f"{us / first:.1f}" if first else "–"
        lines.append(f"| {name} | {readings:.0f} | {us:.2f} µs | {least:.2f}–{most:.2f} µs | {times} | {how} |")
    held = psutil / first >= 30 if psutil and first else None
    verdict = "not measured" if held is None else f"{psutil / first:.0f} ×, {'held' if held else '**not held**'}"
    return [*lines, "", f"Bound: at least 30 × below a psutil loop: {verdict}."], held


def sensor_costs(build):
    lines = ["", "What one read of each sensor costs on this machine (CPU, back to back, all its channels), and one look for changed "
             "states, about once a second:", "",
             "| sensor | lane | channels | a read | a channel | changes() | probing, once |", "|---|---|---|---|---|---|---|"]
    for row in json.loads(output_of(program(build, "bench_sensors"))):
        probe = f"{row['probe_ns'] / 1e6:.2f} ms"
        if "why_not" in row:
            lines.append(f"| {row['sensor']} | – | – | not measured: {row['why_not']} | – | – | {probe} |")
        else:
            each = row["read_ns"] / row["channels"]
            lines.append(f"| {row['sensor']} | {row['lane']} | {row['channels']} | {row['read_ns'] / 1e3:.2f} µs | {each / 1e3:.2f} µs "
                         f"| {row['changes_ns'] / 1e3:.2f} µs | {probe} |")
    return lines


def tables(build, scratch):
    """The tables after the first, and what of them is held."""
    lines, held = [], []
    for part in (lambda: comparison(build, scratch), lambda: (sensor_costs(build), None)):
        try:
            more, holds = part()
            lines += more
            held.append(holds)
        except (NotMeasured, OSError, ValueError, subprocess.SubprocessError) as why:
            lines += ["", f"Not measured: {why}".replace("\n", " ")]
    return lines, held


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    start_load = os.getloadavg()[0]
    scratch = tempfile.mkdtemp(prefix="prony-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        build = os.path.abspath(sys.argv[1])
        rows = list(rows_of(build, scratch))
        more, more_held = tables(build, scratch)
    finally:
        shutil.rmtree(scratch)
    load = os.getloadavg()[0]
    lines = [f"{time.strftime('%Y-%m-%d', time.gmtime())} · {cpu_model()}, {os.cpu_count()} CPUs · Linux "
             f"{platform.release()} · {build_kind(build)} build · load {start_load:.1f} at the start, {load:.1f} at the end", "",
             "| what | measured | bound | held | how |", "|---|---|---|---|---|"]
    for what, value, bound, held, detail in rows:
        lines.append(f"| {what} | {value} | {bound} | {'–' if held is None else 'yes' if held else '**no**'} | {detail} |")
    lines += more
    print("\n".join(lines))
    with open(PAGE, encoding="utf-8") as page:
        before, rest = page.read().split(BEGIN)
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])
    return 1 if any(row[3] is False for row in rows) or False in more_held else 0


if __name__ == "__main__":
    sys.exit(main())
