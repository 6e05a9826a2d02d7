#!/bin/sh
# snapshot.sh CHECKOUT: copies what a guest needs of a built checkout to snap/ here, so that an edit or a build
# during a run can't be seen half done (virtiofs keeps the old size of a file that has changed).
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
rm -rf "$here/snap"
mkdir "$here/snap"
cd "$1"
cp -a bin bpf build dist tools test package.json "$here/snap/"
cp -a node_modules "$here/snap/"
