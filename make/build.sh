#!/bin/sh
# build.sh PRESET [TARGET]: configures and builds with CMake, all of the preset or that target alone, with as many compilers at a time as
# JOBS says, or as the machine has room for.
cd "$(dirname "$0")/.." || exit
preset=$1 target=$2 jobs=${JOBS:-$(make/jobs.sh)}
case $preset in ci | programs) folder=build/dev ;; *) folder=build/$preset ;; esac
case $folder in build/dev) step=building ;; *) step=building_$preset ;; esac

# A configuration that was broken off knows half of the machine, and CMake would believe it.
if [ -e $folder/CMakeCache.txt ] && [ ! -e $folder/build.ninja ]; then
  rm -rf $folder/CMakeCache.txt $folder/CMakeFiles
fi
export NINJA_STATUS='[%f/%t] '
exec make/step.sh $step ninja sh -c 'cmake --preset "$1" && cmake --build --preset "$1" -j "$2" ${3:+--target "$3"}' sh "$preset" "$jobs" "$target"
