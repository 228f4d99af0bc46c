# Sourced by the set-up scripts that need packages without installing them (another architecture's, a kernel's).
#   private_apt ARCH WORK   from here on apt-get and apt-cache serve ARCH, with lists and state below WORK
#   fetch_debs WORK PACKAGE…   their .debs, into WORK/debs
#   depends_on PACKAGE   the first package that PACKAGE depends on (what a meta-package leads to)
# The system's sources, keys and apt.conf stay in force, and apt checks signatures as always; nothing of the system changes.

private_apt() {
  mkdir -p "$2/state/lists/partial" "$2/cache/archives/partial" "$2/debs"
  : >"$2/status"
  cat >"$2/apt.conf" <<END
APT::Architecture "$1";
APT::Architectures { "$1"; };
APT::Install-Recommends "false";
Dir::State "$2/state";
Dir::State::status "$2/status";
Dir::Cache "$2/cache";
APT::Sandbox::User "root";
END
  export APT_CONFIG="$2/apt.conf"
  apt-get -q update >"$2/log" 2>&1 || { tail -5 "$2/log" >&2; echo "going on with the package lists that could be renewed" >&2; }
}

fetch_debs() {
  fetch_work=$1
  shift
  (cd "$fetch_work/debs" && apt-get -q download "$@") >"$fetch_work/log" 2>&1 || { tail -5 "$fetch_work/log" >&2; return 1; }
}

depends_on() {
  apt-cache depends "$1" 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'
}
