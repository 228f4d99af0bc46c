#!/bin/sh
# Makes a Raspberry Pi with a fresh Raspberry Pi OS (Lite will do) ready to measure with Prony. Every step says what it does,
# is done once, and can be undone; what is there already is left alone.
#   tools/setup-pi.sh [--dry-run | --check | --undo] [--root DIR] [STEP…]
#   always, unless steps are named:
#     packages    what Prony's build takes from the distribution (tools/setup.sh); not with --archive
#     perf        perf events for everybody's own processes: kernel.perf_event_paranoid = 1
#     access      a udev rule: group video asks the firmware (/dev/vcio), everybody reads hwmon; you join group video
#     prony       builds Prony and installs it to /usr/local (or unpacks: --archive FILE.tar.gz)
#   only when named:
#     swap        a swap file of --swap-gib N (default 8): models that do not fit otherwise; wears an SD card
#     hailo       driver, firmware and HailoRT of a Hailo accelerator: package hailo-all (--hailo-package hailo-h10-all for a Hailo-10H)
#     pcie-gen3   a Raspberry Pi 5's external PCI Express at generation 3 (it is certified for 2), from the next start on
#     llama       llama.cpp for prony llm (tools/setup-llama.sh: pinned, prebuilt, for the CPU)
#     ollama      only looks for Ollama: its installer is not pinned, so it is not run here
#   --dry-run  print the steps that are left, change nothing;  --check  the same, and exit 1 if any is left
#   --undo     take back what this script did, last first;  --root DIR  work on another system's files: nothing is run in it
# Exit codes: 0 done, 1 failed (or steps are left, with --check), 2 usage.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
board=pi own_steps="access hailo pcie-gen3" undo_order="pcie-gen3 hailo swap prony access perf"
hailo_package=hailo-all
. "$here/setup-board.sh"
own_option() {
  [ "$1" = --hailo-package ] || return 1
  case "$2" in hailo-all | hailo-h10-all) hailo_package=$2 ;; *) return 1 ;; esac
}
board_options "$@"
[ -n "$archive" ] || packages=packages # what is unpacked needs nothing to be built with
[ -n "$steps" ] || steps="${packages:-} perf access prony"

rule_file=$root/etc/udev/rules.d/60-prony.rules
# Raspberry Pi OS 12 has it here; before, it lay in /boot itself.
config_file=$root/boot/firmware/config.txt
[ -f "$config_file" ] || [ ! -f "$root/boot/config.txt" ] || config_file=$root/boot/config.txt
gen3_begin='# prony: PCI Express of generation 3 (tools/setup-pi.sh --undo takes these lines away)'
gen3_end='# prony: end'
me=${SUDO_USER:-}

own_what() {
  case "$1" in
    access) echo "write $rule_file: group video asks the firmware, everybody reads hwmon${me:+; put $me into group video}" ;;
    hailo) echo "install $hailo_package from Raspberry Pi's package sources; a restart loads the driver" ;;
    pcie-gen3) echo "add dtparam=pciex1_gen=3 to $config_file; it holds from the next start on" ;;
  esac
}

installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | awk '$1 == "installed" { print $2 }' | sort; }
# The last word that the file says of it, outside our own lines or in them.
generation() { sed -n 's/^[[:space:]]*dtparam=\(.*,\)*pciex1_gen=\([0-9]*\).*/\2/p' "$config_file" 2>/dev/null | tail -n 1; }

own_is_there() {
  case "$1" in
    access) [ -f "$done_folder/access" ] ;;
    hailo) if here_only; then installed | grep -qx "$hailo_package"; else [ -e "$root/usr/lib/libhailort.so" ]; fi ;;
    pcie-gen3) [ "$(generation)" = 3 ] ;;
  esac
}

give_access() {
  lay "$rule_file" '# Written by tools/setup-pi.sh; --undo takes it away.\nKERNEL=="vcio", GROUP="video", MODE="0660"\nKERNEL=="vcio_gencmd", GROUP="video", MODE="0660"\nSUBSYSTEM=="hwmon", ACTION=="add", RUN+="/bin/sh -c '"'chmod -f a+r /sys%%p/energy*_input /sys%%p/power*_input /sys%%p/curr*_input /sys%%p/in*_input; true'"'"\n'
  remember access
  here_only || return 0
  if [ -n "$me" ] && ! id -nG "$me" | tr ' ' '\n' | grep -qx video; then
    usermod -aG video "$me" && remember access "$me" && say "$me is in group video from the next login on"
  fi
  ! command -v udevadm >/dev/null 2>&1 || { udevadm control --reload && udevadm trigger --action=add; }
}

install_hailo() {
  here_only || fail "hailo: packages are not installed into another system"
  apt-cache show "$hailo_package" >/dev/null 2>&1 ||
    fail "hailo: this system's package sources have no $hailo_package: Raspberry Pi OS (64 bit) has it, after sudo apt update"
  before=$(mktemp) && after=$(mktemp)
  installed >"$before"
  code=0
  DEBIAN_FRONTEND=noninteractive apt-get -q install -y "$hailo_package" || code=$?
  installed >"$after"
  remember hailo "$(comm -13 "$before" "$after")" # also what a half-done install brought
  rm -f "$before" "$after"
  [ "$code" = 0 ] || return "$code"
  say "restart to load the driver; then hailortcli fw-control identify, prony sensors"
}

ask_gen3() {
  model=$(tr -d '\0' <"$root/proc/device-tree/model" 2>/dev/null || true)
  case "$model" in
    *"Raspberry Pi 5"* | *"Compute Module 5"*) ;;
    *) fail "pcie-gen3: this is no Raspberry Pi 5, whose external PCI Express can do it${model:+, but: $model}" ;;
  esac
  [ -f "$config_file" ] || fail "pcie-gen3: there is no $config_file"
  newline=
  [ -z "$(tail -c 1 "$config_file")" ] || newline=added
  { cp -p "$config_file" "$config_file.prony" && { [ -z "$newline" ] || echo; printf '%s\n[all]\ndtparam=pciex1_gen=3\n%s\n' "$gen3_begin" "$gen3_end"; } >>"$config_file.prony"; } ||
    { rm -f "$config_file.prony"; fail "$config_file.prony cannot be written"; }
  remember pcie-gen3 "$newline"
  mv "$config_file.prony" "$config_file"
  say "restart to make it so; frames that are lost, or a device that vanishes: --undo, generation 2 is what is certified"
}

own_do() {
  case "$1" in
    access) give_access ;;
    hailo) install_hailo ;;
    pcie-gen3) ask_gen3 ;;
  esac
}

own_undo() {
  case "$1" in
    access)
      rm -f "$rule_file"
      user=$(cat "$done_folder/access")
      here_only || return 0
      [ -z "$user" ] || gpasswd -d "$user" video >/dev/null 2>&1 || true
      ! command -v udevadm >/dev/null 2>&1 || udevadm control --reload ;;
    hailo)
      ! here_only || [ -z "$(cat "$done_folder/hailo")" ] || DEBIAN_FRONTEND=noninteractive xargs apt-get -q remove -y <"$done_folder/hailo" ;;
    pcie-gen3)
      [ -f "$config_file" ] || return 0
      last=$(tail -n 1 "$config_file")
      cp -p "$config_file" "$config_file.prony"
      sed "/^# prony: PCI Express/,/^$gen3_end\$/d" "$config_file" >"$config_file.prony"
      # The end of line that was added before our lines, unless somebody wrote after them.
      if [ "$last" = "$gen3_end" ] && [ "$(cat "$done_folder/pcie-gen3")" = added ]; then truncate -s -1 "$config_file.prony"; fi
      mv "$config_file.prony" "$config_file" ;;
  esac
}

if [ "$mode" = undo ]; then
  undo_all
  say "the build's packages and llama.cpp stay: others may use them by now"
  exit 0
fi
do_all
