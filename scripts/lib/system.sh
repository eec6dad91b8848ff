# shellcheck shell=bash
# What this computer is, and what it has.

# The file that names the system; the tests give another one.
os_release=${SETUP_OS_RELEASE:-/etc/os-release}

# system_name: as its makers call it, for sentences.
system_name() {
  (
    # shellcheck source=/dev/null
    source "$os_release" 2>/dev/null
    printf '%s' "${PRETTY_NAME:-this system}"
  )
}

# system_is_supported: whether its packages are known to be the right ones.
system_is_supported() {
  (
    # shellcheck source=/dev/null
    source "$os_release" 2>/dev/null
    case "${ID-}:${VERSION_ID-}" in
      debian:12 | debian:13 | ubuntu:24.04) exit 0 ;;
      *) exit 1 ;;
    esac
  )
}

# find_python: the interpreter for .venv, Python 3.11 or newer that can make environments. The system's own
# first: one that came from elsewhere may vanish, and hides that python3-venv is missing.
find_python() {
  local candidate
  for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
    [[ $candidate == /usr/bin/python3 ]] || ! system_is_supported || break
    if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  return 1
}

# has_program NAME: also where a user's PATH does not look.
has_program() {
  PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null
}

# docker_answers: a daemon is there and lets us in, wherever it runs.
docker_answers() {
  timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null
}

# lacks_apparmor_parser: Docker starts no container where the kernel has AppArmor and the parser is missing.
lacks_apparmor_parser() {
  [[ -r /sys/module/apparmor/parameters/enabled && $(</sys/module/apparmor/parameters/enabled) == Y ]] &&
    ! has_program apparmor_parser
}
