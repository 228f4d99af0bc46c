# Sourced by setup-jetson.sh and setup-pi.sh: what setting up a board has in common.
# Who sources it has set $board, $own_steps (only theirs) and $undo_order, and has defined, each taking a step of $own_steps:
#   own_what STEP      says what it would do        own_do STEP     does it, then: remember STEP [LINES]
#   own_is_there STEP  nothing is left to do        own_undo STEP   takes it back, by $done_folder/STEP
#   own_option WORD VALUE   takes an option of the board's own and its value; fails if WORD is none
# Steps of every board: packages perf prony swap llama ollama. Nothing is done twice: what a step did is kept below
# $done_folder, and --undo takes back that and nothing else.

mode=do root= archive= swap_gib=8 steps=
say() { printf 'setup-%s: %s\n' "$board" "$*"; }
fail() { printf 'setup-%s: %s\n' "$board" "$*" >&2; exit "${2:-1}"; }
head_comment() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }
usage() { head_comment >&2; exit 2; }
own_option() { return 1; }
here_only() { [ -z "$root" ]; } # commands are run on the system that runs, and on no other

board_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --dry-run) mode=dry ;;
      --check) mode=check ;;
      --undo) mode=undo ;;
      --root | --archive | --swap-gib)
        [ $# -ge 2 ] || { say "$1 needs a value" >&2; usage; }
        case "$1" in --root) root=${2%/} ;; --archive) archive=$2 ;; *) swap_gib=$2 ;; esac
        shift ;;
      -h | --help) head_comment; exit 0 ;;
      --*)
        [ $# -ge 2 ] && own_option "$1" "$2" || { say "what is \"$1\"?" >&2; usage; }
        shift ;;
      *)
        case " packages perf prony swap llama ollama $own_steps " in
          *" $1 "*) steps="$steps $1" ;;
          *) say "what is \"$1\"?" >&2; usage ;;
        esac ;;
    esac
    shift
  done
  case "$swap_gib" in '' | *[!0-9]* | 0*) say "--swap-gib takes a whole number from 1 on" >&2; exit 2 ;; esac
  [ -z "$root" ] || [ -d "$root" ] || { say "--root: $root is not a folder" >&2; exit 2; }
  done_folder=$root/var/lib/prony-setup
  perf_file=$root/etc/sysctl.d/60-prony.conf
  swap_file=$root/var/prony.swap
}

# lay FILE FORMAT: FORMAT, as printf writes it, becomes FILE. One that is there is somebody else's and is never overwritten.
lay() {
  [ ! -e "$1" ] || fail "$1 is there and was not made by this script: move it away, or leave this step out"
  mkdir -p "$(dirname "$1")" || fail "$(dirname "$1") cannot be made"
  # shellcheck disable=SC2059  # a format on purpose
  { printf "$2" >"$1.new" && mv "$1.new" "$1"; } || fail "$1 cannot be written"
}

remember() { mkdir -p "$done_folder"; printf '%s\n' "${2:-}" >"$done_folder/$1"; }

what() {
  case "$1" in
    packages) echo "install what the build takes from the distribution (tools/setup.sh core)" ;;
    perf) echo "write $perf_file: perf events of one's own processes without root" ;;
    prony) if [ -n "$archive" ]; then echo "unpack $archive below $root/usr/local"; else echo "build Prony and install it to $root/usr/local"; fi ;;
    swap) echo "make $swap_file of $swap_gib GiB and use it at every start ($root/etc/fstab)" ;;
    llama) echo "fetch the pinned llama.cpp (tools/setup-llama.sh)" ;;
    ollama) echo "install Ollama yourself: https://ollama.com/download (nothing is done here)" ;;
    *) own_what "$1" ;;
  esac
}

is_there() {
  case "$1" in
    packages) ! here_only || "$here/setup.sh" --check core >/dev/null 2>&1 ;;
    ollama) if here_only; then command -v ollama >/dev/null 2>&1; else [ -x "$root/usr/local/bin/ollama" ]; fi ;;
    prony) [ -x "$root/usr/local/bin/prony" ] ;;
    llama) [ -f "$here/../build/deps/llama/.prony-stamp" ] ;;
    perf | swap) [ -f "$done_folder/$1" ] ;;
    *) own_is_there "$1" ;;
  esac
}

# newer A B: version A is newer than B.
newer() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }

# What the archive's own list says that it needs, held against this board. One without a list is taken as it is.
check_manifest() {
  told=$(tar -xzOf "$archive" share/prony/MANIFEST 2>/dev/null) || return 0
  machine=$(printf '%s\n' "$told" | awk '$1 == "machine" { print $2 }')
  least=$(printf '%s\n' "$told" | awk '$1 == "glibc" { print $2 }')
  here_only || return 0
  [ -z "$machine" ] || [ "$machine" = "$(uname -m)" ] || fail "$archive is for $machine, and this is $(uname -m)"
  have=$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ print $2 }')
  if [ -n "$have" ] && [ -n "$least" ] && newer "$least" "$have"; then
    fail "$archive needs glibc $least, and this system has $have: an older system than it can run on (JetPack 6 and Debian 12 are new enough)"
  fi
}

unpack_prony() {
  [ -f "$archive" ] || fail "--archive: $archive is not there"
  if [ -f "$archive.sha256" ]; then
    (cd "$(dirname "$archive")" && sha256sum -c --status "$(basename "$archive").sha256") ||
      fail "$archive is not what $archive.sha256 says: fetch both again"
  fi
  check_manifest
  mkdir -p "$root/usr/local"
  list=$(tar -tzf "$archive") || fail "$archive is no tar.gz"
  printf '%s\n' "$list" | grep -Eq '^/|(^|/)\.\.(/|$)' && fail "$archive holds paths that lead out of /usr/local"
  for file in $list; do case "$file" in */) ;; *) [ ! -e "$root/usr/local/$file" ] || fail "$root/usr/local/$file is there already" ;; esac; done
  remember prony "$list" # first: what is unpacked halfway can be undone
  tar -xzf "$archive" -C "$root/usr/local" --no-same-owner
  if here_only && [ -n "${told:-}" ] && ! /usr/local/bin/prony --version >/dev/null 2>&1; then
    fail "it is unpacked and does not start: $(/usr/local/bin/prony --version 2>&1 | tail -n 1)"
  fi
}

do_step() {
  case "$1" in
    packages) "$here/setup.sh" core ;;
    perf)
      lay "$perf_file" "# Written by tools/setup-$board.sh; --undo takes it away.\\nkernel.perf_event_paranoid = 1\\n"
      before=
      ! here_only || before=$(sysctl -n kernel.perf_event_paranoid 2>/dev/null) || before=
      remember perf "$before"
      ! here_only || sysctl -q -p "$perf_file" ;;
    swap)
      [ ! -e "$swap_file" ] || fail "$swap_file is there and was not made by this script"
      mkdir -p "$(dirname "$swap_file")" "$root/etc"
      (umask 077; fallocate -l "${swap_gib}G" "$swap_file") || { rm -f "$swap_file"; fail "no room for $swap_gib GiB at $swap_file"; }
      remember swap
      printf '/var/prony.swap none swap sw 0 0 # prony\n' >>"$root/etc/fstab"
      ! here_only || { mkswap -q "$swap_file" && swapon "$swap_file"; } ;;
    llama) "$here/setup-llama.sh" ;;
    prony)
      if [ -n "$archive" ]; then
        unpack_prony
      else
        here_only || fail "prony: a build for another system: give --archive FILE.tar.gz"
        (cd "$here/.." && make build && cmake --install build/release --prefix /usr/local)
        remember prony "$(cat "$here/../build/release/install_manifest.txt" 2>/dev/null | sed 's#^/usr/local/##')"
      fi ;;
    ollama) return 0 ;;
    *) own_do "$1" ;;
  esac
}

undo_step() {
  case "$1" in
    perf)
      rm -f "$perf_file"
      before=$(head -n 1 "$done_folder/perf")
      case "$before" in '' | *[!0-9-]*) ;; *) ! here_only || sysctl -q -w "kernel.perf_event_paranoid=$before" ;; esac ;;
    swap)
      ! here_only || swapoff "$swap_file" 2>/dev/null || true
      rm -f "$swap_file"
      [ ! -f "$root/etc/fstab" ] || sed -i '/^\/var\/prony\.swap .*# prony$/d' "$root/etc/fstab" ;;
    prony) while IFS= read -r file; do
        case "$file" in '' | */) ;; *) rm -f "$root/usr/local/$file" ;; esac
      done <"$done_folder/prony"
      for folder in lib/prony share/prony; do rmdir "$root/usr/local/$folder" 2>/dev/null || true; done ;;
    *) own_undo "$1" ;;
  esac
  rm -f "$done_folder/$1"
}

undo_all() {
  for step in $undo_order; do
    [ -f "$done_folder/$step" ] || continue
    say "undoing $step"
    undo_step "$step"
  done
  rmdir "$done_folder" 2>/dev/null || true
}

do_all() {
  left=0
  for step in $steps; do
    if is_there "$step"; then say "there   $step"; continue; fi
    left=$((left + 1))
    if [ "$mode" != do ]; then say "left    $step: $(what "$step")"; continue; fi
    if here_only && [ "$(id -u)" != 0 ] && [ "$step" != llama ] && [ "$step" != ollama ]; then
      fail "$step needs root: sudo tools/setup-$board.sh $step"
    fi
    say "doing   $step: $(what "$step")"
    do_step "$step" || fail "$step failed; what was done before it stays, and --undo takes it back"
  done
  [ "$mode" != check ] || [ "$left" = 0 ] || exit 1
  [ "$mode" != do ] || say "ready: prony sensors, prony doctor"
}
