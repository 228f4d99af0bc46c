#!/bin/sh
# Makes a Jetson with a fresh JetPack ready to measure with Prony. Every step says what it does, is done once, and can be
# undone; what is there already is left alone.
#   tools/setup-jetson.sh [--dry-run | --check | --undo] [--root DIR] [STEP…]
#   always, unless steps are named:
#     packages          what Prony's build takes from the distribution (tools/setup.sh); not with --archive
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
board=jetson own_steps="memory-load max-power" undo_order="max-power swap memory-load prony perf"
. "$here/setup-board.sh"
board_options "$@"
[ -n "$archive" ] || packages=packages # what is unpacked needs nothing to be built with
[ -n "$steps" ] || steps="${packages:-} perf prony"

debug_file=$root/etc/systemd/system/sys-kernel-debug.mount.d/prony.conf
power_file=$root/etc/systemd/system/prony-max-power.service
clocks_file=$root/var/lib/prony-setup-clocks # of jetson_clocks, as they were
power_link=$root/etc/systemd/system/multi-user.target.wants/prony-max-power.service

own_what() {
  case "$1" in
    memory-load) echo "write $debug_file: /sys/kernel/debug may be entered by everybody" ;;
    max-power) echo "write $power_file: nvpmodel -m 0 and jetson_clocks at every start" ;;
  esac
}

own_is_there() { [ -f "$done_folder/$1" ]; }

own_do() {
  case "$1" in
    memory-load)
      lay "$debug_file" '[Mount]\nOptions=mode=755\n'
      remember memory-load
      ! here_only || { systemctl daemon-reload && mount -o remount,mode=755 /sys/kernel/debug; } ;;
    max-power)
      lay "$power_file" '[Unit]\nDescription=Largest power mode and clocks, for comparable runs\n[Service]\nType=oneshot\nExecStart=/usr/sbin/nvpmodel -m 0\nExecStart=/usr/bin/jetson_clocks\n[Install]\nWantedBy=multi-user.target\n'
      mkdir -p "$(dirname "$power_link")"
      ln -s ../prony-max-power.service "$power_link"
      before= # nvpmodel -q ends with the number of the mode
      ! here_only || { before=$(nvpmodel -q 2>/dev/null | tail -n 1) && jetson_clocks --store "$clocks_file"; } || before=
      remember max-power "$before"
      ! here_only || { systemctl daemon-reload && systemctl start prony-max-power.service; } ;;
  esac
}

own_undo() {
  case "$1" in
    memory-load)
      rm -f "$debug_file"; rmdir "$(dirname "$debug_file")" 2>/dev/null || true
      ! here_only || { systemctl daemon-reload; mount -o remount,mode=700 /sys/kernel/debug; } ;;
    max-power)
      rm -f "$power_link" "$power_file"; rmdir "$(dirname "$power_link")" 2>/dev/null || true
      ! here_only || systemctl daemon-reload
      before=$(head -n 1 "$done_folder/max-power")
      case "$before" in
        '' | *[!0-9]*) ! here_only || say "which power mode it was is not known: nvpmodel -m MODE, then restart" ;;
        *) ! here_only || { jetson_clocks --restore "$clocks_file" && nvpmodel -m "$before"; } ;;
      esac
      rm -f "$clocks_file" ;;
  esac
}

if [ "$mode" = undo ]; then
  undo_all
  say "packages and llama.cpp stay: others may use them by now"
  exit 0
fi
do_all
