# shellcheck shell=bash
# Who acts, and to whom the files belong.
# Needs: $root, say.sh.

: "${root:?}"

# as_root COMMAND…: runs it as root, through sudo where this is somebody else.
as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo --preserve-env=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY,LC_ALL,DEBIAN_FRONTEND -- "$@"
  fi
}

# require_root PURPOSE COMMAND…: asks for root's rights once, before the first step that needs them;
# where there are none, says which command needs them and stops.
require_root() {
  ((EUID == 0)) && return
  local purpose=$1
  shift
  command -v sudo >/dev/null || fail "$purpose needs root, and there is no sudo. As root, run: $*" "Then run this again."
  step "sudo" "$purpose needs root"
  sudo --validate || fail "$purpose needs root, and sudo did not let you. As root, run: $*" "Then run this again."
}

# give_to_caller: through sudo, what was made in the repository belongs to the calling user. Only the
# folders that make, Vagrant, Ansible and the tests fill: nothing else is touched.
give_to_caller() {
  [[ $EUID == 0 && -n ${SUDO_UID-} && $SUDO_UID != 0 ]] || return 0
  local made
  for made in .venv .env .cache .vagrant .ansible .mypy_cache .ruff_cache .pytest_cache; do
    [[ -e $root/$made ]] || continue
    # Only what is not theirs yet: the environment has 30,000 files.
    find "$root/$made" ! -uid "$SUDO_UID" -exec chown --no-dereference "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" {} +
  done
}
