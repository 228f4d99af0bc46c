#!/bin/sh
# Prints, as its last line, a Python that has PyTorch: the one that PRONY_TORCH_PYTHON names, or an environment in
# build/deps/torch over the distribution's python3-torch (tools/packages.txt), with transformers and torchinfo of versions
# that go with it. Called again it installs nothing. Without the package index the tests that need those two say so.
set -eu
if [ -n "${PRONY_TORCH_PYTHON:-}" ]; then
  echo "$PRONY_TORCH_PYTHON"
  exit 0
fi
folder=$(cd "$(dirname "$0")/.." && pwd)/build/deps/torch
if ! [ -x "$folder/bin/python" ]; then
  /usr/bin/python3 -c 'import torch' || { echo "python3-torch is not installed: tools/setup.sh torch" >&2; exit 1; }
  /usr/bin/python3 -m venv --system-site-packages "$folder"
fi
[ -e "$folder/installed" ] || {
  "$folder/bin/pip" install --quiet --no-compile --retries 1 'transformers==4.40.2' 'torchinfo==1.8.0' &&
    touch "$folder/installed" || echo "transformers and torchinfo cannot be had now" >&2
}
echo "$folder/bin/python"
