#!/usr/bin/env bash
# Installs Debian packages where the rights are there, and otherwise says which to install.
# Usage: scripts/debian.sh PACKAGE...
set -euo pipefail

become=()
if [ "$(id -u)" -ne 0 ]; then
    become=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${become[@]}" true 2>/dev/null; then
    echo "Please install these Debian packages (or your system's equivalent), then try again:" >&2
    echo "    sudo apt-get install $*" >&2
    exit 1
fi
# apt itself does not wait for another apt that reads the lists.
exec 9>"${TMPDIR:-/tmp}/medxamion-debian.$(id -u).lock"
flock 9
echo "Installing Debian packages: $*" >&2
export DEBIAN_FRONTEND=noninteractive
"${become[@]}" apt-get update -qq </dev/null
"${become[@]}" apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@" </dev/null >/dev/null
