"""What the tests of the set-up scripts share: a constructed root, and what a script leaves in it."""

import os
import subprocess
import tarfile

from harness import Case

FSTAB = "LABEL=root / ext4 defaults 0 1\n"


class BoardSetup(Case):
    script = None

    def setUp(self):
        super().setUp()
        self.root = self.path("root")
        os.makedirs(os.path.join(self.root, "etc"))
        self.put("etc/fstab", FSTAB)

    def put(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def files(self):
        found = {}
        for where, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(where, name)
                found[os.path.relpath(path, self.root)] = (
                    "link " + os.readlink(path) if os.path.islink(path) else os.path.getsize(path))
        return found

    def setup(self, *words, code=0):
        done = subprocess.run([self.script, "--root", self.root, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def archive(self, names):
        path = self.path("prony.tar.gz")
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                info = tarfile.TarInfo(name)
                info.mode = 0o755
                archive.addfile(info)
        return path
