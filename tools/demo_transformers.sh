#!/bin/sh
# `make demo-transformers`: PyTorch for this machine's processors and transformers (tools/setup-torch.sh), a small Llama of
# random weights with a tokeniser of bytes, and what each prompt cost on it. A second call starts measuring at once.
set -eu

cd "$(dirname "$0")/.."
build=build/release
model=build/demo/small-llama
jobs=$(nproc 2>/dev/null || echo 2)
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

if [ -n "${PRONY_TORCH_PYTHON:-}" ]; then tools/setup.sh core; else tools/setup.sh core torch; fi
python=$(sh tools/setup-torch.sh | tail -1)
mkdir -p build/demo
if ! { [ -f $build/build.ninja ] || cmake --preset release >build/demo/configure.log 2>&1; }; then
  cat build/demo/configure.log >&2
  exit 1
fi
if ! cmake --build $build -j"$jobs" --target prony prony_shared engine_transformers >build/demo/build.log 2>&1; then
  tail -40 build/demo/build.log >&2
  exit 1
fi
[ -f $model/config.json ] || python3 tools/make_transformers_model.py $model
exec $build/prony llm --engine transformers --python "$python" --model $model --random-weights --batching static:4 \
  --max-tokens "${PRONY_DEMO_TOKENS:-64}" --ignore-eos --warmup 1 "$@"
