#!/bin/bash
# Installs what is missing of the Debian packages that a list file names, one a line, # for comments. Nothing else.
# PACKAGE:COMMAND is there when the command is, whoever brought it.
# Services that packages bring along (redis-server) are not started, as far as the system honours policy-rc.d.
set -euo pipefail
list=${1:?usage: install_packages.sh LIST}
missing=()
while IFS=: read -r package command; do
  [ -z "$command" ] || ! command -v "$command" >/dev/null || continue
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$list")
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "install as root, or install sudo: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "installing: ${missing[*]}"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
  "${sudo[@]}" chmod +x $policy
  trap '"${sudo[@]}" rm -f $policy' EXIT
fi
"${sudo[@]}" apt-get update -q
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
