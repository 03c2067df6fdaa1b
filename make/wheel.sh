#!/bin/sh
# wheel.sh VENV: the Python package with the programs inside, into build/wheel. With the flags of the tests' build, whose objects it
# shares by ccache. What the programs link comes along; UCX and verbs are the host's.
cd "$(dirname "$0")/.." || exit
venv=$1
rm -rf build/wheel/unrepaired build/wheel/*.whl
CXX=c++ "$venv/bin/pip" wheel --progress-bar off --disable-pip-version-check --no-deps --no-build-isolation -w build/wheel/unrepaired \
  --config-settings=build-dir="$PWD/build/wheel-programs" ./raylet_bridge/python &&
  PATH=$PWD/$venv/bin:$PATH "$venv/bin/auditwheel" repair -w build/wheel --exclude 'libuc*.so.*' --exclude 'libibverbs.so.*' build/wheel/unrepaired/*.whl
