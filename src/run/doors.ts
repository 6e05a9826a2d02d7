import { lstatSync, readdirSync, statfsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Caller } from './caller.ts';

/**
 * One change of what the command sees of the file system: `hide` puts nothing in the place of what is there, `empty`
 * a directory that root may fill, `keep` puts back what was below, `own` puts an empty directory of the command's user
 * there, `freeze` makes it read-only. A path that is not there needs nothing and is passed over.
 */
export interface Door {
  readonly change: 'hide' | 'empty' | 'keep' | 'own' | 'freeze';
  readonly path: string;
}

/*
 * What of /run is not put back: who takes requests there can be had to start a program or to talk to the network
 * outside. Nor are sockets right in /run, whoever made them, and what comes to be there later.
 */
const RUN = '/run';
const HIDDEN = new Set([
  // Container engines and virtual machines.
  ...['docker', 'containerd', 'podman', 'crio', 'buildkit', 'k3s', 'k0s', 'runc'],
  ...['lxd', 'incus', 'lxc', 'libvirt'],
  // Message bus, managers and sessions of every user, cron, the old init.
  ...['dbus', 'systemd', 'user', 'crond', 'cron', 'initctl'],
  // Installers, printers, resolvers of names, private networks that dial for others.
  ...['snapd', 'PackageKit', 'cups', 'nscd', 'avahi-daemon'],
  ...['tailscale', 'netbird', 'wireguard', 'zerotier-one', 'tor', 'openvpn'],
  // Terminals that take keystrokes from others; programs of Windows under WSL.
  ...['screen', 'tmux', 'WSL'],
  // Our own: state and control of every instance.
  'l7egg',
]);

const HIDDEN_ELSEWHERE = [
  '/run/udev/control',
  '/run/NetworkManager/private',
  '/var/lib/lxd/unix.socket',
  '/var/lib/incus/unix.socket',
  '/var/snap/lxd/common/lxd/unix.socket',
  '/var/snap/docker/current/run',
  '/dev/initctl',
  // Log messages go on to another host where the log daemon was told so.
  '/dev/log',
  // Devices that put packets on the wire past every socket, or keystrokes into other terminals.
  ...['/dev/net/tun', '/dev/vhost-net', '/dev/vhost-vsock', '/dev/infiniband', '/dev/uinput'],
  '/tmp/.ICE-unix',
];

/* The file is read by resolving programs; the sockets beside it look names up outside. */
const RESOLVE = '/run/systemd/resolve';
const RESOLVER: readonly Door[] = [
  { change: 'keep', path: RESOLVE },
  { change: 'freeze', path: RESOLVE },
  { change: 'hide', path: `${RESOLVE}/io.systemd.Resolve` },
  { change: 'hide', path: `${RESOLVE}/io.systemd.Resolve.Monitor` },
];

/* Read by daemons that run what stands there, within minutes. */
const FROZEN = ['/var/spool/cron', '/var/spool/at', '/etc/cron.d', '/etc/crontab'];

/* Sockets whose listener types into a terminal or runs code when told to, where the environment says they are. */
const SOCKET_VARIABLES = [
  ...['DOCKER_HOST', 'CONTAINER_HOST', 'CONTAINERD_ADDRESS', 'BUILDKIT_HOST'],
  ...['DBUS_SESSION_BUS_ADDRESS', 'DBUS_SYSTEM_BUS_ADDRESS', 'TMUX', 'NVIM', 'NVIM_LISTEN_ADDRESS'],
  ...['VSCODE_IPC_HOOK_CLI', 'VSCODE_GIT_IPC_HANDLE', 'KITTY_LISTEN_ON', 'WEZTERM_UNIX_SOCKET', 'I3SOCK'],
  ...['SWAYSOCK', 'WSL_INTEROP', 'WAYLAND_DISPLAY'],
];

const TERMINAL_ENTRY =
  /^(?:tmux-|screens?$|zellij-|kitty|emacs\d|nvim|vscode-(?:ipc|git)-|dbus-|podman-run-)/u;
const X11 = '/tmp/.X11-unix';

/* To name a host below it has the automounter look it up and call it, outside. */
const HOSTS = '/net';
const AUTOFS_MAGIC = 0x0187; // linux/magic.h

/** What is closed of the file system for a command of `caller`, in the order in which it is to be done. */
export function doorsOf(caller: Caller, env: NodeJS.ProcessEnv): Door[] {
  const home = caller.account?.home ?? env.HOME ?? '/';
  return [
    { change: 'empty', path: RUN },
    ...entriesOf(RUN)
      .map((name) => join(RUN, name))
      .filter((path) => !HIDDEN.has(basename(path)) && !isSocket(path))
      .map((path): Door => ({ change: 'keep', path })),
    ...RESOLVER,
    { change: 'own', path: `${RUN}/user/${caller.uid}` },
    ...HIDDEN_ELSEWHERE.map((path) => hide(path)),
    ...FROZEN.map((path): Door => ({ change: 'freeze', path })),
    { change: 'own', path: X11 },
    ...terminalDoors(caller.uid),
    ...[HOSTS].filter(isAutofs).map((path) => hide(path)),
    ...[...namedSockets(env), ...socketsOfHome(home)].map((path) => hide(path)),
  ];
}

function hide(path: string): Door {
  return { change: 'hide', path };
}

function terminalDoors(uid: number): Door[] {
  return entriesOf('/tmp')
    .filter((name) => TERMINAL_ENTRY.test(name))
    .map((name) => ({ change: name === `tmux-${uid}` ? 'own' : 'hide', path: join('/tmp', name) }));
}

/* Of `unix:path=/a,guid=b`, `unix:///a` and `/a,1,2` the path is what counts. */
function namedSockets(env: NodeJS.ProcessEnv): string[] {
  return SOCKET_VARIABLES.flatMap((name) => (env[name] ?? '').split(';'))
    .map((address) => /(?:^|:\/\/|=|:)(\/[^,]*)/u.exec(address)?.[1]?.replace(/^\/+/u, '/'))
    .filter((path) => path !== undefined)
    .filter(isSocket);
}

/* Connections that an ssh outside holds and lends, the key fetcher of gpg, engines of Docker Desktop. */
function socketsOfHome(home: string): string[] {
  const ssh = join(home, '.ssh');
  const folders = [ssh, ...entriesOf(ssh).map((name) => join(ssh, name)), join(home, '.docker/run')];
  const sockets = folders.flatMap((folder) => entriesOf(folder).map((name) => join(folder, name)));
  const known = ['.gnupg/S.dirmngr', '.docker/desktop/docker.sock', '.rd/docker.sock', '.colima/docker.sock'];
  return [...sockets, ...known.map((path) => join(home, path))].filter(isSocket);
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Not there, no directory, or not ours to read: nothing in it can be named.
    return [];
  }
}

function isAutofs(path: string): boolean {
  try {
    return statfsSync(path).type === AUTOFS_MAGIC;
  } catch {
    return false; // not there
  }
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    // Not there, or the environment names no path of a file: there is nothing to hide.
    return false;
  }
}
