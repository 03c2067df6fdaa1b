#!/bin/bash
# tidy.sh FOLDER changed | all: clang-tidy, with the compile commands and the generated headers of a build's folder.
#   changed   what differs from the last commit, and what the last 20 commits changed (fewer where the clone is shallow), newest first: a
#             source itself, a header by the source that it belongs to or one that includes it. As many as are begun within TIDY_SECONDS (300).
#   all       every source, for an hour or more
# What is left for lack of time is said. Exit code 1: something was found.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 what=$2
mkdir -p build/tidy
# clang reads no precompiled header of gcc's.
sed -E 's/ -Winvalid-pch//g; s/ -include [^ ]*cmake_pch\.hxx//; s/ -Werror//' "$folder/compile_commands.json" > build/tidy/compile_commands.json

newest_first() {
  git diff --name-only HEAD
  git ls-files -o --exclude-standard
  git log -n 20 --format= --name-only
}
sources_of() {
  while read -r path; do
    case $path in
      *.cc) echo "$path" ;;
      *.h) if [ -e "${path%.h}.cc" ]; then echo "${path%.h}.cc"; else git grep -lF "#include \"$path\"" -- '*.cc' | head -n 1; fi ;;
    esac
  done
}
compiled() { # of these, in their order and once
  while read -r path; do [ ! -e "$path" ] || ! grep -qF "$PWD/$path\"" build/tidy/compile_commands.json || echo "$path"; done | awk '!seen[$0]++'
}
check() { # check FILE
  local begin=$SECONDS code=0
  [ "$(date +%s)" -lt "$until" ] || { echo "left for lack of time: $1"; return 0; }
  timeout 180 clang-tidy --quiet -p build/tidy --warnings-as-errors='*' "$1" > "$log/${1//\//_}" 2>&1 || code=$?
  case $code in
    0) echo "$1: clean, $((SECONDS - begin)) s" ;;
    124) echo "left after 180 s: $1" ;;
    *)
      cat "$log/${1//\//_}"
      return 1
      ;;
  esac
}
case $what in
  changed) files=$(newest_first | sources_of | compiled) limit=${TIDY_SECONDS:-300} ;;
  all) files=$(git ls-files '*.cc' | compiled) limit=${TIDY_SECONDS:-100000} ;;
esac
log=$(mktemp -d) until=$(($(date +%s) + limit))
trap 'rm -rf "$log"' EXIT
export log until
export -f check
tr '\n' '\0' <<< "$files" | sed -z '/^$/d' | xargs -0 -r -n 1 -P "${JOBS:-$(make/jobs.sh)}" bash -c 'check "$1"' bash
