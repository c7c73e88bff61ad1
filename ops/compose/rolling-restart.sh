#!/usr/bin/env bash
# Restarts the gateways one after the other, then billing, then admin, while requests are served. It goes on only when the one
# before is healthy and the proxy sends it requests; it stops at the first that is not.
#
#   ops/compose/rolling-restart.sh              restarts the containers as they are
#   ops/compose/rolling-restart.sh --recreate   puts new ones in their place: a new image, or a changed .env. Run migrations
#                                               first (docs/compose.md); it needs the memory of twice the gateways meanwhile
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"

START_TIMEOUT_S=120
# As stop_grace_period in docker-compose.yml, which `docker stop` does not know.
GATEWAY_STOP_S=90
BILLING_STOP_S=45
ADMIN_STOP_S=75

# The address of a container in the network that it shares with the proxy: all of them, one a line.
addresses_of() {
  docker inspect -f '{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}' "$1" | grep .
}

# What the proxy sends requests to, one address a line.
in_rotation() {
  compose exec -T proxy node -e "
    fetch('http://127.0.0.1:8404/stats;csv').then((r) => r.text()).then((text) => {
      const [head, ...rows] = text.replace(/^# /, '').trim().split('\n').map((line) => line.split(','));
      const at = (row, name) => row[head.indexOf(name)];
      for (const row of rows) if (at(row, 'pxname') === 'gateways' && at(row, 'status').startsWith('UP'))
        console.log((at(row, 'addr') ?? '').replace(/:\d+\$/, ''));
    })" </dev/null
}

wait_in_rotation() {
  local gateway="$1" deadline=$((SECONDS + 30))
  until in_rotation | grep -qxFf <(addresses_of "$gateway"); do
    ((SECONDS < deadline)) || die "The proxy sends no requests to $(name_of "$gateway"): see its log. Nothing else was touched."
    sleep 0.5
  done
}

restart() {
  local container="$1" stop_s="$2"
  say "restarting $(name_of "$container")"
  docker restart --time "$stop_s" "$container" >/dev/null
  wait_healthy "$container" "$START_TIMEOUT_S"
}

restart_gateways() {
  local gateway
  for gateway in $gateways; do
    restart "$gateway" "$GATEWAY_STOP_S"
    wait_in_rotation "$gateway"
  done
}

# New gateways are started beside the old ones, which are stopped when all of the new ones serve.
recreate_gateways() {
  local count gateway fresh
  count="$(wc -w <<<"$gateways")"
  say "starting $count new gateways beside the old ones"
  compose up -d --no-deps --no-recreate --scale "gateway=$((2 * count))" gateway >/dev/null 2>&1
  fresh="$(compose ps -q gateway | grep -vxFf <(tr ' ' '\n' <<<"$gateways"))"
  for gateway in $fresh; do
    wait_healthy "$gateway" "$START_TIMEOUT_S"
    wait_in_rotation "$gateway"
  done
  for gateway in $gateways; do
    say "stopping $(name_of "$gateway")"
    docker stop --time "$GATEWAY_STOP_S" "$gateway" >/dev/null
    docker rm "$gateway" >/dev/null
  done
}

recreate() {
  say "starting a new $1 in place of the old one"
  compose up -d --no-deps --force-recreate "$1" >/dev/null 2>&1
  wait_healthy "$(compose ps -q "$1")" "$START_TIMEOUT_S"
}

mode="${1:-}"
[[ -z "$mode" || "$mode" == --recreate ]] || die "usage: $0 [--recreate]"
gateways="$(compose ps -q gateway | tr '\n' ' ')"
gateways="${gateways% }"
[[ "$gateways" == *' '* ]] || die 'There have to be at least two gateways, so that one of them serves: --scale gateway=2.'
for gateway in $gateways; do
  wait_healthy "$gateway" 10
  wait_in_rotation "$gateway"
done

if [[ "$mode" == --recreate ]]; then
  recreate_gateways
  recreate billing
  recreate admin
else
  restart_gateways
  restart "$(compose ps -q billing)" "$BILLING_STOP_S"
  restart "$(compose ps -q admin)" "$ADMIN_STOP_S"
fi
say 'done: everything was restarted and is healthy'
