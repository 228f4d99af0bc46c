"""The checks of the house see the breach that they are there for. Each test plants one in a small tree."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_house  # noqa: E402
import check_layers  # noqa: E402
from own_names import own_names  # noqa: E402
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
from stage_folder import StageFolder  # noqa: E402

TABLE = """
| part | what it is | may include | must not touch |
|---|---|---|---|
| base | low | – | |
| model | data | base | files, threads, clocks |
| sensors | reads | base model machine/machine.hpp | |
| machine | the port | base model | |
| app | all | * | |
"""


class Tree:
    def __init__(self, files):
        self.files = {"ARCHITECTURE.md": TABLE, "src/base/a.hpp": "", "src/model/a.hpp": "", "src/sensors/a.hpp": "",
                      "src/machine/a.hpp": "", "src/app/a.hpp": "", **files}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        for path, text in self.files.items():
            full = os.path.join(self.folder.name, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        return self.folder.name

    def __exit__(self, *_):
        self.folder.cleanup()


class Layers(unittest.TestCase):
    def breaches(self, files):
        with Tree(files) as root:
            return check_layers.check(root)

    def test_a_tree_that_keeps_the_table_passes(self):
        self.assertEqual(self.breaches({"src/model/x.cpp": '#include "base/a.hpp"\n#include <vector>\n'}), [])

    def test_an_include_against_the_table_is_named_with_its_line(self):
        found = self.breaches({"src/base/x.cpp": '\n#include "model/a.hpp"\n'})
        self.assertEqual(len(found), 1)
        self.assertIn("src/base/x.cpp:2", found[0])

    def test_a_row_that_allows_one_header_allows_no_other_of_that_part(self):
        self.assertEqual(self.breaches({"src/sensors/x.cpp": '#include "machine/machine.hpp"\n'}), [])
        self.assertEqual(len(self.breaches({"src/sensors/x.cpp": '#include "machine/a.hpp"\n'})), 1)

    def test_the_app_may_include_all(self):
        self.assertEqual(self.breaches({"src/app/x.cpp": '#include "sensors/a.hpp"\n'}), [])

    def test_a_pure_part_that_opens_a_file_or_reads_a_clock_is_seen(self):
        self.assertEqual(len(self.breaches({"src/model/x.cpp": "#include <fstream>\n"})), 1)
        self.assertEqual(len(self.breaches({"src/model/x.cpp": "void f() { clock_gettime(0, nullptr); }\n"})), 1)
        self.assertEqual(self.breaches({"src/model/x.cpp": "// #include <thread>\n/* clock_gettime( */\n"}), [])

    def test_a_part_without_a_row_is_seen(self):
        self.assertEqual(len(self.breaches({"src/cellar/x.cpp": "\n"})), 1)

    def test_an_engine_that_reaches_into_src_is_seen(self):
        self.assertEqual(len(self.breaches({"engines/x/main.cpp": '#include "base/a.hpp"\n'})), 1)
        self.assertEqual(self.breaches({"engines/x/main.cpp": '#include "prony/prony.h"\n#include "own.hpp"\n'}), [])

    def test_a_table_that_cannot_be_read_is_a_breach(self):
        self.assertEqual(len(self.breaches({"ARCHITECTURE.md": "no table"})), 1)


SENSORS = "| sensor | captured | FUSE | QEMU driver | real device |\n|---|---|---|---|---|\n| [rapl](rapl.md) | – | yes | – | – |\n"


def parity(first="`Rapl.WrapsAreSeen`", state="holds"):
    """A parity page with all rows, of which the first names a test."""
    others = "".join(f"| {row} | asked | in part | why |\n" for row in check_house.PARITY_ROWS[1:])
    return f"| row | what | state | shown |\n|---|---|---|---|\n| A1 | asked | {state} | {first} |\n{others}"


class House(unittest.TestCase):
    GOOD = {
        "docs/sensors/README.md": SENSORS, "docs/parity.md": parity(),
        "src/sensors/catalog.cpp": '    {"rapl", "energy", make_rapl},\n',
        "src/sinks/catalog.cpp": '    {"csv", "commas", make_csv},\n',
        "docs/sensors/rapl.md": "", "docs/sinks/csv.md": "",
        "tests/sensors/rapl_test.cpp": "TEST(Rapl, WrapsAreSeen) {\n", "tests/sinks/csv_test.cpp": "",
    }

    def breaches(self, **changes):
        files = {**self.GOOD, **changes.get("files", {})}
        for path in changes.get("without", []):
            del files[path]
        with Tree(files) as root:
            return check_house.check(root)[0]

    def test_a_house_in_order_passes(self):
        self.assertEqual(self.breaches(), [])

    def test_a_row_without_a_page_or_a_test_is_seen(self):
        self.assertEqual(len(self.breaches(without=["docs/sensors/rapl.md"])), 1)
        self.assertEqual(len(self.breaches(without=["tests/sinks/csv_test.cpp"])), 1)

    def test_a_sensor_without_a_line_or_a_word_on_how_it_was_verified_is_seen(self):
        page = "docs/sensors/README.md"
        self.assertEqual(len(self.breaches(files={page: SENSORS.replace("rapl", "lapr")})), 1)
        self.assertEqual(len(self.breaches(files={page: SENSORS.replace("| yes |", "|  |")})), 1)
        self.assertEqual(len(self.breaches(files={page: SENSORS.replace("QEMU driver", "guessed")})), 1)

    def test_a_parity_row_whose_test_does_not_exist_is_seen(self):
        page = "docs/parity.md"
        self.assertEqual(len(self.breaches(files={page: parity("`Rapl.WrapsAreForgotten`")})), 1)
        self.assertEqual(len(self.breaches(files={page: parity("`test_nothing`")})), 1)
        self.assertEqual(len(self.breaches(files={page: parity("take my word for it")})), 1)
        self.assertEqual(len(self.breaches(files={page: parity(state="perhaps")})), 1)
        self.assertEqual(len(self.breaches(files={page: parity().replace("| B2 |", "| B9 |")})), 1)
        self.assertEqual(len(self.breaches(without=[page])), 1)

    def test_a_path_of_somebodys_machine_is_seen(self):
        self.assertEqual(len(self.breaches(files={"docs/x.md": "see /home/ann/prony\n"})), 1)
        self.assertEqual(self.breaches(files={"docs/x.md": "see /usr/share/doc, tests/wor" "k/x, ~/wor" "k/x\n"}), [])

    def test_a_long_file_needs_a_reason(self):
        long = "int x;\n" * 700
        self.assertEqual(len(self.breaches(files={"src/base/x.cpp": long})), 1)
        self.assertEqual(self.breaches(files={"src/base/x.cpp": "// Long because it is a table.\n" + long}), [])

    def test_a_long_function_is_noted(self):
        body = "int f(int a) {\n" + "  ++a;\n" * 90 + "  return a;\n}\n"
        with Tree({**self.GOOD, "src/base/x.cpp": body}) as root:
            self.assertEqual(len(check_house.check(root)[1]), 1)


    def test_a_name_that_two_files_of_a_folder_keep_to_themselves_is_seen(self):
        one = "namespace prony {\nnamespace {\nconstexpr int patience = 1;\n}  // namespace\n}  // namespace prony\n"
        other = "namespace {\nbool patience(int n) {\n  return n > 1;\n}\n}  // namespace\n"
        for folder in ("src/base", "engines/http", "tests/base"):
            found = self.breaches(files={f"{folder}/one.cpp": one, f"{folder}/other.cpp": other})
            self.assertEqual(len(found), 1)
            self.assertIn(f"{folder}: 'patience' is in an anonymous namespace of one.cpp, other.cpp", found[0])
        self.assertEqual(self.breaches(files={"src/base/one.cpp": one, "src/model/other.cpp": other}), [])
        self.assertEqual(self.breaches(files={"tests/fuzz/one.cpp": one, "tests/fuzz/other.cpp": other}), [])
        self.assertEqual(self.breaches(files={"src/base/one.cpp": one, "src/base/other.hpp": other}), [])

    def test_an_alias_may_repeat_if_it_says_the_same(self):
        def alias(to):
            return f"namespace {{\nusing Json = nlohmann::{to};\n}}\n"
        self.assertEqual(self.breaches(files={"src/base/a.cpp": alias("json"), "src/base/b.cpp": alias("json")}), [])
        self.assertEqual(len(self.breaches(files={"src/base/a.cpp": alias("json"), "src/base/b.cpp": alias("other")})), 1)


class OwnNames(unittest.TestCase):
    def names(self, inside):
        return sorted(own_names("namespace prony {\nint shared = 1;\nnamespace {\n" + inside + "\n}\nint after() { return 1; }\n}\n"))

    def test_values_of_all_forms_are_found(self):
        self.assertEqual(self.names("constexpr std::int64_t second = 1'000'000, noon = {12 * second};"), ["noon", "second"])
        self.assertEqual(self.names("const std::map<std::string, int> table[2][3] = {{{\"a\", 1}}};"), ["table"])
        self.assertEqual(self.names("std::atomic<bool> stop{false};\nint (*call)(int) = nullptr;"), ["call", "stop"])
        self.assertEqual(self.names("const std::regex word(\"[a-z]\");\nconst auto twice = [](int n) { return 2 * n; };"),
                         ["twice", "word"])

    def test_functions_and_types_are_found_and_what_is_in_them_is_not(self):
        self.assertEqual(self.names("template <class T>\nstd::vector<T> sorted(std::vector<T> all = {}) { T own = 1; return {}; }"),
                         ["sorted"])
        self.assertEqual(self.names("struct Row : Base {\n  int field = 1;\n  void method() {}\n};\nenum class Kind : int { first };"),
                         ["Kind", "Row"])
        self.assertEqual(self.names("auto of(int n) -> decltype(n) {\n  if (n == '{') return 1; // {\n  return R\"({)\"[0];\n}"), ["of"])

    def test_declarations_members_operators_and_tests_define_no_name(self):
        self.assertEqual(self.names("struct Later;\nint later(int n);\nint Door::open() { return 1; }\nDoor::Door() : a{1}, b(2) {}"),
                         [])
        self.assertEqual(self.names("bool operator==(A a, B b) { return true; }\nusing namespace std;\nusing std::string;\n"
                                    "static_assert(sizeof(int) == 4);\nTEST_F(Door, IsOpen) { int n = 1; }"), [])


class StageLeavesNothing(unittest.TestCase):
    def test_what_a_stage_leaves_in_the_temporary_folder_is_named_and_taken_away(self):
        before = os.environ.get("TMPDIR")
        with StageFolder("x") as stage:
            self.assertEqual(tempfile.gettempdir(), stage.path)
            left = tempfile.mkdtemp(prefix="prony-spawn-")
            with tempfile.TemporaryDirectory(prefix="prony-e2e-"):
                pass
            open(os.path.join(stage.path, "ccXYZ.o"), "w", encoding="utf-8").close()
        self.assertEqual(stage.left, [os.path.basename(left)])
        self.assertFalse(os.path.exists(left))
        self.assertEqual(os.environ.get("TMPDIR"), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
