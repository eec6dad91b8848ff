# shellcheck shell=bash
# The Python environment, .venv: exactly what requirements/control.txt pins, or with the tests requirements/tests.txt,
# which has all of the other.
# Needs: $root, say.sh, system.sh.

: "${root:?}"

environment=$root/.venv
start_programs=$root/scripts/lib/start_programs.py

# environment_fingerprint NAME: changes with the pins, with the interpreter, with how programs start, and when the
# repository is moved (an environment holds its own path). Written last: an interrupted installation has none.
environment_fingerprint() {
  local version
  version=$("$environment/bin/python" -I -c 'import platform; print(platform.python_version())' 2>/dev/null) || return 1
  printf '%s %s %s\n' "$(cat "$root/requirements/$1.txt" "$start_programs" | sha256sum | cut -d' ' -f1)" "$version" "$root"
}

# environment_is_current NAME: whether it has what requirements/NAME.txt pins.
environment_is_current() {
  [[ -f $environment/.fingerprint ]] || return 1
  local current
  current=$(<"$environment/.fingerprint")
  [[ $current == "$(environment_fingerprint tests)" || $current == "$(environment_fingerprint "$1")" ]]
}

# ensure_environment NAME: makes .venv anew with requirements/NAME.txt unless it is what it should be. The old one
# comes back when the new one cannot be made.
ensure_environment() {
  ! environment_is_current "$1" || return 0
  local python started=$SECONDS size=300
  [[ $1 != tests ]] || size=800
  python=$(find_python) || fail "There is no Python 3.11 or newer with venv: install python3-venv."
  step "environment" "making .venv with $("$python" --version), about $size MB: a minute or so"

  # Behind a proxy with an authority of its own, pip's list of authorities lacks it and the system's has it.
  local bundle=/etc/ssl/certs/ca-certificates.crt
  if [[ -z ${PIP_CERT-} && -r $bundle ]]; then
    export PIP_CERT=$bundle
  fi

  rm -rf "$environment.previous"
  [[ ! -e $environment ]] || mv "$environment" "$environment.previous"
  trap restore_environment EXIT
  quietly "$python" -m venv "$environment" || environment_failed "The environment cannot be made."
  # Most of it is collections of Ansible that nothing here imports: Python compiles what it runs.
  quietly "$environment/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --no-compile \
    --require-hashes --requirement "$root/requirements/$1.txt" ||
    environment_failed "The packages of requirements/$1.txt cannot be installed."
  quietly "$environment/bin/python" -I "$start_programs" "$environment/bin" "$root" ||
    environment_failed "The programs of the environment cannot be prepared."
  environment_fingerprint "$1" >"$environment/.fingerprint"
  trap give_to_caller EXIT
  rm -rf "$environment.previous"
  step "environment" "made in $((SECONDS - started)) s"
}

restore_environment() {
  rm -rf "$environment"
  [[ ! -e $environment.previous ]] || mv "$environment.previous" "$environment"
  give_to_caller
}

# environment_failed SENTENCE: with the reason, where it is a known one.
environment_failed() {
  show_log
  if log_says 'certificate.verify.failed|certificate verify'; then
    fail "$1" "The package index shows a certificate that is not trusted here. Behind a proxy with an authority of its own," \
      "put its certificate into /usr/local/share/ca-certificates, run update-ca-certificates, then run this again."
  fi
  if log_says 'temporary failure|from versions: none|name or service not known|failed to establish|timed out|unreachable|cannot connect to proxy'; then
    fail "$1" "The package index cannot be reached: check the network, or set https_proxy."
  fi
  if log_says 'no space left'; then
    fail "$1" "The disk is full: the environment needs up to 800 MB."
  fi
  fail "$1"
}
