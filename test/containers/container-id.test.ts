import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerIdOf } from '../../src/containers/container-id.ts';

const ID = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
const POD = 'kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1234.slice';

const inside: readonly (readonly [runtime: string, path: string])[] = [
  ['Docker by cgroupfs', `/docker/${ID}`],
  ['Docker by systemd', `/system.slice/docker-${ID}.scope`],
  ['Docker, below its own', `/system.slice/docker-${ID}.scope/init.scope`],
  ['Podman', `/machine.slice/libpod-${ID}.scope/container`],
  ['Podman by cgroupfs', `/libpod_parent/libpod-${ID}`],
  ['Kubernetes by cgroupfs', `/kubepods/burstable/pod1234/${ID}`],
  ['Kubernetes with containerd', `/${POD}/cri-containerd-${ID}.scope`],
  ['Kubernetes with CRI-O', `/${POD}/crio-${ID}.scope`],
  ['Docker in a slice of its own', `/machine.slice/machine-ci.slice/docker-${ID}.scope`],
  ['nerdctl by cgroupfs', `/default/${ID}`],
  ['nerdctl by systemd', `/system.slice/nerdctl-${ID}.scope`],
  ['Kubernetes, of no class, by cgroupfs', `/kubepods/pod1234/crio-${ID}`],
  ['a forger in a container', `/system.slice/docker-${ID}.scope/system.slice/docker-${OTHER}.scope`],
  ['Docker in a container', `/docker/${ID}/docker/${OTHER}`],
];
for (const [runtime, path] of inside) {
  test(`${runtime}: the id is in its path`, () => assert.equal(containerIdOf(path), ID));
}

const outside: readonly (readonly [what: string, path: string])[] = [
  ['the root', '/'],
  ['a service', '/system.slice/docker.service'],
  ["Podman's monitor", `/machine.slice/libpod-conmon-${ID}.scope`],
  ['an id of 63 digits', `/docker/${ID.slice(1)}`],
  ['an id of 65 digits', `/docker/${ID}0`],
  ['letters that are no digits', `/docker/${'g'.repeat(64)}`],
  ['a name of containerd', '/default/web'],
  ["a user's own cgroup", `/user.slice/user-1000.slice/user@1000.service/docker-${ID}.scope`],
  ["a user's own slice", `/user.slice/user-1000.slice/user@1000.service/app.slice/libpod-${ID}.scope`],
  ["a user's slice", `/user.slice/user-1000.slice/docker-${ID}.scope`],
  ['what a service makes', `/system.slice/job.service/docker-${ID}.scope`],
  ['what a service makes, as if it were slices', `/system.slice/job.service/system.slice/docker-${ID}.scope`],
  ['what a scope makes', `/system.slice/job.scope/docker/${ID}`],
  ['a cgroup of that name at the root', `/docker-${ID}.scope`],
  ['an id in a directory of any name', `/jobs/${ID}`],
  ['another prefix', `/system.slice/mine-${ID}.scope`],
  ['an id that goes on', `/system.slice/docker-${ID}.scopes`],
];
for (const [what, path] of outside) {
  test(`${what} is no container`, () => assert.equal(containerIdOf(path), undefined));
}
