#!/bin/sh
# boot.sh RELEASE COMMAND...: runs a command as root on another kernel, and exits as it does; 1 too when that kernel
# told of a bug of its own, or ended before the command did. RELEASE is the start of one below build/vm/kernels
# (fetch.sh): 6.1. or 6.12.  The guest sees this host's files read-only; what it writes goes to its memory.
# Without KVM: the guest's processor is emulated, 10 to 15 times slower.
#   VM_MEMORY  MiB, 1536       VM_LIMIT  seconds, 600      VM_LOG  keeps what the kernel said in this file
#   VM_LAYER   a directory whose files lie over those of the host. Then no COMMAND: the guest is booted with systemd
#              as its process 1, and something in there writes to /dev/hvc0, last "VM-EXIT CODE", and powers off.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
checkout=$(CDPATH='' cd -- "$here/../.." && pwd)
cache=$checkout/build/vm
if [ $# -eq 0 ] || { [ $# -eq 1 ] && [ -z "${VM_LAYER-}" ]; }; then
	echo "usage: boot.sh RELEASE COMMAND..." >&2
	exit 2
fi
release=$(awk -v start="$1" 'index($0, start) == 1' "$cache/releases" 2>/dev/null | tail -n 1)
[ -n "$release" ] || {
	echo "boot.sh: no kernel \"$1\" in $cache: run scripts/vm/fetch.sh $cache first" >&2
	exit 2
}
shift
kernel=$cache/kernels/$release
tools=$cache/tools
export LD_LIBRARY_PATH="$tools/lib/x86_64-linux-gnu:$tools/usr/lib/x86_64-linux-gnu"

work=$(mktemp -d "$cache/boot.XXXXXX")
pids=
end() {
	# shellcheck disable=SC2086 # one word a process
	[ -z "$pids" ] || kill $pids 2>/dev/null || true
	wait
	[ -z "${VM_LOG-}" ] || cp "$work/kernel.log" "$VM_LOG" 2>/dev/null || true
	rm -rf "$work"
}
trap end EXIT
trap 'exit 130' HUP INT TERM

# The command, as one shell line that keeps its words.
{
	printf "cd '%s'\n" "$(pwd)"
	for word; do printf "'%s' " "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"; done
	echo
} >"$work/job"

# The first file system: busybox, the modules that lead to the host's files, and init.
mkdir -p "$work/root/bin" "$work/root/modules"
cp "$tools/bin/busybox" "$work/root/bin/"
cp "$here/guest-init.sh" "$work/root/init"
add_module() { # with those it needs, in the order to load them
	found=$(grep -E "/$1\.ko(\.xz)?:" "$kernel/lib/modules/$release/modules.dep") || return 0 # built in
	# modules.dep names the last to load first.
	for module in $(printf '%s\n' "$found" | tr -d ':' | tr ' ' '\n' | tac); do
		name=$(basename "${module%.xz}")
		[ -z "$(find "$work/root/modules" -name "*-$name")" ] || continue
		target=$work/root/modules/$(printf %02d "$(find "$work/root/modules" -type f | wc -l)")-$name
		case $module in
		*.xz) xz -dc "$kernel/lib/modules/$release/$module" >"$target" ;;
		*) cp "$kernel/lib/modules/$release/$module" "$target" ;;
		esac
	done
}
for module in virtio_pci virtio_console virtiofs overlay; do add_module "$module"; done
(cd "$work/root" && find . | "$tools/bin/busybox" cpio -o -H newc 2>/dev/null) >"$work/initramfs"

# A read-only view of the host, also for a guest that has gone wrong; without /proc, /sys, /dev. The mounts end
# with virtiofsd, whose mount namespace they are in, and that ends with us.
mkdir "$work/view"
unshare --mount --propagation private setpriv --pdeathsig KILL sh -c "
	mount --bind / '$work/view' && mount --bind '$checkout' '$work/view$checkout' &&
	mount -o remount,bind,ro '$work/view' && mount -o remount,bind,ro '$work/view$checkout' &&
	exec '$tools/usr/lib/qemu/virtiofsd' --socket-path='$work/files' \
		-o source='$work/view',sandbox=chroot,no_xattr,no_writeback,cache=always" >"$work/virtiofsd.log" 2>&1 &
pids=$!
until [ -S "$work/files" ]; do
	kill -0 "$pids" 2>/dev/null || { cat "$work/virtiofsd.log" >&2; exit 1; }
	sleep 0.05
done

memory=${VM_MEMORY:-1536}
mkfifo "$work/console"
: >"$work/kernel.log"
# loglevel 5: warnings too. tb-size: node's code and its own, translated once.
setpriv --pdeathsig KILL timeout --foreground "${VM_LIMIT:-600}" \
	"$tools/usr/bin/qemu-system-x86_64" -L "$tools/usr/share/qemu" -L "$tools/usr/share/seabios" \
	-M q35 -accel tcg,thread=multi,tb-size=512 -cpu max -smp 1 -m "$memory" \
	-object memory-backend-memfd,id=memory,size="${memory}M",share=on -numa node,memdev=memory \
	-nodefaults -no-user-config -no-reboot -display none \
	-chardev file,id=log,path="$work/kernel.log" -serial chardev:log \
	-device virtio-serial-pci -chardev stdio,id=console,signal=on -device virtconsole,chardev=console \
	-chardev socket,id=files,path="$work/files" -device vhost-user-fs-pci,chardev=files,tag=host \
	-kernel "$kernel/vmlinux" -initrd "$work/initramfs" \
	-append "console=ttyS0 loglevel=5 panic=-1 vm=$checkout release=$release job=$work/job layer=${VM_LAYER-} systemd.show_status=0" \
	</dev/null >"$work/console" 2>&1 &
pids="$pids $!"
code=
return=$(printf '\r')
while IFS= read -r line; do
	line=${line%"$return"}
	case $line in
	'VM-EXIT '*) code=${line#VM-EXIT } ;;
	*) printf '%s\n' "$line" ;;
	esac
done <"$work/console"

if [ -z "$code" ]; then
	echo "boot.sh: the guest ended without an exit code, or took longer than ${VM_LIMIT:-600} s; its kernel said:" >&2
	tail -n 40 "$work/kernel.log" >&2
	exit 1
fi
if grep -aE 'BUG:|WARNING:|Oops|RIP:|Call Trace|detected stall|hung_task|blocked for more than' "$work/kernel.log" >&2; then
	echo "boot.sh: the guest's kernel said that" >&2
	[ "$code" -ne 0 ] || code=1
fi
exit "$code"
