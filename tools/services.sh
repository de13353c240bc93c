#!/bin/sh
# What the tests need besides Python: a PostgreSQL server, Chromium and Java (for Spark), from Debian's packages. Only root can install them;
# elsewhere the tests that need them are skipped and say why.
set -eu
missing=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "not installed:$missing (that takes root and Debian's packages); the tests that need them are skipped and say so" >&2
    exit 0
fi
echo "installing from Debian's packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  several packages
apt-get install -y -qq --no-install-recommends $missing >/dev/null
