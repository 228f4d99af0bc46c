"""Every fenced block of the pages about Prony in programs and from the shell: it runs, here or in the test that is named,
or it is left out with its reason; and the list of them is whole.

What is changed before a block runs: a duration is added where a command would go on for ever; ports become free ones, and
`collector` this machine; names of files that a reader would have become files that the test makes; `…` of a form gets a value.
usage: test_snippets.py BUILD_DIR
"""

import glob
import json
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import unittest

import harness
import test_monitor
from harness import ROOT, Case

DOCS = os.path.join(ROOT, "docs")
HASH = "$2b$05$ujSmYdI8vqtwuebJJoS.DOu.0Apl98/LOKtjAgWv0W7lYqPrIyPr6"  # of "pass word:1"


class Here:
    """Run by the test below that has this name."""

    def __init__(self, test):
        self.test = test


class There:
    """Run by a test of another file, which reads the page."""

    def __init__(self, file, test):
        self.file, self.test = file, test


class LeftOut:
    """Not run, and why."""

    def __init__(self, reason):
        self.reason = reason


PYTHON = There("python/tests/test_docs.py", "test_each_snippet_of_the_page_on_python_runs")
LIBRARY = There("tests/e2e/test_library.py", "test_every_program_of_the_page_builds_without_a_warning_and_runs")
MONITOR = There("tests/e2e/test_monitor.py", "test_every_command_of_the_page_runs")
PROMETHEUS = Here("test_prometheus_takes_the_scrape_configuration_and_every_query")

# A page's blocks in order, each by its language ("" where none is named).
PAGES = {
    "collect.md": [("", Here("test_the_commands_of_collect_and_what_is_read_of_its_file")),
                   ("sql", Here("test_the_commands_of_collect_and_what_is_read_of_its_file")),
                   ("", Here("test_the_form_of_a_request_is_taken"))],
    "monitor.md": [("", MONITOR), ("", MONITOR)],
    "sinks/README.md": [],
    "sinks/csv.md": [("sh", Here("test_the_tables_are_read_as_the_pages_on_csv_and_jsonl_say")),
                     ("python", Here("test_the_tables_are_read_as_the_pages_on_csv_and_jsonl_say"))],
    "sinks/jsonl.md": [("sh", Here("test_the_tables_are_read_as_the_pages_on_csv_and_jsonl_say")),
                       ("sh", Here("test_the_tables_are_read_as_the_pages_on_csv_and_jsonl_say"))],
    "sinks/prometheus.md": [("yaml", PROMETHEUS), ("promql", PROMETHEUS),
                            ("yaml", Here("test_the_web_configuration_locks_the_door"))],
    "sinks/remote.md": [("sh", Here("test_a_monitor_sends_over_tls_with_a_token_as_the_page_says"))],
    "sinks/run.md": [],
    "library.md": [("cmake", Here("test_a_project_is_built_by_the_lines_for_cmake")), ("c", LIBRARY), ("cpp", LIBRARY),
                   ("c", LIBRARY), ("c", LIBRARY)],
    "libprony.md": [("c", Here("test_the_spans_of_the_page_on_libprony_are_in_the_run"))],
    "python.md": [("sh", LeftOut("compiles the whole program, minutes; the wheel of the same tree, made of what is compiled already, is "
                                 "installed by test_one_wheel_for_every_python_is_made_without_a_compiler_and_its_suite_passes_in_a_clean_environment")),
                  ("python", PYTHON), ("python", PYTHON), ("python", PYTHON), ("python", PYTHON), ("python", PYTHON),
                  ("python", PYTHON), ("python", PYTHON), ("python", PYTHON), ("python", PYTHON),
                  ("sh", Here("test_the_wheel_is_staged_by_the_line_of_the_page"))],
    "aipowermeter.md": [("python", There("python/tests/test_docs.py", "test_each_snippet_of_the_page_on_aipowermeter_runs"))] * 2,
}


def page(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as file:
        return file.read()


def blocks(name):
    """(language, text) of each."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page(name), re.M | re.S)


def block(name, number):
    return blocks(name)[number][1]


def commands(text):
    """The lines of a block, without what stands behind them to explain; one that ends in a backslash goes on."""
    lines = text.replace("\\\n", " ").splitlines()
    return [re.split(r"\s{3,}", line)[0] for line in lines if line.strip()]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def have(*programs):
    return [name for name in programs if not shutil.which(name)]


class TheList(unittest.TestCase):
    def test_each_block_of_these_pages_is_in_the_list_and_nothing_else_is(self):
        written = [os.path.relpath(path, DOCS) for pattern in ("sinks/*.md", "monitor*.md", "python*.md", "heflwr*.md")
                   for path in glob.glob(os.path.join(DOCS, pattern))]
        self.assertEqual(sorted(PAGES), sorted({*written, "collect.md", "library.md", "libprony.md", "aipowermeter.md"}))
        for name, listed in PAGES.items():
            self.assertEqual([language for language, _ in blocks(name)], [language for language, _ in listed], name)
            self.assertEqual(page(name).count("\n```"), 2 * len(listed), name)  # no fence of another kind

    def test_each_test_that_the_list_names_is_there_and_reads_the_page(self):
        for name, listed in PAGES.items():
            for _, who in listed:
                if isinstance(who, Here):
                    self.assertTrue(hasattr(Snippets, who.test) or hasattr(Scraped, who.test), who.test)
                if isinstance(who, There):
                    with open(os.path.join(ROOT, who.file), encoding="utf-8") as file:
                        text = file.read()
                    self.assertIn(f"def {who.test}(", text)
                    self.assertIn(os.path.basename(name), text)
                if isinstance(who, LeftOut):
                    self.assertGreater(len(who.reason), 20)


class Shell(Case):
    """Commands of a page in a shell whose `prony` is the built one."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        os.symlink(harness.program("prony"), self.path("bin/prony"))

    def shell(self, command, code=0, **changes):
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True, check=False, timeout=200,
                              stdin=subprocess.DEVNULL,
                              env=self.environment(PATH=self.path("bin") + ":" + os.environ["PATH"], **changes))
        self.assertEqual(done.returncode, code, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def certificate(self, certificate="ca.pem", key="server.key"):
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.path(key), "-out",
                               self.path(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext",
                               "subjectAltName=DNS:localhost,IP:127.0.0.1"], capture_output=True, check=False)
        if made.returncode != 0:
            self.skipTest("openssl makes no certificate here")

    def collect(self, command):
        """Starts it in the background; its port."""
        with open(self.path("said"), "wb") as said:
            started = subprocess.Popen(["bash", "-c", "exec " + command], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said,
                                       stderr=said, env=self.environment(PATH=self.path("bin") + ":" + os.environ["PATH"]))
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)

        def said():
            with open(self.path("said"), encoding="utf-8") as file:
                return file.read()

        def port():
            told = re.search(r"receives at https?://\S*:(\d+)", said())
            return int(told.group(1)) if told else None

        self.assertTrue(test_monitor.wait_until(lambda: port() or started.poll() is not None))
        if not port() and "libmicrohttpd" in said():
            self.skipTest("libmicrohttpd is not here (tools/packages.txt, group test)")
        self.assertTrue(port(), said())
        return port(), started


class Snippets(Shell):
    def test_the_commands_of_collect_and_what_is_read_of_its_file(self):
        here, everywhere = commands(block("collect.md", 0))
        self.certificate("server.crt")
        self.write("tokens", "0123456789abcdef0123456789abcdef\n")
        self.write("web.yml", block("sinks/prometheus.md", 2).replace("$2y$10$…", HASH))
        said = self.shell(everywhere.replace(":9787", ":0") + " --for 500ms")
        self.assertRegex(said, r"receives at https://\*:\d+ and keeps it in prony-collect.sqlite")
        port, collector = self.collect(here + " --listen 0")
        self.shell("prony monitor --simulate laptop --metrics power --interval 100ms --for 1s "
                   f"--sink remote:http://127.0.0.1:{port},every=200ms,buffer=b")
        with sqlite3.connect(self.path("fleet.sqlite")) as kept:
            rows = kept.execute(block("collect.md", 1)).fetchall()
        self.assertEqual(len(rows), 10)
        client, utc, joules = rows[0]
        self.assertEqual(client, socket.gethostname())
        self.assertRegex(utc, r"^20\d\d-\d\d-\d\d \d\d:")
        self.assertIsInstance(joules, (int, float))
        collector.terminate()
        self.assertEqual(collector.wait(30), 0)

    def test_the_form_of_a_request_is_taken(self):
        lines = block("collect.md", 2).splitlines()
        text = lines[0] + lines[1].strip() + "\n" + "\n".join(lines[2:]) + "\n"
        text = text.replace("32 hex digits", "0" * 32)
        text = re.sub(r'("\w+_ns"):…', r"\1:1", text)
        text = re.sub(r'("\w+"):…', r'\1:"x"', text)
        self.assertNotIn("…", text)
        port, _ = self.collect("prony collect --listen 0 --out form.sqlite")
        self.write("request", text)
        answer = self.shell(f"curl -sS --fail-with-body --data-binary @request http://127.0.0.1:{port}/v1/frames")
        self.assertEqual(json.loads(answer)["stored"], len(lines) - 2)

    def test_the_tables_are_read_as_the_pages_on_csv_and_jsonl_say(self):
        missing = have("sqlite3", "jq")
        if missing:
            self.skipTest(f"{', '.join(missing)} not installed (tools/packages.txt, group test)")
        self.shell("prony run --simulate laptop --out x.prony -- sleep 1")
        for table, form in (("samples", "csv"), ("charges", "jsonl")):
            self.shell(f"prony export x.prony --format {form} --table {table} --out {table}.{form}")
        samples = len(self.table("x.prony", "samples"))
        self.assertEqual(self.shell(block("sinks/csv.md", 0)).strip(), str(samples))
        charged = sum(row.get("charged_j", 0) for row in self.table("x.prony", "charges"))
        self.assertAlmostEqual(float(self.shell(block("sinks/jsonl.md", 0))), charged, delta=1e-6 * charged)
        self.shell("prony monitor --simulate laptop --metrics power --interval 200ms --for 1s --sink jsonl:out.jsonl")
        rows = self.shell(block("sinks/jsonl.md", 1)).splitlines()
        self.assertGreater(len(rows), 2)
        self.assertRegex(rows[-1], r"^20\S+Z\t\d+(\.\d+)?$")
        self.write("read.py", block("sinks/csv.md", 1))
        self.assertEqual(self.shell(f"{sys.executable} read.py").strip(), str(samples))

    def test_the_web_configuration_locks_the_door(self):
        self.certificate("server.crt")
        text = block("sinks/prometheus.md", 2)
        self.assertIn("$2y$10$…", text)
        self.write("web.yml", text.replace("$2y$10$…", HASH))
        port, collector = self.collect("prony collect --listen 0 --out locked.sqlite --web-config web.yml")
        url = f"https://localhost:{port}/v1/clients"
        ask = "curl -sS --cacert server.crt -o /dev/null -w '%{http_code}' "
        self.assertEqual(self.shell(ask + url).strip(), "401")
        self.assertEqual(self.shell(ask + f"-u 'alice:pass word:1' {url}").strip(), "200")
        self.shell(ask + "--tls-max 1.2 " + url, code=35)  # the page's min_version
        collector.terminate()
        self.assertEqual(collector.wait(30), 0)

    def test_a_monitor_sends_over_tls_with_a_token_as_the_page_says(self):
        self.certificate()
        self.write("token", "0123456789abcdef0123456789abcdef\n")
        self.write("tls.yml", "tls_server_config:\n  cert_file: ca.pem\n  key_file: server.key\n")
        port, collector = self.collect("prony collect --listen 0 --out c.sqlite --web-config tls.yml --token-file token")
        [command] = commands(block("sinks/remote.md", 0))
        for named, here in (("collector:9787", f"localhost:{port}"), ("/etc/prony/token", "token")):
            self.assertIn(named, command)
            command = command.replace(named, here)
        said = self.shell(command + " --simulate laptop --for 2s")
        told = re.search(r": (\d+) of (\d+) frames", said)
        self.assertEqual(told.group(1), told.group(2))
        with sqlite3.connect(self.path("c.sqlite")) as kept:
            self.assertEqual(kept.execute("SELECT count(*) FROM frame").fetchone()[0], int(told.group(1)))
        collector.terminate()
        self.assertEqual(collector.wait(30), 0)

    def installed(self):
        """What a package would install, and what programs need to be built with it."""
        if not os.path.exists(os.path.join(harness.BUILD, "libprony-meter.so.1")):
            self.skipTest("libprony-meter was not built")
        missing = have("cmake", "cc", "pkg-config")
        if missing:
            self.skipTest(f"{', '.join(missing)} not installed")
        self.shell(f"cmake --install {shlex.quote(harness.BUILD)} --prefix installed --component library")
        return os.path.dirname(glob.glob(self.path("installed/**/libprony.so.1"), recursive=True)[0])

    def test_a_project_is_built_by_the_lines_for_cmake(self):
        libraries = self.installed()
        os.mkdir(self.path("app"))
        begin = "cmake_minimum_required(VERSION 3.20)\nproject(app C)\nset(CMAKE_C_STANDARD 11)\nadd_executable(app app.c)\n"
        self.write("app/CMakeLists.txt", begin + block("library.md", 0))
        self.write("app/app.c", block("library.md", 1))
        self.shell("cmake -S app -B built -DCMAKE_PREFIX_PATH=$PWD/installed && cmake --build built")
        out = self.shell("built/app", LD_LIBRARY_PATH=libraries, XDG_STATE_HOME=self.folder)
        self.assertRegex(out, r"^\d+\.\d\d J \(")

    def test_the_spans_of_the_page_on_libprony_are_in_the_run(self):
        libraries = self.installed()
        self.write("app.c", block("libprony.md", 0))
        self.shell(f"cc -std=c11 -Wall -Wextra -Werror app.c -o app $(PKG_CONFIG_PATH={libraries}/pkgconfig pkg-config --cflags --libs prony)")
        self.record([self.path("app")], "--simulate", "laptop", env={"LD_LIBRARY_PATH": libraries})
        spans = {row["name"]: row for row in self.table("x.prony", "spans")}
        self.assertEqual((spans["p1"]["kind"], spans["p1"]["output_tokens"]), ("request", 128))

    def test_the_wheel_is_staged_by_the_line_of_the_page(self):
        compiles, staged, packed = commands(block("python.md", 10))
        self.assertEqual(compiles, "pip wheel . -w dist")  # minutes: as pip install, left out
        self.assertIn("build/release", staged)
        self.shell(staged.replace("build/release", shlex.quote(harness.BUILD)))
        self.assertTrue(os.path.exists(self.path("staged/prony/_native/libprony-meter.so.1")))
        # What packs it is what the test of the wheel packs it with.
        words = "pip wheel . -w dist -C cmake.define.PRONY_PREBUILT=$PWD/staged"
        self.assertEqual(packed, words)
        with open(os.path.join(ROOT, "tests/e2e/test_python.py"), encoding="utf-8") as file:
            self.assertIn('f"cmake.define.PRONY_PREBUILT={self.at(\'staged\')}"', file.read())


@unittest.skipUnless(test_monitor.prometheus("prometheus"), "Prometheus is not here: tools/setup-prometheus.sh unpacks it")
class Scraped(test_monitor.ScrapedCase):
    def test_prometheus_takes_the_scrape_configuration_and_every_query(self):
        queries = commands(block("sinks/prometheus.md", 1))
        self.assertEqual(len(queries), 3)
        self.start("--pid", f"ollama={os.getpid()}")
        port = free_port()
        config = block("sinks/prometheus.md", 0)
        self.assertIn("127.0.0.1:9788", config)
        with open(self.path("prometheus.yml"), "w", encoding="utf-8") as file:
            file.write("global: {scrape_interval: 500ms}\n" + config.replace("127.0.0.1:9788", f"127.0.0.1:{self.port}"))
        checked = subprocess.run([test_monitor.prometheus("promtool"), "check", "config", self.path("prometheus.yml")],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        with open(self.path("prometheus.log"), "wb") as log:
            server = subprocess.Popen([test_monitor.prometheus("prometheus"), "--config.file", self.path("prometheus.yml"),
                                       "--storage.tsdb.path", self.path("tsdb"), "--web.listen-address", f"127.0.0.1:{port}"],
                                      stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertTrue(test_monitor.wait_until(lambda: self.query(port, queries[0]), 60), self.query(port, "up"))
        for query in queries:
            found = self.query(port, query)
            self.assertTrue(found, query)
            for row in found:
                self.assertGreaterEqual(float(row["value"][1]), 0, query)

    query = test_monitor.RealPrometheusTest.query


if __name__ == "__main__":
    harness.main()
