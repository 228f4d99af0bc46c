"""docs/container.md against the recipe and against what prony itself advises: whoever follows the page gets what it says."""

import os
import re
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
RECIPE = "packaging/container/Containerfile"
FLAG = re.compile(r"--(?:pid|network|cgroupns|cap-add)=[A-Za-z_]+|-v \"?[^\s`\"]+\"?")
HEADERS_ONLY = {"nlohmann-json3-dev", "libcli11-dev", "libexpected-dev", "libboost-dev", "libtomlplusplus-dev",
                "libeigen3-dev"}
LINKED_IN = {"libyaml-cpp-dev"}  # its archive is part of the program
NOT_FOR_THE_BUILD = {"ccache", "libgtest-dev", "libgmock-dev"}  # of the group core


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def flags_of(text):
    """Without what follows the host's path of a mount: "-v /sys/fs/cgroup"."""
    return {re.sub(r"(-v \"?[^:\s\"]+).*", r"\1", flag).replace('"', "") for flag in FLAG.findall(text)}


def stages():
    """(image, packages) of each stage of the recipe, in order."""
    found = []
    for stage in read(RECIPE).replace("\\\n", " ").split("\nFROM ")[1:]:
        packages = re.search(r"--no-install-recommends\s+([\w.+ -]+?)\s*&&", stage).group(1).split()
        found.append((stage.split()[0], set(packages)))
    return found


class ContainerPage(unittest.TestCase):
    def setUp(self):
        self.page = read("docs/container.md")
        self.rows = [line for line in self.page.splitlines() if line.startswith("| `-")]
        self.explained = set().union(*(flags_of(row.split("|")[1]) for row in self.rows))

    def test_each_option_has_a_row_that_says_what_it_shows_and_what_is_missing_without_it(self):
        self.assertGreaterEqual(len(self.rows), 8)
        for row in self.rows:
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            self.assertEqual(len(cells), 3, row)
            self.assertTrue(all(cells), row)

    def test_the_whole_recipe_has_only_options_that_are_explained_and_all_that_a_whole_machine_takes(self):
        block = re.search(r"```\n(podman run .*?)```", self.page, re.S).group(1).replace("\\\n", " ")
        self.assertEqual(flags_of(block) - self.explained, set())
        # Names of containers are an engine's own; everything else shows the machine.
        self.assertEqual(self.explained - flags_of(block), {"-v /var/lib/docker/containers"})

    def test_mounts_of_the_machine_are_read_only(self):
        for mount in re.findall(r"-v (/[^\s`]+)", self.page):
            self.assertTrue(mount.endswith(":ro"), mount)
            host, inside, _ = mount.split(":")
            self.assertEqual(host, inside, "prony reads it where the machine has it")

    def test_what_prony_itself_advises_in_a_container_is_explained(self):
        advised = set()
        for folder, _, names in os.walk(os.path.join(ROOT, "src")):
            for name in names:
                if name.endswith(".cpp"):
                    advised |= flags_of(read(os.path.join(folder, name)).replace(",", " ").replace(")", " "))
        self.assertGreaterEqual(len(advised), 3, advised)
        self.assertEqual(advised - self.explained, set())

    def test_the_page_builds_by_the_recipe_that_is_there(self):
        self.assertIn(f"podman build -t prony -f {RECIPE} .", self.page)
        self.assertIn("tools/container_root.py", self.page)
        self.assertIn("tests/e2e/test_container.py", self.page)
        for name in ("tools/container_root.py", "tests/e2e/test_container.py"):
            self.assertTrue(os.path.exists(os.path.join(ROOT, name)))

    def test_the_recipe_copies_the_sources_without_what_was_built_from_them(self):
        self.assertIn("COPY . /source", read(RECIPE))
        ignored = read(".dockerignore").split("\n")
        for folder in ("build", "runs", ".git"):
            self.assertIn(folder, ignored)

    def test_the_recipe_builds_and_runs_on_one_suite_with_every_library_in_both(self):
        (build_image, build), (run_image, run) = stages()
        self.assertEqual(build_image, run_image)
        listed = read("tools/packages.txt").split("[core]\n")[1].split("\n[")[0].splitlines()
        core = {line.split(">")[0] for line in listed if line and not line.startswith("#")}
        self.assertEqual(build, core - NOT_FOR_THE_BUILD)
        for package in sorted(build):
            if package.endswith("-dev") and package not in HEADERS_ONLY | LINKED_IN:
                stem = package[:-len("-dev")]
                self.assertTrue(any(re.match(re.escape(stem.rstrip("0123456789")) + r"[\d.-]*$", other) for other in run), package)


if __name__ == "__main__":
    unittest.main()
