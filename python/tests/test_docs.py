"""Every Python snippet of docs/python.md runs, in the order of the page and in one folder."""

import importlib.util
import os
import re
import shutil
import tempfile

from support import Case

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/python.md")


def snippets():
    with open(PAGE, encoding="utf-8") as file:
        return re.findall(r"^```python\n(.*?)^```", file.read(), re.M | re.S)


class Page(Case):
    def test_each_snippet_runs(self):
        shared = tempfile.mkdtemp(prefix="prony-python-")
        self.addCleanup(shutil.rmtree, shared, True)
        ran, left_out = 0, []
        for text in snippets():
            needs = re.search(r"# needs: (.*)", text)
            missing = [name for name in (needs.group(1).split(", ") if needs else [])
                       if importlib.util.find_spec(name) is None]
            if missing:
                left_out.append(missing)
                continue
            with self.subTest(text.splitlines()[0]):
                self.python(f"import os\nos.chdir({shared!r})\n" + text)
                ran += 1
        self.assertGreaterEqual(ran, 4)
        if left_out:
            self.skipTest(f"a snippet needs {left_out[0]}, which is not installed; the others ran")
