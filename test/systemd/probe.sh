# Runs inside; each line is "what: outcome". Blocked connects fail at once with 7, what is not blocked finds nobody: 28.
# How long something that takes a moment may take, in seconds: more where the processor is emulated.
patience=${L7EGG_PATIENCE:-1}
killed=0
blocked() {
	curl -s -m 2 http://203.0.113.9/
	echo "$1: curl $?"
}
attached() {
	for _ in $(seq 100); do
		[ "$(main_pid)" != "$killed" ] && systemctl --quiet is-active l7egg && l7egg-cli status >/dev/null && break
		sleep 0.1
	done
	echo "$1: $(systemctl is-active l7egg), $(l7egg-cli status | head -n 1)"
}
main_pid() {
	systemctl show l7egg -p MainPID --value
}
order() {
	systemctl show "$1" -p ActiveEnterTimestampMonotonic --value
}
attached "at boot"
[ "$(order l7egg)" -lt "$(order lab)" ] && echo "order: before the network"
blocked "at boot"
systemctl reload l7egg
echo "reload: $?"
systemctl restart l7egg
echo "restart: $?"
attached "after restart"
blocked "after restart"
killed=$(main_pid)
systemctl kill -s KILL --kill-who=main l7egg
blocked "killed"
attached "started again"
blocked "started again"
systemctl stop l7egg
echo "stop: $?"
blocked "stopped"
echo "left: $(ls /sys/fs/bpf/l7egg/default /run/l7egg 2>/dev/null | grep -c default)"

# What was audited, as suggest prints it.
echo "L7EGG_FLAGS=-iface=v0 -eface=v0 '-eface=*' -audit" >/etc/l7egg/flags
systemctl start l7egg
curl -s -m 2 http://198.51.100.8/
{ printf L7EGG_FLAGS=; l7egg-cli suggest; } >/etc/l7egg/suggested && mv /etc/l7egg/suggested /etc/l7egg/flags
sed 's/^/suggested flags: /' /etc/l7egg/flags
systemctl restart l7egg
attached "suggested"
blocked "suggested, not seen"
curl -s -m 2 http://198.51.100.8/
echo "suggested, seen: curl $?"
systemctl stop l7egg

# Now a policy file for a unit that is not there yet.
cat >/etc/l7egg/worker.yaml <<EOF
apiVersion: l7egg/v1
kind: EgressPolicy
name: worker
subject: unit:worker.service
rules: [{name: peer, cidrs: [198.51.100.7]}]
EOF
echo "L7EGG_FLAGS=-policy=/etc/l7egg/worker.yaml" >/etc/l7egg/flags
systemctl start l7egg
echo "with a file: $?"
worker() {
	# The unit's cgroup is judged some milliseconds after it is made.
	systemd-run --quiet --wait --collect --unit=worker sh -c "sleep $patience; curl -s -m 2 http://$2/"
	echo "$1: curl $?"
}
worker "unit, not listed" 203.0.113.9
worker "unit, listed" 198.51.100.7
blocked "beside the unit"
sed -i 's/198.51.100.7/203.0.113.9/' /etc/l7egg/worker.yaml
sleep "$patience"
worker "unit, now listed" 203.0.113.9
worker "unit, listed no more" 198.51.100.7
echo 'rules: [' >>/etc/l7egg/worker.yaml
systemctl reload l7egg
sleep "$patience"
worker "unit, bad file" 203.0.113.9
# More than the journal takes, of what passes; then one that is refused.
systemd-run --quiet --wait --collect --unit=worker python3 -c '
import socket, sys, time
time.sleep(float(sys.argv[1]))
for port in range(20000):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("203.0.113.9", 1 + port))
try:
    socket.create_connection(("198.51.100.9", 80), 2)
except OSError as refused:
    print(refused)' "$patience"
for _ in $(seq 100); do
	journalctl -u l7egg -o cat | grep -q 'events left out' && break
	sleep 0.1
done
systemctl stop l7egg
worker "unit, stopped" 198.51.100.7

systemd-analyze security l7egg --no-pager | sed -n 's/^.*Overall exposure level for l7egg.service: \([0-9.]*\).*/exposure: \1/p'

# With the rights that README adds: whose a server is that listened before the start is known, too.
mkdir -p /etc/systemd/system/l7egg.service.d
sed -n '/^\[Service\]/,/^```/{/^```/d;p}' /l7egg-README.md >/etc/systemd/system/l7egg.service.d/more.conf
systemctl daemon-reload
sed -i '$d' /etc/l7egg/worker.yaml
systemd-run --quiet --collect --unit=worker sh -c '
	python3 -m http.server --bind 127.0.0.1 7777 &
	while [ ! -e /go ]; do sleep 0.1; done
	curl -s -o /dev/null -m 2 http://127.0.0.1:7777/
	echo "unit, own server: curl $?" >/worker.log'
sleep "$patience"
systemctl start l7egg
curl -s -o /dev/null -m 2 http://127.0.0.1:7777/
echo "beside the unit, its server: curl $?"
touch /go
while [ ! -e /worker.log ]; do sleep 0.1; done
cat /worker.log
systemctl stop l7egg
journalctl -u l7egg --no-pager -o cat | sed 's/^/journal: /'
journalctl -u l7egg --no-pager -o json | node -e '
const entries = require("fs").readFileSync(0, "utf8").trim().split("\n").map((line) => JSON.parse(line));
for (const { PRIORITY, MESSAGE } of entries) console.log(`priority: ${PRIORITY} ${MESSAGE}`);'
