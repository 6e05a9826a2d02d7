/* Pins of another version of the layout: not adopted, not touched, and told of. The lab of robust-lab.ts. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { LIMITS } from '../../src/datapath/layout.ts';
import { Pins } from '../../src/datapath/pins.ts';
import { ONLY } from '../../src/datapath/state.ts';
import { writeStruct } from '../../src/datapath/struct.ts';
import { BpfMap } from '../../src/libbpf/map.ts';
import type { Lab } from '../lab/topology.ts';
import { isRefused, passes } from './learning-lab.ts';
import { statusOf } from './reload-lab.ts';
import { ALLOWED, BLOCKED, createRobustLab, FLAGS, killNow, l7egg, startFor } from './robust-lab.ts';

const UNSUPPORTED = 3;
const OLDER = LIMITS.LAYOUT_VERSION - 1;

let lab: Lab;
before(async () => {
  lab = await createRobustLab();
});
after(() => lab.close());

test('pins of an older layout, which lacks a map: status tells of them; refused with the way out, and in force still', async (context) => {
  const enforcer = await startFor(context, lab.host);
  const { instance } = enforcer;
  const pins = new Pins(instance);
  using control = BpfMap.openPinned(pins.map('control'));
  const value = control?.get(ONLY);
  assert.ok(control && value);
  writeStruct(value, 0, 'control', { layout: OLDER });
  control.set(ONLY, value);
  rmSync(pins.map('programs'));

  const headline = new RegExp(`^enforcing by an older version \\(layout ${OLDER}\\): `, 'u');
  const told = await l7egg(lab.host, 'status', `-instance=${instance}`);
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stdout, headline);
  assert.match(told.stdout, new RegExp(`^  process    ${enforcer.process.pid}$`, 'mu'));
  assert.match(told.stdout, /^ {2}since {6}\d{4}-/mu);
  assert.match(told.stdout, /^ {2}eth0 +enforced, learns from answers$/mu);
  await killNow(enforcer);
  const left = await statusOf(lab.host, enforcer);
  assert.deepEqual([left.enforcing, left.layout, left.pid], [true, OLDER, undefined]);
  assert.deepEqual(
    left.interfaces.filter(({ enforces }) => enforces).map(({ name, hooks }) => [name, [...hooks].sort()]),
    [['eth0', ['egress', 'ingress']]],
  );

  const again = await l7egg(lab.host, ...FLAGS, `-instance=${instance}`);
  assert.equal(again.code, UNSUPPORTED);
  assert.match(
    again.stderr,
    new RegExp(`they have layout ${OLDER}, this l7egg has ${LIMITS.LAYOUT_VERSION}`, 'u'),
  );
  assert.match(
    again.stderr,
    new RegExp(
      `stop the process .* run "l7egg-cli clean -instance=${instance}" first, then start: in between nothing is judged`,
      'u',
    ),
  );
  await isRefused(lab.host, BLOCKED);
  await passes(lab.host, ALLOWED);

  assert.equal((await l7egg(lab.host, 'clean', `-instance=${instance}`)).code, 0);
  assert.equal((await l7egg(lab.host, 'status', `-instance=${instance}`)).code, UNSUPPORTED);
  const fresh = await startFor(context, lab.host, FLAGS, { instance });
  await passes(lab.host, ALLOWED);
  await fresh.stop();
});
