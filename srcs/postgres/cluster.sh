# shellcheck shell=bash
# What the commands of this image share: which cluster of the volume is served, and how to ask its server.
#
# A volume may hold several clusters: "main", which the first start makes, and those that a restore or an upgrade put
# beside it. The link "current-MAJOR" names the one that this image's version serves; without it, that is "main". To
# serve another one is to rename a link, in one step, and to restart. "previous" names the one that was served before.

volume=/var/lib/postgresql/$POSTGRES_MAJOR
current=$volume/current-$POSTGRES_MAJOR
# When the archive's present row of WAL files began, in seconds since 1970: nothing earlier leads to what is served.
# shellcheck disable=SC2034  # for those that source this
archive_since=$volume/archive-since

fail() {
  echo "postgres: $*" >&2
  exit 78
}

# Prints the directory of the cluster to serve, without links: pgBackRest compares it with the server's own.
served_cluster() {
  if [[ ! -L $current ]]; then
    # An upgrade has left what is here to another version.
    ! compgen -G "$volume/current-*" > /dev/null \
      || fail "the volume is served by another version than PostgreSQL $POSTGRES_MAJOR. Nothing was changed: set postgres_major" \
        "to that version, or go back with \`make upgrade-postgres\` (docs/point-in-time.md)."
    echo "$volume/main"
  elif ! readlink --canonicalize-existing "$current"; then
    fail "$current names $(readlink "$current"), which is gone. Let it name another directory of the volume, or remove it."
  fi
}

# Takes the volume for this server until it ends, however it ends, or fails with the name of the container that has it. Two
# servers on one volume would destroy its data, and PostgreSQL's own lock cannot see into another container: the process
# id in it means something else there.
claim_volume() {
  exec {claim}>> "$volume/claimed-by"
  flock --nonblock "$claim" || fail "the volume is in use by the container $(< "$volume/claimed-by"). Stop that one; this one" \
    "starts then, or remove this one."
  hostname > "$volume/claimed-by"
}

# psql as the administrator, over the local socket; arguments are psql's.
ask() {
  psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --host=/run/postgresql \
    --port="${POSTGRES_PORT:-5432}" --username="$POSTGRES_USER" "$@"
}

# Puts standard input into a file, as a whole or not at all.
write_file() {
  cat > "$1.new"
  sync "$1.new"
  mv "$1.new" "$1"
}

# The operating system's user is the administrator on the local socket, and nobody else comes that way.
allow_local_administrator() {
  printf 'container postgres %s\n' "$POSTGRES_USER" > /run/postgresql/pg_ident.conf
}
