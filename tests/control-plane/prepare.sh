#!/usr/bin/env bash
# Prints a directory with etcd, kube-apiserver, kube-controller-manager and kubectl,
# and makes it first if there is none. Only that directory goes to stdout; what is
# being done, and how long it takes, goes to stderr.
#
# Taken from the first of these that has all four:
#   1. $KUBEBUILDER_ASSETS
#   2. the user's cache directory, where 3 and 4 leave their result
#   3. what upstream publishes (published.txt: checksums and addresses)
#   4. a Go build of what is still missing, from the two modules beside this script
#
# Several runs at once are fine: one works, the others wait for it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=(etcd kube-apiserver kube-controller-manager kubectl)

say() { printf 'control plane: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
took() { local s=$((SECONDS - $1)); printf '%dm%02ds' $((s / 60)) $((s % 60)); }

# The programs that directory $1 does not have.
missing() {
  local program
  for program in "${programs[@]}"; do
    [[ -x "$1/$program" ]] || printf '%s ' "$program"
  done
}

required() { sed -n "s|^.*$1 \(v[0-9][^ ]*\).*|\1|p" "$2" | head -n 1; }
kubernetes=$(required k8s.io/kubernetes "$here/go.mod")
etcd=$(required go.etcd.io/etcd/server/v3 "$here/etcd/go.mod")

os=$(uname -s | tr '[:upper:]' '[:lower:]')
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
esac

# --- 1. named by the user ---------------------------------------------------------

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  lacking=$(missing "$KUBEBUILDER_ASSETS")
  if [[ -z $lacking ]]; then
    printf '%s\n' "$(cd "$KUBEBUILDER_ASSETS" && pwd -P)"
    exit 0
  fi
  say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks ${lacking% }; it is not used"
fi

# --- 2. cached --------------------------------------------------------------------

cache=${XDG_CACHE_HOME:-${HOME:?is not set; set it or XDG_CACHE_HOME}/.cache}/spotpool/control-plane
target=$cache/kubernetes-$kubernetes-etcd-$etcd-$os-$arch

finish_if_cached() {
  [[ -z $(missing "$target") ]] || return 0
  printf '%s\n' "$target"
  exit 0
}
finish_if_cached

# One run works at a time. The lock is a directory (flock is not everywhere) that
# names its owner, so that a killed run does not block the next one. It only saves
# work: what makes two runs safe is that each builds aside and renames at the end.
mkdir -p "$cache"
lock=$target.lock
work=
builder=
cleanup() {
  # A background job of a script ignores Ctrl-C by itself.
  [[ -z $builder ]] || kill "$builder" 2>/dev/null || true
  [[ -z $work ]] || rm -rf "$work"
  [[ $(cat "$lock/pid" 2>/dev/null) != "$$" ]] || rm -rf "$lock"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

waited=0
until mkdir "$lock" 2>/dev/null; do
  owner=$(cat "$lock/pid" 2>/dev/null || true)
  # No owner's name for 10 s: killed just before it could write it.
  if { [[ -n $owner ]] && ! kill -0 "$owner" 2>/dev/null; } || { [[ -z $owner ]] && ((waited > 10)); }; then
    say "the run that was making it (process ${owner:-unknown}) is gone; taking over"
    rm -rf "$lock"
    continue
  fi
  ((waited % 15 != 0)) || say "waiting for the run that is making it (process ${owner:-unknown}, $((waited))s so far)"
  ((waited < 3600)) || die "gave up after an hour; if nothing is running, remove $lock and run again"
  sleep 1
  waited=$((waited + 1))
done
printf '%s\n' "$$" >"$lock/pid"
finish_if_cached

work=$(mktemp -d "$cache/making.XXXXXX")
mkdir "$work/bin"

# --- 3. published -----------------------------------------------------------------

checksum() { # ALGORITHM FILE
  if command -v "${1}sum" >/dev/null; then "${1}sum" "$2"; else shasum -a "${1#sha}" "$2"; fi | cut -d ' ' -f 1
}

# fetch PATTERN FILE: the address in published.txt that ends in PATTERN. Fails, and says
# why, if there is none, if it cannot be had, or if it is not what it should be.
fetch() {
  local algorithm wanted url start=$SECONDS
  read -r algorithm wanted url < <(grep "^sha.*/$1\$" "$here/published.txt") || {
    say "no published $1 is known"
    return 1
  }
  command -v curl >/dev/null || { say "curl is not installed"; return 1; }
  say "fetching $url (gives up after 10 s without an answer)"
  curl --fail --silent --show-error --location --proto =https \
    --connect-timeout 5 --speed-limit 20000 --speed-time 5 --max-time 600 \
    --output "$2" "$url" >&2 || { say "not to be had ($(took "$start"))"; return 1; }
  [[ $(checksum "$algorithm" "$2") == "$wanted" ]] || {
    say "what came has another checksum than published.txt says: it is thrown away"
    rm -f "$2"
    return 1
  }
  say "fetched ($(took "$start"))"
}

fetch_published() {
  fetch "envtest-$kubernetes-$os-$arch.tar.gz" "$work/envtest.tar.gz" || return 0
  tar -xzf "$work/envtest.tar.gz" -C "$work/bin" --strip-components=2
  # Not in the archive, and published for Linux only.
  if fetch "$kubernetes/bin/$os/$arch/kube-controller-manager" "$work/kube-controller-manager"; then
    chmod +x "$work/kube-controller-manager"
    mv "$work/kube-controller-manager" "$work/bin/"
  fi
}

# --- 4. built ---------------------------------------------------------------------

need_go() {
  command -v go >/dev/null || die "Go is needed to build ${1% } $kubernetes and is not installed.
  Next: install Go 1.26 or newer (https://go.dev/dl/) and run this again,
  or set KUBEBUILDER_ASSETS to a directory that has ${programs[*]}."
}

# go_build MODULE_DIRECTORY OUTPUT LDFLAGS PACKAGE...: with a line every 10 s.
go_build() {
  local module=$1 output=$2 ldflags=$3 start=$SECONDS log=$work/go.log total
  shift 3
  say "  fetching its modules, unless they are there"
  total=$(cd "$module" && go list -deps "$@" 2>/dev/null | wc -l | tr -d ' ') || true # the build says what is wrong
  : >"$log"
  # -v names each package as it is compiled: that is the progress. Debug information would be
  # a fifth of what the compiler writes, only for the linker to strip it.
  (cd "$module" && exec go build -v -trimpath -gcflags all=-dwarf=false -ldflags "$ldflags" -o "$output" "$@") >"$log" 2>&1 &
  builder=$!
  while kill -0 "$builder" 2>/dev/null; do
    sleep 1
    (((SECONDS - start) % 10 != 0)) || say "  $(took "$start"): compiled $(grep -c '^[^ ]*$' "$log" || true) of $total packages"
  done
  local built=$builder
  builder=
  wait "$built" || {
    tail -n 30 "$log" >&2
    die "the Go build failed (above: the end of its output).
  Next: check that Go's module proxy is reachable (go env GOPROXY) and that 6 GB of disk are free, then run again: what was compiled is kept."
  }
}

build_kubernetes() {
  local start=$SECONDS minor=${kubernetes#v1.} packages=() package program ldflags
  minor=${minor%%.*}
  ldflags="-s -w"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    ldflags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=$minor"
  done
  for program in "$@"; do packages+=("k8s.io/kubernetes/cmd/$program"); done
  say "building $* $kubernetes with $(go env GOVERSION): the first time about 7 minutes on two idle cores, and 4 GB in Go's caches"
  # A trailing slash makes Go name each program by itself.
  go_build "$here" "$work/bin/" "$ldflags" "${packages[@]}"
  say "built $* ($(took "$start"))"
}

build_etcd() {
  local start=$SECONDS
  say "building etcd $etcd"
  go_build "$here/etcd" "$work/bin/etcd" "-s -w" go.etcd.io/etcd/server/v3
  say "built etcd ($(took "$start"))"
}

begin=$SECONDS
say "making ${programs[*]} in $target"
fetch_published

lacking=$(missing "$work/bin")
[[ -z $lacking ]] || need_go "$lacking"
# Static programs for this machine, by these two modules and no surrounding workspace.
export CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOWORK=off
if [[ " $lacking" == *" etcd "* ]]; then build_etcd; fi
kube=()
for program in $lacking; do [[ $program == etcd ]] || kube+=("$program"); done
[[ ${#kube[@]} -eq 0 ]] || build_kubernetes "${kube[@]}"

lacking=$(missing "$work/bin")
[[ -z $lacking ]] || die "the build did not leave ${lacking% }: this is a bug in $0"
rm -rf "$target"
mv "$work/bin" "$target"
say "ready after $(took "$begin"): $(du -sh "$target" | cut -f1) in $target"
printf '%s\n' "$target"
