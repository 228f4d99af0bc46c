#!/usr/bin/env python3
"""The demo's truth check: `prony llm` on the FUSE tree, with the true joules of run and prompts beside the measured ones.

usage: truth_check.py BUILD_DIR MODEL MAX_TOKENS [more options of prony llm]
Exits 0 when every truth is inside low–high (and where no FUSE mount can be made: then it says why and checks nothing);
1 when one is not, or prony failed.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as rigs  # noqa: E402

CHANNEL = "rapl.package-0.energy"
DOMAIN = "package-0"
MEAN_W, SWING_W, PERIOD_S = 40, 20, 0.7


def measure(build, model, tokens, more, rig, folder):
    """→ (summary, windows by name). Raises SystemExit when prony fails."""
    prony = os.path.join(build, "prony")
    run = os.path.join(folder, "truth.prony")
    code = subprocess.run(
        [prony, "llm", "--engine", "llama", "--model", model, "--max-tokens", tokens, *more, "--sysfs", rig.path, "--interval",
         "10ms", "--out", run, "--json", os.path.join(folder, "truth.json"), "--quiet"],
        stdin=subprocess.DEVNULL, check=False).returncode
    if code != 0:
        sys.exit(f"truth check: prony llm on the FUSE tree ended with {code}")
    with open(os.path.join(folder, "truth.json"), encoding="utf-8") as file:
        summary = json.load(file)
    spans = subprocess.run([prony, "export", run, "--format", "jsonl", "--table", "spans"], capture_output=True, check=True)
    windows = {}
    for line in spans.stdout.splitlines():
        span = json.loads(line)
        if span["kind"] in ("run", "request"):
            windows["" if span["kind"] == "run" else span["name"]] = (span["begin_ns"], span["end_ns"])
    return summary, windows


def row_of(rows):
    return next((row for row in rows if row["channel"] == CHANNEL), None)


def compare(summary, windows, truth):
    """Lines (label, seconds, true, measured, low, high, inside)."""
    parts = [("the whole run", "", row_of(summary["energy"]))]
    parts += [(f"prompt {request['id']}", request["id"], row_of(request["energy"])) for request in summary["requests"]]
    lines = []
    for label, key, row in parts:
        begin, end = windows[key]
        true = truth.joules(DOMAIN, begin, end)
        if row is None or "gross_j" not in row:
            lines.append((label, (end - begin) * 1e-9, true, None, None, None, False))
        else:
            lines.append((label, (end - begin) * 1e-9, true, row["gross_j"], row["low_j"], row["high_j"],
                          row["low_j"] <= true <= row["high_j"]))
    return lines


def show(lines, rig):
    d = rig.truth.domains[DOMAIN]
    print(f" {DOMAIN} follows {MEAN_W} W ± {SWING_W} W (sine, period {PERIOD_S} s); its counter steps "
          f"every {d['update_ns'] / 1e6:g} ms by {d['quantum_uj']:g} µJ and wraps every {d['wrap_quanta'] * d['quantum_uj'] * 1e-6:.0f} J\n")
    print(f" {'':<22}{'length':>9}{'true':>13}{'measured':>13}{'off by':>10}   {'low … high':<27}")
    for label, seconds, true, gross, low, high, inside in lines:
        if gross is None:
            print(f" {label[:21]:<22}{seconds:>7.2f} s{true:>11.3f} J{'–':>13}   not resolvable")
            continue
        print(f" {label[:21]:<22}{seconds:>7.2f} s{true:>11.3f} J{gross:>11.3f} J{100 * (gross / true - 1):>+9.3f}%   "
              f"{low:.3f} … {high:.3f} J  {'inside' if inside else 'OUTSIDE'}")


def main():
    build, model, tokens, more = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    program = os.path.join(build, "rigs/fakesysfs")
    reason = rigs.why_no_fuse() if os.path.exists(program) else "libfuse3 is not installed, so the rig was not built"
    if reason:
        print(f" not checked: {reason}")
        return 0
    zone = f"power=sine:{MEAN_W},{SWING_W},{PERIOD_S} update_us=1000 quantum_uj=61 wrap_quanta=16000000"
    try:
        rig = rigs.Rig(program, ["--zone", f"id=intel-rapl:0 name={DOMAIN} {zone}"])
    except rigs.RigError as error:
        print(f" not checked: {error}. A container needs --device /dev/fuse --cap-add SYS_ADMIN; elsewhere: run as root")
        return 0
    with rig, tempfile.TemporaryDirectory(prefix="prony-truth-") as folder:
        summary, windows = measure(build, model, tokens, more, rig, folder)
        lines = compare(summary, windows, rig.truth)
        show(lines, rig)
    inside = sum(line[-1] for line in lines)
    worst = max((abs(l[3] / l[2] - 1) for l in lines if l[3] is not None), default=None)
    print(f"\n {inside} of {len(lines)} true values inside low–high" + (f"; the worst is off by {100 * worst:.3f} %" if worst is not None else ""))
    return 0 if inside == len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
