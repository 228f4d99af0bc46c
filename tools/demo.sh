#!/bin/sh
# `make demo`: from a plain system to a table of what every prompt cost, then the same on counters whose true joules are
# known. What is in place already is not done again; a second call starts measuring at once.
set -eu

cd "$(dirname "$0")/.."
build=build/release
model=build/demo/synthetic-100M.gguf
tokens=${PRONY_DEMO_TOKENS:-480}
jobs=$(nproc 2>/dev/null || echo 2)
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

say() { printf '\n\033[1m== %s\033[0m\n' "$*" | if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }

tools/setup.sh core demo
if ! sh tools/setup-llama.sh; then
  echo "demo: without llama.cpp's libraries there is no model to run; see above" >&2
  exit 1
fi

targets="prony prony-engine-llama prony_shared"
if pkg-config --exists fuse3; then targets="$targets fakesysfs"; fi
# The log is shown only when something is wrong: it is not what anybody came for.
mkdir -p build/demo
if ! { { [ -f $build/build.ninja ] && cmake $build -N >/dev/null 2>&1; } || cmake --preset release >build/demo/configure.log 2>&1; }; then
  cat build/demo/configure.log >&2
  exit 1
fi
[ -x $build/prony ] || say "building (a few minutes, once)"
if ! cmake --build $build -j"$jobs" --target $targets >build/demo/build.log 2>&1; then
  tail -40 build/demo/build.log >&2
  exit 1
fi
[ -f "$model" ] || $build/prony synth llama --params 100M --seed 1 -o "$model"

say "prony llm: a 100M model with random weights (real compute, meaningless text) on this machine"
$build/prony llm --engine llama --model "$model" --max-tokens "$tokens" "$@"

say "the truth check: the same command on counters whose true joules are known"
python3 tests/rigs/truth_check.py $build "$model" "$tokens" "$@"
