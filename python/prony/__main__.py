"""`python -m prony …` and the command `prony` of the wheel: the program that the wheel holds."""

import os
import sys

from . import _library


def main() -> int:
    """Becomes the program, with the same arguments; gives 125 where there is none."""
    program = _library.program()
    if program is None:
        sys.stderr.write("prony: this package holds no program `prony`\n"
                         "       Install a wheel that does, or Prony itself.\n")
        return 125
    os.execv(program, ["prony", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
