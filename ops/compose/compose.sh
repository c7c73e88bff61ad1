# Sourced by the scripts beside it: how this machine calls compose, and what they all need. They work on the compose project
# of the folder that holds docker-compose.yml; COMPOSE, COMPOSE_FILE, COMPOSE_PROJECT_NAME and DOCKER_HOST count as usual.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ -z "${COMPOSE:-}" ]]; then
  if docker compose version >/dev/null 2>&1; then COMPOSE='docker compose'; else COMPOSE='docker-compose'; fi
fi

compose() {
  # Two words where compose is a plugin of docker.
  # shellcheck disable=SC2086
  $COMPOSE "$@"
}

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# Waits for a container to be healthy: wait_healthy CONTAINER SECONDS
wait_healthy() {
  local container="$1" deadline=$((SECONDS + $2)) state
  while true; do
    state="$(docker inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$container")"
    [[ "$state" == 'running healthy' ]] && return 0
    if ((SECONDS > deadline)); then
      docker logs --tail 20 "$container" >&2 || true
      die "$(name_of "$container") is not healthy after $2 s ($state). Nothing else was touched."
    fi
    sleep 0.5
  done
}

name_of() { docker inspect -f '{{.Name}}' "$1" | tr -d /; }
