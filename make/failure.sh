#!/bin/sh
# failure.sh LOG: what a failed step's log says of the cause: the lines that matter, and what to do where that is known.
log=$1
said() { grep -vE '^(dl|pm)status:' "$log"; }

if said | grep -q '^FAILED: '; then # ninja: the first command that failed, without the command itself
  said | sed -n '/^FAILED: /,/^\[/p' | grep -v '^\[' | grep -vE '^(/|: &&|cd |ccache )' | cut -c 1-400 | head -n 20
elif said | grep -q '^E: '; then # apt and dpkg: one is like the next
  said | grep -E '^(E: |dpkg: error| cannot )' | head -n 3 | cut -c 1-400
elif said | grep -qE '^(CMake Error|ERROR: )'; then
  said | grep -m 1 -A 12 -E '^(CMake Error|ERROR: )' | cut -c 1-400
else
  said | tail -n 15 | cut -c 1-400
fi

says() { said | grep -qE "$1"; }
if says 'No space left on device|enough free space'; then
  echo "-> a disk is full: free some space (df -h . /tmp /var says where), then the same command goes on from here"
elif says 'Killed signal terminated program|virtual memory exhausted|Cannot allocate memory|std::bad_alloc|fatal error: Killed'; then
  echo "-> memory ran out: type it again with fewer compilers at a time, as in: make demo JOBS=1"
elif says 'Could not get lock|is another process using it'; then
  echo "-> another program is installing packages: wait until it is done, then type it again"
elif says 'Could not resolve|failure resolving|Could not connect|Unable to connect|Connection timed out|Connection refused|Failed to establish a new connection|Network is unreachable|[Pp]roxy'; then
  echo "-> no way to the packages: is this machine online? Behind a proxy: export http_proxy=http://HOST:PORT https_proxy=http://HOST:PORT"
elif says 'Unable to locate package|has no installation candidate'; then
  echo "-> these packages are Debian 12's, and this system's repositories have not all of them: use Debian 12, or a container of it"
elif says 'does not match the source|is different than the directory .* where CMakeCache.txt was created'; then
  echo "-> build/ was made at another path: make clean, then again"
fi
