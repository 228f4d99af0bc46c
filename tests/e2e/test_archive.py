"""The archive for boards that cannot build Prony: what is in it, that it starts with its own libraries, and what a board's set-up
does with one that is not whole or not for it.

Kills: a library that is missing on the board, one of the builder's taken at run time, a list that does not hold, an archive
that differs each time.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

import harness
from board_setup import BoardSetup

TOOL = os.path.join(harness.ROOT, "tools/make_archive.py")


class Archive(BoardSetup):
    script = os.path.join(harness.ROOT, "tools/setup-jetson.sh")

    packed = None  # by the first test that wants it: it takes some seconds

    def make(self, folder):
        done = subprocess.run([sys.executable, TOOL, "--from", harness.BUILD, folder], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def pack(self):
        if Archive.packed is None:
            folder = tempfile.mkdtemp(prefix="prony-e2e-")
            self.addClassCleanup(shutil.rmtree, folder, True)
            Archive.packed = self.make(folder)
        for end in ("", ".sha256"):
            shutil.copy(Archive.packed + end, self.folder)
        return self.path(os.path.basename(Archive.packed))

    def listed(self, path):
        with tarfile.open(path) as archive:
            members = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        lines = [line.split() for line in members["share/prony/MANIFEST"].decode().splitlines()]
        return members, lines

    def test_its_list_holds_and_packing_again_gives_the_same_bytes(self):
        first, again = self.pack(), self.make(self.path("again"))
        with open(first, "rb") as one, open(again, "rb") as other:
            data = one.read()
            self.assertEqual(hashlib.sha256(data).digest(), hashlib.sha256(other.read()).digest())
        with open(first + ".sha256", encoding="utf-8") as file:
            self.assertEqual(file.read(), f"{hashlib.sha256(data).hexdigest()}  {os.path.basename(first)}\n")
        members, lines = self.listed(first)
        told = {words[2]: words[1] for words in lines if words[0] == "sha256"}
        self.assertEqual(told, {n: hashlib.sha256(d).hexdigest() for n, d in members.items() if n != "share/prony/MANIFEST"})
        facts = {words[0]: words[1] for words in lines if words[0] != "sha256"}
        self.assertEqual(facts["machine"], os.uname().machine)
        self.assertRegex(facts["glibc"], r"^2\.\d+$")
        self.assertRegex(facts["glibcxx"], r"^3\.4\.\d+$")

    def test_unpacked_it_starts_with_the_libraries_that_came_with_it(self):
        with tarfile.open(self.pack()) as archive:
            archive.extractall(self.path("usr"))
        program = self.path("usr", "bin", "prony")
        done = subprocess.run([program, "sensors", "--simulate", "jetson-orin"], capture_output=True, text=True, check=False,
                              env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("VDD_IN", done.stdout)
        maps = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        ours = [line for line in maps.splitlines() if self.folder in line]
        self.assertEqual(sorted(os.listdir(self.path("usr", "lib", "prony"))), sorted(line.split()[0] for line in ours), maps)
        for name in ("libfmt", "libsqlite3", "libzstd"):
            self.assertIn(name, maps)
            self.assertFalse([line for line in maps.splitlines() if name in line and self.folder not in line], maps)

    def test_a_board_takes_it_once_and_gives_it_back_and_builds_nothing(self):
        before = self.files()
        path = self.pack()
        text = self.setup("--archive", path)
        self.assertNotIn("packages", text)
        self.assertIn("usr/local/lib/prony/libsqlite3.so.0", self.files())
        self.assertEqual(self.setup("--archive", path).count("there   "), 2)
        self.setup("--undo")
        self.assertEqual(self.files(), before)
        self.assertFalse(os.path.exists(os.path.join(self.root, "usr/local/lib/prony")))

    def test_one_whose_bytes_changed_on_the_way_is_refused(self):
        path = self.pack()
        with open(path, "r+b") as file:
            file.seek(-100, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        before = self.files()
        self.assertIn("fetch both again", self.setup("--archive", path, "prony", code=1))
        self.assertEqual(self.files(), before)


if __name__ == "__main__":
    harness.main()
