#!/bin/sh
# unpack-kernel.sh BZIMAGE: the ELF kernel within, on stdout.
set -eu
part=$(mktemp)
trap 'rm -f "$part"' EXIT

try() { # try MAGIC COMMAND...: unpacks from every place where MAGIC is
	magic=$1
	shift
	for offset in $(LC_ALL=C grep -obUaP "$magic" "$image" | cut -d: -f1); do
		tail -c +$((offset + 1)) "$image" | "$@" >"$part" 2>/dev/null || true
		if [ "$(head -c 4 "$part" | od -An -c | tr -d ' ')" = '177ELF' ]; then
			cat "$part"
			exit 0
		fi
	done
}

image=$1
try '\x02\x21\x4c\x18' lz4 -dc
try '\x28\xb5\x2f\xfd' zstd -dc
try '\xfd7zXZ\x00' xz -dc
echo "unpack-kernel.sh: cannot find a kernel in \"$image\"" >&2
exit 1
