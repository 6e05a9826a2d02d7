# Runs inside; each line is "what: outcome". Blocked connects fail at once with 7, what is not blocked finds nobody: 28.
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
systemd-analyze security l7egg --no-pager | sed -n 's/^.*Overall exposure level for l7egg.service: \([0-9.]*\).*/exposure: \1/p'
journalctl -u l7egg --no-pager -o cat | sed 's/^/journal: /'
systemctl exit 0 --force
