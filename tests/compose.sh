#!/usr/bin/env bash
# Builds the images, starts the compose file, pushes an article and sees the webhook verified.
# Runs wherever a Docker engine is present; says so and ends with 0 where there is none.
#
#   tests/compose.sh                                 builds from the usual base images
#   tests/compose.sh --prebuilt target/release/wirebell
#                                                    takes a binary that was built outside
# NATS_IMAGE, RUNTIME_IMAGE and RUST_IMAGE name images where no registry can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! docker info >/dev/null 2>&1; then
  echo "compose: no Docker engine here, nothing was tested"
  exit 0
fi
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
export COMPOSE_PROJECT_NAME=wirebell-test-$$ WIREBELL_PORT=${WIREBELL_PORT:-18080}
export WIREBELL_EGRESS_ALLOW=receiver,feeds
if [ "${1:-}" = --prebuilt ]; then
  export BUILD_TARGET=prebuilt
  mkdir -p target/release
  [ "$2" -ef target/release/wirebell ] || cp "$2" target/release/wirebell
fi
trap '"${compose[@]}" --profile demo logs --no-color | tail -60; "${compose[@]}" --profile demo down -v >/dev/null 2>&1' EXIT

"${compose[@]}" -f docker-compose.yml config -q
"${compose[@]}" build api
"${compose[@]}" --profile demo up -d

api=http://127.0.0.1:$WIREBELL_PORT
wait_for() {
  for _ in $(seq 1 120); do
    if eval "$2"; then return 0; fi
    sleep 1
  done
  echo "compose: waited too long for $1" >&2
  return 1
}
wait_for "the api" "curl -sf $api/readyz >/dev/null"
wait_for "the rules worker" '"${compose[@]}" logs --no-color rules | grep -q "Rules shards taken"'
wait_for "the receiver" '"${compose[@]}" logs --no-color receiver | grep -q "listening"'
curl -sf "$api/v1/articles?as_new=true" -H 'content-type: text/plain' \
  --data-binary 'Air raid sirens sound in Odesa'
wait_for "the webhook" '"${compose[@]}" logs --no-color receiver | grep -q "verified alert.opened"'
echo "compose: the webhook arrived, verified"
