#!/usr/bin/env python3
"""The rules of the house that no compiler holds: a row has a page and a test, no committed file names the machine it was
written on, no file or function grows without a reason, no two files of a part have a name of their own in common.

usage: check_house.py [ROOT]; exits 1 if a rule is broken. Lines that begin with "note:" break nothing.
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from own_names import own_names  # noqa: E402

LONG_FILE = 600      # above it a file must say why: a comment "Long because …"
LONGISH_FILE = 400
LONG_FUNCTION = 70

ROW = re.compile(r'\{\s*"([a-z0-9-]+)"\s*,\s*"')  # {"name", "help", …

# Where somebody built, and whom they fetched from, is nobody else's business and true nowhere else.
PRIVATE = [
    (re.compile(r"(?<![\w.$}~])/(?:work|home|Users)/[A-Za-z]"), "a path of somebody's machine"),
    (re.compile(r"(?<![\w.$}])/tmp/h/"), "a path of somebody's machine"),
    (re.compile(r"https?://[\w.-]*(?:registry|mirror|snapshot|proxy|index)[\w-]*\.[\w.-]+"), "the host of a package registry"),
    (re.compile(r"https?://deb\."), "the host of a package registry"),
]


def tracked(root):
    out = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=False)
    if out.returncode == 0 and out.stdout:
        return [p for p in out.stdout.decode().split("\0") if p]
    found = []  # an exported tree without git
    for where, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", "runs", ".git", "__pycache__")]
        found += [os.path.relpath(os.path.join(where, f), root) for f in files]
    return sorted(found)


def read(root, path):
    try:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            return file.read()
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return None  # not text, or gone from the working tree


def rows(root, catalogue):
    return ROW.findall(read(root, catalogue) or "")


def check_catalogues(root):
    """One catalogue row, one docs page, one test."""
    breaches = []
    for part, page in (("sensors", "docs/sensors"), ("sinks", "docs/sinks")):
        catalogue = f"src/{part}/catalog.cpp"
        names = rows(root, catalogue)
        if not names:
            breaches.append(f"{catalogue}: no rows found (is the catalogue there, one row a line?)")
        tests = f"tests/{part}"
        listed = os.listdir(os.path.join(root, tests)) if os.path.isdir(os.path.join(root, tests)) else []
        for name in names:
            if not os.path.exists(os.path.join(root, page, name + ".md")):
                breaches.append(f"{catalogue}: '{name}' has no page {page}/{name}.md")
            word = name.replace("-", "_")
            named = re.compile(rf'\bmake_{word}|"{name}"')  # its own file, or a test that names it
            if not any(f.startswith(word) or named.search(read(root, f"{tests}/{f}") or "") for f in listed):
                breaches.append(f"{catalogue}: '{name}' has no test {tests}/{word}_test.cpp")
    return breaches


def check_sensor_table(root):
    """The table of docs/sensors/README.md has the catalogue's rows, in its order, each with how it was verified."""
    page = "docs/sensors/README.md"
    columns, found, breaches = [], [], []
    for line in (read(root, page) or "").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] == "sensor":
            columns = cells
        elif match := re.match(r"\[([a-z0-9-]+)\]\(", cells[0]):
            found.append(match.group(1))
            if len(cells) != len(columns) or not all(cells):
                breaches.append(f"{page}: '{match.group(1)}' has no entry in each of {len(columns)} columns (none is –)")
    if missing := [c for c in ("captured", "FUSE", "QEMU driver", "real device") if c not in columns]:
        breaches.append(f"{page}: the table does not tell how sensors were verified: no column {', '.join(missing)}")
    if found != rows(root, "src/sensors/catalog.cpp"):
        breaches.append(f"{page}: the table's sensors are not those of src/sensors/catalog.cpp, in its order")
    return breaches


PARITY_ROWS = [f"A{n}" for n in range(1, 10)] + [f"B{n}" for n in range(1, 6)] + \
    [str(n) for n in (*range(1, 43), 44, 45, 48)] + \
    [f"C{n}" for n in range(1, 7)] + ["C9"]


def check_parity(root, files):
    """Every test that docs/parity.md names exists, and every row is there; what holds names a test."""
    page = "docs/parity.md"
    text = read(root, page)
    if text is None:
        return [f"{page} is missing"]
    known = set()
    for path in files:
        if path.startswith("tests/") and path.endswith(".cpp"):
            known |= {".".join(pair) for pair in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", read(root, path) or "", re.M)}
        elif path.startswith(("tests/", "python/tests/")) and path.endswith(".py"):
            known |= set(re.findall(r"^\s+def (test_\w+)\(", read(root, path) or "", re.M))
    breaches, rows_seen = [], []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        named = re.findall(r"`([A-Z]\w+\.[A-Z]\w+|test_\w+)`", line)
        breaches += [f"{page}: no test is called {name}" for name in named if name not in known]
        if len(cells) != 4 or not re.fullmatch(r"[ABC]?\d+", cells[0]):
            continue
        rows_seen.append(cells[0])
        if cells[2] not in ("holds", "in part", "not yet"):
            breaches.append(f"{page}: row {cells[0]} neither holds, nor in part, nor not yet: '{cells[2]}'")
        if cells[2] == "holds" and not named and not re.match(r"as [AB]\d", cells[3]):
            breaches.append(f"{page}: row {cells[0]} holds, but names no test")
    if rows_seen != PARITY_ROWS:
        breaches.append(f"{page}: rows are {' '.join(rows_seen)}, and ought to be {' '.join(PARITY_ROWS)}")
    return breaches


def check_private(root, files):
    breaches = []
    for path in files:
        if path.startswith("tests/house/"):
            continue  # the rules themselves and the planted breaches
        for number, line in enumerate((read(root, path) or "").splitlines(), 1):
            for pattern, what in PRIVATE:
                if pattern.search(line):
                    breaches.append(f"{path}:{number}: names {what}: {line.strip()[:100]}")
    return breaches


def functions(text):
    """(name, first line, lines) of C++ functions, by the shape that clang-format gives them: heads are at most two deep."""
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines):
        head = re.match(r"^( {0,2})(?! )[^#/{}\s].*\)[^;]*\{$", line)
        if start is None and head and not re.match(r"^\s*(namespace|class|struct|enum|extern|if|for|while|switch)\b", line):
            start = (number, head.group(1), line.strip())
        elif start is not None and line.rstrip() in (start[1] + "}", start[1] + "};"):
            yield start[2], start[0] + 1, number - start[0] + 1
            start = None


def check_lengths(root, files):
    breaches = []
    notes = []
    for path in files:
        if not path.endswith((".cpp", ".hpp", ".c", ".h", ".py")) or path.startswith("tests/golden"):
            continue
        text = read(root, path)
        if text is None:
            continue
        length = text.count("\n")
        if length > LONG_FILE and "Long because" not in text:
            breaches.append(f'{path}: {length} lines and no reason ("Long because …")')
        elif length > LONGISH_FILE:
            notes.append(f"note: {path}: {length} lines; think about splitting it")
        if path.endswith(".cpp"):
            for name, number, lines in functions(text):
                if lines > LONG_FUNCTION:
                    notes.append(f"note: {path}:{number}: {lines} lines in {name[:60]}")
    return breaches, notes


# Each of these files is a program by itself.
ALONE = ("tests/fuzz/", "tests/rigs/", "tests/must_not_compile/")


def check_own_names(root, files):
    """A name that a file keeps to itself is defined once in its folder. Aliases may repeat as long as they say the same."""
    found = {}
    for path in files:
        if path.startswith(("src/", "engines/", "tests/")) and path.endswith(".cpp") and not path.startswith(ALONE):
            folder, file = os.path.split(path)
            for name, alias in own_names(read(root, path) or "").items():
                found.setdefault((folder, name), {})[file] = alias
    return [f"{folder}: '{name}' is in an anonymous namespace of {', '.join(sorted(of))}, but sources of a part are compiled "
            "together: define it once in a header of the folder if it is one thing; if not, give each a name that tells which it is"
            for (folder, name), of in sorted(found.items())
            if len(of) > 1 and (None in of.values() or len(set(of.values())) > 1)]


def check(root):
    files = tracked(root)
    breaches = check_catalogues(root) + check_sensor_table(root) + check_parity(root, files) + check_private(root, files) + \
        check_own_names(root, files)
    long, notes = check_lengths(root, files)
    return breaches + long, notes


if __name__ == "__main__":
    top = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    broken, remarks = check(top)
    print("\n".join(remarks + broken) if remarks or broken else "the house is in order")
    sys.exit(1 if broken else 0)
