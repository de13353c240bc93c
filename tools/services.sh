#!/bin/sh
# What the tests need besides Python: a PostgreSQL server and Chromium, from Debian's packages. Only root can install them;
# elsewhere the tests that need them say that they were skipped, and why.
set -eu
missing=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "not root:$missing not installed; the tests that need them will be skipped and say so" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  several packages
apt-get install -y -qq --no-install-recommends $missing >/dev/null
