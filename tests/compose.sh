#!/usr/bin/env bash
# The containers from outside: builds the images, starts docker-compose.yml with the profile `demo`,
# pushes an article and sees the webhook arrive verified. Needs a Docker engine; without one it says
# so and passes.
#
#   tests/compose.sh                                          builds from the registry's images
#   tests/compose.sh --prebuilt target/release/wirebell       takes a binary that was built outside
#
# RUST_IMAGE, RUNTIME_IMAGE and NATS_IMAGE name other images to start from.
set -euo pipefail
cd "$(dirname "$0")/.."

prebuilt=
while [ $# -gt 0 ]; do
  case "$1" in
    --prebuilt) prebuilt=${2:?a path follows --prebuilt}; shift 2 ;;
    *) echo "unknown argument $1" >&2; exit 2 ;;
  esac
done

if ! docker info >/dev/null 2>&1; then
  echo "SKIPPED the container test: no Docker engine answers"
  exit 0
fi
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  echo "SKIPPED the container test: neither docker compose nor docker-compose is there"
  exit 0
fi

export COMPOSE_PROJECT_NAME="wirebell-test-$$"
export COMPOSE_PROFILES=demo
export WIREBELL_IMAGE="wirebell:test-$$"
export WIREBELL_PORT=${WIREBELL_PORT:-18080}
# One builder for all: the classic one has fewer features and fewer needs.
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0} COMPOSE_DOCKER_CLI_BUILD=${COMPOSE_DOCKER_CLI_BUILD:-1}
scratch=$(mktemp -d)
started=

finish() {
  code=$?
  if [ "$code" -ne 0 ] && [ -n "$started" ]; then
    "${compose[@]}" ps || true
    "${compose[@]}" logs --no-color --tail 40 || true
  fi
  if [ -n "$started" ]; then "${compose[@]}" down --volumes --timeout 30 || true; fi
  docker image rm "$WIREBELL_IMAGE" >/dev/null 2>&1 || true
  rm -rf "$scratch"
  exit "$code"
}
trap finish EXIT

step() { printf '\n== %s\n' "$*"; }

# Repeats a command until it succeeds, for at most so many seconds.
await() {
  local limit=$((SECONDS + $1)); shift
  until "$@"; do
    if [ "$SECONDS" -ge "$limit" ]; then echo "gave up waiting for: $*" >&2; return 1; fi
    sleep 1
  done
}

step "configuration"
"${compose[@]}" config -q

step "images"
arguments=()
[ -z "${RUST_IMAGE:-}" ] || arguments+=(--build-arg "RUST_IMAGE=$RUST_IMAGE")
[ -z "${RUNTIME_IMAGE:-}" ] || arguments+=(--build-arg "RUNTIME_IMAGE=$RUNTIME_IMAGE")
if [ -n "$prebuilt" ]; then
  mkdir -p "$scratch/target/release"
  cp "$prebuilt" "$scratch/target/release/wirebell"
  cp -r Dockerfile LICENSE config "$scratch/"
  docker build --target prebuilt "${arguments[@]}" -t "$WIREBELL_IMAGE" "$scratch"
else
  docker build --target runtime "${arguments[@]}" -t "$WIREBELL_IMAGE" .
fi

step "start"
started=yes
"${compose[@]}" up -d --no-build

api="http://127.0.0.1:$WIREBELL_PORT"
is_ready() { curl -fsS -o /dev/null "$api/readyz" 2>/dev/null; }
await 90 is_ready

healthy() {
  local id
  id=$("${compose[@]}" ps -q "$1")
  [ "$(docker inspect -f '{{.State.Health.Status}}' "$id")" = healthy ]
}
for worker in ingest rules notifier api demo-ingest; do
  await 90 healthy "$worker"
  echo "$worker is healthy"
done

subscribed() {
  curl -fsS "$api/v1/subscriptions" | grep -q '"url":"http://receiver:9000/"'
}
await 60 subscribed
echo "the receiver is subscribed"

step "an article"
curl -fsS "$api/v1/articles?as_new=true" -H 'content-type: application/json' -d '{
  "id": "compose-test", "title": "Air raid sirens sound in Odesa",
  "body": "Air raid sirens sounded in Odesa on Tuesday. Residents went to the shelters."
}'
echo

rang() { "${compose[@]}" logs --no-color receiver 2>/dev/null | grep -q 'verified alert.opened.*[Oo]desa'; }
await 60 rang
"${compose[@]}" logs --no-color receiver

step "a name that is not served"
status=$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: elsewhere.example' "$api/v1/alerts")
[ "$status" = 421 ] || { echo "a foreign name got $status instead of 421" >&2; exit 1; }

step "the server restarts"
"${compose[@]}" restart nats
curl_push() {
  curl -fsS -m 20 "$api/v1/articles?as_new=true" -H 'content-type: application/json' -d '{
    "id": "compose-test-2", "title": "Air raid sirens sound in Lviv",
    "body": "Air raid sirens sounded in Lviv on Tuesday. Residents went to the shelters."
  }' 2>/dev/null
}
await 60 curl_push
rang_again() { "${compose[@]}" logs --no-color receiver 2>/dev/null | grep -q 'verified alert.opened.*[Ll]viv'; }
await 60 rang_again

step "stop"
for worker in ingest rules notifier api; do
  id=$("${compose[@]}" ps -q "$worker")
  docker stop -t 30 "$id" >/dev/null
  code=$(docker inspect -f '{{.State.ExitCode}}' "$id")
  [ "$code" = 0 ] || { echo "$worker ended with $code" >&2; exit 1; }
  echo "$worker ended with 0"
done

echo
echo "the containers work"
