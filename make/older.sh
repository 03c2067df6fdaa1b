#!/bin/sh
# older.sh: the programs of an older release, into build/older/bin, for the test of mixed clusters (tests/upgrade/test_upgrade.py).
# tests/older_release names the commit: later the last release.
cd "$(dirname "$0")/.." || exit
older=$(grep -v '^#' tests/older_release)
if [ "$(cat build/older/commit 2> /dev/null)" = "$older" ]; then exit 0; fi
if ! git cat-file -e "$older^{commit}" 2> /dev/null; then
  echo "the older release, commit $older, is not in this repository (a shallow clone?): git fetch --unshallow" >&2
  exit 1
fi
rm -rf build/older
mkdir -p build/older/source
git archive "$older" | tar -x -C build/older/source
cmake -S build/older/source -B build/older/build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo > build/older/log &&
  cmake --build build/older/build -j "$(make/jobs.sh)" --target netsense-bridge netsense-engine >> build/older/log || {
  tail -20 build/older/log >&2
  exit 1
}
ln -s build/bin build/older/bin
echo "$older" > build/older/commit
