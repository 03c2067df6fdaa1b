#!/bin/bash
# web.sh WHAT: the bridge's page and bench's report with npm, in a copy of their sources (build/web). What the programs embed lies in
# raylet_bridge/page/built and bench/report/built, so that only who changes the sources needs npm (Node.js 18 or newer).
#   build         brings both up to date with the sources (make page)
#   check         fails when the types do not fit, or the sources build something else than what lies there
#   test          the sources' unit tests
#   format        formats the sources
#   format-check  fails when one is not formatted
# 77: there is no npm, which is a failure in CI.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
work=$PWD/build/web
what=${1:-}
pages=(raylet_bridge/page bench/report)
sources=(base/web "${pages[@]/%//src}" "${pages[@]/%//test}")

if ! command -v npm >/dev/null; then
  echo "web.sh: the page and the report cannot be built or tested without npm: install it (Debian: apt-get install npm; elsewhere: Node.js 18 or newer)" >&2
  [ -z "${CI:-}" ] || { echo "web.sh: and CI must not lose their tests" >&2; exit 1; }
  exit 77
fi

mkdir -p "$work"
exec {lock}> "$work/lock" # the tests run side by side
flock $lock
if ! cmp -s base/web/package-lock.json "$work/installed.json"; then
  cp base/web/{.npmrc,package.json,package-lock.json} "$work"
  (cd "$work" && npm ci --no-progress --loglevel=error)
  cp base/web/package-lock.json "$work/installed.json"
fi
tools=$work/node_modules/.bin
rm -rf "$work"/{base,bench,raylet_bridge,out}
cp -r --parents "${sources[@]}" bench/schema "$work"

build() { (cd "$work" && "$tools/tsc" -p base/web && node base/web/build.mjs --outdir out); }
prettier() { "$tools/prettier" --config base/web/.prettierrc.json --log-level warn "$@" "${sources[@]/%//**/*.{ts,mjs\}}"; }

case $what in
  build)
    build
    for page in "${pages[@]}"; do
      rm -rf "$page/built"
      cp -r "$work/out/$page/built" "$page"
    done
    ;;
  check)
    build
    for page in "${pages[@]}"; do
      diff -rq "$page/built" "$work/out/$page/built" || {
        echo "web.sh: $page/built/ is not what its sources build: type \`make page\`, and commit what it changes" >&2
        exit 1
      }
    done
    ;;
  test) (cd "$work" && node base/web/build.mjs --test) ;;
  format) prettier --write ;;
  format-check)
    prettier --check || {
      echo "web.sh: type \`base/web/web.sh format\`, and commit what it changes" >&2
      exit 1
    }
    ;;
  *) echo "usage: web.sh build|check|test|format|format-check" >&2; exit 2 ;;
esac
