#!/bin/sh
# apt: g++
#
# Builds Ollama into PREFIX/bin (default: build/deps/ollama), for the tests of `prony llm --engine ollama`, as a Go
# module, pinned by version and by the sum of its files. 0.11.4 still computes on the CPU by itself (`ollama runner`);
# later releases start a llama-server of their own, which a plain build of the module does not bring.
#   tools/setup-ollama.sh [PREFIX]
# Called again it does nothing. Exit codes: 0 there, 1 failed, 2 a program is missing.
set -eu

ollama_version=v0.11.4
ollama_sum='h1:6xLYLEPTKtw6N20qQecyEL/rrBktPO4o5U05cnvkSmI='

here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:-$here/../build/deps/ollama}

say() { printf '%s\n' "setup-ollama: $*" >&2; }

stamp="ollama $ollama_version $ollama_sum"
if [ -x "$prefix/bin/ollama" ] && [ "$(cat "$prefix/.prony-stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

for program in go g++; do
  if ! command -v "$program" >/dev/null 2>&1; then
    say "$program is missing: Ollama is built with Go 1.24 or newer and g++"
    exit 2
  fi
done

mkdir -p "$prefix/bin"
prefix=$(cd "$prefix" && pwd)
told=$(cd "$prefix" && go mod download -json "github.com/ollama/ollama@$ollama_version" 2>&1) || {
  printf '%s\n' "$told" | tail -n 5 >&2
  say "Go could not fetch it: is the network up?"
  exit 1
}
case "$told" in
  *"\"Sum\": \"$ollama_sum\""*) ;;
  *)
    say "its sum is not the pinned one; nothing was installed"
    exit 1
    ;;
esac
say "building it"
if ! (cd "$prefix" && GOBIN="$prefix/bin" go install "github.com/ollama/ollama@$ollama_version") >"$prefix/build.log" 2>&1; then
  tail -n 20 "$prefix/build.log" >&2
  say "it was not built; all of it is in $prefix/build.log"
  exit 1
fi
printf '%s\n' "$stamp" >"$prefix/.prony-stamp"
say "Ollama $ollama_version is in place"
