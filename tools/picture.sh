#!/bin/sh
# Take a picture of the top of a page with headless Chromium: sh tools/picture.sh PAGE.html PICTURE.png [HEIGHT]
set -eu
page=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-color-profile=srgb --user-data-dir="$folder" \
    --window-size="1200,${3:-1180}" --screenshot="$2" "file://$page" >/dev/null 2>&1
ls -l "$2"
