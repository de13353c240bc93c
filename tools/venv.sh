#!/bin/sh
# Make the virtual environment FOLDER with the given Python, or the newest one from 3.11 on that is there.
#   sh tools/venv.sh FOLDER [PYTHON]
set -eu
folder=$1
for python in ${2:-} python3.11 python3.12 python3.13 python3; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian keeps this part of Python in a package of its own.
        [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || continue
        echo "installing python3-venv from Debian's packages"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    fi
    exec "$python" -m venv "$folder"
done
echo "no Python from 3.11 on with its venv module: install python3.11 (on Debian also python3-venv)" >&2
exit 1
