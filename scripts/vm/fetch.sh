#!/bin/sh
# fetch.sh: Debian's kernels 6.1 and 6.12 and qemu, unpacked below this directory. Nothing is installed.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
lists=$(mktemp)
trap 'rm -f "$lists"' EXIT

image() { # image META: the package that a kernel's meta package depends on
	apt-cache depends "$1" | awk '/Depends: linux-image-/ { print $2; exit }'
}

mkdir -p "$here/debs" "$here/tools" "$here/kernels"
# What qemu needs beyond what this host has; the rest of its libraries come from the host.
apt-get install --simulate --no-install-recommends qemu-system-x86 kmod | awk '/^Inst/ { print $2 }' >"$lists"
(
	cd "$here/debs"
	# shellcheck disable=SC2046 # one word a package
	apt-get download -q -o APT::Sandbox::User=root busybox-static $(cat "$lists") \
		"$(image linux-image-cloud-amd64)" "$(image linux-image-6.12-cloud-amd64)"
)
for package in "$here"/debs/*.deb; do
	name=$(dpkg-deb -f "$package" Package)
	case $name in
	linux-image-*)
		version=${name#linux-image-}
		kernel=$here/kernels/$version
		[ -d "$kernel" ] || dpkg-deb -x "$package" "$kernel"
		;;
	*) dpkg-deb -x "$package" "$here/tools" ;;
	esac
done
ln -sf bin/kmod "$here/tools/depmod" # the package's own link is absolute
for kernel in "$here"/kernels/*; do
	version=${kernel##*/}
	LD_LIBRARY_PATH=$here/tools/lib/x86_64-linux-gnu:$here/tools/usr/lib/x86_64-linux-gnu \
		"$here/tools/depmod" -b "$kernel" "$version"
	# Unpacked here: the guest's processor is emulated and would take seconds for it.
	"$here/unpack-kernel.sh" "$kernel/boot/vmlinuz-$version" >"$kernel/vmlinux"
	echo "$version"
done
