#!/usr/bin/env python3
"""Holds every #include below src/, engines/ and examples/ against the table in ARCHITECTURE.md.

A row reads | part | what it is | may include | must not touch |. "may include" lists parts, or single headers of parts
("sensors/sensor.hpp"), or * for all; "must not touch" is held against the system headers and calls that give access to
files, threads, clocks and the environment. Prints one line per breach and exits 1 if there is any.

usage: check_layers.py [ROOT]
"""

import os
import re
import sys

# What a part that must not touch a thing may not write. Words, not perfection: they catch the honest slip.
FORBIDDEN = {
    "files": [r"#include <(fstream|fcntl\.h|unistd\.h|sys/stat\.h|sys/mman\.h|filesystem)>", r"\bfopen\s*\("],
    "threads": [r"#include <(thread|mutex|shared_mutex|condition_variable|future|pthread\.h)>"],
    "clocks": [r"#include <(chrono|ctime|time\.h|sys/time\.h)>", r"\bclock_gettime\s*\("],
    "environment": [r"\b(secure_)?getenv\s*\(", r"\benviron\b"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def read_table(text):
    """ARCHITECTURE.md → {part: (set of allowed parts and headers, set of things not to touch)}."""
    table = {}
    in_table = False
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            in_table = False
        elif cells[0] == "part":
            in_table = True
        elif in_table and len(cells) >= 4 and not set(cells[0]) <= {"-", ":"}:
            allowed = {w for w in re.split(r"[\s,]+", cells[2]) if w not in ("", "–")}
            untouchable = {w for w in re.split(r"[\s,]+", cells[3]) if w in FORBIDDEN}
            table[cells[0]] = (allowed, untouchable)
    return table


def sources(folder):
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.endswith((".hpp", ".cpp", ".h", ".c", ".cc")):
                yield os.path.join(where, name)


def strip_comments(text):
    """Comments blanked, lines kept, so that words in prose are no breach and line numbers stay right."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def may_include(part, header, allowed):
    target = header.split("/")[0]
    if target == part or "*" in allowed or target in allowed or header in allowed:
        return True
    # The installed promise belongs to the client, which keeps it.
    return target == "prony" and part == "client"


def check_source(root, path, table):
    part = os.path.relpath(path, os.path.join(root, "src")).split(os.sep)[0]
    shown = os.path.relpath(path, root)
    if part not in table:
        yield f"{shown}: the part '{part}' has no row in ARCHITECTURE.md"
        return
    allowed, untouchable = table[part]
    with open(path, encoding="utf-8") as file:
        text = strip_comments(file.read())
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            header = match.group(1)
            if "/" not in header:
                yield f'{shown}:{number}: write "{part}/{header}": includes name their part'
            elif not may_include(part, header, allowed):
                yield f'{shown}:{number}: {part} may not include "{header}" (ARCHITECTURE.md allows: {" ".join(sorted(allowed)) or "nothing"})'
        for thing in sorted(untouchable):
            for pattern in FORBIDDEN[thing]:
                if re.search(pattern, line):
                    yield f"{shown}:{number}: {part} must not touch {thing}: {line.strip()}"


def check_outside(root, path, table):
    """Engines and examples see include/prony and what lies beside them, nothing of src."""
    shown = os.path.relpath(path, root)
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(strip_comments(file.read()).splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match.group(1).split("/")[0] in table:
                yield f'{shown}:{number}: outside of src only include/prony may be included, not "{match.group(1)}"'


def check(root):
    with open(os.path.join(root, "ARCHITECTURE.md"), encoding="utf-8") as file:
        table = read_table(file.read())
    if not table:
        return ["ARCHITECTURE.md: no table of parts found"]
    breaches = []
    for path in sources(os.path.join(root, "src")):
        breaches.extend(check_source(root, path, table))
    for folder in ("engines", "examples"):
        for path in sources(os.path.join(root, folder)):
            breaches.extend(check_outside(root, path, table))
    for part in table:
        if not os.path.isdir(os.path.join(root, "src", part)):
            breaches.append(f"ARCHITECTURE.md: the part '{part}' has no folder in src")
    return breaches


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    print("\n".join(found) if found else "every include keeps to the table in ARCHITECTURE.md")
    sys.exit(1 if found else 0)
