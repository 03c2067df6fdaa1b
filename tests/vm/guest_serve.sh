# To be sourced: serve starts a responder at 10.9.0.2 -> $port, $server.
serve() {
  coproc SERVER { exec "$bin/netsense-bench" serve --listen 10.9.0.2:0 --insecure --json 2> /dev/null; }
  server=$SERVER_PID
  read -r line <&"${SERVER[0]}"
  port=$(sed -E 's/.*"port":([0-9]+).*/\1/' <<< "$line")
}
