"""What is taken out of the outputs that are held against tests/golden/machines: the one place where it is decided.

Everything that comes from the tree of files is kept: layout, domains, labels, states, reasons, remedies, warnings. Masked
is what comes from the machine that runs the test, or from the moment:

    prony sensors   COST of a read, TICK of the running kernel, and the width of columns that they decide
    prony doctor    timers, place for Runs, clocks (LIVE_CHECKS), the TICK, the number of CPUs where the tree tells none
    prony run       times, bytes and counts of the command and of Prony, dates, paths, joules and windows that follow from
                    the time it took, and how the command's tree is followed (root or not)
"""

import json
import os
import re

# What these sensors update at is the tick of the kernel that runs the test, whatever tree they read.
TICKING = ("cpu", "cpu-model", "self")
# What `prony doctor` finds out about the machine that it runs on, not about the tree.
LIVE_CHECKS = ("timers", "place for Runs", "clocks")



def masked_doctor_text(text):
    """Unwrapped, without what is found out about the running machine, and without its tick in the modelled row."""
    unwrapped = []
    for line in text.splitlines():
        if line.startswith(" " * 8) and not line.lstrip().startswith("→") and unwrapped:
            unwrapped[-1] += " " + line.strip()
        else:
            unwrapped.append(line)
    # A tree that does not tell how many CPUs it has is taken to have this machine's.
    unwrapped[0] = re.sub(r"(unknown processor · )\d+ CPUs?", r"\1N CPUs", unwrapped[0])
    lines, skipping, live_trouble = [], False, False
    for line in unwrapped:
        finding = re.match(r" (ok|[A-Za-z]+)  +(.*)", line)
        if finding:
            skipping = finding.group(1) != "ok" and finding.group(2).startswith(LIVE_CHECKS)
            live_trouble = live_trouble or (skipping and finding.group(1) != "note")
            if finding.group(1) == "ok":
                items = finding.group(2).split(" · ")
                line = " ok  " + " · ".join(item for item in items if not item.startswith(LIVE_CHECKS))
        if " cpu-model " in line:
            line = re.sub(r"\b[\d.]+ (ms|s)\b", "TICK", line)
        if not skipping:
            lines.append(" " + re.sub(r"  +", "  ", line.strip()) if line.startswith(" ") else line)
    if live_trouble:  # the running machine is too busy for good timers: its share of the conclusion is taken out
        poor = sum(line.startswith(" POOR") for line in lines)
        rest = f" · {poor} make{'s' if poor == 1 else ''} numbers poor" if poor else ""
        lines[1] = re.sub(r" · \d+ makes? numbers poor$", rest, lines[1])
        if " missing, " not in lines[1] and not poor:
            lines[1] += " · nothing to mend"
    return "\n".join(lines) + "\n"


def masked_doctor_json(text):
    document = json.loads(text)
    document["machine"] = re.sub(r"(unknown processor · )\d+ CPUs?", r"\1N CPUs", document["machine"])
    document["findings"] = [f for f in document["findings"] if f["check"] not in LIVE_CHECKS]
    if document["exit_code"] == 1:
        document["exit_code"] = int(any(f["verdict"] in ("poor", "missing") for f in document["findings"]))
    lines = [json.dumps({key: document[key] for key in ("schema", "machine", "exit_code")}, ensure_ascii=False)]
    for row in document["energy"]:
        if row["sensor"] in TICKING:
            row = {key: value for key, value in row.items() if key not in ("shortest_window_s", "step", "update_period_s")}
        lines.append(json.dumps(row, ensure_ascii=False))
    lines += [json.dumps(finding, ensure_ascii=False) for finding in document["findings"]]
    return "\n".join(lines) + "\n"


def masked_text(text):
    """Without what differs from run to run: the costs, the running kernel's tick, and the width of columns they decide."""
    lines = []
    for line in text.splitlines():
        if re.match(r" [a-z]", line):
            line = re.sub(r"(\d[\d.]* (ns|µs|ms|s))$", "COST", line)
            if line.split()[0] in TICKING:
                line = re.sub(r"\b\d+ ms\b", "TICK", line)
            line = " " + re.sub(r"  +", "  ", line.strip())
        lines.append(line)
    return "\n".join(lines) + "\n"


def masked_json(text):
    """One line per sensor, channel and reason."""
    document = json.loads(text)
    lines = [f"schema {document['schema']}"]
    for sensor in document["sensors"]:
        channels, reasons = sensor.pop("channels"), sensor.pop("unavailable")
        sensor.pop("cost_per_read_ns", None)
        lines.append(json.dumps(sensor, ensure_ascii=False))
        for channel in channels:
            if sensor["name"] in TICKING:
                channel.pop("update_period_ns", None)
                channel.pop("step", None)
            lines.append("  " + json.dumps(channel, ensure_ascii=False))
        lines += ["  " + json.dumps(reason, ensure_ascii=False) for reason in reasons]
    return "\n".join(lines) + "\n"


# Of a Run's JSON these numbers come from the tree, the command or the schema; every other one is a measurement of the
# moment: times, CPU, bytes, readings, joules that follow from them. Those keep their place, and NUMBER stands there.
KEPT_NUMBERS = {"exit_code", "spans_lost", "wraps", "resets", "version", "transitions", "cpus", "idle_w", "full_w"}
# How the command's tree is followed depends on what the user may do here (a control group of its own or not).
OF_THE_RUNG = "process."
# Read in lanes that nobody waits for: within so short a Run they have ticked or have not.
SELDOM_READ = r"raspberry\.ext5v\.voltage|use\..*|.*\.use|target\..*\.memory"
# Items of a line that come and go with the load of the machine that runs the test.
LOADED = (r"[\d ]+ ticks? missed.* of [\d ]+",)


def masked_numbers(value, key=""):
    if isinstance(value, dict):
        return {name: masked_numbers(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked_numbers(inner, key) for inner in value]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "NUMBER" if number and key not in KEPT_NUMBERS else value


def masked_figures(text):
    """Times, bytes and shares that were measured, and the windows that follow from how long the command took."""
    text = re.sub(r"(?<![\w.])\d[\d. ]* (ns|µs|ms|s|B|KiB|MiB|GiB)\b", "FIGURE", text)
    return re.sub(r"\(<?\d[\d.]* % of [^)]*\)", "(SHARE)", text)


def masked_run_text(text, folder):
    """What `prony run` says of a command: what of it was measured now is FIGURE, SHARE or N."""
    lines = []
    for line in text.replace(folder, "RUNS").splitlines():
        if " · exit " in line:  # the command: its times, and as many processes as the rung can see
            line = line[: line.index(" · exit ")] + " · exit " + line.split(" · exit ")[1].split(" ")[0] + " · FIGURES"
        label, items = line[:16], line[16:]
        if label.strip() == "memory, files":
            items = re.sub(r"\b\d[\d ]* (major|minor|wait|preemption)s?\b", r"N \1", items).replace("faults", "fault")
        if label.strip() == "Prony itself":
            items = re.sub(r" \(.*?\)", "", items)
        if label.strip() in ("conditions", ""):  # long ones go on in lines without a label
            kept = " · ".join(item for item in items.split(" · ") if not any(re.fullmatch(p, item) for p in LOADED))
            if items and not kept:
                continue
            items = kept
        # Domains that take equally long stand together, and how long each takes was learned at this moment. The JSON has
        # what is told of each.
        too_short = re.fullmatch(r"[^:]*(: the window is too short for this sensor; it takes at least .*)", items)
        if too_short:
            items = "DOMAINS" + too_short.group(1)
        more = re.fullmatch(r"and \d+ more \(`prony show --json` names them\)", items) is not None
        told = any("DOMAINS" in line for line in lines)
        if not (told and (too_short or more)):
            lines.append(masked_figures(label + items))
    return "\n".join(lines) + "\n"


def masked_run_json(text, folder):
    """A line for each plain value, channel, passport and reason."""
    document = json.loads(text.replace(folder, "RUNS"))
    document["started_utc"] = "DATE"
    document["process"] = {}
    if "cpu_model" not in document["machine"]:
        document["machine"].pop("cpus", None)  # a tree that does not tell is taken to have this machine's
    document["cpu_split"] = masked_figures(document["cpu_split"])
    document["prony_version"] = "VERSION"
    document["settings"] = [setting for setting in document["settings"] if setting["origin"] != "default"]
    for setting in document["settings"]:
        if os.sep in setting["value"]:
            setting["value"] = "PATH"
    document["unavailable"] = [u for u in document["unavailable"] if not u["name"].startswith(OF_THE_RUNG)]
    for passport in document["passports"]:  # why each is absent is `prony probe`'s matter
        passport["learned_utc"] = "DATE"
        passport["absent"] = ", ".join(entry["name"] for entry in passport["absent"])
    document["gauges"] = [gauge for gauge in document["gauges"] if not re.fullmatch(SELDOM_READ, gauge["channel"])]
    document.pop("nominal_work")  # of clocks, which are seldom read
    lines = []
    for key, value in masked_numbers(document).items():
        if isinstance(value, list) and value:
            lines.append(key)
            lines += ["  " + json.dumps(entry, ensure_ascii=False) for entry in value]
        else:
            lines.append(key + " " + json.dumps(value, ensure_ascii=False))
    return "\n".join(lines) + "\n"
