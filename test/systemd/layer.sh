#!/bin/bash
# layer.sh CHECKOUT LAYER: fills the directory LAYER with what lies over the root of a machine where l7egg is installed
# as a service: the package, its flags, test/systemd/probe.sh and the units around it.
set -eu
checkout=$1
layer=$2
units=$layer/etc/systemd/system

make -s -C "$checkout" install DESTDIR="$layer" >/dev/null
echo "nameserver 192.0.2.53" >"$layer/etc/resolv.conf"
echo "L7EGG_FLAGS=-iface=v0 -eface=v0 -cn=.ok.example -cidr=198.51.100.7" >"$layer/etc/l7egg/flags"
cp "$checkout/test/systemd/probe.sh" "$layer/probe.sh"
cp "$checkout/README.md" "$layer/l7egg-README.md"
mkdir -p "$units/multi-user.target.wants"
cp "$checkout/test/systemd/lab.service" "$checkout/test/systemd/probe.service" "$units/"
ln -s ../probe.service "$units/multi-user.target.wants/"
ln -s /usr/local/lib/systemd/system/l7egg.service "$units/multi-user.target.wants/l7egg.service"
# Nothing else of the host's services is wanted there.
for unit in systemd-networkd systemd-resolved nginx named unbound dnsmasq docker containerd ssh cron console-getty; do
	ln -s /dev/null "$units/$unit.service"
done
