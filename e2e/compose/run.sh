#!/usr/bin/env bash
# Runs the end-to-end suite against the installation of docker-compose.yml. Arguments go to Jest: files, or -t a name.
#
# COMPOSE_OFFLINE   path of a program that makes up for Docker and its registries, used where no engine answers
# E2E_KEEP=1        leaves the installation up; the next run takes it as it is then, its image built anew
#
# Prints a closing line "N passed, N failed", and exits with 69 if there is no way to run containers here; with `--check` it
# does nothing but find that out. Where there is a promtool the metrics of every process are shown to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export COMPOSE_PROJECT_NAME="${COMPOSE_PROJECT_NAME:-tollgate-e2e}"
export COMPOSE_FILE=docker-compose.yml:e2e/docker-compose.e2e.yml
export GATEWAY_ADDRESS=127.0.0.1 GATEWAY_PORT="${GATEWAY_PORT:-18080}" ADMIN_PORT="${ADMIN_PORT:-18081}"
# The gateways are the same as in embedded mode, which gets all twenty thousand: here it is the way to them that is tried.
export FUZZ_REQUESTS="${FUZZ_REQUESTS:-5000}"
offline="${COMPOSE_OFFLINE:-../shared/tools/compose-offline}"

if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
  export COMPOSE="docker compose"
  offline=""
elif ((EUID == 0)) && [[ -x "$offline" ]]; then
  # The daemon and the old client that the stand-in starts.
  export COMPOSE="docker-compose" DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0
  export DOCKER_HOST="unix://${COMPOSE_OFFLINE_HOME:-/tmp/compose-offline}/docker.sock"
else
  echo "no Docker engine with compose 2 answers, and there is no $offline to make up for it" >&2
  exit 69
fi

if [[ "${1:-}" == --check ]]; then exit 0; fi

if [[ -e .env ]]; then
  echo "there is an .env here: the end-to-end tests are for an installation that nobody configured" >&2
  exit 1
fi

up() {
  if [[ -n "$offline" ]]; then "$offline" up; else $COMPOSE up -d --build --wait; fi
}

down() {
  if [[ -n "$offline" ]]; then "$offline" down; else $COMPOSE down -v --remove-orphans; fi
}

finish() {
  local status=$?
  if ((status != 0)); then $COMPOSE ps || true; fi
  if [[ "${E2E_KEEP:-0}" != 1 ]]; then down >/dev/null 2>&1 || true; fi
  exit "$status"
}
trap finish EXIT

# What the first run told the operator, the token with it. An installation that is up already may have lost that log.
first_run() {
  local migrate log
  migrate="$($COMPOSE ps --all --quiet migrate)"
  log="$(docker logs "$migrate" 2>&1)"
  [[ "$log" == *'Operator token tgop_'* ]] || return 1
  printf '%s\n' "$log"
}

start_installation() {
  # Health checks have their time limits, which a busy machine may miss once; what an earlier run left may be broken.
  if ! up || ! E2E_FIRST_RUN="$(first_run)"; then
    $COMPOSE down -v --remove-orphans && up || return 1
    E2E_FIRST_RUN="$(first_run)" || return 1
  fi
  export E2E_FIRST_RUN
}

# After all that the tests did to them.
check_metrics() {
  local service port container origins=()
  for service in gateway:8080 billing:8082 admin:8081; do
    port="${service#*:}"
    for container in $($COMPOSE ps --quiet "${service%:*}"); do
      origins+=("http://$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$container" \
        | cut -d ' ' -f 1):$port")
    done
  done
  METRICS_TOKEN="$($COMPOSE run --rm -T migrate cat /var/lib/tollgate/secrets/metrics-token)" \
    ops/check-metrics.sh "${origins[@]}"
}

if ! start_installation; then
  echo "the installation did not start, or did not tell its operator token"
  echo "0 passed, 1 failed"
  exit 1
fi
E2E_MODE=compose npx --no-install jest --reporters default --reporters ./tools/closing-line-reporter.mjs \
  --config jest.e2e.config.mjs "$@"
if command -v promtool >/dev/null; then check_metrics; fi
