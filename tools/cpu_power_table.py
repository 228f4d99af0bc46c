#!/usr/bin/env python3
"""Fits the figures of src/sensors/cpu_power_rows.cpp to published measurements, and writes them and the table of
docs/sensors/cpu-model.md.

usage: cpu_power_table.py --data DIR [--write]     DIR holds SPECpower-*.csv (cloud-carbon-footprint/ccf-coefficients)

A result tells the wall watts of a whole server at active idle and at 100 %. What its packages drew together lies in

    [eta_low * wall - memory_high - rest_high,  eta_high * wall - memory_low - rest_low]

with the bands below. For each family and load a line  per_package + per_core * cores  is fitted to the middles of these
bands, and a low and a high factor are chosen so that at least 95 % of the whole bands lie inside: the narrowest that do.
Each is then checked on results that it was not fitted to: those of one server vendor at a time.
"""

import argparse
import csv
import glob
import math
import os
import re
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROWS = os.path.join(ROOT, "src/sensors/cpu_power_rows.cpp")
PAGE = os.path.join(ROOT, "docs/sensors/cpu-model.md")

# What else is in the wall figure. Kept the same in tests/sensors/cpu_power_table_test.cpp.
BANDS = {
    "idle": {"eta": (0.75, 0.94), "dimm_w": (0.5, 4.0), "gb_w": (0.01, 0.2), "rest": (0.05, 0.20), "rest_w": (0, 10)},
    "full": {"eta": (0.81, 0.96), "dimm_w": (1.0, 6.0), "gb_w": (0.02, 0.4), "rest": (0.02, 0.12), "rest_w": (0, 10)},
}
SLOTS_PER_PACKAGE = 12
INSIDE = 0.95
FEWEST = 4  # results; below that the factors of all families together are used

# Family by processor name. The order matters: the first that matches.
METAL = r"(Platinum|Gold|Silver|Bronze|Xeon|Xeon\(R\)) "
NAMES = [
    ("epyc-1", r"EPYC [37]\d\d1P?\b"),
    ("epyc-2", r"EPYC 7[\dFH]\d2P?\b"),
    ("epyc-3", r"EPYC 7[\dF]?[\dF]\d?3[PX]?\b"),
    ("raphael", r"EPYC 4\d\d4P?X?\b"),
    ("granite-ridge", r"EPYC 4\d\d5P?X?\b"),
    ("epyc-4", r"EPYC [89]\d\d4P?N?\b"),
    ("epyc-5", r"EPYC 9\d\d5[PF]?\b"),
    ("opteron-k10", r"Opteron(\(r\) Processor)? (2[234]|8[234]|41|61)\d\d"),
    ("opteron-15h", r"Opteron (42|43|62|63)\d\d"),
    ("neoverse-n1", r"\b[QM]\d+-\d\d\b"),
    ("neoverse-v2", r"Grace CPU"),
    ("raptor-lake-server", r"\b(E-24\d\d|63\d\dP)\b"),
    ("sierra-forest", r"\b6[67]\d\dE\b"),
    ("granite-rapids", r"\b6[5679]\d\dP\b"),
    ("sapphire-rapids", r"(Silver (4509Y|4510T?)|Bronze 3508U)"),
    ("emerald-rapids", METAL + r"[3-8]5\d\d[A-Z]*\+?(?= |$|,)"),
    ("sapphire-rapids", METAL + r"[3-9]4\d\d[A-Z]*\+?(?= |$|,)"),
    ("ice-lake-d", r"\bD-2[78]\d\d"),
    ("cooper-lake", r"\b(83|63|53)\d\dHL?\b"),
    ("ice-lake-server", r"(Platinum|Gold|Silver) [3-8]3\d\d"),
    ("cascade-lake", r"(Platinum [89]|Gold [56]|Silver 4|Bronze 3)2\d\d"),
    ("skylake-server", r"(Platinum|Gold|Silver|Bronze) [3-8]1\d\d"),
    ("rocket-lake", r"\bE-23\d\d"),
    ("coffee-lake", r"\bE-2[12]\d\d"),
    ("broadwell-server", r"\bE[57]-\d{4}[A-Z]* ?[vV]4"),
    ("haswell-server", r"\bE[57]-\d{4}[A-Z]* ?[vV]3"),
    ("ivy-bridge-server", r"\bE[57]-\d{4}[A-Z]* ?[vV]2"),
    ("sandy-bridge-server", r"\bE5-\d{4}L?(?! ?[vV])"),
    ("westmere", r"\bE7-\d{4}(?! ?[vV])"),
    ("kaby-lake", r"\bE3-\d{4}[A-Z]* ?[vV]6"),
    ("skylake", r"\bE3-\d{4}[A-Z]* ?[vV]5"),
    ("haswell", r"\bE3-\d{4}[A-Z]* ?[vV]3"),
    ("ivy-bridge", r"\bE3-\d{4}[A-Z]* ?[vV]2"),
    ("sandy-bridge", r"\bE3-\d{4}L?(?! ?[vV])"),
    ("arrow-lake-h", r"Core Ultra \d 2\d\dH"),
    ("westmere", r"(\b[XEL]56\d\d|Xeon 5675)"),
    ("nehalem", r"\b[XEL](55|34|75)\d\d"),
    ("core-2", r"(\b[XEL]?(31|32|33|52|53|54|73)\d\d\b|30[47]\d|5160)"),
]


TITLES = {
    "epyc-1": "AMD EPYC 1st generation", "epyc-2": "AMD EPYC 2nd generation", "epyc-3": "AMD EPYC 3rd generation",
    "raphael": "AMD EPYC 4004", "granite-ridge": "AMD EPYC 4005", "epyc-4": "AMD EPYC 4th generation",
    "epyc-5": "AMD EPYC 5th generation", "opteron-k10": "AMD Opteron, 10h", "opteron-15h": "AMD Opteron, 15h",
    "neoverse-n1": "Arm Neoverse N1", "neoverse-v2": "Arm Neoverse V2", "raptor-lake-server": "Intel Xeon E-2400, 6300",
    "sierra-forest": "Intel Sierra Forest", "granite-rapids": "Intel Granite Rapids",
    "sapphire-rapids": "Intel Sapphire Rapids", "emerald-rapids": "Intel Emerald Rapids",
    "ice-lake-d": "Intel Xeon D-2700", "cooper-lake": "Intel Cooper Lake", "ice-lake-server": "Intel Ice Lake server",
    "cascade-lake": "Intel Cascade Lake", "skylake-server": "Intel Skylake server",
    "rocket-lake": "Intel Xeon E-2300", "coffee-lake": "Intel Xeon E-2100, E-2200",
    "broadwell-server": "Intel Broadwell server", "haswell-server": "Intel Haswell server",
    "ivy-bridge-server": "Intel Ivy Bridge server", "sandy-bridge-server": "Intel Sandy Bridge server",
    "westmere": "Intel Westmere", "kaby-lake": "Intel Xeon E3 v6", "skylake": "Intel Xeon E3 v5",
    "haswell": "Intel Xeon E3 v3", "ivy-bridge": "Intel Xeon E3 v2", "sandy-bridge": "Intel Xeon E3",
    "arrow-lake-h": "Intel Arrow Lake H", "nehalem": "Intel Nehalem", "core-2": "Intel Core 2 server",
}
ONE_THREAD = {"opteron-k10", "opteron-15h", "neoverse-n1", "neoverse-v2", "sierra-forest", "core-2", "arrow-lake-h"}
# Wider than the fit: low, high. A server from a vendor not yet seen; and at full load the measured program is Java, while
# vector code takes a package to its TDP (EPYC 9965: 500 W; the fit ends at 430 W).
WIDEN = {"idle": (0.85, 1.20), "full": (0.88, 1.22)}


# "Intel X3350": as no kernel writes it.
BRAND_NEEDED = re.compile(r"Intel (X|E3-)")


def family(name):
    for key, pattern in NAMES:
        if re.search(pattern, name) and ("Xeon" in name or not BRAND_NEEDED.match(name)):
            return key
    return None


def band(result, load):
    """(low, high) of what all packages of a result drew together."""
    b, wall, chips, memory = BANDS[load], result[load], result["chips"], result["memory_gb"]
    slots = SLOTS_PER_PACKAGE * chips
    memory_low = min(b["gb_w"][0] * memory, b["dimm_w"][0] * slots)
    memory_high = min(b["gb_w"][1] * memory, b["dimm_w"][1] * slots)
    low = b["eta"][0] * wall - memory_high - b["rest"][1] * wall - b["rest_w"][1] * chips
    high = b["eta"][1] * wall - memory_low - b["rest"][0] * wall - b["rest_w"][0] * chips
    # Small systems: the rest may be nearly all of it, but packages are never nothing.
    return max(low, 0.10 * wall if load == "idle" else 0.35 * wall), high


def read_results(folder):
    paths = sorted(glob.glob(os.path.join(folder, "SPECpower-*.csv")))
    if not paths:
        sys.exit(f"{folder}: no SPECpower-*.csv")
    results, refused = [], []
    with open(paths[-1], encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row["CPU Description"].strip()
            try:
                result = {"name": name, "vendor": row["Hardware Vendor"].split()[0].rstrip(".,"), "idle": float(row["avg. watts @ active idle"]),
                          "full": float(row["avg. watts @ 100%"]), "cores": int(row["# Cores"]), "chips": int(row["Chips"]),
                          "per_chip": int(row["# Cores Per Chip"]), "threads": int(row["# Threads Per Core"]),
                          "memory_gb": float(row["Total Memory (GB)"]), "mhz": float(row["Processor MHz"])}
            except ValueError:
                refused.append(f"{name}: a figure is missing")
                continue
            # The whole server's figure over one package's cores would be wrong by the number of packages.
            if result["cores"] != result["chips"] * result["per_chip"] or not 0 < result["idle"] < result["full"]:
                refused.append(f"{name}: {result['cores']} cores on {result['chips']} chips of {result['per_chip']}, "
                               f"{result['idle']} W idle, {result['full']} W full")
                continue
            result["family"] = family(name)
            results.append(result)
    return results, refused


def fit_line(results, load):
    """(per_package, per_core) for the middles of the bands, least squares of relative errors, neither negative."""
    points = []
    for r in results:
        low, high = band(r, load)
        points.append((r["per_chip"], math.sqrt(low * high) / r["chips"]))

    def error(a, b):
        return sum(((a + b * n) / y - 1) ** 2 for n, y in points)

    counts = sorted({n for n, _ in points})
    # Weighted normal equations with weights 1/y.
    s11 = sum(1 / y ** 2 for n, y in points)
    s12 = sum(n / y ** 2 for n, y in points)
    s22 = sum(n * n / y ** 2 for n, y in points)
    t1 = sum(1 / y for n, y in points)
    t2 = sum(n / y for n, y in points)
    one = (0.0, t2 / s22)
    # A slope needs cores that differ. From a single count of cores only a share can be told: two fifths do not depend on
    # cores, as in the vendors' TDPs (EPYC 7763: 64 cores, 280 W; 7313P: 16 cores, 155 W).
    if counts[-1] < 1.5 * counts[0]:
        both = statistics.median(y for _, y in points)
        return both * 0.4, both * 0.6 / statistics.median(n for n, _ in points)
    candidates = [one, (t1 / s11, 0.0)]
    determinant = s11 * s22 - s12 * s12
    if abs(determinant) > 1e-12:
        a, b = (t1 * s22 - t2 * s12) / determinant, (s11 * t2 - s12 * t1) / determinant
        if a >= 0 and b >= 0:
            candidates.append((a, b))
    return min(candidates, key=lambda line: error(*line))


def factors(results, load, line):
    """(low, high): the narrowest pair, in the logarithm, that has at least INSIDE of the whole bands inside."""
    ratios = []
    for r in results:
        middle = (line[0] + line[1] * r["per_chip"]) * r["chips"]
        low, high = band(r, load)
        ratios.append((low / middle, high / middle))
    need = math.ceil(INSIDE * len(ratios))
    best = None
    for low in sorted({a for a, _ in ratios}):
        tops = sorted(b for a, b in ratios if a >= low)
        if len(tops) < need:
            break
        high = tops[need - 1]
        if best is None or high / low < best[1] / best[0]:
            best = (low, high)
    return best


def inside(results, load, row):
    count = 0
    for r in results:
        middle = (row["package"] + row["core"] * r["per_chip"]) * r["chips"]
        low, high = band(r, load)
        count += middle * row["low"] <= low * 1.001 and high <= middle * row["high"] * 1.001
    return count


def three(x):
    return float(f"{x:.3g}")


def fitted(results, load, pooled=None):
    line = tuple(three(x) for x in fit_line(results, load))
    low, high = factors(results, load, line)
    if pooled and len(results) < FEWEST:
        low, high = min(low, pooled[load][0]), max(high, pooled[load][1])
    low, high = low * WIDEN[load][0], high * WIDEN[load][1]
    return {"package": line[0], "core": line[1], "low": math.floor(low * 100) / 100, "high": math.ceil(high * 100) / 100}


def pooled_factors(groups, load):
    """The narrowest pair that has INSIDE of all results inside, each held against its own family's line."""
    ratios = []
    for group in groups.values():
        line = fit_line(group, load)
        for r in group:
            middle = (line[0] + line[1] * r["per_chip"]) * r["chips"]
            ratios.append(tuple(edge / middle for edge in band(r, load)))
    lows, highs = sorted(a for a, _ in ratios), sorted(b for _, b in ratios)
    skip = int(len(ratios) * (1 - INSIDE) / 2)
    return lows[skip], highs[-1 - skip]


def held_out(results, load):
    """Of results whose vendor was left out of the fit, how many lie wholly inside. None: nothing left to fit to."""
    count = total = 0
    for vendor in sorted({r["vendor"] for r in results}):
        others = [r for r in results if r["vendor"] != vendor]
        theirs = [r for r in results if r["vendor"] == vendor]
        if len(others) < FEWEST:
            continue
        count += inside(theirs, load, fitted(others, load))
        total += len(theirs)
    return (count, total) if total else None


def rows_of(results):
    groups = {}
    for r in results:
        if r["family"]:
            groups.setdefault(r["family"], []).append(r)
    pooled = {load: pooled_factors(groups, load) for load in BANDS}
    rows = []
    for key in dict.fromkeys(k for k, _ in NAMES):
        group = groups.get(key)
        if not group:
            continue
        cores = sorted(r["per_chip"] for r in group)
        row = {"key": key, "name": TITLES[key], "results": len(group), "fewest": cores[0], "most": cores[-1],
               "usual": int(statistics.median_low(cores)), "threads": 1 if key in ONE_THREAD else 2}
        for load in BANDS:
            row[load] = fitted(group, load, pooled)
            row[load + "_inside"] = inside(group, load, row[load])
            row[load + "_held"] = held_out(group, load)
        rows.append(row)
    return rows


def write_rows(rows):
    lines = ["// Written by tools/cpu_power_table.py from SPECpower_ssj2008 results; do not edit. What the figures mean:",
             "// cpu_power_rows.hpp; how they were found and checked: docs/sensors/cpu-model.md.",
             '#include "sensors/cpu_power_rows.hpp"', "", "#include <array>", "", "namespace prony {", "", "namespace {", "",
             "// clang-format off: one row a line", f"constexpr std::array<CpuPowerRow, {len(rows)}> rows{{{{"]
    for row in rows:
        idle, full = ("{%s, %s, %s, %s}" % tuple(repr(row[load][k]) for k in ("package", "core", "low", "high"))
                      for load in ("idle", "full"))
        lines.append(f'    {{"{row["key"]}", "{row["name"]}", {row["fewest"]}, {row["usual"]}, {row["most"]}, {row["threads"]}, '
                     f'{row["results"]}, {idle}, {full}}},')
    lines += ["}};", "// clang-format on", "", "}  // namespace", "", "std::span<const CpuPowerRow> measured_cpu_power() { return rows; }", "",
              "}  // namespace prony", ""]
    with open(ROWS, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def watts(row, load, cores):
    f = row[load]
    middle = f["package"] + f["core"] * cores
    return f"{middle * f['low']:.3g} · **{middle:.3g}** · {middle * f['high']:.3g}"


def table(rows):
    """The page's table: one package with the usual number of cores."""
    out = ["| family | results | cores | of these | idle W: low · value · high | full W: low · value · high | inside, idle | inside, full | vendor left out, idle | full |",
           "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        n = row["results"]
        held = [f"{h[0]}/{h[1]}" if (h := row[load + "_held"]) else "–" for load in ("idle", "full")]
        out.append(f"| {row['name']} | {n} | {row['fewest']}–{row['most']} | {row['usual']} | {watts(row, 'idle', row['usual'])} | "
                   f"{watts(row, 'full', row['usual'])} | {row['idle_inside']}/{n} | {row['full_inside']}/{n} | {held[0]} | {held[1]} |")
    total = sum(r["results"] for r in rows)
    inside_ = [sum(r[load + "_inside"] for r in rows) for load in ("idle", "full")]
    held = [[sum(r[load + "_held"][i] for r in rows if r[load + "_held"]) for i in (0, 1)] for load in ("idle", "full")]
    out.append(f"| all | {total} | | | | | {inside_[0]}/{total} ({100 * inside_[0] / total:.1f} %) | {inside_[1]}/{total} "
               f"({100 * inside_[1] / total:.1f} %) | {held[0][0]}/{held[0][1]} ({100 * held[0][0] / held[0][1]:.1f} %) | "
               f"{held[1][0]}/{held[1][1]} ({100 * held[1][0] / held[1][1]:.1f} %) |")
    return out


def write_page(lines):
    begin, end = "<!-- table: tools/cpu_power_table.py -->", "<!-- end of table -->"
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(head + begin + "\n" + "\n".join(lines) + "\n" + end + tail)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    results, refused = read_results(options.data)
    rows = rows_of(results)
    lines = table(rows)
    print("\n".join(lines))
    print(f"\n{len(results)} results used; {len(refused)} refused because their own figures disagree:", *refused, sep="\n  ")
    print("without a family:", ", ".join(sorted({r["name"] for r in results if not r["family"]})))
    if options.write:
        write_rows(rows)
        write_page(lines)


if __name__ == "__main__":
    main()
