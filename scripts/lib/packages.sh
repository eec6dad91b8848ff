# shellcheck shell=bash
# The system packages: finds what is missing, installs it with apt.
# Needs: $root, say.sh, privileges.sh, system.sh, environment.sh.

: "${root:?}"

# missing_packages TARGET…: one line for each thing that is not there, "package<TAB>what to install elsewhere".
missing_packages() {
  local target
  for target in "$@"; do
    case $target in
      base)
        environment_is_current control || find_python >/dev/null ||
          printf 'python3-venv\tPython 3.11 or newer, with venv\n'
        # A client alone is no engine; a daemon that answers from elsewhere is one.
        if ! has_program dockerd && ! docker_answers >/dev/null; then
          printf 'docker.io\tDocker Engine (the daemon, not only the client)\n'
        elif ! has_program docker; then
          printf 'docker-cli\tthe docker command\n'
        fi
        if has_program dockerd || ! docker_answers >/dev/null; then
          has_program iptables || printf 'iptables\tiptables\n'
        fi
        lacks_apparmor_parser && printf 'apparmor\tapparmor (apparmor_parser)\n'
        has_program mmdebstrap || printf 'mmdebstrap\tmmdebstrap\n'
        has_program ssh || printf 'openssh-client\tan SSH client\n'
        [[ -e /etc/ssl/certs/ca-certificates.crt ]] || printf 'ca-certificates\tthe usual certificate authorities\n'
        ;;
      vagrant)
        has_program vagrant || printf 'vagrant\tVagrant\n'
        ;;
      libvirt)
        has_program libvirtd || printf 'libvirt-daemon-system\tlibvirt, with its daemon for QEMU\n'
        has_program virsh || printf 'libvirt-clients\tvirsh\n'
        has_program qemu-system-x86_64 || printf 'qemu-system-x86\tQEMU for x86\n'
        has_program qemu-img || printf 'qemu-utils\tqemu-img\n'
        has_program dnsmasq || printf 'dnsmasq-base\tdnsmasq\n'
        has_program sfdisk || printf 'fdisk\tsfdisk\n'
        vagrant plugin list 2>/dev/null | grep -q '^vagrant-libvirt ' || printf 'vagrant-libvirt\tthe plugin vagrant-libvirt of Vagrant\n'
        ;;
      tests)
        compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
          has_program postgres || printf 'postgresql\tPostgreSQL (for the unit tests; it need not run)\n'
        has_program haproxy || printf 'haproxy\tHAProxy 2.6 or newer (for the unit tests; it need not run)\n'
        has_program curl || printf 'curl\tcurl (for the unit tests)\n'
        has_program vagrant || printf 'vagrant\tVagrant (for the tests of the Vagrantfile)\n'
        has_program chromium || printf 'chromium\tChromium (for the tests of the page)\n'
        has_program rabbitmq-server || printf 'rabbitmq-server\tRabbitMQ (for the unit tests; it need not run)\n'
        ;;
    esac
  done
}

# ensure_packages TARGET…: stops with a sentence where they cannot be had.
ensure_packages() {
  local missing packages
  missing=$(missing_packages "$@")
  if ! system_is_supported; then
    [[ -z $missing ]] || fail \
      "$(system_name) is not a system whose packages are known here (Debian 12, Debian 13, Ubuntu 24.04 are)." \
      "Install these, then run this again:" "$(cut -f2 <<<"$missing" | sed 's/^/  - /')"
    step "system" "$(system_name): not tried here, but all that is needed is there"
    return
  fi
  [[ -n $missing ]] || return 0
  mapfile -t packages < <(cut -f1 <<<"$missing")
  install_packages "${packages[@]}"
}

# install_packages PACKAGE…: with apt, starting no service.
install_packages() {
  require_root "installing packages" "apt-get install --no-install-recommends $*"
  step "packages" "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  # Another apt may be at work just after boot: wait for it. An unreachable third-party source alone is no
  # failure; what matters is whether the packages can be had.
  quietly as_root apt-get -o DPkg::Lock::Timeout=300 update || true

  local package unknown=() wanted=("$@")
  for package in "$@"; do
    apt-cache show "$package" >/dev/null 2>&1 || unknown+=("$package")
    # From Debian 13 on the client is a package of its own.
    if [[ $package == docker.io ]] && ! has_program docker && apt-cache show docker-cli >/dev/null 2>&1; then
      wanted+=(docker-cli)
    fi
  done
  ((${#unknown[@]} == 0)) || packages_failed "The package sources of $(system_name) do not have: ${unknown[*]}."

  quietly as_root "$root/scripts/lib/apt_install" "${wanted[@]}" ||
    packages_failed "Installing failed: ${wanted[*]}."
}

# packages_failed SENTENCE: with the reason, where it is a known one.
packages_failed() {
  show_log
  if log_says 'could not resolve|temporary failure|network is unreachable|could not connect|connection timed out'; then
    fail "$1" "The package mirrors cannot be reached: check the network, or set http_proxy and https_proxy."
  fi
  if log_says 'could not get lock|unable to acquire the dpkg'; then
    fail "$1" "Another package manager is at work: wait for it to end, then run this again."
  fi
  fail "$1"
}
