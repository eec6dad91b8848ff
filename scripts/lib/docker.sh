# shellcheck shell=bash
# A Docker daemon that answers.
# Needs: say.sh, privileges.sh, system.sh.

: "${log:?}"

docker_log=/var/log/play-with-containers-dockerd.log
docker_patience=60 # seconds

# ensure_docker: starts the daemon where it does not answer, or says why nobody can.
ensure_docker() {
  ! docker_answers >/dev/null || return 0
  local reason
  reason=$(timeout 10 docker version 2>&1 >/dev/null || true)
  if [[ $reason == *"permission denied"* ]]; then
    fail "Docker runs, but you may not use it. Run: sudo usermod -aG docker $(id -un)" \
      "Then log out and in, and run this again (or run it through sudo)."
  fi
  if [[ -n ${DOCKER_HOST-} ]]; then
    fail "DOCKER_HOST is set to $DOCKER_HOST, and no Docker answers there: start it, or unset DOCKER_HOST."
  fi
  require_root "starting Docker" "scripts/setup"
  if [[ -d /run/systemd/system ]]; then
    start_docker_with_systemd
  else
    start_docker_by_hand
  fi
}

start_docker_with_systemd() {
  step "docker" "starting the daemon with systemd"
  if ! quietly as_root systemctl start docker || ! docker_comes_up; then
    quietly as_root journalctl --no-pager --lines 20 --unit docker || true
    docker_failed "$log"
  fi
}

# Not with the distribution's init script: it insists on a file limit of 1048576, and fails where the
# machine allows less.
start_docker_by_hand() {
  local pid
  require_working_iptables
  step "docker" "no init system here: starting dockerd, log in $docker_log"
  # shellcheck disable=SC2016 # the inner shell expands them
  pid=$(as_root bash -c '
    # Killed without a chance to tidy up, a daemon leaves its number behind; another process may have it now.
    pid=$(cat /var/run/docker.pid 2>/dev/null) && [[ $(cat "/proc/$pid/comm" 2>/dev/null) != dockerd ]] && rm -f /var/run/docker.pid
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    ulimit -Hn 1048576 2>/dev/null
    ulimit -Sn "$(ulimit -Hn)"
    # Whoever waits for the end of a pipe or a lock of ours must not wait for the daemon.
    for open in /proc/$$/fd/*; do
      ((${open##*/} <= 2)) || eval "exec ${open##*/}>&-"
    done
    cd /
    setsid nohup dockerd >>"$1" 2>&1 </dev/null &
    echo $!
  ' start-dockerd "$docker_log")
  docker_comes_up "$pid" || docker_failed "$docker_log"
}

# docker_comes_up [PID]: waits until the daemon answers, at most $docker_patience seconds, and not longer
# than the process lives.
docker_comes_up() {
  local deadline=$((SECONDS + docker_patience)) version
  until version=$(docker_answers); do
    ((SECONDS < deadline)) || return 1
    [[ -z ${1-} || -d /proc/$1 ]] || return 1
    sleep 0.3
  done
  step "docker" "answers (version $version)"
}

# require_working_iptables: a kernel may offer only one of the two kinds; dockerd then dies with a riddle.
require_working_iptables() {
  local iptables other
  iptables=$(PATH="$PATH:/usr/sbin:/sbin" command -v iptables) || fail "There is no iptables, which Docker needs: install it."
  ! quietly as_root "$iptables" -t nat -L -n || return 0
  for other in iptables-legacy iptables-nft; do
    if has_program "$other" && quietly as_root "/usr/sbin/$other" -t nat -L -n; then
      fail "The iptables in use does not work with this kernel, but $other does." \
        "Run: update-alternatives --set iptables /usr/sbin/$other" "Then run this again."
    fi
  done
  show_log
  fail "iptables does not work here, so Docker cannot make networks: this computer may lack the right (NET_ADMIN) or the kernel modules."
}

# docker_failed LOG: the daemon's last words.
docker_failed() {
  printf -- '--- the last lines of %s:\n' "$1" >&2
  tail -n 20 "$1" | sed 's/^/    /' >&2
  fail "---" "The Docker daemon did not come up (within $docker_patience s). Its log is above."
}
