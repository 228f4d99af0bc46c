#!/bin/sh
# Installs what Prony's build, demo and tests take from the distribution, by name (tools/packages.txt).
#   tools/setup.sh [--check | --list] [GROUP…]     groups: core demo test qemu bench torch; default: core
#   --list   print the packages of the groups, one a line, and do nothing
#   --check  say what is missing; exit 1 if anything is
# A call that finds everything in place installs nothing and does not touch the network.
# Exit codes: 0 all there, 1 failed (or missing, with --check), 2 this system is not one it can set up: the list is printed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
action=install
groups=
for word in "$@"; do
  case "$word" in
    --check) action=check ;;
    --list) action=list ;;
    core | demo | test | qemu | bench | torch) groups="$groups $word" ;;
    *) echo "setup: what is \"$word\"? usage: tools/setup.sh [--check | --list] [core demo test qemu bench torch]" >&2; exit 2 ;;
  esac
done
[ -n "$groups" ] || groups=core

say() { printf 'setup: %s\n' "$*" >&2; }

# packages GROUP: the lines of one group, with their least versions.
packages() {
  awk -v want="[$1]" '/^#/ || /^$/ { next } /^\[/ { on = ($0 == want); next } on' "$here/packages.txt"
}
wanted=
optional=
for group in $groups; do
  # The guests that QEMU boots are a test that not every machine can have: nothing else waits for them.
  if [ "$group" = qemu ]; then
    optional="$optional $(packages qemu)"
    continue
  fi
  wanted="$wanted $(packages "$group")"
  if [ "$group" = test ]; then
    wanted="$wanted $(packages "test-$(uname -m)")"
    optional="$optional $(packages test-optional)"
  fi
done

if [ "$action" = list ]; then
  for line in $wanted $optional; do echo "${line%%>=*}"; done | sort -u
  exit 0
fi

unsupported() {
  say "$1"
  say "install these by hand (Debian's names; a least version where one is known to matter):"
  for line in $wanted; do printf '  %s\n' "$line"; done | sort -u
  if [ -n "$optional" ]; then
    say "and, if your system has them:"
    for line in $optional; do printf '  %s\n' "$line"; done
  fi
  exit 2
}

# PRONY_OS_RELEASE lets the tests play another system.
os_release=${PRONY_OS_RELEASE:-/etc/os-release}
[ -r "$os_release" ] || unsupported "this system does not say what it is (no $os_release)"
ID=unknown VERSION_ID=0 PRETTY_NAME="this system"
. "$os_release"
major=${VERSION_ID%%.*}
case "$ID" in
  debian | raspbian) [ "${major:-0}" -ge 12 ] || unsupported "$PRETTY_NAME is older than Debian 12" ;;
  ubuntu) [ "${major:-0}" -ge 22 ] || unsupported "$PRETTY_NAME is older than Ubuntu 22.04" ;;
  *) unsupported "$PRETTY_NAME is none of the systems this script sets up (Debian 12, Ubuntu 22.04, Raspberry Pi OS 12, or newer)" ;;
esac
command -v dpkg-query >/dev/null 2>&1 || unsupported "there is no dpkg here"
case "$(uname -m)" in
  x86_64 | aarch64) ;;
  *) say "$(uname -m): Prony is meant for x86_64 and aarch64; going on, untested" ;;
esac

# One call for all: names of the packages that are installed, with their versions.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' 2>/dev/null | awk '$1 == "installed" { print $2, $3 }')
has() { printf '%s\n' "$installed" | grep -q "^$1 "; }
missing=
for line in $wanted; do
  name=${line%%>=*}
  has "$name" || missing="$missing $name"
done
# npm's own name differs where Node.js comes from elsewhere: any npm that runs will do.
case " $missing " in *" npm "*) command -v npm >/dev/null 2>&1 && missing=$(printf '%s' "$missing" | sed 's/ npm\b//') ;; esac
for name in $optional; do
  has "$name" || maybe="${maybe:-} $name"
done

if [ "$action" = check ]; then
  [ -z "$missing" ] && { say "all there"; exit 0; }
  say "missing:$missing"
  exit 1
fi

become_root=
if [ -n "$missing${maybe:-}" ] && [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1; then
    become_root=sudo
  elif [ -n "$missing" ]; then
    say "missing:$missing"
    say "to install them I need root or sudo; as root:  apt-get install$missing"
    exit 1
  else
    maybe=
  fi
fi

apt() { $become_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }
# What may be absent from the distribution is asked for once; the answer is kept until the lists change.
asked=$here/../build/.setup-asked
if [ -n "${maybe:-}" ] && [ -z "$missing" ] && [ "$(cat "$asked" 2>/dev/null)" = "$maybe" ]; then maybe=; fi
if [ -n "$missing${maybe:-}" ]; then
  say "installing:$missing${maybe:-}"
  apt update >&2 || say "the package lists could not be renewed; trying with the old ones"
  if [ -n "$missing" ]; then
    apt install -y --no-install-recommends $missing >&2 || unsupported "apt-get could not install all of:$missing"
  fi
  for name in ${maybe:-}; do
    if apt-cache show "$name" >/dev/null 2>&1; then
      apt install -y --no-install-recommends "$name" >&2 || say "$name could not be installed; the tests that use it will say so"
    else
      say "$PRETTY_NAME has no $name; the tests that use it will say so"
    fi
  done
  mkdir -p "$here/../build" && printf '%s' "${maybe:-}" >"$asked"
fi

# Too old to do, whoever packaged it.
for line in $wanted; do
  case "$line" in
    *'>='*)
      name=${line%%>=*}
      least=${line##*>=}
      version=$(dpkg-query -W -f '${Version}' "$name" 2>/dev/null || true)
      if [ -n "$version" ] && dpkg --compare-versions "$version" lt "$least"; then
        # A newer cmake or compiler from elsewhere comes first on PATH and is as good.
        if [ "$name" = cmake ] && cmake --version | awk 'NR == 1 { split($3, v, "."); exit !(v[1] > 3 || v[2] >= 25) }'; then continue; fi
        if [ "$name" = g++ ] && [ "$("${CXX:-g++}" -dumpversion | cut -d. -f1)" -ge 12 ]; then continue; fi
        say "$name $version is too old: $least or newer is needed"
        case "$name" in
          cmake) say "a newer one for your user alone:  python3 -m pip install 'cmake>=3.25'" ;;
          g++) say "install g++-12 and set CXX=g++-12 CC=gcc-12" ;;
        esac
        exit 2
      fi
      ;;
  esac
done
