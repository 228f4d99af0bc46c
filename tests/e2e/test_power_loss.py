"""Power is cut in the middle of a study: what the disk then holds for sure is only what was synced.

All changes of the study's folder are written down in order (`write_journal.c`). From that the test makes what a disk may
hold after a cut behind each of them, in four kinds: all of it; names without contents that were not synced; contents
without names that were not; neither. Kills: a manifest renamed before it was synced, one that says "done" of a Run whose
name or content is not on the disk yet, a half-written manifest, a resume that begins anew what was done.
"""

import json
import os
import random
import shutil
import subprocess

import harness
from test_clock import compiler
from test_study import StudyCase

KINDS = ("everything", "names alone", "contents alone", "only what was synced")

RUNS, CUTS = 2, 16  # cuts from which it goes on; all others are looked at

STUDY = """
[study]
name = "cut"
[base]
command = ["test", "{n}"]
sensors = "cpu-model"
[sweep]
vars.n = [1, 2]
"""


class Disk:
    """Files and folders below `root`, each as it is now and as it was when it was last synced."""

    def __init__(self, root):
        self.root = root
        self.now = {root: {}}  # folder → name → file key, or the folder's own path
        self.kept = {root: {}}
        self.contents = {}  # file key → bytearray; what lies behind it, up to its size, are zeros that nobody wrote
        self.sizes = {}
        self.changes = {}  # file key → how often it was written to
        self.synced = {}  # file key → (changes, bytes, size)
        self.by_inode = {}

    def entry(self, path):
        folder, name = os.path.split(path)
        return self.now.get(folder, {}).get(name)

    def name(self, path, what):
        folder, name = os.path.split(path)
        entries = self.now.setdefault(folder, {})
        if what is None:
            entries.pop(name, None)
        else:
            entries[name] = what

    def apply(self, op, inode, path, other, offset, data):
        if op == "creat":
            key = self.by_inode[inode] = len(self.contents) + 1
            self.contents[key], self.sizes[key], self.changes[key], self.synced[key] = bytearray(), 0, 0, (0, b"", 0)
            self.name(path, key)
        elif op == "mkdir":
            self.now[path], self.kept[path] = {}, {}
            self.name(path, path)
        elif op in ("rename", "link"):
            what = self.entry(path)
            if op == "rename":
                self.name(path, None)
            self.name(other, what)
        elif op == "unlink":
            self.name(path, None)
        elif op == "syncdir":
            self.kept[path] = dict(self.now.get(path, {}))
        elif (key := self.by_inode.get(inode)) is not None:
            held = self.contents[key]
            if op == "sync":
                self.synced[key] = (self.changes[key], bytes(held), self.sizes[key])
                return
            self.changes[key] += 1
            if op == "write":
                held.extend(bytes(max(0, offset - len(held))))
                held[offset:offset + len(data)] = data
                self.sizes[key] = max(self.sizes[key], offset + len(data))
            elif op == "trunc":
                del held[offset:]
                self.sizes[key] = offset

    def after_a_cut(self, kind):
        """path → (file key, how often it was written to), or None of a folder."""
        names = self.now if kind in KINDS[:2] else self.kept
        found, folders = {}, [self.root]
        while folders:
            folder = folders.pop()
            for name, what in names.get(folder, {}).items():
                path = os.path.join(folder, name)
                if isinstance(what, str):
                    found[path] = None
                    folders.append(path)
                elif kind in (KINDS[0], KINDS[2]):
                    found[path] = (what, self.changes[what])
                else:
                    found[path] = (what, self.synced[what][0])
        return found

    def put(self, entry, path):
        key, changes = entry
        synced = changes == self.synced[key][0]
        with open(path, "wb") as file:
            file.write(self.synced[key][1] if synced else self.contents[key])
            file.truncate(self.synced[key][2] if synced else self.sizes[key])


def journal_of(path):
    with open(path, "rb") as file:
        while line := file.readline():
            op, inode, first, second, offset, length = line.decode().rstrip("\n").split("\t")
            yield (op, int(inode), os.path.normpath(first), os.path.normpath(second), int(offset), file.read(int(length)))


def done_in(manifest):
    return {a["id"]: a["run"] for run in manifest["runs"] for a in run["attempts"] if a["status"] == "done"}


class PowerLoss(StudyCase):
    def setUp(self):
        super().setUp()
        if compiler() is None:
            self.skipTest("no C compiler for the library that writes the changes down")
        self.root = os.path.realpath(self.folder)
        self.whole = {}  # a Run as it was after so many changes → whether it is whole

    def recorded(self):
        library = self.path("journal.so")
        subprocess.run([compiler(), "-shared", "-fPIC", "-O1", "-o", library, os.path.join(harness.HERE, "write_journal.c"),
                        "-ldl"], check=True)
        journal = self.path("journal")
        done = self.study(self.file(STUDY), "--out", "out",
                          env={"LD_PRELOAD": library, "PRONY_TEST_ROOT": self.root, "PRONY_TEST_JOURNAL": journal})
        self.assertIn("2 of 2 runs done", done.out)
        inside = os.path.join(self.root, "out")
        return [one for one in journal_of(journal) if one[2] == self.root or (one[2] + "/").startswith(inside + "/")]

    def is_whole(self, entry, disk):
        if entry not in self.whole:
            disk.put(entry, self.path("looked-at.prony"))
            shown = self.prony("show", self.path("looked-at.prony"), "--json")
            self.whole[entry] = shown.returncode == 0 and json.loads(shown.out)["state"] == "complete"
        return self.whole[entry]

    def check(self, found, disk, promised, where):
        """What the disk holds: at least all that was promised, and nothing is called done that is not there."""
        entry = found.get(os.path.join(self.root, "out/manifest.json"))
        if entry is None:
            self.assertFalse(promised, where)
            return set()
        disk.put(entry, self.path("looked-at.json"))
        done = done_in(self.load("looked-at.json"))  # whole at every moment
        self.assertLessEqual(promised, set(done), where)
        for run in done.values():
            kept = found.get(os.path.join(self.root, "out", run))
            self.assertTrue(kept is not None and self.is_whole(kept, disk), f"{where}: {run} is called done")
        return set(done)

    def resume(self, found, disk, promised, where):
        shutil.rmtree(self.path("out"), ignore_errors=True)
        for path, entry in sorted(found.items()):
            os.makedirs(path if entry is None else os.path.dirname(path), exist_ok=True)
            if entry is not None:
                disk.put(entry, path)
        begun = os.path.exists(self.path("out/manifest.json"))
        self.study(*(["--resume", "out"] if begun else [self.path("s.toml"), "--out", "out"]))
        manifest = self.manifest()
        self.assertEqual((manifest["status"], [run["status"] for run in manifest["runs"]]), ("complete", ["done"] * RUNS), where)
        self.assertLessEqual(promised, set(done_in(manifest)), where)

    def states(self, records):
        """Each thing that the disk may hold, once: (what it holds, the disk, what was promised by then, words)."""
        disk, promised, seen, runs_begun = Disk(self.root), set(), set(), 0
        for number, record in enumerate(records):
            disk.apply(*record)
            if record[0] == "creat" and record[2].endswith(".prony"):
                self.assertGreaterEqual(len(promised), runs_begun, "a run was begun before the one before it was kept")
                runs_begun += 1
            for kind in KINDS:
                found = disk.after_a_cut(kind)
                identity = frozenset(found.items())
                if identity in seen and kind != KINDS[-1]:
                    continue
                where = f"cut behind change {number} ({record[0]} {os.path.basename(record[2])}), {kind}"
                done = self.check(found, disk, promised, where)
                if kind == KINDS[-1]:
                    promised = promised | done
                if identity not in seen:
                    seen.add(identity)
                    yield found, disk, promised, where
        self.assertEqual(len(promised), RUNS)

    def test_a_cut_behind_any_write_loses_nothing_that_was_measured_and_the_study_goes_on(self):
        seed = random.randrange(1 << 30)
        luck = random.Random(seed)
        records = self.recorded()
        count = sum(1 for _ in self.states(records))
        self.assertGreater(count, CUTS)
        step = count / CUTS
        chosen = {int((i + luck.random()) * step) for i in range(CUTS)}
        for number, (found, disk, promised, where) in enumerate(self.states(records)):
            if number in chosen:
                self.resume(found, disk, promised, f"{where}, seed {seed}")


if __name__ == "__main__":
    harness.main()
