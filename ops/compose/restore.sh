#!/usr/bin/env bash
# Puts a backup of ops/compose/backup.sh into an empty installation and starts it: ops/compose/restore.sh FILE.tar
#
# It refuses an installation that has data. `.env` is not written: if the backup has one, it says where to look.
set -euo pipefail
file="${1:-}"
[[ -n "$file" ]] || { echo "usage: $0 FILE.tar" >&2; exit 1; }
[[ "$file" == /* ]] || file="$PWD/$file"
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"
[[ -r "$file" ]] || die "$file cannot be read"

umask 077
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xf "$file" || die "$file is not a backup of ops/compose/backup.sh"
for part in database.dump roles secrets.tar; do
  [[ -f "$work/$part" ]] || die "$file is not a whole backup: it has no $part"
done
if [[ -f "$work/env" ]] && ! cmp -s "$work/env" .env; then
  die "The backup has another .env than this folder. Compare them first: tar -xOf $file ./env"
fi

[[ -z "$(compose ps -q)" ]] || die "This installation has containers. Remove it first, with its data: $COMPOSE down -v"

say 'building the image if it is not there'
docker image inspect "${TOLLGATE_IMAGE:-tollgate:local}" >/dev/null 2>&1 || compose build migrate >/dev/null
in_volumes() { compose run --rm --no-deps -T migrate "$@"; }
[[ -z "$(in_volumes find /var/lib/tollgate -type f </dev/null)" ]] ||
  die "This installation has secrets already. Remove it first, with its data: $COMPOSE down -v"

say 'starting Postgres'
compose up -d postgres >/dev/null 2>&1
wait_healthy "$(compose ps -q postgres)" 120
in_database() { compose exec -T postgres "$@" -U tollgate_owner -d tollgate; }
empty="$(in_database psql -AtX -c "SELECT to_regnamespace('tollgate') IS NULL" </dev/null)"
[[ "$empty" == t ]] || die "The database is not empty. Remove it first: $COMPOSE down -v"

say 'restoring the database'
while read -r role; do
  # Without login: migrate gives it its password.
  in_database psql -qX -v ON_ERROR_STOP=1 -v "role=$role" <<<'CREATE ROLE :"role"'
done <"$work/roles"
in_database pg_restore --no-owner --exit-on-error --single-transaction <"$work/database.dump"

say 'restoring the secrets'
in_volumes tar -C /var/lib/tollgate -xf - <"$work/secrets.tar"

if [[ -f "$work/queue.rdb" ]]; then
  say 'restoring the queue'
  # Redis reads its append-only files alone; the copy becomes the first of them.
  tar -C "$work" -cf - queue.rdb | compose run --rm --no-deps -T redis sh -c '
    set -e
    tar -C /tmp -xf -
    [ ! -e /data/appendonlydir ] || { echo "Redis has data already" >&2; exit 1; }
    mkdir /data/appendonlydir
    cp /tmp/queue.rdb /data/appendonlydir/appendonly.aof.1.base.rdb
    echo "file appendonly.aof.1.base.rdb seq 1 type b" >/data/appendonlydir/appendonly.aof.manifest
    echo "file appendonly.aof.1.incr.aof seq 1 type i" >>/data/appendonlydir/appendonly.aof.manifest
    : >/data/appendonlydir/appendonly.aof.1.incr.aof
    chown -R redis /data'
fi

say 'starting everything'
compose up -d >/dev/null 2>&1
for service in gateway billing admin proxy; do
  for container in $(compose ps -q "$service"); do wait_healthy "$container" 120; done
done
say 'done: the installation runs as it was when the backup was made'
