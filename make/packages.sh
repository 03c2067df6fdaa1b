#!/bin/bash
# packages.sh [--missing] PURPOSE...: installs what is missing of the Debian packages that packages.txt names for these purposes
# ("all": every one), and nothing else. --missing only prints their names.
# A service that a package brings along (redis-server) is not started, as far as the system honours policy-rc.d.
set -u
cd "$(dirname "$0")/.." || exit
only_print=
[ "${1:-}" != --missing ] || { only_print=1; shift; }
for purpose; do
  [ "$purpose" = all ] || grep -q "^\[$purpose\]" packages.txt || { echo "packages.txt has no [$purpose]" >&2; exit 2; }
done

listed() { # PACKAGE or PACKAGE:COMMAND, one a line
  awk -v wanted=" $* " '/^\[/ { on = index(wanted, " all ") || index(wanted, " " substr($1, 2, length($1) - 2) " "); next }
                        on && NF && !/^#/ { print $1 }' packages.txt
}
missing() {
  local there package command
  there=" $(dpkg-query -W -f '${Status}:${Package}\n' $(listed all | cut -d : -f 1) 2> /dev/null | sed -n 's/^install ok installed://p' | tr '\n' ' ')"
  while IFS=: read -r package command; do
    [ -z "$command" ] || ! command -v "$command" > /dev/null || continue
    [[ $there == *" $package "* ]] || echo "$package"
  done < <(listed "$@")
}

[ "${DEPS:-}" != no ] || exit 0
mapfile -t packages < <(missing "$@")
[ ${#packages[@]} -gt 0 ] || exit 0
if [ -n "$only_print" ]; then
  echo "${packages[*]}"
  exit
fi
make/doctor.sh -q packages "$@" || exit

if [ "$(id -u)" != 0 ]; then # this script again, as root: one question for the password
  mkdir -p build/log && touch build/log/steps || exit
  sudo -n true 2> /dev/null || echo "to install ${#packages[@]} of the packages in packages.txt ($*):"
  sudo env ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} "$PWD/make/packages.sh" "$@" # it would drop them
  code=$?
  [ $code != 1 ] || echo "sudo refused: as root, type: make -C '$PWD' deps FOR='$*'" >&2
  exit $code
fi
mkdir -p build/log && chown --reference=. build build/log || exit # where root installs for a user, build/ stays the user's
# dpkg would flush every file by itself, which takes half of its time: one sync at the end does.
apt=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -q -y -o APT::Status-Fd=1 -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-unsafe-io
  -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends)
finished=(setsid -w) # dpkg must not be broken off: in a session of its own, no Ctrl-C reaches it

if [ -n "$(dpkg --audit 2> /dev/null)" ] || [ -n "$(ls -A /var/lib/dpkg/updates 2> /dev/null)" ]; then
  echo "an earlier installation was broken off: that is finished first"
  make/step.sh -k repairing_dpkg last "${finished[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a
  [ $? != 130 ] || exit 130
  make/step.sh -k repairing_packages apt "${finished[@]}" "${apt[@]}" --fix-broken install || exit
fi

make/step.sh package_lists apt make/package_lists.sh || exit
make/step.sh fetching_packages apt sh -c 'grep "^W: " build/log/package_lists.log; exec "$@"' sh "${apt[@]}" --download-only install "${packages[@]}" || exit

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ] || grep -q '^# netsense' $policy; then # ours may have stayed, where an earlier run was killed
  printf '#!/bin/sh\n# netsense: while its packages are installed\nexit 101\n' | tee $policy > /dev/null
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
trap : INT TERM # step.sh says what becomes of them
make/step.sh -k installing_packages apt "${finished[@]}" "${apt[@]}" install "${packages[@]}"
code=$?
sync -f /usr
exit $code
