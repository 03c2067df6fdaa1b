#!/bin/sh
# Prints build/cache where ccache, pip and npm cannot keep their caches in the home, and nothing where they can.
cd "$(dirname "$0")/.." || exit
caches=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
for folder in "$caches/ccache" "$caches" "$(dirname "$caches")"; do # the nearest that there is
  [ -d "$folder" ] || continue
  [ ! -w "$folder" ] || exit 0
  break
done
echo "$PWD/build/cache"
