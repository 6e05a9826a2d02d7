#!/bin/sh
# Takes l7egg off interfaces, without Node: its links, clsact filters, rates, pins and state; nothing of others.
# Needs iproute2 and coreutils. Works on the network namespace it runs in. For another one use
# `nsenter --net=FILE`: `ip netns exec` hides the bpffs that holds the links.
set -eu
PATH=$PATH:/usr/sbin:/sbin
pins=/sys/fs/bpf/l7egg
state=/run/l7egg
done_something=

say() {
	printf 'tc-cleaner: %s\n' "$1"
	done_something=1
}

fail() {
	printf 'tc-cleaner: %s\n' "$2" >&2
	exit "$1"
}

synopsis() {
	cat <<-END
		usage: tc-cleaner.sh -iface=IF -eface=IF [-instance=NAME] [-force]
		  -iface, -eface  interface to clean; repeatable, comma separated
		  -instance       clean up only after this enforcer; default: all that are on these interfaces
		  -force          end (SIGKILL) an enforcer that still runs
	END
}

usage() {
	printf 'tc-cleaner: %s\n' "$1" >&2
	synopsis >&2
	exit 2
}

# ip complains of every name in /run/netns that is just being made or removed; none of that is ours.
list_links() {
	ip -o link show 2>/dev/null
}

# contains LIST WORD
contains() {
	case " $1 " in *" $2 "*) ;; *) return 1 ;; esac
}

interfaces=
only=
force=
while [ $# -gt 0 ]; do
	word=$1
	shift
	case $word in
	-force | --force)
		force=1
		continue
		;;
	-help | --help | -h)
		synopsis
		exit 0
		;;
	-iface=* | --iface=* | -eface=* | --eface=* | -instance=* | --instance=*) value=${word#*=} ;;
	-iface | --iface | -eface | --eface | -instance | --instance)
		[ $# -gt 0 ] || usage "Cannot use \"$word\": its value is missing."
		value=$1
		shift
		;;
	*) usage "Cannot use \"$word\": there is no such flag." ;;
	esac
	case $word in
	*instance*)
		case $value in
		'' | *[!A-Za-z0-9_-]*) usage "Cannot use instance \"$value\": a name has letters, digits, '_' and '-'." ;;
		esac
		only=$value
		;;
	*)
		case ,$value, in
		*,,* | *[!A-Za-z0-9._:,-]*) usage "Cannot use interface \"$value\": a name has letters, digits, '.', '_', ':' and '-'." ;;
		esac
		interfaces="$interfaces $(printf %s "$value" | tr , ' ')"
		;;
	esac
done
[ -n "$interfaces" ] || usage 'Cannot clean nothing: -iface or -eface is missing.'
{ command -v tc && command -v ip; } >/dev/null || fail 3 'Cannot find tc and ip: install iproute2.'

wanted=
for interface in $interfaces; do
	line=$(ip -o link show dev "$interface" 2>/dev/null) ||
		usage "Cannot find interface \"$interface\"; there are: $(list_links | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | xargs)."
	contains "$wanted" "${line%%:*}" || wanted="$wanted ${line%%:*}"
done
[ "$(id -u)" -eq 0 ] || fail 3 'Cannot clean: it needs root.'
present=$(list_links | sed 's/:.*//' | xargs)
[ -n "$present" ] || fail 1 'Cannot clean: `ip link show` lists no interface.'
netns=$(stat -L -c %i /proc/self/ns/net)
[ "$(stat -f -c %T /sys/fs/bpf 2>/dev/null)" = bpf_fs ] ||
	printf 'tc-cleaner: no bpffs is mounted on /sys/fs/bpf here: pinned links, if any, are out of reach.\n' >&2

# index_of PIN: a link is pinned as NETNS-IFINDEX-DIRECTION (bpffs takes no dots); nothing for other names.
index_of() {
	case ${1##*/} in
	"$netns"-*-*)
		set -- "${1##*/"$netns"-}"
		echo "${1%-*}"
		;;
	esac
}

# concerns INSTANCE: whether it works on a wanted interface.
concerns() {
	[ "$1" != "$only" ] || return 0
	for index in $wanted; do
		for trace in "$pins/$1/links/$netns-$index"-* "$state/$1/clsact.$index"; do
			[ ! -e "$trace" ] || return 0
		done
	done
	return 1
}

# pid_of INSTANCE: its enforcer, if that is alive. The pid may have gone to another program since.
pid_of() {
	pid=$(cat "$state/$1/pid" 2>/dev/null) || return 0
	case $pid in '' | *[!0-9]*) return 0 ;; esac
	if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q l7egg; then echo "$pid"; fi
}

# is_alive PID: a zombie has given up what it held.
is_alive() {
	grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null
}

end_enforcer() {
	kill -KILL "$2" 2>/dev/null || true
	tries=100
	while is_alive "$2"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail 1 "Cannot end process $2 of instance \"$1\"."
		sleep 0.05
	done
	say "ended process $2 of instance \"$1\"."
}

# remove_links INSTANCE: those on wanted interfaces, and those whose interface is gone.
remove_links() {
	for pin in "$pins/$1/links"/*; do
		index=$(index_of "$pin")
		[ -n "$index" ] || continue
		if contains "$wanted" "$index" || ! contains "$present" "$index"; then
			rm -f -- "$pin"
			say "removed the ${pin##*-} link of instance \"$1\" on interface $index."
		fi
	done
}

# is_used INSTANCE: whether it still has a link or filter on an interface that is not to be cleaned.
is_used() {
	for trace in "$pins/$1/links"/[0-9]* "$state/$1"/clsact.*; do
		[ -e "$trace" ] || continue
		case $trace in
		*/clsact.*) contains "$wanted" "${trace##*.}" || return 0 ;;
		*) return 0 ;;
		esac
	done
	return 1
}

# remove_filters INTERFACE DIRECTION: those that run a program of ours; others may share their pref.
remove_filters() {
	ours=$(tc filter show dev "$1" "$2" 2>/dev/null | sed -n \
		's/^filter protocol \([^ ]*\) pref \([0-9]*\) bpf chain \([0-9]*\) handle \([^ ]*\) l7egg_.*/protocol \1 pref \2 chain \3 handle \4/p')
	[ -n "$ours" ] || return 0
	while read -r place; do
		# shellcheck disable=SC2086 # words of a tc command
		tc filter del dev "$1" "$2" $place bpf
		say "removed a clsact filter from $1 $2 ($place)."
	done <<-END
		$ours
	END
}

instances=
for directory in "$pins"/* "$state"/*; do
	[ -d "$directory" ] || continue
	name=${directory##*/}
	[ -z "$only" ] || [ "$name" = "$only" ] || continue
	contains "$instances" "$name" || ! concerns "$name" || instances="$instances $name"
done

for name in $instances; do
	pid=$(pid_of "$name")
	[ -n "$pid" ] || continue
	[ -n "$force" ] || fail 1 "Cannot clean: the enforcer of instance \"$name\" runs as process $pid; stop it, or use -force."
	end_enforcer "$name" "$pid"
done

made_clsact=
for name in $instances; do
	for index in $wanted; do
		[ ! -e "$state/$name/clsact.$index" ] || made_clsact="$made_clsact $index"
	done
done

for index in $wanted; do
	interface=$(list_links | sed -n "s/^$index: \([^:@]*\).*/\1/p")
	remove_filters "$interface" ingress
	remove_filters "$interface" egress
	contains "$made_clsact" "$index" || continue
	if [ -z "$(tc filter show dev "$interface" ingress)$(tc filter show dev "$interface" egress)" ]; then
		tc qdisc del dev "$interface" clsact
		say "removed the clsact qdisc of $interface."
	else
		say "left the clsact qdisc of $interface: others have filters on it."
	fi
done

for name in $instances; do
	remove_links "$name"
	if is_used "$name"; then
		say "left the pins of instance \"$name\": it is on other interfaces too."
		continue
	fi
	for directory in "$pins/$name" "$state/$name"; do
		[ -d "$directory" ] || continue
		rm -r -- "$directory"
		say "removed $directory."
	done
done

# Rates: our root qdisc is known by its handle. Instances share it, so the last one takes it away.
for index in $wanted; do
	interface=$(list_links | sed -n "s/^$index: \([^:@]*\).*/\1/p")
	tc qdisc show dev "$interface" root 2>/dev/null | grep -q '^qdisc htb 17e9: ' || continue
	left=
	for trace in "$pins"/*/links/"$netns-$index"-*; do
		[ ! -e "$trace" ] || left=1
	done
	if [ -n "$left" ]; then
		say "left the rates of $interface: another instance is on it."
	else
		tc qdisc del dev "$interface" root handle 17e9:
		say "removed the rates of $interface."
	fi
done

[ -n "$done_something" ] || echo "tc-cleaner: nothing of l7egg is on$interfaces."
