#!/bin/sh
# guest-cli.sh CHECKOUT: inside a guest, enforces on one end of a veth pair and looks at it from outside and inside.
# Exit code: number of things that were not as they should be.
cd "$1" || exit 99
failures=0
step() { # step WANTED-CODE COMMAND...
	wanted=$1
	shift
	"$@" >/tmp/step.out 2>&1
	got=$?
	if [ "$got" -eq "$wanted" ]; then echo "ok   ($got) $*"; else
		failures=$((failures + 1))
		echo "FAIL ($got, wanted $wanted) $*"
	fi
	[ -z "${SHOW-}" ] && [ "$got" -eq "$wanted" ] || sed 's/^/       /' /tmp/step.out
}

echo "== $(uname -r)"
ip netns add peer
ip link add dev veth0 type veth peer name eth0 netns peer
ip addr add 192.0.2.1/24 dev veth0
ip link set dev veth0 up
ip -n peer addr add 192.0.2.2/24 dev eth0
ip -n peer addr add 192.0.2.3/24 dev eth0
ip -n peer link set dev eth0 up
ip -n peer link set dev lo up

ping='ping -n -c 1 -W 3'
ip netns exec peer sh -c 'while :; do busybox nc -l -p 7 </dev/null; done' >/dev/null 2>&1 &
step 0 $ping 192.0.2.2
step 0 $ping 192.0.2.3
enforce() { # sets cli, the process
	: >/tmp/cli.out
	bin/l7egg-cli -iface=veth0 -eface=veth0 -cidr=192.0.2.2/32 -resolver=192.0.2.2 </dev/null >/tmp/cli.out 2>&1 &
	cli=$!
	until grep -q '^enforcing' /tmp/cli.out; do
		kill -0 $cli 2>/dev/null || break
		sleep 0.1
	done
}
start=$(cut -d' ' -f1 /proc/uptime)
enforce
echo "     start to enforcing: $start .. $(cut -d' ' -f1 /proc/uptime) s of uptime"
SHOW=1 step 0 tc filter show dev veth0 egress
SHOW=1 step 0 bin/l7egg-cli status
step 0 $ping 192.0.2.2
SHOW=1 step 1 $ping 192.0.2.3
ip neigh flush dev veth0
step 0 $ping 192.0.2.2
ip netns exec peer $ping 192.0.2.1 >/dev/null; echo "     ping from outside: $?"
SHOW=1 step 1 bin/l7egg-cli check 192.0.2.3:443
step 0 bin/l7egg-cli check 192.0.2.2:443

echo "== kill -9: what was blocked stays blocked"
kill -9 $cli
wait $cli 2>/dev/null
step 1 $ping 192.0.2.3
step 0 $ping 192.0.2.2
SHOW=1 step 0 bin/l7egg-cli stop
step 0 $ping 192.0.2.3
step 3 bin/l7egg-cli status
cp /tmp/cli.out /tmp/first.out

echo "== tc-cleaner after kill -9"
enforce
step 1 $ping 192.0.2.3
kill -9 $cli
wait $cli 2>/dev/null
SHOW=1 step 0 tools/tc-cleaner.sh -iface=veth0 -eface=veth0
step 0 $ping 192.0.2.3
step 0 sh -c '! tc qdisc show dev veth0 | grep clsact'
SHOW=1 step 0 bin/l7egg-cli doctor

echo "== a cgroup by a policy file, changed while it is in force"
policy() { # policy ADDRESS
	printf '{"apiVersion": "l7egg/v1", "kind": "EgressPolicy", "subject": "cgroup:/guest", "rules": [{"cidrs": ["%s"]}]}' "$1" >/tmp/policy.new
	mv /tmp/policy.new /tmp/policy.json
}
inside() { sh -c 'echo $$ >/sys/fs/cgroup/guest/cgroup.procs; exec "$@"' sh "$@"; }
mkdir /sys/fs/cgroup/guest
policy 192.0.2.2
: >/tmp/cli.out
bin/l7egg-cli -policy=/tmp/policy.json -resolver=192.0.2.2 </dev/null >/tmp/cli.out 2>&1 &
cli=$!
until grep -q '^enforcing' /tmp/cli.out; do
	kill -0 $cli 2>/dev/null || break
	sleep 0.1
done
step 0 inside $ping 192.0.2.2
step 1 inside $ping 192.0.2.3
step 0 $ping 192.0.2.3
policy 192.0.2.3
SHOW=1 step 0 bin/l7egg-cli reload
step 1 inside $ping 192.0.2.2
step 0 inside $ping 192.0.2.3
kill -9 $cli
wait $cli 2>/dev/null
step 1 inside $ping 192.0.2.2
step 0 bin/l7egg-cli clean
step 0 inside $ping 192.0.2.2

echo "== run"
SHOW=1 step 0 bin/l7egg-cli run -resolver=192.0.2.2 -cidr=192.0.2.2 -- sh -c "busybox nc -w 3 192.0.2.2 7 </dev/null"
SHOW=1 step 1 bin/l7egg-cli run -resolver=192.0.2.2 -cidr=192.0.2.2 -- sh -c "busybox nc -w 3 192.0.2.3 7 </dev/null"
SHOW=1 step 10 bin/l7egg-cli run -resolver=192.0.2.2 -cidr=192.0.2.2 -fail-on-blocked -- sh -c 'busybox nc -w 3 192.0.2.3 7 </dev/null; true'
echo "== output of the enforcer"
sed 's/^/     /' /tmp/first.out
exit $failures
