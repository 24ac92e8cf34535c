#!/usr/bin/env bash
# Installs Debian packages when they are missing and we may; otherwise says which to install.
set -euo pipefail
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update >/dev/null && apt-get -qq install -y --no-install-recommends "$@" >/dev/null
else
  echo "please install: $*" >&2
  exit 1
fi
