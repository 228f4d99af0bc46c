#!/usr/bin/env python3
"""Everything that can be said of Prony on a real NVIDIA GPU, in one go: writes docs/validation/nvidia-NAME.md with the date, driver,
device and commands. Nothing else may use the GPU meanwhile. Some two minutes, and with --model as long as the model takes.

usage: validate_gpu.py [--prony PROGRAM] [--out FOLDER] [--keep FOLDER] [--scale N] [--load COMMAND] [--model GGUF [--engine NAME]]
  --prony    build/release/prony, or build/dev/prony where that was not built
  --out      docs/validation            --keep   where the Runs are kept; else they are removed
  --scale    seconds of the load, times this (1)
  --load     instead of tools/gpu_load.py, called as COMMAND SHARE PATTERN
  --model    joules per token of this model through prony llm (an engine that computes on the GPU)

1. the energy counter against power integrated from its readings, instant and average, over a load that is on and off for
   known times;  2. what that Run learned of each channel (passports);  3. two programs at once, three parts of the load
   to one: whose joules;  4. joules per token.
Exit codes: 0 the page was written, 1 something failed (which says what), 3 there is no GPU here.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATTERN = (("off", 2), ("on", 6), ("off", 2), ("on", 0.5), ("off", 0.5), ("on", 0.5), ("off", 0.5), ("on", 6), ("off", 2))
TOGETHER_S = 12
SHARES = (0.75, 0.25)


class Failed(Exception):
    """What did not work, in words for whoever runs this."""


class Validation:
    def __init__(self, options, folder):
        self.options, self.folder, self.commands = options, folder, []

    def call(self, *words, code=0):
        done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != code:
            raise Failed(f"{shlex.join(words)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}")
        return done.stdout

    def prony(self, *words):
        self.commands.append(self.shown(["prony", *words]))
        return self.call(self.options.prony, *words)

    def shown(self, words):
        """A command as somebody else would write it: without this machine's folders."""
        return shlex.join(["python3" if w == sys.executable else w.replace(self.folder + "/", "").replace(ROOT + "/", "")
                           for w in words])

    def path(self, name):
        return os.path.join(self.folder, name)

    def table(self, run, table):
        done = self.call(self.options.prony, "export", self.path(run), "--format", "jsonl", "--table", table)
        return [json.loads(line) for line in done.splitlines()]

    def summary(self, run):
        return json.loads(self.call(self.options.prony, "show", self.path(run), "--json"))

    # --- what is measured -------------------------------------------------------------------------------------------

    def gpu(self):
        """The nvml row of `prony sensors`; exit 3 where there is none."""
        rows = json.loads(self.call(self.options.prony, "sensors", "--json"))["sensors"]
        row = next(r for r in rows if r["name"] == "nvml")
        if row["state"] != "ready":
            print("validate_gpu: no GPU to validate: " + "; ".join(u["reason"] for u in row["unavailable"]), file=sys.stderr)
            sys.exit(3)
        return row

    def load(self, share, pattern):
        words = ",".join(f"{name}:{seconds * self.options.scale:g}" for name, seconds in pattern)
        return [*shlex.split(self.options.load), str(share), words]

    def counter_against_power(self):
        self.prony("run", "--sensors", "nvml,cpu,self", "--out", self.path("sequence.prony"), "--quiet", "--", *self.load(1, PATTERN))
        summary = self.summary("sequence.prony")
        window = next(s for s in self.table("sequence.prony", "spans") if s["kind"] == "run")
        samples, rows = self.table("sequence.prony", "samples"), []
        for entry in summary["energy"]:
            if entry["sensor"] != "nvml" or not re.search(r"\.(energy|power-\w+)$", entry["channel"]):
                continue
            readings = [((s["begin_ns"] + s["end_ns"]) / 2, s[entry["channel"] + "_w"]) for s in samples
                        if entry["channel"] + "_w" in s]
            rows.append({**entry, "by_hand_j": integral(readings, window["begin_ns"], window["end_ns"])})
        counted = [r for r in rows if r["channel"].endswith(".energy")]
        if not rows:
            raise Failed("the Run has no channel of the GPU: " + str(summary["unavailable"])[:300])
        return summary, rows, counted

    def two_programs(self):
        pattern = (("on", TOGETHER_S),)
        loads = [subprocess.Popen(self.load(share, pattern), stdout=subprocess.PIPE, text=True) for share in SHARES]
        try:
            for load in loads:
                if not load.stdout.readline().strip():  # the line that says that it is ready
                    raise Failed(f"the load ended with {load.wait()} before it began")
            self.prony("run", "--sensors", "nvml,cpu,self", "--out", self.path("split.prony"), "--quiet", "--for",
                       f"{TOGETHER_S * self.options.scale * 0.75:g}s", *(w for p in loads for w in ("--pid", str(p.pid))))
            self.commands[-1] = re.sub(r"--pid \d+", "--pid PID", self.commands[-1])
            busy = []
            for load in loads:
                phases = [json.loads(line) for line in load.communicate(timeout=600)[0].splitlines()]
                busy.append(sum(p["busy_s"] for p in phases))
        finally:
            for load in loads:
                load.kill()
                load.wait()
        summary = self.summary("split.prony")
        charged = {t["name"]: t.get("charged_j") for t in summary["targets"]}
        return [(share, seconds, charged.get(f"pid-{load.pid}")) for share, seconds, load in zip(SHARES, busy, loads)], summary

    def tokens(self):
        words = ["llm", "--model", self.options.model, "--max-tokens", "128", "--repeat", "3", "--warmup", "1", "--ignore-eos",
                 "--out", self.path("llm.prony"), "--quiet"]
        if self.options.engine:
            words += ["--engine", self.options.engine]
        self.prony(*words)
        return self.call(self.options.prony, "show", self.path("llm.prony"))


def integral(readings, begin_ns, end_ns):
    """Joules of readings (ns, W) between two times: straight lines between them, held at both ends. None: too few."""
    if len(readings) < 2:
        return None
    inside = [(max(begin_ns, min(end_ns, at)), watts) for at, watts in readings]
    inside = [(begin_ns, inside[0][1]), *inside, (end_ns, inside[-1][1])]
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2e9 for a, b in zip(inside, inside[1:]))


def joules(row):
    if not row.get("resolvable", True) or row.get("gross_j") is None:
        return f"not resolvable ({row.get('needed_s', '?')} s needed)"
    return f"{row['gross_j']:.1f} J ({row['low_j']:.1f}…{row['high_j']:.1f}, {row['kind']})"


def page(validation, sensor, facts, parts):
    summary, rows, counted = parts["counter"]
    machine = summary["machine"]
    names = ", ".join(sorted({v for k, v in facts.items() if k.endswith(".name")})) or "a GPU without a name"
    device = ", ".join(sorted({c["device"] for c in sensor["channels"]}))
    lines = [f"# {names}", "", f"Made by `tools/validate_gpu.py` on {parts['when']} UTC.", "",
             f"* GPU: {names}; {device}", f"* driver: {facts.get('driver', 'not told')}",
             f"* machine: {machine.get('cpu_model', 'not told')}, kernel {machine.get('kernel', platform.release())}",
             f"* Prony {summary['prony_version']}", f"* load: `{validation.shown(validation.load('SHARE', PATTERN))}`", ""]
    lines += ["## The counter against integrated power", "",
              "| channel | Prony | integrated from its readings by this script | against the counter |", "|---|---|---|---|"]
    for row in rows:
        hand, of = row["by_hand_j"], next((c for c in counted if c["channel"].rsplit(".", 1)[0] == row["channel"].rsplit(".", 1)[0]), None)
        against = "–"
        if of and of is not row and of.get("gross_j") and row.get("gross_j"):
            against = f"{100 * (row['gross_j'] / of['gross_j'] - 1):+.1f} %"
        lines.append(f"| `{row['channel']}` | {joules(row)} | {'–' if hand is None else f'{hand:.1f} J'} | {against} |")
    if not counted:
        lines += ["", "This GPU counts no energy: nothing to hold its power against but a meter at the wall."]
    lines += ["", "## What the Run learned", "", "```json", json.dumps(summary.get("passports", []), indent=1), "```", ""]
    lines += ["## Two programs at once", "", "| part of the time asked for | kernel seconds that it counted | charged |", "|---|---|---|"]
    split, _ = parts["split"]
    lines += [f"| {share:g} | {busy:.2f} | {'not separable' if charged is None else f'{charged:.1f} J'} |" for share, busy, charged in split]
    if all(charged for _, _, charged in split):
        total, seconds = sum(c for _, _, c in split), sum(b for _, b, _ in split)
        lines += ["", f"The first got {split[0][2] / total:.3f} of the joules and did {split[0][1] / max(seconds, 1e-9):.3f} of the kernel time."]
    lines += ["", "## Joules per token", ""]
    lines += ["```", parts["tokens"].rstrip(), "```"] if parts.get("tokens") else ["Not done: no --model was given."]
    lines += ["", "## Commands", "", "```", *validation.commands, "```", ""]
    return "\n".join(lines), names


def facts_of(run):
    """{"driver": …, "gpu-0.name": …}: facts of the Run."""
    with contextlib.closing(sqlite3.connect(f"file:{run}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT key, value FROM fact WHERE key LIKE 'nvml.%'").fetchall()
    return {key.removeprefix("nvml."): value for key, value in rows}


def validate(options, folder):
    validation = Validation(options, folder)
    sensor = validation.gpu()
    parts = {"when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")}
    parts["counter"] = validation.counter_against_power()
    parts["split"] = validation.two_programs()
    if options.model:
        parts["tokens"] = validation.tokens()
    text, names = page(validation, sensor, facts_of(validation.path("sequence.prony")), parts)
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "nvidia-" + re.sub(r"[^a-z0-9]+", "-", names.lower().replace("nvidia", "")).strip("-") + ".md")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(path)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--prony")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs/validation"))
    parser.add_argument("--keep")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--load", default=shlex.join([sys.executable, os.path.join(ROOT, "tools/gpu_load.py")]))
    parser.add_argument("--model")
    parser.add_argument("--engine")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return
    built = [p for p in (os.path.join(ROOT, "build", b, "prony") for b in ("release", "dev")) if os.access(p, os.X_OK)]
    options.prony = options.prony or (built[0] if built else "prony")
    begin = time.monotonic()
    try:
        if options.keep:
            os.makedirs(options.keep, exist_ok=True)
            validate(options, os.path.abspath(options.keep))
        else:
            with tempfile.TemporaryDirectory(prefix="prony-validation-") as folder:
                validate(options, folder)
    except (Failed, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"validate_gpu: {error}")
    print(f"in {time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
