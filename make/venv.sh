#!/bin/sh
# venv.sh FOLDER REQUIREMENTS: a Python environment of what the file names. FOLDER/stamp says that it is whole: half a one is made anew.
cd "$(dirname "$0")/.." || exit
folder=$1 requirements=$2
[ ! "$folder/stamp" -nt "$requirements" ] || exit 0
rm -rf "$folder" || exit
make/step.sh "python_$(basename "$folder")" last sh -c '/usr/bin/python3 -m venv "$1" && "$1/bin/pip" install --progress-bar off --disable-pip-version-check -r "$2"' \
  sh "$folder" "$requirements" || exit
touch "$folder/stamp"
