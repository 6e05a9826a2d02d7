#!/bin/sh
# setup.sh GROUP...: installs the Debian packages that GROUP (build, demo, test, vm) needs and that are not there.
# Services of the packages it installs are neither started nor enabled. Does nothing when all is there.
set -eu
PATH=$PATH:/usr/sbin:/sbin
policy=/usr/sbin/policy-rc.d
missing=

fail() {
	printf 'setup: %s\n' "$1" >&2
	exit 1
}

# need PACKAGE COMMAND|FILE...: PACKAGE is missing when there is no such command and none of the files.
need() {
	package=$1
	shift
	for evidence; do
		if [ -e "$evidence" ] || command -v "$evidence" >/dev/null; then return; fi
	done
	case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
}

build() {
	need clang clang
	need libbpf-dev /usr/include/bpf/bpf_helpers.h
	need libbpf1 /usr/lib/*/libbpf.so.1 /usr/lib/libbpf.so.1
	need linux-libc-dev /usr/include/linux/bpf.h
	need libc6-dev /usr/include/stdlib.h
	need iproute2 tc
}

demo() {
	need dnsmasq-base dnsmasq
	need nginx nginx
	need curl curl
}

tests() {
	demo
	need unbound unbound
	need bind9 named
	need bind9-dnsutils dig
	need nftables nft
	need socat socat
	need netcat-openbsd nc
	need iputils-ping ping
	need tcpdump tcpdump
	need bpftool bpftool
	need systemd-container systemd-nspawn
	need systemd /lib/systemd/systemd
	need containerd containerd
	need runc runc
	need busybox-static /var/lib/dpkg/info/busybox-static.list # busybox without -static is a /bin/busybox, too
	need python3 /usr/bin/python3
	need python3-dnspython /usr/lib/python3/dist-packages/dns
	need chromium chromium
	need fonts-liberation /usr/share/fonts/truetype/liberation
	need zsh zsh
	need fish fish
	need mandoc mandoc
	need groff-base groff
}

# Beside tests: what unpacks kernels. qemu is not installed, scripts/vm/fetch.sh unpacks it.
vm() {
	need git git
	need xz-utils xz
	need zstd zstd
	need lz4 lz4
}

[ $# -gt 0 ] || fail 'say what for: build, demo, test, vm.'
for group; do
	case $group in
	build | demo | vm) "$group" ;;
	test) tests ;;
	*) fail "\"$group\" is not one of build, demo, test, vm." ;;
	esac
done

node=$(node --version 2>/dev/null || echo none)
major=${node#v}
[ "${major%%.*}" -ge 20 ] 2>/dev/null ||
	fail "Node.js 20 or newer is needed in PATH, found $node (sudo resets PATH: check with \`sudo node --version\`)."
[ -n "$missing" ] || exit 0

[ "$(id -u)" -eq 0 ] || fail "these packages are missing:$missing. Run it with sudo."
command -v apt-get >/dev/null || fail "there is no apt-get here; install these by hand:$missing."
echo "setup: installing$missing"

work=$(mktemp -d)
restore_policy() {
	if [ -e "$work/policy-rc.d" ]; then
		mv -f "$work/policy-rc.d" "$policy"
	else
		rm -f "$policy"
	fi
	rm -rf "$work"
}
[ ! -e "$policy" ] || cp -a "$policy" "$work/policy-rc.d"
trap restore_policy EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$work/deny"
chmod 755 "$work/deny"
mv -f "$work/deny" "$policy"

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
apt() {
	apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >"$work/log" 2>&1 || {
		tail -n 15 "$work/log" >&2
		fail "\`apt-get $*\` failed; its last lines are above."
	}
}
apt update
# shellcheck disable=SC2086 # one word a package
apt install -y --no-install-recommends $missing

# A new package enables its service for the next boot: these are here for their programs only.
for package in $missing; do
	case $package in
	bind9) update-rc.d named disable >/dev/null ;;
	unbound | nginx) update-rc.d "$package" disable >/dev/null ;;
	containerd) systemctl --quiet disable containerd.service ;;
	esac
done
