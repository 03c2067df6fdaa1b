#!/bin/bash
# page.sh WHAT: the page with npm, in a copy of this folder (build/page). What the bridge embeds lies in built/, so that only
# who changes the page needs npm (Node.js 18 or newer).
#   build  brings built/ up to date with the sources (make page)
#   check  fails when the sources build something else than what lies in built/
#   test   the sources' unit tests
# 77: there is no npm, which is a failure in CI.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
work=$(readlink -m "$here/../../build/page")
what=${1:-}

if ! command -v npm >/dev/null; then
  echo "page.sh: the page cannot be built or tested without npm: install it (Debian: apt-get install npm; elsewhere: Node.js 18 or newer)" >&2
  [ -z "${CI:-}" ] || { echo "page.sh: and CI must not lose its tests" >&2; exit 1; }
  exit 77
fi

mkdir -p "$work"
exec {lock}> "$work/lock" # the tests run side by side
flock $lock
if ! cmp -s "$here/package-lock.json" "$work/installed.json"; then
  cp "$here"/{.npmrc,package.json,package-lock.json} "$work"
  (cd "$work" && npm ci --no-progress --loglevel=error)
  cp "$here/package-lock.json" "$work/installed.json"
fi
rm -rf "$work"/{src,test,out}
cp -r "$here"/{.npmrc,package.json,build.mjs,tsconfig.json,src,test} "$work"
cd "$work"

case $what in
  build)
    npm run --silent build -- --outdir out
    rm -rf "$here/built"
    cp -r out "$here/built"
    ;;
  check)
    npm run --silent build -- --outdir out
    diff -rq "$here/built" out || {
      echo "page.sh: raylet_bridge/page/built/ is not what its sources build: type \`make page\`, and commit what it changes" >&2
      exit 1
    }
    ;;
  test) npm test --silent ;;
  *) echo "usage: page.sh build|check|test" >&2; exit 2 ;;
esac
