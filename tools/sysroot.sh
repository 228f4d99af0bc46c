#!/bin/sh
# Fetches Debian's libraries of another architecture that Prony links (packages by name, from the system's own sources,
# signatures checked by apt as always) into build/sysroot-ARCH, for the cross-built tests. Nothing of the system is changed.
#   tools/sysroot.sh arm64|armhf [FOLDER]
# Called again it does nothing. Exit codes: 0 there, 1 failed, 2 no such architecture.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
arch=${1:-}
case "$arch" in
  arm64 | armhf) ;;
  *) echo "usage: sysroot.sh arm64|armhf [FOLDER]" >&2; exit 2 ;;
esac
sysroot=${2:-$here/../build/sysroot-$arch}
. "$here/private-apt.sh"
# With the libraries that these need in turn; headers without code (fmt's too) are taken from here as well.
packages="libsqlite3-dev libsqlite3-0 libzstd-dev libzstd1 libfmt-dev libfmt9 nlohmann-json3-dev libcli11-dev libexpected-dev libtomlplusplus-dev libyaml-cpp-dev libeigen3-dev"
stamp="packages: $packages; boost linked"
[ "$(cat "$sysroot/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0

mkdir -p "$sysroot.new" && sysroot_new=$(cd "$sysroot.new" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work" "$sysroot_new"' EXIT
trap 'exit 1' HUP INT TERM
echo "sysroot: fetching $arch packages: $packages" >&2
private_apt "$arch" "$work"
# fmt's library is named after its version: take the one that its -dev package asks for.
fmt=$(depends_on libfmt-dev)
fetch_debs "$work" $(printf '%s' "$packages" | sed "s/libfmt9/${fmt:-libfmt9}/")
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$sysroot_new"; done
# Boost is headers alone, the same for every architecture and large: this machine's are linked.
ln -s /usr/include/boost "$sysroot_new/usr/include/boost"
printf '%s' "$stamp" >"$sysroot_new/.stamp"
rm -rf "$sysroot"
mv "$sysroot_new" "$sysroot"
