#!/bin/sh
# apt: git nodejs npm openssl cmake ninja-build g++
#
# Builds llama-server, llama.cpp's HTTP server, into PREFIX/bin (default: build/deps/llama-server), for the tests of
# `prony llm --engine llama-server`. The source is the one that tools/setup-llama.sh takes its headers from, pinned by
# checksum (tools/llama-pins.sh). Some six minutes of one core; with ccache far less the second time.
#   tools/setup-llama-server.sh [PREFIX]
# Called again it does nothing. Exit codes: 0 there, 1 failed, 2 a program is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:-$here/../build/deps/llama-server}
. "$here/llama-pins.sh"

say() { printf '%s\n' "setup-llama-server: $*" >&2; }

stamp="llama.cpp $llama_cpp_version $llama_sha512_source"
if [ -x "$prefix/bin/llama-server" ] && [ "$(cat "$prefix/.prony-stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

for program in npm git openssl tar cmake ninja c++; do
  if ! command -v "$program" >/dev/null 2>&1; then
    say "$program is missing: apt-get install npm git openssl tar cmake ninja-build g++"
    exit 2
  fi
done

mkdir -p "$prefix"
work=$(mktemp -d "$prefix/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say "fetching node-llama-cpp@$llama_packages_version, which carries the source of llama.cpp $llama_cpp_version"
if ! (cd "$work" && npm pack --ignore-scripts --silent "node-llama-cpp@$llama_packages_version" >/dev/null); then
  say "npm could not fetch it: is the network up, and is npm set up for it?"
  exit 1
fi
found=$(openssl dgst -sha512 -binary "$work"/*.tgz | openssl base64 -A)
if [ "$found" != "$llama_sha512_source" ]; then
  say "its checksum is not the pinned one; nothing was installed"
  exit 1
fi
tar -xzf "$work"/*.tgz -C "$work" package/llama/gitRelease.bundle
git -c advice.detachedHead=false clone --quiet "$work/package/llama/gitRelease.bundle" "$work/source"

# Without what would be fetched (a web page, TLS), and without instructions that this processor may lack.
launcher=
if command -v ccache >/dev/null 2>&1; then
  launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
  export CCACHE_BASEDIR="$work/source" CCACHE_NOHASHDIR=1
fi
say "building it"
# shellcheck disable=SC2086
if ! { cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release $launcher -DBUILD_SHARED_LIBS=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF \
  -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF &&
  cmake --build "$work/build" -j "$(nproc)" --target llama-server; } >"$prefix/build.log" 2>&1; then
  tail -n 20 "$prefix/build.log" >&2
  say "it was not built; all of it is in $prefix/build.log"
  exit 1
fi
mkdir -p "$prefix/bin"
cp "$work/source/LICENSE" "$prefix/LICENSE.llama.cpp"
cp "$work/build/bin/llama-server" "$prefix/bin/llama-server"
printf '%s\n' "$stamp" >"$prefix/.prony-stamp"
say "llama-server $llama_cpp_version is in place"
