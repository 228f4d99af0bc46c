#!/usr/bin/env python3
"""The rules of the house that no compiler holds: a row has a page and a test, no committed file names the machine it was
written on, no file or function grows without a reason.

usage: check_house.py [ROOT]; exits 1 if a rule is broken. Lines that begin with "note:" break nothing.
"""

import os
import re
import subprocess
import sys

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


def check(root):
    files = tracked(root)
    breaches = check_catalogues(root) + check_private(root, files)
    long, notes = check_lengths(root, files)
    return breaches + long, notes


if __name__ == "__main__":
    top = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    broken, remarks = check(top)
    print("\n".join(remarks + broken) if remarks or broken else "the house is in order")
    sys.exit(1 if broken else 0)
