#!/usr/bin/env bash
# Prints the path of Helm 4, and builds it first if there is none. Only that path goes to
# stdout; what is being done, and how long it takes, goes to stderr.
#
# Taken from the first of these:
#   1. $HELM, if it says that it is version 4
#   2. the user's cache directory, where 3 leaves its result
#   3. a Go build of the version that go.mod beside this script names
#
# What is rendered is compared byte by byte, so a helm that happens to be on the PATH is not used.
# Several runs at once are fine: each builds aside and renames at the end.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'helm: %s\n' "$*" >&2; }

if [[ -n ${HELM:-} ]]; then
  if [[ $("$HELM" version --template '{{.Version}}' 2>/dev/null) == v4.* ]]; then
    command -v "$HELM"
    exit 0
  fi
  say "HELM=$HELM is not Helm 4; it is not used"
fi

version=$(sed -n 's|^.*helm.sh/helm/v4 \(v[0-9][^ ]*\).*|\1|p' "$here/go.mod" | head -n 1)
platform=$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
cache=${XDG_CACHE_HOME:-${HOME:?is not set; set it or XDG_CACHE_HOME}/.cache}/spotpool/helm
helm=$cache/helm-$version-$platform
if [[ -x $helm ]]; then
  printf '%s\n' "$helm"
  exit 0
fi

command -v go >/dev/null || {
  say "Go is needed to build Helm $version and is not installed.
  Next: install Go 1.26 or newer (https://go.dev/dl/) and run this again, or set HELM to a Helm 4."
  exit 1
}
mkdir -p "$cache"
work=$(mktemp -d "$cache/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOWORK=off
package=helm.sh/helm/v4/cmd/helm
start=$SECONDS
say "building Helm $version with $(go env GOVERSION): about 4 minutes on two cores the first time"
total=$(cd "$here" && go list -deps "$package" 2>/dev/null | wc -l | tr -d ' ')
# -v names each package as it is compiled: that is the progress.
(cd "$here" && exec go build -v -trimpath -o "$work/helm" \
  -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$version" "$package") >"$work/log" 2>&1 &
builder=$!
while kill -0 "$builder" 2>/dev/null; do
  sleep 1
  (((SECONDS - start) % 10 != 0)) || say "  $((SECONDS - start)) s: compiled $(grep -c '^[^ ]*$' "$work/log" || true) of at most $total packages"
done
wait "$builder" || {
  tail -n 30 "$work/log" >&2
  say "the Go build failed (above: the end of its output).
  Next: check that Go's module proxy is reachable (go env GOPROXY) and that 2 GB of disk are free, then run again: what was compiled is kept."
  exit 1
}
mv "$work/helm" "$helm"
say "built after $((SECONDS - start)) s: $helm"
printf '%s\n' "$helm"
