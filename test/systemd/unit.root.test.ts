/*
 * The service under a real systemd: process 1 of a container over this host's root. What is asked there and
 * in which order is in probe.sh.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findCheckout } from '../lab/checkout.ts';

const LIMIT_MS = 150_000;

/** What must have been seen. 7: refused at once; 28: let out, and nobody answers. */
const SEEN = [
  'at boot: active, enforcing',
  'order: before the network',
  'at boot: curl 7',
  'reload: 0',
  'restart: 0',
  'after restart: active, enforcing',
  'after restart: curl 7',
  'killed: curl 7',
  'started again: active, enforcing',
  'started again: curl 7',
  'stop: 0',
  'stopped: curl 28',
  'left: 0',
  "suggested flags: L7EGG_FLAGS=-iface=v0 -eface=v0 '-eface=*' -cidr=198.51.100.8 -port=80/tcp",
  'suggested: active, enforcing',
  'suggested, not seen: curl 7',
  'suggested, seen: curl 28',
  'with a file: 0',
  'unit, not listed: curl 7',
  'unit, listed: curl 28',
  'beside the unit: curl 28',
  'unit, now listed: curl 28',
  'unit, listed no more: curl 7',
  'unit, bad file: curl 28',
  'unit, stopped: curl 28',
  'beside the unit, its server: curl 28',
  'unit, own server: curl 0',
];

const SAID = [
  'interface "v0" is there: attached',
  'adopted what was in force',
  'stopped: nothing is enforced any more',
  'waiting for unit:worker.service',
  'worker.service" is gone: it will be judged again when it returns',
  '- unit:worker.service: allow 198.51.100.7/32 (peer)',
  'NOT reloaded, what was in force stays',
];

describe('the service', () => {
  let work: string;
  let seen: readonly string[];

  before(() => {
    work = mkdtempSync(join(tmpdir(), 'l7egg-unit-'));
    const checkout = findCheckout();
    const script = join(checkout, 'test/systemd/unit.sh');
    seen = execFileSync('bash', [script, checkout, work], { encoding: 'utf8', timeout: LIMIT_MS }).split(
      '\n',
    );
  });

  after(() => rmSync(work, { recursive: true, force: true }));

  for (const line of SEEN) test(line, () => assert.ok(seen.includes(line), seen.join('\n')));

  for (const text of SAID) {
    test(`says: ${text}`, () =>
      assert.ok(
        seen.some((line) => line.startsWith('journal: ') && line.includes(text)),
        seen.join('\n'),
      ));
  }

  test('exposure by systemd-analyze is at most 3.0', () => {
    const exposure = seen.find((line) => line.startsWith('exposure: '));
    assert.ok(exposure, seen.join('\n'));
    assert.ok(Number(exposure.slice('exposure: '.length)) <= 3, exposure);
  });
});
