#!/bin/bash
# package_lists.sh, as root: apt-get update, which does not wait by itself until another program's is done (a fresh machine updates
# itself). Lists that cannot be had are no failure yet: perhaps the old ones do.
for ((try = 0; try < 120; try++)); do
  said=$(LC_ALL=C.UTF-8 apt-get -q -o APT::Status-Fd=1 update 2>&1 | tee >(cat >&2))
  [[ $said == *"Could not get lock"* ]] || exit 0
  sleep 5
done
exit 1
