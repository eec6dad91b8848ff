# shellcheck shell=bash
# A libvirt that answers, and a box for its machines.
# Needs: $root, say.sh, privileges.sh, system.sh.

: "${log:?}" "${root:?}"

libvirt_patience=30 # seconds

# ensure_libvirt: starts libvirt where it does not answer, or says why nobody can.
ensure_libvirt() {
  ! libvirt_answers || return 0
  require_root "starting libvirt" "scripts/setup --with libvirt"
  if [[ -d /run/systemd/system ]]; then
    step "libvirt" "starting it with systemd"
    quietly as_root systemctl start libvirtd || libvirt_failed
  else
    step "libvirt" "no init system here: starting virtlogd and libvirtd"
    # Whoever waits for the end of a pipe or a lock of ours must not wait for them.
    # shellcheck disable=SC2016 # the inner shell expands them
    quietly as_root bash -c '
      for open in /proc/$$/fd/*; do
        ((${open##*/} <= 2)) || eval "exec ${open##*/}>&-"
      done
      cd /
      PATH=$PATH:/usr/sbin:/sbin
      pgrep --exact virtlogd >/dev/null || virtlogd --daemon
      pgrep --exact libvirtd >/dev/null || libvirtd --daemon
    ' || libvirt_failed
  fi
  local deadline=$((SECONDS + libvirt_patience))
  until libvirt_answers; do
    ((SECONDS < deadline)) || libvirt_failed
    sleep 0.3
  done
  step "libvirt" "answers"
}

libvirt_answers() {
  timeout 10 virsh --connect qemu:///system version >/dev/null 2>>"$log"
}

libvirt_failed() {
  if log_says 'permission denied|authentication unavailable|polkit'; then
    fail "libvirt runs, but you may not use it. Run: sudo usermod -aG libvirt,kvm $(id -un)" \
      "Then log out and in, and run this again (or run it through sudo)."
  fi
  show_log
  fail "libvirt does not answer (qemu:///system), and what is above says why. Without it, use the other provider: PROVIDER=docker make up."
}

# ensure_box: builds one, unless there is one or BOX names another. An emulated machine takes minutes to install Docker, so
# it gets that in its box.
ensure_box() {
  local build=$root/machine/box/build kind=(--docker)
  [[ -z ${BOX-} && ! -e $("$build" --name-only).sha256 && ! -e $("$build" --docker --name-only).sha256 ]] || return 0
  ! "$root/machine/box/kvm_works" || kind=()
  step "box" "building one out of Debian packages (two or three minutes)"
  quietly "$build" "${kind[@]}" || { show_log && fail "The box could not be built; what is above says why."; }
}
