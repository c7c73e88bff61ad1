#!/usr/bin/env bash
# Writes a backup of this installation into one file while it runs: ops/compose/backup.sh FILE.tar
#
# In it: the database, the usage events that wait in Redis, all generated secrets, and .env if there is one. Whoever has the
# file has the installation: it is readable by you alone, keep it so.
#
# Billing rests meanwhile. So each usage event is either settled in the copy of the database or waiting in the copy of the
# queue (or in both: settling twice changes nothing); requests are served, their debits come when billing is back.
set -euo pipefail
file="${1:-}"
[[ -n "$file" ]] || { echo "usage: $0 FILE.tar" >&2; exit 1; }
[[ "$file" == /* ]] || file="$PWD/$file"
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"
[[ -d "$(dirname "$file")" && -w "$(dirname "$file")" ]] || die "There is no folder $(dirname "$file") to write to. Make it first."
[[ ! -e "$file" ]] || die "$file exists: a backup is never overwritten"

umask 077
work="$(mktemp -d)"
billing=''
finish() {
  [[ -z "$billing" ]] || docker start $billing >/dev/null
  rm -rf "$work"
}
trap finish EXIT

[[ -n "$(compose ps -q postgres)" ]] || die 'Postgres does not run: start the installation first (its data is needed, not its requests)'
running="$(docker ps -q --no-trunc)"
for container in $(compose ps -q billing); do
  grep -qxF "$container" <<<"$running" && billing+="$container "
done
say 'stopping billing for as long as this takes'
[[ -z "$billing" ]] || docker stop --time 45 $billing >/dev/null

say 'copying the database'
compose exec -T postgres pg_dump -U tollgate_owner -d tollgate -Fc </dev/null >"$work/database.dump"
# Roles are no part of a database's dump; the grants in it name them.
compose exec -T postgres psql -U tollgate_owner -d tollgate -AtX \
  -c "SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper" </dev/null >"$work/roles"

say 'copying the queue'
if [[ -n "$(compose ps -q redis)" ]]; then
  # By way of a file: on standard output redis-cli leaves the mark with which a transfer ends.
  # shellcheck disable=SC2016
  compose exec -T redis sh -c '
    trap "rm -f /data/backup.rdb" EXIT
    redis-cli --no-auth-warning ${REDIS_PASSWORD:+-a "$REDIS_PASSWORD"} --rdb /data/backup.rdb >&2 && cat /data/backup.rdb' \
    </dev/null >"$work/queue.rdb" 2>"$work/queue.log" || die "$(cat "$work/queue.log")"
  [[ "$(head -c 5 "$work/queue.rdb")" == REDIS ]] || die "Redis gave no copy of its data: $(cat "$work/queue.log")"
  rm -f "$work/queue.log"
fi

say 'copying the secrets'
compose run --rm --no-deps -T migrate tar -C /var/lib/tollgate -cf - secrets owner-secrets </dev/null >"$work/secrets.tar"
[[ ! -f .env ]] || cp .env "$work/env"

tar -C "$work" -cf "$file.unfinished" .
mv "$file.unfinished" "$file"
say "done: $file ($(du -h "$file" | cut -f1)) has the database, the queue, the secrets$([[ -f .env ]] && echo ' and .env')"
