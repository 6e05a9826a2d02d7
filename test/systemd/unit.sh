#!/bin/bash
# unit.sh CHECKOUT WORKDIR: boots systemd as process 1 in a container over an overlay of this host's root, with
# l7egg installed as its service, and prints what test/systemd/probe.sh saw there.
#
#   container, a network of its own:   lab.service makes v0 (192.0.2.2) after the service was started
set -eu
checkout=$1
work=$2
mkdir -p "$work/upper" "$work/overlay" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/overlay" "$work/root"
trap 'umount -R "$work/root"' EXIT
root=$work/root
units=$root/etc/systemd/system

make -s -C "$checkout" install DESTDIR="$root" >/dev/null
echo "nameserver 192.0.2.53" >"$work/resolv.conf"
rm -f "$root/etc/resolv.conf"
cp "$work/resolv.conf" "$root/etc/resolv.conf"
echo "L7EGG_FLAGS=-iface=v0 -eface=v0 -cn=.ok.example -cidr=198.51.100.7" >"$root/etc/l7egg/flags"
cp "$checkout/test/systemd/probe.sh" "$root/probe.sh"
cp "$checkout/README.md" "$root/l7egg-README.md"
cp "$checkout/test/systemd/lab.service" "$checkout/test/systemd/probe.service" "$units/"
mkdir -p "$units/multi-user.target.wants"
ln -sf "$units/probe.service" "$units/multi-user.target.wants/probe.service"
ln -sf /usr/local/lib/systemd/system/l7egg.service "$units/multi-user.target.wants/l7egg.service"
# Nothing else of the host's services is wanted there.
for unit in systemd-networkd systemd-resolved nginx named unbound dnsmasq docker containerd ssh cron console-getty; do
	ln -sf /dev/null "$units/$unit.service"
done
timeout 90 systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --private-network --capability=all \
	--system-call-filter='bpf perf_event_open pidfd_getfd @keyring' --bind=/sys/fs/bpf --boot --console=pipe \
	</dev/null >"$work/console" 2>&1 || true
cat "$root/probe.log"
