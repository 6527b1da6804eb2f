#!/usr/bin/env bash
# Builds the container image, checks that it becomes healthy, and publishes it. Needs docker.
#
#   deploy/container/publish.sh IMAGE VERSION    with REGISTRY_USER and REGISTRY_TOKEN; without them the
#                                                image is built and checked only
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
image=${1:?image} version=${2:?version}

docker build -f deploy/container/Dockerfile -t "$image:$version" .
container=$(docker run -d --read-only --cap-drop ALL "$image:$version")
trap 'docker rm -f "$container" >/dev/null' EXIT
for ((i = 0; ; i++)); do
  ! docker exec "$container" /streamgate healthcheck -c /etc/streamgate/streamgate.yaml || break
  ((i < 60)) || {
    docker logs "$container" >&2
    exit 1
  }
  sleep 0.5
done
[[ -n ${REGISTRY_TOKEN:-} ]] || exit 0
docker login "${image%%/*}" -u "$REGISTRY_USER" --password-stdin <<<"$REGISTRY_TOKEN"
docker tag "$image:$version" "$image:latest"
docker push "$image:$version"
docker push "$image:latest"
