#!/bin/sh
# Records a machine: copies the files of /proc and /sys that Prony reads into one small archive, with everything taken
# out that tells whose machine it is. Runs as anybody; what may not be read is named in the archive (denied.txt).
#   tools/record_machine.sh [-o FILE.tar.gz] [--root DIR] [--list]
#   --root DIR   DIR holds the proc/ and sys/ to record (default /)
#   --list       print what would be looked at, and do nothing
# Taken out: host name, names of users, serial numbers, UUIDs, MAC addresses, names of control groups and of network
# interfaces that somebody chose, the kernel's command line but for options that concern power. Never looked at: command
# lines and environments of processes, and anything that a link leads to outside of /proc and /sys.
# Look into the archive before you send it to anybody:  tar -xOzf FILE.tar.gz | less
set -eu
umask 077
LC_ALL=C
export LC_ALL

root=/
out=machine.tar.gz
list=no
say() { printf 'record_machine: %s\n' "$*" >&2; }
while [ $# -gt 0 ]; do
  case "$1" in
    -o | --root)
      [ $# -ge 2 ] || { say "$1 needs a value"; exit 2; }
      if [ "$1" = -o ]; then out=$2; else root=$2; fi
      shift 2
      ;;
    --list) list=yes; shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) say "what is \"$1\"? usage: tools/record_machine.sh [-o FILE.tar.gz] [--root DIR] [--list]"; exit 2 ;;
  esac
done
case "$out" in /*) ;; *) out=$PWD/$out ;; esac
root=$(cd "$root" 2>/dev/null && pwd -P) || { say "--root: not a directory"; exit 2; }

# What Prony reads, and what its sensors to come are likely to. tests/e2e/test_machines.py holds this list against the
# paths in src/.
wanted='
proc/cpuinfo proc/meminfo proc/stat proc/vmstat proc/swaps proc/loadavg proc/version proc/cmdline proc/net/dev
proc/pressure/* proc/2/comm proc/self/cgroup proc/self/mountinfo proc/self/smaps proc/sys/kernel/hostname proc/sys/kernel/osrelease
proc/sys/kernel/perf_event_paranoid proc/sys/kernel/nmi_watchdog proc/sys/vm/swappiness
sys/class/powercap/*/* sys/class/powercap/*/*:*/* sys/class/powercap/*/*:*/*:*/*
sys/class/hwmon/*/* sys/class/hwmon/*/device/name sys/class/hwmon/*/device/type
sys/class/hwmon/*/device/*_input sys/class/hwmon/*/device/*_label
sys/class/thermal/*/type sys/class/thermal/*/temp sys/class/thermal/*/mode sys/class/thermal/*/policy
sys/class/thermal/*/cur_state sys/class/thermal/*/max_state sys/class/thermal/*/trip_point_*
sys/class/power_supply/*/*
sys/class/dmi/id/sys_vendor sys/class/dmi/id/product_name sys/class/dmi/id/product_version
sys/class/dmi/id/product_family sys/class/dmi/id/board_vendor sys/class/dmi/id/board_name
sys/class/dmi/id/board_version sys/class/dmi/id/bios_vendor sys/class/dmi/id/bios_version
sys/class/dmi/id/bios_date sys/class/dmi/id/bios_release sys/class/dmi/id/chassis_type
sys/class/net/*/operstate sys/class/net/*/speed sys/class/net/*/type sys/class/net/*/statistics/[rt]x_bytes
sys/class/net/*/device/vendor sys/class/net/*/device/uevent
sys/block/*/stat sys/block/*/size sys/block/*/hidden sys/block/*/removable sys/block/*/dev sys/block/*/md/level
sys/block/*/queue/rotational sys/block/*/slaves/*/dev sys/block/*/device/model sys/block/*/device/type
sys/bus/event_source/devices/*/type sys/bus/event_source/devices/*/cpus sys/bus/event_source/devices/power/*
sys/bus/event_source/devices/power/events/* sys/bus/event_source/devices/power/format/*
sys/devices/system/cpu/* sys/devices/system/cpu/cpufreq/* sys/devices/system/cpu/cpufreq/policy*/*
sys/devices/system/cpu/cpuidle/* sys/devices/system/cpu/intel_pstate/* sys/devices/system/cpu/amd_pstate/*
sys/devices/system/cpu/smt/* sys/devices/system/cpu/vulnerabilities/* sys/devices/system/cpu/microcode/*
sys/devices/system/cpu/cpu*/online sys/devices/system/cpu/cpu*/topology/*
sys/devices/system/cpu/cpu*/cpuidle/state*/* sys/devices/system/cpu/cpu*/thermal_throttle/*
sys/devices/system/cpu/cpu*/acpi_cppc/* sys/devices/system/cpu/cpu*/microcode/version
sys/devices/system/cpu/cpu*/power/energy_perf_bias
sys/devices/system/node/online sys/devices/system/clocksource/clocksource0/*
sys/firmware/devicetree/base/model sys/firmware/devicetree/base/compatible
sys/firmware/devicetree/base/chosen/bootloader/version sys/firmware/devicetree/base/chosen/bootloader/build-timestamp
sys/bus/pci/devices/*/class sys/bus/pci/devices/*/vendor sys/bus/pci/devices/*/current_link_speed sys/bus/pci/devices/*/current_link_width
sys/fs/cgroup/cgroup.* sys/fs/cgroup/cpu.* sys/fs/cgroup/memory.* sys/fs/cgroup/unified/cgroup.*
sys/fs/cgroup/unified/cpu.* sys/hypervisor/type
proc/xen/capabilities sys/firmware/devicetree/base/hypervisor/compatible sys/firmware/acpi/platform_profile
sys/class/block/*/dev sys/dev/block/*/dev
sys/bus/i2c/drivers/ina3221x/*/iio*device*/rail_name_* sys/bus/i2c/drivers/ina3221x/*/iio*device*/in_power*_input
sys/class/drm/card*/device/vendor sys/class/drm/card*/device/*_busy_percent sys/class/drm/card*/device/mem_info_* sys/class/drm/card*/device/gpu_metrics
sys/class/drm/card*/device/hwmon/*/* sys/class/drm/card*/gt/gt0/rps_act_freq_mhz sys/class/drm/card*/gt/gt0/throttle_reason_*
sys/class/drm/card*/device/tile0/gt0/freq0/act_freq sys/class/drm/card*/device/tile0/gt0/freq0/throttle/*
sys/devices/gpu.0/load sys/devices/platform/*/load sys/devices/platform/bus@0/*/load sys/devices/platform/host1x/*/load
sys/class/devfreq/*/cur_freq sys/class/devfreq/*/min_freq sys/class/devfreq/*/max_freq sys/class/devfreq/*/device/load
sys/devices/pwm-fan/cur_pwm sys/devices/pwm-fan/target_pwm sys/kernel/actmon_avg_activity/mc_all
sys/kernel/debug/cactmon/mc_all sys/kernel/debug/bpmp/debug/actmon/mc_all_avg_activity
sys/kernel/debug/bpmp/debug/clk/emc/rate sys/kernel/debug/clk/override.emc/clk_rate sys/kernel/debug/clk/emc/clk_rate
etc/nv_tegra_release etc/nvpmodel.conf var/lib/nvpmodel/status'
# Never, wherever a pattern above would find them.
refused='*serial* *uuid* *asset_tag* */uevent */modalias */environ */cmdline */address *wwid* */unique_id */crash_notes*
*/memory.kmem* */memory.force_empty */memory.pressure_level */cgroup.event_control */cgroup.kill */unbind_*'
if [ "$list" = yes ]; then
  printf '%s\n' $wanted
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
cd "$root"

# --- which files there are -------------------------------------------------------------------------------------------
may_be_taken() {
  case "$1" in proc/cmdline) return 0 ;; esac
  for never in $refused; do
    # shellcheck disable=SC2254  # a pattern on purpose
    case "$1" in $never) return 1 ;; esac
  done
  return 0
}
for pattern in $wanted; do
  for file in $pattern; do
    case "$file" in *[!A-Za-z0-9_./:@+,=-]*) continue ;; esac # a name that no driver gives
    [ -f "$file" ] && may_be_taken "$file" && printf '%s\n' "$file"
  done
done | sort -u >"$work/found"
# Where each of them really lies: outside of proc and sys it is somebody else's.
tr '\n' '\0' <"$work/found" | xargs -0 -r readlink -f -- >"$work/real"
paste "$work/found" "$work/real" | awk -F '\t' -v root="${root%/}" '
  index($2, root "/proc/") == 1 || index($2, root "/sys/") == 1 { print $1; next }
  { print "left out: a link out of the tree: " $1 > "/dev/stderr" }' >"$work/inside"

# Prony's own control group in each hierarchy: its files go to …/own, or to the mount itself where that shows nothing else.
cgroup_files() {
  [ -r proc/self/cgroup ] && [ -r proc/self/mountinfo ] || return 0
  awk '
    FILENAME ~ /cgroup$/ { first = index($0, ":"); rest = substr($0, first + 1); second = index(rest, ":")
                           names = substr(rest, 1, second - 1); group = substr(rest, second + 1)
                           if (substr($0, 1, 3) == "0::") of["cgroup2"] = group
                           else { n = split(names, each, ","); for (i = 1; i <= n; ++i) of[each[i]] = group }
                           next }
    { type = ""; for (i = 7; i <= NF; ++i) if ($i == "-") { type = $(i + 1); options = $(i + 3) }
      if (type == "cgroup2") group = of["cgroup2"]
      else if (type == "cgroup") { group = ""; n = split(options, each, ",")
                                   for (i = 1; i <= n; ++i) if (each[i] in of) group = of[each[i]] }
      else next
      if (group == "" || group == "/" || index($5, "/sys/fs/cgroup") != 1) next
      if ($4 == "/") print substr($5, 2) group "\t" substr($5, 2) "/own"
      else if (group == $4) print substr($5, 2) "\t" substr($5, 2) }' proc/self/cgroup proc/self/mountinfo |
    while IFS="$(printf '\t')" read -r from to; do
      for file in "$from"/cgroup.* "$from"/cpu.* "$from"/cpuacct.* "$from"/memory.*; do
        case "$file" in *[!A-Za-z0-9_./:@+,=-]*) continue ;; esac # a name that no driver gives
    [ -f "$file" ] && may_be_taken "$file" && printf '%s\t%s\n' "$file" "$to/${file##*/}"
      done
    done
}
{ awk '{ print $0 "\t" $0 }' "$work/inside"; cgroup_files; } >"$work/pairs"

# --- read, take out what tells whose it is, write --------------------------------------------------------------------
users=
if [ "$root" = / ]; then
  users=$({ id -un; ls /home 2>/dev/null; [ -n "${SUDO_USER:-}" ] && echo "$SUDO_USER"; } 2>/dev/null | sort -u | tr '\n' ' ')
fi
host=$(cat proc/sys/kernel/hostname 2>/dev/null || true)
mkdir "$work/tree" "$work/raw"
# Read first, all at once; a file that fails halfway is as good as one that may not be read.
cut -f 1 "$work/pairs" | sort -u | tr '\n' '\0' |
  xargs -0 -r cp -L --parents --no-preserve=all -t "$work/raw" -- 2>"$work/complaints" || true
sed -n "s/^cp: error reading '\(.*\)': .*/\1/p" "$work/complaints" | while read -r file; do rm -f "$work/raw/$file"; done
awk -F '\t' -v OFS='\t' '
  function chosen(name) { return name !~ /^(lo|eth[0-9]+|en[opsb][0-9a-z]*|wl[opsb]?[0-9a-z]*|ww[0-9a-z]*|usb[0-9]+|ib[0-9]+)$/ || name ~ /^(enx|wlx)/ }
  { dst = $2
    if (split(dst, part, "/") > 3 && part[1] "/" part[2] "/" part[3] == "sys/class/net" && chosen(part[4])) {
      if (!(part[4] in new)) { new[part[4]] = "net" (++count); print part[4] "\t" new[part[4]] > names }
      sub("sys/class/net/" part[4] "/", "sys/class/net/" new[part[4]] "/", dst) }
    print $1, dst }' names="$work/interfaces" "$work/pairs" >"$work/renamed"
[ -f "$work/interfaces" ] || : >"$work/interfaces"
cut -f 2 "$work/renamed" | sed 's#/[^/]*$##' | sort -u | sed "s#^#$work/tree/#" | tr '\n' '\0' | xargs -0 -r mkdir -p
awk -F '\t' -v tree="$work/tree" -v host="$host" -v users="$users" -v names="$work/interfaces" -v denied="$work/denied" -v raw="$work/raw/" '
  # Words, not parts of words: a user called "cpu" must not take the cpu out of a path.
  function without(text, word, instead,    out, at, before, after) {
    out = ""
    while (word != "" && (at = index(text, word)) > 0) {
      before = at > 1 ? substr(text, at - 1, 1) : ""; after = substr(text, at + length(word), 1)
      if (before ~ /[A-Za-z0-9]/ || after ~ /[A-Za-z0-9]/) { out = out substr(text, 1, at + length(word) - 1) }
      else { out = out substr(text, 1, at - 1) instead }
      text = substr(text, at + length(word))
    }
    return out text
  }
  function clean(text,    i) {
    gsub(mac, "00:00:00:00:00:00", text)
    gsub(uuid, "00000000-0000-0000-0000-000000000000", text)
    if (length(host) > 2 && host != "localhost") text = without(text, host, "host")
    for (i = 1; i <= user_count; ++i) if (length(user[i]) > 2 && user[i] != "root") text = without(text, user[i], "user")
    return text
  }
  function power_options(line,    n, i, each, kept) {
    n = split(line, each, " "); kept = ""
    for (i = 1; i <= n; ++i) {
      if (each[i] == "--") break
      if (each[i] ~ /^(psi|intel_pstate|amd_pstate|amd_prefcore|intel_idle\.max_cstate|idle|processor\.max_cstate|isolcpus|nohz|nohz_full|mitigations|nosmt|maxcpus|nr_cpus|cpufreq\.[a-z_]*|cpuidle\.[a-z_]*|pcie_aspm|tsc|clocksource|swapaccount|cgroup_enable|cgroup_disable|cgroup_no_v1|systemd\.unified_cgroup_hierarchy|nmi_watchdog|quiet)(=[A-Za-z0-9_,.-]*)?$/)
        kept = kept (kept == "" ? "" : " ") each[i]
    }
    return kept
  }
  function own_group(line,    first, rest, second) {
    first = index(line, ":"); rest = substr(line, first + 1); second = index(rest, ":")
    if (substr(rest, 1, 5) == "name=") return ""  # a name that somebody gave
    return substr(line, 1, first) substr(rest, 1, second) (substr(rest, second + 1) == "/" ? "/" : "/own")
  }
  function own_mount(line,    each, n, i, kept) {
    if (line !~ / - cgroup2? /) return ""
    n = split(line, each, " ")
    if (each[4] != "/") each[4] = "/own"
    kept = each[1]; for (i = 2; i <= n; ++i) kept = kept " " each[i]
    return kept
  }
  function filtered(path, line) {
    if (path == "proc/cmdline") return power_options(line)
    if (path == "proc/self/cgroup") return own_group(line)
    if (path == "proc/self/mountinfo") return own_mount(line)
    if (path == "proc/sys/kernel/hostname") return "host"
    if (path == "proc/version") { split(line, version_word, " "); return version_word[1] " " version_word[2] " " version_word[3] }
    if (path == "proc/stat") { if (line ~ /^(intr|softirq) /) return ""; if (line ~ /^btime /) return "btime 0" }
    if (path == "proc/cpuinfo" && line ~ /^Serial/) return ""
    if (path == "proc/net/dev") {
      interface = line; sub(/^ */, "", interface); sub(/:.*/, "", interface)
      if (interface in new_name) sub(interface ":", new_name[interface] ":", line)
    }
    # Of the mappings of this very script only the size of a page is wanted.
    if (path == "proc/self/smaps") { if (line !~ /^KernelPageSize:/ || page_told++) return ""; return line }
    if (path ~ /cgroup\.(procs|threads)$/) return ""
    return line
  }
  BEGIN {
    h = "[0-9a-fA-F]"; hh = h h; hhhh = hh hh
    mac = hh ":" hh ":" hh ":" hh ":" hh ":" hh
    uuid = hhhh hhhh "-" hhhh "-" hhhh "-" hhhh "-" hhhh hhhh hhhh
    user_count = split(users, user, " ")
    while ((getline line < names) > 0) { split(line, pair, "\t"); new_name[pair[1]] = pair[2] }
    close(names)
  }
  { source = raw $1; target = tree "/" $2; bytes = 0
    status = (getline line < source)
    if (status < 0) { print $2 > denied; close(source); next }
    printf "" > target
    while (status > 0 && bytes < 65536) {
      kept = filtered($2, line)
      if (kept != "" || line == "" && $2 !~ /^proc\/self/) printf "%s\n", clean(kept) > target
      bytes += length(line) + 1
      status = (getline line < source)
    }
    close(source); close(target) }' "$work/renamed"

# A hwmon chip is told from its twins by where its device link leads: the last part of that, within the tree.
for link in sys/class/hwmon/*/device; do
  [ -L "$link" ] || continue
  base=$(readlink "$link"); base=${base##*/}
  chip=${link%/device}
  case "$base" in "" | .. | *[!A-Za-z0-9_.:-]*) continue ;; esac
  [ -d "$work/tree/$chip" ] || continue
  mkdir -p "$work/tree/sys/devices/recorded/$base"
  if [ -d "$work/tree/$link" ]; then
    mv "$work/tree/$link"/* "$work/tree/sys/devices/recorded/$base/" 2>/dev/null || true
    rmdir "$work/tree/$link" 2>/dev/null || continue
  fi
  ln -s "../../../devices/recorded/$base" "$work/tree/$link"
done
# That an interface has a device is all that is asked of it.
for device in sys/class/net/*/device; do
  [ -d "$device" ] || continue
  name=${device%/device}; name=${name##*/}
  new=$(awk -F '\t' -v n="$name" '$1 == n { print $2 }' "$work/interfaces")
  [ -d "$work/tree/sys/class/net/${new:-$name}" ] && mkdir -p "$work/tree/sys/class/net/${new:-$name}/device" &&
    : >"$work/tree/sys/class/net/${new:-$name}/device/present"
done

# The firmware of a Raspberry Pi: its device cannot be recorded, what its program prints can.
if [ "$root" = / ] && command -v vcgencmd >/dev/null 2>&1; then
  mkdir "$work/tree/programs"
  for words in pmic_read_adc measure_temp "measure_clock arm" "measure_volts core" get_throttled "get_config arm_boost" version; do
    # shellcheck disable=SC2086  # several words on purpose
    timeout 5 vcgencmd $words >"$work/tree/programs/vcgencmd_$(echo "$words" | tr ' ' _)" 2>/dev/null || true
  done
fi

# --- into one file ---------------------------------------------------------------------------------------------------
mkdir -p "$work/tree/proc" "$work/tree/sys"
if [ -s "$work/denied" ]; then
  { echo "These were there and could not be read by the user who recorded:"; sort "$work/denied"; } >"$work/tree/denied.txt"
fi
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=u=rwX,go=rX -C "$work/tree" -cf - . | gzip -n9 >"$out"
files=$(find "$work/tree" -type f | wc -l)
unread=$([ -s "$work/denied" ] && wc -l <"$work/denied" || echo 0)
say "$out: $files files, $(wc -c <"$out") bytes; $unread could not be read"
say "look into it before you pass it on:  tar -xOzf $out | less"
