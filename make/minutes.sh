#!/bin/sh
# minutes.sh [STEPS]: what build/log/steps, or another such file, says: the minutes of each step, one line.
awk '{ name = $1; gsub("_", " ", name); printf "%s%s %.1f", (NR > 1 ? ", " : "minutes: "), name, $2 / 60; all += $2 } END { if (NR) printf "; together %.1f\n", all / 60 }' "${1:-build/log/steps}"
