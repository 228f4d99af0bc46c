#!/bin/sh
# Prints, as its last line, a Python that has scikit-learn: the one that PRONY_SKLEARN_PYTHON names, or an environment in
# build/deps/sklearn with the version that the kept numbers were made by. Called again it installs nothing.
set -eu
if [ -n "${PRONY_SKLEARN_PYTHON:-}" ]; then
  echo "$PRONY_SKLEARN_PYTHON"
  exit 0
fi
folder=$(cd "$(dirname "$0")/.." && pwd)/build/deps/sklearn
[ -x "$folder/bin/python" ] || /usr/bin/python3 -m venv "$folder"
[ -e "$folder/installed" ] || {
  "$folder/bin/pip" install --quiet --no-compile --retries 1 'scikit-learn==1.9.1' && touch "$folder/installed"
}
echo "$folder/bin/python"
