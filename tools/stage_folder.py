"""A temporary folder of its own for each stage of tests, so that what a test leaves behind is seen and does not stay."""

import os
import shutil
import tempfile


class StageFolder:
    """Within it TMPDIR leads to a new folder; at the end `left` holds the names that tests made there and did not remove."""

    VARIABLES = ("TMPDIR", "TEST_TMPDIR")  # of everybody, and of GoogleTest

    def __init__(self, stage):
        self.stage, self.left = stage, []

    def __enter__(self):
        self.before = {name: os.environ.get(name) for name in self.VARIABLES}
        self.path = tempfile.mkdtemp(prefix=f"prony-stage-{self.stage}-")
        os.chmod(self.path, 0o1777)  # tests that become an ordinary user write here, too
        for name in self.VARIABLES:
            os.environ[name] = self.path
        tempfile.tempdir = None  # Python remembers the first answer
        return self

    def __exit__(self, *_):
        for name, value in self.before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        tempfile.tempdir = None
        # Compilers leave files of their own when they are killed: only ours are a test's fault.
        self.left = sorted(name for name in os.listdir(self.path) if name.startswith("prony-"))
        shutil.rmtree(self.path, ignore_errors=True)
