#!/bin/sh
# Fetches Debian's aarch64 libraries that Prony links (packages by name, from the system's own sources, signatures checked
# by apt as always) into build/sysroot-arm64, for the cross-built tests. Nothing of the system is changed: apt runs with
# folders and an architecture of its own. Called again it does nothing.
# Exit codes: 0 there, 1 failed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
sysroot=${1:-$here/../build/sysroot-arm64}
# With the libraries that these need in turn; headers without code (fmt's too) are taken from here as well.
packages="libsqlite3-dev libsqlite3-0 libzstd-dev libzstd1 libfmt-dev libfmt9 nlohmann-json3-dev libcli11-dev libexpected-dev"
stamp="packages: $packages"
[ "$(cat "$sysroot/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0

mkdir -p "$sysroot.new" && sysroot_new=$(cd "$sysroot.new" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work" "$sysroot_new"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/debs"
: >"$work/status"
# The system's sources, keys and apt.conf stay in force; what is written goes below $work.
cat >"$work/apt.conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
END
export APT_CONFIG="$work/apt.conf"
echo "sysroot: fetching aarch64 packages: $packages" >&2
apt-get -q update >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; echo "sysroot: going on with what could be renewed" >&2; }
# fmt's library is named after its version: take the one that its -dev package asks for.
fmt=$(apt-cache depends libfmt-dev 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
packages=$(printf '%s' "$packages" | sed "s/libfmt9/${fmt:-libfmt9}/")
(cd "$work/debs" && apt-get -q download $packages) >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$sysroot_new"; done
printf '%s' "$stamp" >"$sysroot_new/.stamp"
rm -rf "$sysroot"
mv "$sysroot_new" "$sysroot"
