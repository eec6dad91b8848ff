# shellcheck shell=bash
# How setup talks: one line for each step, a command's output only when it failed.
# Needs: $log, the file that takes the output.

: "${log:?}" "${root:?}"

# step NAME WHAT: one line of progress.
step() {
  printf '  %-14s %s\n' "$1" "$2"
}

# fail SENTENCE…: the last word; one sentence to a line.
fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# show_log: the end of what the failed command printed.
show_log() {
  printf '%s\n' "--- the last lines of ${log#"$root"/}:" >&2
  tail -n 25 "$log" | sed 's/^/    /' >&2
  printf '%s\n' "---" >&2
}

# quietly COMMAND…: runs it with its output in the log; tells whether it worked.
quietly() {
  printf '\n$ %s\n' "$*" >>"$log"
  "$@" >>"$log" 2>&1 </dev/null
}

# log_says PATTERN: whether the log holds a line like this (extended regular expression).
log_says() {
  grep -qEi -- "$1" "$log"
}
