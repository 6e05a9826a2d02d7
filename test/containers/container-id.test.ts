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
];
for (const [what, path] of outside) {
  test(`${what} is no container`, () => assert.equal(containerIdOf(path), undefined));
}
