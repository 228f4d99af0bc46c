#!/bin/sh
# apt: git nodejs npm openssl
#
# Puts libllama and its headers into PREFIX (default: build/deps/llama), for engines/llama.
#   tools/setup-llama.sh [PREFIX]
# A libllama that the system provides is preferred by CMake; then this is not needed. What is fetched is prebuilt, pinned
# by version and by checksum (tools/llama-pins.sh); no package script is run. Called again it does nothing.
# Exit codes: 0 there, 1 failed, 2 not for this machine, or a program is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:-$here/../build/deps/llama}
. "$here/llama-pins.sh"

say() { printf '%s\n' "setup-llama: $*" >&2; }

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) arch=linux-x64 checksum=$llama_sha512_linux_x64 ;;
  Linux-aarch64 | Linux-arm64) arch=linux-arm64 checksum=$llama_sha512_linux_arm64 ;;
  *)
    say "no pinned prebuilt llama.cpp for $(uname -s) on $(uname -m) (there is one for Linux on x86-64 and aarch64)"
    say "build and install llama.cpp $llama_cpp_version yourself: CMake then finds it. All else of Prony works without it."
    exit 2
    ;;
esac

stamp="llama.cpp $llama_cpp_version $arch $checksum $llama_sha512_source"
if [ -f "$prefix/.prony-stamp" ] && [ "$(cat "$prefix/.prony-stamp")" = "$stamp" ]; then exit 0; fi
if [ -e "$prefix" ] && [ ! -f "$prefix/.prony-stamp" ] && [ -n "$(ls -A "$prefix" 2>/dev/null)" ]; then
  say "$prefix exists and was not made by this script; name another folder or remove it"
  exit 1
fi

for program in npm git openssl tar; do
  if ! command -v "$program" >/dev/null 2>&1; then
    say "$program is missing: apt-get install npm git openssl tar"
    exit 2
  fi
done

mkdir -p "$(dirname "$prefix")"
work=$(mktemp -d "$prefix.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# fetch PACKAGE SHA512 FILE: the package as published, or an end with words.
fetch() {
  say "fetching $1@$llama_packages_version"
  mkdir "$work/fetched"
  if ! (cd "$work/fetched" && npm pack --ignore-scripts --silent "$1@$llama_packages_version" >/dev/null); then
    say "npm could not fetch $1@$llama_packages_version: is the network up, and is npm set up for it?"
    exit 1
  fi
  mv "$work/fetched"/*.tgz "$3"
  rmdir "$work/fetched"
  found=$(openssl dgst -sha512 -binary "$3" | openssl base64 -A)
  if [ "$found" != "$2" ]; then
    say "checksum of $1@$llama_packages_version is not the pinned one; nothing was installed"
    say "pinned $2"
    say "found  $found"
    exit 1
  fi
}

fetch "@node-llama-cpp/$arch" "$checksum" "$work/libraries.tgz"
fetch node-llama-cpp "$llama_sha512_source" "$work/source.tgz"

tree=$work/tree
mkdir -p "$tree/lib" "$tree/include" "$work/unpacked"
tar -xzf "$work/libraries.tgz" -C "$work/unpacked"
cp "$work/unpacked/package/bins/$arch"/libggml*.so "$work/unpacked/package/bins/$arch"/libllama.v*.so "$tree/lib/"
cp "$work/unpacked/package/LICENSE" "$tree/LICENSE.node-llama-cpp"
for name in llama ggml; do
  (cd "$tree/lib" && ln -s "lib$name.v$llama_cpp_version.so" "lib$name.so")
done

# The headers are in the source that the package carries as a git bundle; only they are taken out of it.
tar -xzf "$work/source.tgz" -C "$work/unpacked" package/llama/gitRelease.bundle
git clone --quiet --bare "$work/unpacked/package/llama/gitRelease.bundle" "$work/source.git"
mkdir "$work/headers"
git --git-dir="$work/source.git" archive HEAD LICENSE include ggml/include | tar -x -C "$work/headers"
cp "$work/headers"/include/*.h "$work/headers"/ggml/include/*.h "$tree/include/"
cp "$work/headers/LICENSE" "$tree/LICENSE.llama.cpp"

printf '%s\n' "$stamp" >"$tree/.prony-stamp"
rm -rf "$prefix"
mv "$tree" "$prefix"
say "llama.cpp $llama_cpp_version is in place"
