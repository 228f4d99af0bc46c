"""tools/setup.sh: an unsupported system gets the list and exit code 2; a supported one that has all installs nothing."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
SETUP = os.path.join(ROOT, "tools/setup.sh")


def setup(*words, release=None):
    environment = dict(os.environ)
    if release is not None:
        environment["PRONY_OS_RELEASE"] = release
    return subprocess.run(["sh", SETUP, *words], capture_output=True, text=True, env=environment, check=False)


class Setup(unittest.TestCase):
    def as_system(self, text, *words):
        with tempfile.NamedTemporaryFile("w", suffix="os-release") as file:
            file.write(text)
            file.flush()
            return setup(*words, release=file.name)

    def test_an_unsupported_system_gets_the_list_and_exit_code_2(self):
        for text in ('ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora 41"\n', 'ID=debian\nVERSION_ID="11"\n',
                     'ID=ubuntu\nVERSION_ID="20.04"\n'):
            done = self.as_system(text, "core")
            self.assertEqual(done.returncode, 2, text)
            self.assertIn("libsqlite3-dev", done.stdout)
            self.assertIn("by hand", done.stderr)
        self.assertEqual(setup("core", release="/nonexistent").returncode, 2)

    def test_supported_systems_are_known_by_their_own_words(self):
        for text in ('ID=debian\nVERSION_ID="13"\n', 'ID=ubuntu\nVERSION_ID="24.04"\n', 'ID=raspbian\nVERSION_ID="12"\n'):
            self.assertIn(self.as_system(text, "--check", "core").returncode, (0, 1), text)

    def test_list_names_packages_without_versions_and_installs_nothing(self):
        done = setup("--list", "core", "demo")
        self.assertEqual(done.returncode, 0)
        names = done.stdout.split()
        self.assertIn("cmake", names)
        self.assertIn("libfuse3-dev", names)
        self.assertFalse([n for n in names if ">=" in n])
        self.assertEqual(names, sorted(set(names)))

    def test_a_word_it_does_not_know_is_refused(self):
        self.assertEqual(setup("everything").returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
