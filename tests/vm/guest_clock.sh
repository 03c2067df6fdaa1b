#!/bin/bash
# guest_clock.sh BIN: the guest's wall clock is put back, by an hour and by ten seconds, under a head and two workers, and the head is killed
# and started again: all is good within three intervals of each, beside what the same takes before. Then it is put forward, by two hours
# and by a day, which nobody notices.
# Times are the monotonic clock's.
set -uo pipefail
bin=$1
tick_ms=2000
scale=${NETSENSE_TIME_SCALE:-1}
intervals_s=$((3 * tick_ms * ${scale%.*} / 1000))
dir=$(mktemp -d)
export HOME=$dir NETSENSE_RUNTIME_DIR=$dir/run
settings=(--network_sense_enabled=true --network_sense_tick_ms=$tick_ms --network_sense_transports=tcp,grpc
  --network_sense_rtt_timeout_ms=5000 --network_sense_rtt_ttl_ms=30000 --network_sense_lease_ms=30000)
gcs=127.0.0.1:18592 waited=0

start_head() {
  "$bin/netsense-bridge" run --standalone --head --node-ip 127.0.0.1 --node-name head "${settings[@]}" >> "$dir/head.log" 2>&1 &
  head=$!
}
fail() {
  echo "FAILED: $*"
  tail -n 40 "$dir"/*.log
  "$bin/netsense-bridge" status --gcs-address $gcs
  exit 1
}
uptime_s() { cut -d. -f1 /proc/uptime; }
put_clock() { date -s "@$(($(date +%s) + $1))" > /dev/null || fail "the clock cannot be set"; }
good() {
  "$bin/netsense-bridge" status --gcs-address $gcs --rtt-only > "$dir/status" 2>&1 && grep -q '^3/3 reachable, 12 of 12 edges OK' "$dir/status"
}
until_good() { # until_good SECONDS AFTER-WHAT
  local begun
  begun=$(uptime_s)
  until good; do
    [ $(($(uptime_s) - begun)) -lt "$1" ] || fail "$2: not good within $1 s"
    kill -0 $worker $other $head 2> /dev/null || fail "$2: a bridge has ended"
  done
  took_s=$(($(uptime_s) - begun))
  echo "$2: good after $took_s s"
}
restart_head() {
  kill -KILL $head
  wait $head 2> /dev/null
  start_head
}
anew() { grep -c 'starting anew' "$dir/$1.log"; }
put_clock_back() { # put_clock_back SECONDS, until each worker has begun anew
  local worker_before other_before
  worker_before=$(anew worker) other_before=$(anew other)
  put_clock -"$1"
  until [ "$(anew worker)" -gt "$worker_before" ] && [ "$(anew other)" -gt "$other_before" ]; do
    [ $((waited++)) -lt $((60 * ${scale%.*})) ] || fail "the workers do not begin anew"
    sleep 1
  done
}
node_id() { "$bin/netsense-bridge" status --gcs-address $gcs --json 2> /dev/null | grep -oE '"node_id":"[0-9a-f]{56}",[^}]*"hostname":"worker"' | cut -d'"' -f4 | head -1; }

start_head
start_worker() { # start_worker NAME
  "$bin/netsense-bridge" run --standalone --gcs-address $gcs --node-ip 127.0.0.1 --node-name "$1" "${settings[@]}" >> "$dir/$1.log" 2>&1 &
}
start_worker worker
worker=$!
start_worker other
other=$!
until_good 600 "the start"
id=$(node_id)
[ -n "$id" ] || fail "the worker has no id"
"$bin/netsense-bridge" config set network_sense_rtt_m 7 --gcs-address $gcs || fail "a setting of the cluster"
until grep -qs rtt_m "$dir"/.local/state/netsense/roster-$gcs.json; do # the head keeps it at its next tick
  [ $((waited++)) -lt 60 ] || fail "the head does not keep the cluster's settings"
  sleep 1
done
waited=0

restart_head
until_good 600 "the head killed and started"
limit_s=$((2 * took_s + intervals_s))
put_clock_back 3600
until_good $limit_s "an hour back"
restart_head
until_good $limit_s "an hour back, and the head killed and started"
[ "$(node_id)" = "$id" ] || fail "the worker is another node now"
kill -0 $worker $other || fail "a worker's process is another one now"
for name in worker other; do
  grep -q 'the wall clock was put back by 3[56][0-9]* ms: starting anew' "$dir/$name.log" || fail "not a line in the log of $name"
done
"$bin/netsense-bridge" config --gcs-address $gcs | grep -qE 'network_sense_rtt_m +7 ' || fail "the cluster's settings are gone"

put_clock_back 10
until_good $limit_s "ten seconds back"

before="$(anew worker) $(anew other)"
for step in 7200 86400; do
  put_clock $step
  begun=$(uptime_s)
  until [ $(($(uptime_s) - begun)) -gt $((3 * tick_ms / 1000)) ]; do
    good || fail "$step s forward: $(cat "$dir/status")"
  done
  [ "$(anew worker) $(anew other)" = "$before" ] || fail "nothing was to be cured"
  echo "$step s forward: good all the time"
done
kill $worker $other $head
wait
