"""prony-engine-transformers: the worker protocol of docs/worker-protocol.md on one side, Hugging Face's transformers on the
other. `--check` says in one line of JSON whether it could run here; `--help` lists what may be asked."""

import os
import sys

from prony_transformers.main import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what PyTorch would tidy up takes longer than a driver waits
