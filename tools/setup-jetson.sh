#!/bin/sh
# Makes a Jetson with a fresh JetPack ready to measure with Prony. Every step says what it does, is done once, and can be
# undone; what is there already is left alone.
#   tools/setup-jetson.sh [--dry-run | --check | --undo] [--root DIR] [STEP…]
#   always, unless steps are named:
#     packages          what Prony's build takes from the distribution (tools/setup.sh)
#     perf              perf events for everybody's own processes: kernel.perf_event_paranoid = 1
#     prony             builds Prony and installs it to /usr/local (or unpacks: --archive FILE.tar.gz)
#   only when named:
#     memory-load       /sys/kernel/debug may be entered by everybody: load of the memory without root
#     swap              a swap file of --swap-gib N (default 8): models that do not fit otherwise
#     max-power         nvpmodel's mode 0 and jetson_clocks at every start: comparable runs, more heat
#     llama             llama.cpp for prony llm (tools/setup-llama.sh: pinned, prebuilt, for the CPU)
#     ollama            only looks for Ollama: its installer is not pinned, so it is not run here
#   --dry-run  print the steps that are left, change nothing;  --check  the same, and exit 1 if any is left
#   --undo     take back what this script did, last first;  --root DIR  work on another system's files: nothing is run in it
# Exit codes: 0 done, 1 failed (or steps are left, with --check), 2 usage.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mode=do root= archive= swap_gib=8 steps=
say() { printf 'setup-jetson: %s\n' "$*"; }
fail() { printf 'setup-jetson: %s\n' "$*" >&2; exit "${2:-1}"; }
usage() { sed -n '2,20s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) mode=dry ;;
    --check) mode=check ;;
    --undo) mode=undo ;;
    --root | --archive | --swap-gib)
      [ $# -ge 2 ] || { say "$1 needs a value" >&2; usage; }
      case "$1" in --root) root=${2%/} ;; --archive) archive=$2 ;; *) swap_gib=$2 ;; esac
      shift ;;
    packages | perf | prony | memory-load | swap | max-power | llama | ollama) steps="$steps $1" ;;
    -h | --help) sed -n '2,20s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) say "what is \"$1\"?" >&2; usage ;;
  esac
  shift
done
case "$swap_gib" in '' | *[!0-9]* | 0*) say "--swap-gib takes a whole number from 1 on" >&2; exit 2 ;; esac
[ -z "$root" ] || [ -d "$root" ] || { say "--root: $root is not a folder" >&2; exit 2; }
done_folder=$root/var/lib/prony-setup
[ -n "$steps" ] || steps="packages perf prony"

# Files that steps lay down. One that was there before is somebody else's and is never overwritten.
perf_file=$root/etc/sysctl.d/60-prony.conf
debug_file=$root/etc/systemd/system/sys-kernel-debug.mount.d/prony.conf
power_file=$root/etc/systemd/system/prony-max-power.service
power_link=$root/etc/systemd/system/multi-user.target.wants/prony-max-power.service
swap_file=$root/var/prony.swap
here_only() { [ -z "$root" ]; } # commands are run on the system that runs, and on no other

lay() { # lay FILE FORMAT: FORMAT, as printf writes it, becomes FILE
  [ ! -e "$1" ] || fail "$1 is there and was not made by this script: move it away, or leave this step out"
  mkdir -p "$(dirname "$1")" || fail "$(dirname "$1") cannot be made"
  # shellcheck disable=SC2059  # a format on purpose
  { printf "$2" >"$1.new" && mv "$1.new" "$1"; } || fail "$1 cannot be written"
}

what() {
  case "$1" in
    packages) echo "install what the build takes from the distribution (tools/setup.sh core)" ;;
    perf) echo "write $perf_file: perf events of one's own processes without root" ;;
    prony) if [ -n "$archive" ]; then echo "unpack $archive below $root/usr/local"; else echo "build Prony and install it to $root/usr/local"; fi ;;
    memory-load) echo "write $debug_file: /sys/kernel/debug may be entered by everybody" ;;
    swap) echo "make $swap_file of $swap_gib GiB and use it at every start ($root/etc/fstab)" ;;
    max-power) echo "write $power_file: nvpmodel -m 0 and jetson_clocks at every start" ;;
    llama) echo "fetch the pinned llama.cpp (tools/setup-llama.sh)" ;;
    ollama) echo "install Ollama yourself: https://ollama.com/download (nothing is done here)" ;;
  esac
}

is_there() {
  case "$1" in
    packages) ! here_only || "$here/setup.sh" --check core >/dev/null 2>&1 ;;
    ollama) if here_only; then command -v ollama >/dev/null 2>&1; else [ -x "$root/usr/local/bin/ollama" ]; fi ;;
    prony) [ -x "$root/usr/local/bin/prony" ] ;;
    llama) [ -f "$here/../build/deps/llama/.prony-stamp" ] ;;
    *) [ -f "$done_folder/$1" ] ;;
  esac
}

remember() { mkdir -p "$done_folder"; printf '%s\n' "${2:-}" >"$done_folder/$1"; }

do_step() {
  case "$1" in
    packages) "$here/setup.sh" core ;;
    perf)
      lay "$perf_file" '# Written by tools/setup-jetson.sh; --undo takes it away.\nkernel.perf_event_paranoid = 1\n'
      remember perf
      ! here_only || sysctl -q -p "$perf_file" ;;
    memory-load)
      lay "$debug_file" '[Mount]\nOptions=mode=755\n'
      remember memory-load
      ! here_only || { systemctl daemon-reload && mount -o remount,mode=755 /sys/kernel/debug; } ;;
    swap)
      [ ! -e "$swap_file" ] || fail "$swap_file is there and was not made by this script"
      mkdir -p "$(dirname "$swap_file")" "$root/etc"
      (umask 077; fallocate -l "${swap_gib}G" "$swap_file") || { rm -f "$swap_file"; fail "no room for $swap_gib GiB at $swap_file"; }
      remember swap
      printf '/var/prony.swap none swap sw 0 0 # prony\n' >>"$root/etc/fstab"
      ! here_only || { mkswap -q "$swap_file" && swapon "$swap_file"; } ;;
    max-power)
      lay "$power_file" '[Unit]\nDescription=Largest power mode and clocks, for comparable runs\n[Service]\nType=oneshot\nExecStart=/usr/sbin/nvpmodel -m 0\nExecStart=/usr/bin/jetson_clocks\n[Install]\nWantedBy=multi-user.target\n'
      mkdir -p "$(dirname "$power_link")"
      ln -s ../prony-max-power.service "$power_link"
      remember max-power
      ! here_only || { systemctl daemon-reload && systemctl start prony-max-power.service; } ;;
    llama) "$here/setup-llama.sh" ;;
    prony)
      if [ -n "$archive" ]; then
        [ -f "$archive" ] || fail "--archive: $archive is not there"
        mkdir -p "$root/usr/local"
        list=$(tar -tzf "$archive") || fail "$archive is no tar.gz"
        printf '%s\n' "$list" | grep -Eq '^/|(^|/)\.\.(/|$)' && fail "$archive holds paths that lead out of /usr/local"
        for file in $list; do case "$file" in */) ;; *) [ ! -e "$root/usr/local/$file" ] || fail "$root/usr/local/$file is there already" ;; esac; done
        remember prony "$list" # first: what is unpacked halfway can be undone
        tar -xzf "$archive" -C "$root/usr/local" --no-same-owner
      else
        here_only || fail "prony: a build for another system: give --archive FILE.tar.gz"
        (cd "$here/.." && make build && cmake --install build/release --prefix /usr/local)
        remember prony "$(cat "$here/../build/release/install_manifest.txt" 2>/dev/null | sed 's#^/usr/local/##')"
      fi ;;
    ollama) return 0 ;;
  esac
}

undo_step() {
  case "$1" in
    perf) rm -f "$perf_file" ;;
    memory-load) rm -f "$debug_file"; rmdir "$(dirname "$debug_file")" 2>/dev/null || true
      ! here_only || { systemctl daemon-reload; mount -o remount,mode=700 /sys/kernel/debug; } ;;
    swap)
      ! here_only || swapoff "$swap_file" 2>/dev/null || true
      rm -f "$swap_file"
      [ ! -f "$root/etc/fstab" ] || sed -i '/^\/var\/prony\.swap .*# prony$/d' "$root/etc/fstab" ;;
    max-power)
      rm -f "$power_link" "$power_file"; rmdir "$(dirname "$power_link")" 2>/dev/null || true
      ! here_only || systemctl daemon-reload ;;
    prony) while IFS= read -r file; do
        case "$file" in '' | */) ;; *) rm -f "$root/usr/local/$file" ;; esac
      done <"$done_folder/prony" ;;
  esac
  rm -f "$done_folder/$1"
}

if [ "$mode" = undo ]; then
  for step in max-power swap memory-load prony perf; do
    [ -f "$done_folder/$step" ] || continue
    say "undoing $step"
    undo_step "$step"
  done
  rmdir "$done_folder" 2>/dev/null || true
  say "packages and llama.cpp stay: others may use them by now"
  exit 0
fi

left=0
for step in $steps; do
  if is_there "$step"; then say "there   $step"; continue; fi
  left=$((left + 1))
  if [ "$mode" != do ]; then say "left    $step: $(what "$step")"; continue; fi
  if here_only && [ "$(id -u)" != 0 ] && [ "$step" != llama ] && [ "$step" != ollama ]; then
    fail "$step needs root: sudo tools/setup-jetson.sh $step"
  fi
  say "doing   $step: $(what "$step")"
  do_step "$step" || fail "$step failed; what was done before it stays, and --undo takes it back"
done
[ "$mode" != check ] || [ "$left" = 0 ] || exit 1
[ "$mode" != do ] || say "ready: prony sensors, prony doctor"
