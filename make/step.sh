#!/bin/sh
# step.sh [-k] [-s] NAME KIND COMMAND...: one step of a run that takes minutes. Its output goes to build/log/NAME.log; here one sees
# at least every 10 s how far it is (progress.sh KIND), and at its end how long it took, or why it failed.
#   -s  shows the output itself, and speaks only while that is silent
#   -k  Ctrl-C does not break the command off, which must be deaf to it: it is finished, and then this ends
# Exit code: the command's; 130 after Ctrl-C. build/log/steps gets a line "NAME SECONDS".
keep= show=
while getopts ks option; do
  case $option in k) keep=1 ;; s) show=1 ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
name=$1 kind=$2
shift 2
here=$(dirname "$0") title=$(echo "$name" | tr _ ' ')
log=build/log/$name.log running=build/log/$name.running
mkdir -p build/log && rm -f "$log" && : > "$log" && : > "$running" || exit
trap 'rm -f "$running"' EXIT
started=$(date +%s) ours=$$
seconds() { echo $(($(date +%s) - started)); }

columns=$( (stty size < /dev/tty | cut -d ' ' -f 2) 2> /dev/null)
terminal=
[ -t 1 ] && [ -z "$show" ] && [ "${columns:-0}" -ge 20 ] && terminal=1

watch() { # beside the command; it ends with this script, however that ends
  said=0 shown=0 last=
  while :; do
    [ -e "$running" ] && kill -0 $ours 2> /dev/null || last=1
    now=$(seconds)
    if [ -n "$show" ]; then
      size=$(wc -c < "$log")
      if [ "$size" -gt "$shown" ]; then
        tail -c +$((shown + 1)) "$log" | head -c $((size - shown))
        shown=$size said=$now
      fi
    fi
    [ -z "$last" ] || return 0
    if [ -n "$terminal" ]; then
      printf '\r\033[K%.*s' $((columns - 1)) "$title: $("$here/progress.sh" "$kind" "$log") [$now s]"
    elif [ $((now - said)) -ge 5 ]; then
      echo "$title: $("$here/progress.sh" "$kind" "$log") [$now s]"
      said=$now
    fi
    sleep 0.5
  done
}

interrupted=
on_interrupt() {
  [ -z "$keep" ] || [ -n "$interrupted" ] || printf '\nstopping as soon as this is done: %s must not be broken off\n' "$title"
  interrupted=1
}
trap on_interrupt INT TERM

[ -n "$terminal" ] || echo "$title ..."
watch &
watcher=$!
if [ -n "$keep" ]; then
  "$@" >> "$log" 2>&1 &
  while :; do # a signal ends the wait, not the command
    wait $!
    code=$?
    kill -0 $! 2> /dev/null || break
  done
else
  "$@" >> "$log" 2>&1
  code=$?
fi
rm -f "$running"
wait $watcher
[ -z "$terminal" ] || printf '\r\033[K'
[ -z "$interrupted" ] || code=130

echo "$name $(seconds)" >> build/log/steps
case $code in
  0)
    echo "$title: done in $(seconds) s"
    ;;
  130) echo "$title: stopped; the same command goes on from here" >&2 ;;
  *)
    echo "$title: failed after $(seconds) s; $log has all of it:" >&2
    [ -n "$show" ] || "$here/failure.sh" "$log" >&2
    ;;
esac
exit $code
