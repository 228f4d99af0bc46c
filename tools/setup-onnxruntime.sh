#!/bin/sh
# apt: nodejs npm openssl
#
# Puts libonnxruntime and its C header into PREFIX (default: build/deps/onnxruntime), for engines/onnx.
#   tools/setup-onnxruntime.sh [PREFIX]
# An ONNX Runtime that the system provides is preferred by CMake; then this is not needed, and nothing else of Prony
# needs it. What is fetched is prebuilt, pinned by version and by checksum (tools/onnxruntime-pins.sh); no package
# script is run. Called again it does nothing.
# Exit codes: 0 there, 1 failed, 2 not for this machine, or a program is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:-$here/../build/deps/onnxruntime}
. "$here/onnxruntime-pins.sh"

say() { printf '%s\n' "setup-onnxruntime: $*" >&2; }

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) arch=x64 ;;
  Linux-aarch64 | Linux-arm64) arch=arm64 ;;
  *)
    say "no pinned prebuilt ONNX Runtime for $(uname -s) on $(uname -m) (there is one for Linux on x86-64 and aarch64)"
    say "build and install ONNX Runtime yourself: CMake then finds it. All else of Prony works without it."
    exit 2
    ;;
esac

stamp="onnxruntime $onnxruntime_version $arch $onnxruntime_sha512 $onnxruntime_header_sum"
if [ -f "$prefix/.prony-stamp" ] && [ "$(cat "$prefix/.prony-stamp")" = "$stamp" ]; then exit 0; fi
if [ -e "$prefix" ] && [ ! -f "$prefix/.prony-stamp" ] && [ -n "$(ls -A "$prefix" 2>/dev/null)" ]; then
  say "$prefix exists and was not made by this script; name another folder or remove it"
  exit 1
fi

for program in npm go openssl tar; do
  if ! command -v "$program" >/dev/null 2>&1; then
    say "$program is missing: apt-get install npm golang-go openssl tar"
    exit 2
  fi
done

mkdir -p "$(dirname "$prefix")"
work=$(mktemp -d "$prefix.XXXXXX")
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say "fetching onnxruntime-node@$onnxruntime_version"
mkdir "$work/fetched"
if ! (cd "$work/fetched" && npm pack --ignore-scripts --silent "onnxruntime-node@$onnxruntime_version" >/dev/null); then
  say "npm could not fetch onnxruntime-node@$onnxruntime_version: is the network up, and is npm set up for it?"
  exit 1
fi
found=$(openssl dgst -sha512 -binary "$work/fetched"/*.tgz | openssl base64 -A)
if [ "$found" != "$onnxruntime_sha512" ]; then
  say "checksum of onnxruntime-node@$onnxruntime_version is not the pinned one; nothing was installed"
  say "pinned $onnxruntime_sha512"
  say "found  $found"
  exit 1
fi

say "fetching the header, $onnxruntime_header_module@$onnxruntime_header_version"
told=$(cd "$work" && GOPATH="$work/go" GOFLAGS=-modcacherw go mod download -json \
  "$onnxruntime_header_module@$onnxruntime_header_version" 2>&1) || {
  printf '%s\n' "$told" | tail -n 5 >&2
  say "Go could not fetch it: is the network up?"
  exit 1
}
case "$told" in
  *"\"Sum\": \"$onnxruntime_header_sum\""*) ;;
  *)
    say "the sum of the header's module is not the pinned one; nothing was installed"
    exit 1
    ;;
esac

tree=$work/tree
mkdir -p "$tree/lib" "$tree/include" "$work/unpacked"
tar -xzf "$work/fetched"/*.tgz -C "$work/unpacked" "package/bin/napi-v6/linux/$arch/libonnxruntime.so.1"
cp "$work/unpacked/package/bin/napi-v6/linux/$arch/libonnxruntime.so.1" "$tree/lib/"
(cd "$tree/lib" && ln -s libonnxruntime.so.1 libonnxruntime.so)
for header in onnxruntime_c_api.h onnxruntime_ep_c_api.h; do
  cp "$work/go/pkg/mod/$onnxruntime_header_module@$onnxruntime_header_version/$header" "$tree/include/"
done
cp "$work/go/pkg/mod/$onnxruntime_header_module@$onnxruntime_header_version/LICENSE" "$tree/LICENSE.onnxruntime_go"
chmod -R u+w "$tree"

printf '%s\n' "$stamp" >"$tree/.prony-stamp"
rm -rf "$prefix"
mv "$tree" "$prefix"
say "ONNX Runtime $onnxruntime_version is in place"
