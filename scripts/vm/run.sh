#!/bin/sh
# run.sh VERSION COMMAND...: runs a command as root on another kernel, and exits as it does.
# VERSION is the start of a directory name below kernels/ (6.1. or 6.12.). The guest sees this host's
# files read-only; what it writes goes to its memory. Set VM_MEMORY to give it more than 1536 MiB, VM_LIMIT
# for more than 600 s. Without KVM: the guest's processor is emulated, 10 to 15 times slower.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -ge 2 ] || { echo "usage: run.sh VERSION COMMAND..." >&2; exit 2; }
kernel=$(find "$here/kernels" -maxdepth 1 -name "$1*" | sort | tail -n 1)
[ -n "$kernel" ] || { echo "run.sh: no kernel \"$1\" below $here/kernels: run fetch.sh first" >&2; exit 2; }
shift
version=${kernel##*/}
export LD_LIBRARY_PATH="$here/tools/lib/x86_64-linux-gnu:$here/tools/usr/lib/x86_64-linux-gnu"

work=$(mktemp -d "$here/boot.XXXXXX")
files=
trap 'for pid in $files; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The command, as one shell line that keeps its words.
{
	printf 'cd %s\n' "'$(pwd)'"
	for word; do printf "'%s' " "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"; done
	echo
} >"$work/job"

# The first file system: busybox, the modules that lead to the host's files, and init.
mkdir -p "$work/root/bin" "$work/root/modules"
cp "$here/tools/bin/busybox" "$work/root/bin/"
cp "$here/guest-init.sh" "$work/root/init"
order=0
add_module() { # with those it needs, in the order to load them
	found=$(grep -E "/$1\.ko(\.xz)?:" "$kernel/lib/modules/$version/modules.dep") || return 0 # built in
	# modules.dep names the last to load first.
	for module in $(printf '%s\n' "$found" | tr -d ':' | tr ' ' '\n' | tac); do
		name=$(basename "${module%.xz}")
		[ -z "$(find "$work/root/modules" -name "*-$name")" ] || continue
		order=$((order + 1))
		target=$work/root/modules/$(printf %02d "$order")-$name
		case $module in
		*.xz) xz -dc "$kernel/lib/modules/$version/$module" >"$target" ;;
		*) cp "$kernel/lib/modules/$version/$module" "$target" ;;
		esac
	done
}
for module in virtio_pci virtio_console virtiofs overlay; do add_module "$module"; done
(cd "$work/root" && find . | "$here/tools/bin/busybox" cpio -o -H newc 2>/dev/null) >"$work/initramfs"

# A read-only view of the host, also for a guest that has gone wrong; without /proc, /sys, /dev.
mkdir "$work/view"
unshare --mount --propagation private sh -c "
	mount --bind / '$work/view' && mount -o remount,bind,ro '$work/view' &&
	exec '$here/tools/usr/lib/qemu/virtiofsd' --socket-path='$work/files' \
		-o source='$work/view',sandbox=chroot,no_xattr,no_writeback,cache=always" >"$work/virtiofsd.log" 2>&1 &
files=$!
until [ -S "$work/files" ]; do
	kill -0 "$files" 2>/dev/null || { cat "$work/virtiofsd.log" >&2; exit 1; }
	sleep 0.05
done

memory=${VM_MEMORY:-1536}
timeout "${VM_LIMIT:-600}" "$here/tools/usr/bin/qemu-system-x86_64" -L "$here/tools/usr/share/qemu" -L "$here/tools/usr/share/seabios" \
	-M q35 -accel tcg,thread=multi -cpu max -smp "${VM_CPUS:-1}" -m "$memory" \
	-object memory-backend-memfd,id=memory,size="${memory}M",share=on -numa node,memdev=memory \
	-nodefaults -no-user-config -no-reboot -display none \
	-chardev file,id=log,path="$work/kernel.log" -serial chardev:log \
	-device virtio-serial-pci -chardev stdio,id=console,signal=on -device virtconsole,chardev=console \
	-chardev socket,id=files,path="$work/files" -device vhost-user-fs-pci,chardev=files,tag=host \
	-kernel "$kernel/vmlinux" -initrd "$work/initramfs" \
	-append "console=ttyS0 quiet panic=-1 job=$work/job" </dev/null |
	tr -d '\r' | tee "$work/output" | grep -v '^VM-EXIT ' || true
code=$(sed -n 's/^VM-EXIT //p' "$work/output" | tail -n 1)
if [ -z "$code" ]; then
	echo "run.sh: the guest ended without an exit code (or took longer than VM_LIMIT); its kernel said:" >&2
	tail -n 40 "$work/kernel.log" >&2
	exit 1
fi
grep -aE 'BUG:|WARNING:|Oops|RIP:' "$work/kernel.log" >&2 || true
exit "$code"
