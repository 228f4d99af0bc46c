"""Every Python snippet of the pages about Python runs, in the order of the page and in one folder a page."""

import importlib.util
import os
import re
import shutil
import tempfile

from support import Case

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs")


def snippets(page):
    with open(os.path.join(DOCS, page), encoding="utf-8") as file:
        return re.findall(r"^```python\n(.*?)^```", file.read(), re.M | re.S)


class Page(Case):
    def ran(self, page, least):
        shared = tempfile.mkdtemp(prefix="prony-python-")
        self.addCleanup(shutil.rmtree, shared, True)
        ran, left_out = 0, []
        for text in snippets(page):
            needs = re.search(r"# needs: (.*)", text)
            missing = [name for name in (needs.group(1).split(", ") if needs else [])
                       if importlib.util.find_spec(name) is None]
            if missing:
                left_out.append(missing)
                continue
            with self.subTest(text.splitlines()[0]):
                self.python(f"import os\nos.chdir({shared!r})\n" + text)
                ran += 1
        self.assertGreaterEqual(ran, least)
        if left_out:
            self.skipTest(f"snippets need {left_out}, which are not installed; the others ran")

    def test_each_snippet_of_the_page_on_python_runs(self):
        self.ran("python.md", 5)

    def test_each_snippet_of_the_page_on_aipowermeter_runs(self):
        self.ran("aipowermeter.md", 2)
