#!/usr/bin/env bash
# Prints the path of a promtool for the tests of the alert rules. Where there is none it comes out of
# Debian's package without installing that: an installed one would start a Prometheus.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${LOCALKUBE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/localkube}/bin
PATH=$bin:$PATH

command -v promtool && exit
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "promtool is missing: install Prometheus' tools so that promtool is on the PATH" >&2
    exit 1
fi
[ -n "$(apt-cache policy prometheus 2>/dev/null)" ] || scripts/debian.sh ca-certificates
echo "fetching promtool out of Debian's package" >&2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chown _apt "$folder" 2>/dev/null || true # apt downloads as that user
(cd "$folder" && apt-get download -qq prometheus >&2 && dpkg-deb -x prometheus_*.deb .)
mkdir -p "$bin"
install "$folder/usr/bin/promtool" "$bin/.promtool.$$"
mv "$bin/.promtool.$$" "$bin/promtool"
echo "$bin/promtool"
