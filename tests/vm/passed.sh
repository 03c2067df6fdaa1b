#!/bin/bash
# passed.sh: did `make test-rdma` pass with the sources as they are? It takes long, and need not be run again where nothing has changed
# that it is there for: tests/vm/passed, which is committed, has the hash of those files when it last passed.
#   passed.sh           exit code 0: it did; 1: they have changed since
#   passed.sh --write   it did just now
set -euo pipefail
cd "$(dirname "$0")/../.."
sources=(base/{socket,child_process,supervisor}.{h,cc} base/handshake transports/'*.h' transports/'*.cc' transports/{door,isolated,ucx,verbs}
  proto/netsense/{session,isolation,ucx,verbs}.proto tests/vm tests/conformance tests/unit/ucx_stalled_peer_test.cc)
# The glob is git's, and does not stop at folders: grpc and tcp are not what this is about.
now=$(git ls-files -co --exclude-standard -- "${sources[@]}" ':!transports/grpc' ':!transports/tcp' ':!tests/vm/passed' |
  LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
if [ "${1:-}" = --write ]; then
  echo "$now" > tests/vm/passed
elif [ "$now" != "$(cat tests/vm/passed 2> /dev/null)" ]; then
  echo "what \`make test-rdma\` tests has changed since it last passed (tests/vm/passed)"
  exit 1
fi
