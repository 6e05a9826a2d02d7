#!/bin/sh
# systemd-layer.sh LAYER: what a machine of boot.sh needs beyond test/systemd/layer.sh to boot with systemd. The answers
# of test/systemd/probe.sh come out at /dev/hvc0, then the machine ends.
set -eu
units=$1/etc/systemd/system
mkdir -p "$units/probe.service.d" "$1/etc/tmpfiles.d"
cat >"$units/probe.service.d/vm.conf" <<'EOF'
[Service]
Environment=L7EGG_PATIENCE=5
ExecStart=
ExecStart=/bin/sh /probe.sh
ExecStart=/bin/sh -c 'cat /probe.log >/dev/hvc0; echo VM-EXIT 0 >/dev/hvc0; sleep 0.2; exec /bin/systemctl poweroff --force --force'
EOF
# A host's own services, and what looks for devices.
for unit in getty@tty1.service serial-getty@ttyS0.service systemd-udevd.service systemd-udev-trigger.service \
	systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-logind.service systemd-timesyncd.service \
	systemd-pstore.service systemd-binfmt.service e2scrub_reap.service postgresql.service \
	proc-sys-fs-binfmt_misc.automount var-lib-machines.mount timers.target; do
	ln -sf /dev/null "$units/$unit"
done
: >"$1/etc/fstab"
# It empties /tmp at the start: the host's, file by file, each of which takes a descriptor of virtiofsd.
ln -sf /dev/null "$1/etc/tmpfiles.d/tmp.conf"
ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
