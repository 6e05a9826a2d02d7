import type { Argv } from '../lab/command.ts';

/*
 * A mount namespace with a /run and a /var/spool of its own, so that nothing of the host is touched. In it listens,
 * at every path that is named, somebody who takes connections; a program with the set-user-id bit lies at /run/suid-id.
 */
const SET_UP = `
set -e
mount --make-rprivate /
mount -t tmpfs stage /run
mount -t tmpfs stage /var/spool
mkdir -p /var/spool/cron/crontabs /run/user/65534/systemd /run/systemd/resolve /run/systemd/journal /run/nscd \
	/run/containerd /run/podman /run/dbus /run/l7egg/default /run/tailscale /run/screen /run/postgresql \
	/run/libvirt /run/lock
echo 'nameserver 127.0.0.53' >/run/systemd/resolve/stub-resolv.conf
chown -R 65534:65534 /run/user/65534
cp /usr/bin/id /run/suid-id
chmod 4755 /run/suid-id
exec "$@"
`;

/** The words that run `argv` on the stage, where `probe` listens at `sockets`. */
export function onStage(probe: string, sockets: readonly string[], argv: Argv): Argv {
  return ['unshare', '--mount', 'sh', '-c', SET_UP, 'stage', probe, 'listen', ...sockets, '--', ...argv];
}
