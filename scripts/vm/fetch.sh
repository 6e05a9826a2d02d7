#!/bin/sh
# fetch.sh CACHE: qemu and Debian's cloud kernels, unpacked below CACHE; prints their releases, oldest first.
# Nothing is installed, and nothing of this host's apt is changed: sources and lists are our own. What is there
# is used as it is; remove CACHE for newer ones. L7EGG_DEBIAN and L7EGG_DEBIAN_SECURITY name other mirrors.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: fetch.sh CACHE" >&2; exit 2; }
mkdir -p "$1"
cache=$(CDPATH='' cd -- "$1" && pwd)
debian=${L7EGG_DEBIAN:-http://deb.debian.org/debian}
security=${L7EGG_DEBIAN_SECURITY:-http://deb.debian.org/debian-security}

if [ -s "$cache/releases" ]; then
	cat "$cache/releases"
	exit 0
fi
echo "fetching qemu and kernels into $cache" >&2
new=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$new/lists/partial" "$new/archives/partial" "$new/debs" "$new/tools" "$new/kernels"
cat >"$new/sources.list" <<EOF
deb $debian bullseye main
deb $debian bookworm main
deb $security bookworm-security main
deb $debian trixie-backports main
EOF
own() { # own COMMAND...: apt with sources and lists of our own, and this host's keys, proxy and list of what is installed
	program=$1
	shift
	"$program" -o Dir::Etc::SourceList="$new/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State::Lists="$new/lists" -o Dir::Cache="$new" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}
own apt-get -qq update >&2
own apt-cache pkgnames linux-image- | sed -n 's/^linux-image-\([0-9].*-cloud-amd64\)$/\1/p' | sort -V >"$new/known"
: >"$new/releases"
for wanted in '5\.10\.' '6\.1\.' '6\.12\.' ''; do # the last: the newest that there is
	release=$(grep "^$wanted" "$new/known" | tail -n 1)
	[ -n "$release" ] || { echo "fetch.sh: there is no kernel ${wanted:-at all} at $debian" >&2; exit 1; }
	echo "$release" >>"$new/releases"
done
{
	echo busybox-static
	# What qemu needs beyond what this host has; the rest of its libraries come from the host.
	own apt-get install --simulate --no-install-recommends qemu-system-x86 kmod | awk '/^Inst/ { print $2 }'
	while read -r release; do
		echo "linux-image-$release"
		# From 7 on the image only names what has the files.
		own apt-cache depends "linux-image-$release" | sed -n "s/.*Depends: \(linux-\(base\|binary\|modules\)-$release\)$/\1/p"
	done <"$new/releases"
} | sort -u >"$new/wanted"
# shellcheck disable=SC2046 # one word a package
(cd "$new/debs" && own apt-get -qq download $(cat "$new/wanted") >&2)

for package in "$new"/debs/*.deb; do
	name=$(dpkg-deb -f "$package" Package)
	case $name in
	linux-*-amd64) dpkg-deb -x "$package" "$new/kernels/${name#linux-*-}" ;;
	*) dpkg-deb -x "$package" "$new/tools" ;;
	esac
done
ln -sf bin/kmod "$new/tools/depmod" # the package's own link is absolute
while read -r release; do
	kernel=$new/kernels/$release
	# Where /lib is a link to usr/lib, packages have it there.
	[ -e "$kernel/lib" ] || ln -s usr/lib "$kernel/lib"
	LD_LIBRARY_PATH=$new/tools/lib/x86_64-linux-gnu:$new/tools/usr/lib/x86_64-linux-gnu \
		"$new/tools/depmod" -b "$kernel" "$release"
	# Unpacked here: the guest's processor is emulated and would take seconds for it.
	packed=$(find "$kernel" -name 'vmlinuz*')
	"$here/unpack-kernel.sh" "$packed" >"$kernel/vmlinux"
	rm "$packed"
done <"$new/releases"
rm -rf "$cache/tools" "$cache/kernels"
mv "$new/tools" "$new/kernels" "$cache/"
mv "$new/releases" "$cache/releases" # last: with it the rest is taken as complete
cat "$cache/releases"
