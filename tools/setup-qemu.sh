#!/bin/sh
# Puts what the QEMU rig boots into build/deps/qemu, from Debian's packages by name: kernels, the modules that the rig
# loads, kernel headers, the sources of the drivers that Debian does not build, a static busybox.
#   tools/setup-qemu.sh [PREFIX]     below PREFIX: x86_64/ and aarch64/, each with vmlinuz, modules/, headers/, busybox; source/
# Nothing is installed: the packages are only unpacked. Called again it does nothing.
# Exit codes: 0 there, 1 failed, 2 not for this machine (which says why).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:-$here/../build/deps/qemu}
. "$here/private-apt.sh"
say() { printf 'setup-qemu: %s\n' "$*" >&2; }

mkdir -p "$(dirname "$prefix")"
# Where it lies is part of it: the headers name their neighbours by absolute paths.
stamp="qemu rig 2 in $(cd "$(dirname "$prefix")" && pwd)"
[ "$(cat "$prefix/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0

if [ "$(uname -m)" != x86_64 ]; then
  say "the rig's kernel modules are built on x86-64 only (this is $(uname -m))"
  exit 2
fi
ID=unknown
[ -r /etc/os-release ] && . /etc/os-release
if [ "$ID" != debian ]; then
  say "the rig boots Debian's kernels and fetches them from a Debian system's own sources; this is ${PRETTY_NAME:-another system}"
  exit 2
fi

mkdir -p "$prefix.new" && new=$(cd "$prefix.new" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work" "$new"' EXIT
trap 'exit 1' HUP INT TERM

# unpack DEB FOLDER PATTERN…: only the members that match.
unpack() {
  deb=$1 folder=$2
  shift 2
  mkdir -p "$folder"
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --wildcards "$@"
}

# Headers name their neighbours by absolute paths: lead them to where they lie now. The programs that build modules
# (kbuild) are those of the machine that builds, whatever the machine that they are built for.
headers() {
  folder=$new/$1/headers
  for deb in "$work/$2"/debs/linux-headers-*.deb "$work/amd64"/debs/linux-kbuild-*.deb; do dpkg-deb -x "$deb" "$folder"; done
  build=$(find "$folder/usr/src" -maxdepth 1 -name "linux-headers-*-$2")
  sed -i "s|/usr/src/|$(cd "$prefix/.." && pwd)/$(basename "$prefix")/$1/headers/usr/src/|" "$build/Makefile"
  ln -s "usr/src/$(basename "$build")" "$folder/build"
}

# kernel MACHINE DEBIAN_ARCH: everything of one guest.
kernel() {
  private_apt "$2" "$work/$2"
  image=$(depends_on "linux-image-$2")
  release=${image#linux-image-}
  series=$(printf '%s' "$release" | cut -d. -f1,2)
  [ -n "$release" ] || { say "this system's sources have no linux-image-$2"; return 1; }
  say "fetching Linux $release for $1"
  packages="$image linux-headers-$release linux-headers-${release%-"$2"}-common busybox-static"
  [ "$2" = amd64 ] && packages="$packages linux-kbuild-$series linux-source-$series"
  fetch_debs "$work/$2" $packages
  debs=$work/$2/debs
  mkdir -p "$new/$1/modules"
  unpack "$debs"/linux-image-*.deb "$work/image-$2" './boot/vmlinuz-*' '*/drivers/i2c/i2c-*.ko*' '*/drivers/hwmon/lm75.ko*' \
    '*/drivers/base/regmap/*' '*/fs/fuse/fuse.ko*' '*/fs/fuse/cuse.ko*'
  mv "$work/image-$2"/boot/vmlinuz-* "$new/$1/vmlinuz"
  find "$work/image-$2" -name '*.ko*' -exec mv {} "$new/$1/modules/" \;
  unpack "$debs"/busybox-static_*.deb "$work/busybox-$2" '*/bin/busybox'
  find "$work/busybox-$2" -name busybox -type f -exec mv {} "$new/$1/busybox" \;
  headers "$1" "$2"
}

kernel x86_64 amd64
kernel aarch64 arm64
# One driver's file each out of the whole kernel's: the archive is read to the last of them.
mkdir "$new/source"
dpkg-deb --fsys-tarfile "$work"/amd64/debs/linux-source-*.deb | tar -xO --wildcards '*/linux-source-*.tar.xz' |
  tar -xJ -C "$new/source" --strip-components=1 --wildcards '*/drivers/hwmon/ina2xx.c' '*/drivers/hwmon/ina3221.c' \
    '*/drivers/i2c/i2c-stub.c' '*/drivers/power/supply/test_power.c'
find "$new/source" -name '*.c' -exec mv {} "$new/source/" \;
rm -rf "$new/source/drivers"
printf '%s' "$stamp" >"$new/.stamp"
rm -rf "$prefix"
mv "$new" "$prefix"
