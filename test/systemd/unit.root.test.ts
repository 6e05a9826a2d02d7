/*
 * The service under a real systemd: process 1 of a container over this host's root, or of the machine whose answers
 * are in the file that L7EGG_UNIT_SEEN names (`make test-vm`). What is asked there and in which order is in probe.sh.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

/** What stands in the journal, and as what: 3 error, 4 warning, 5 notice, 6 info. */
const LEVELS: readonly (readonly [priority: string, line: RegExp])[] = [
  ['6', /^allow 198\.51\.100\.7\/32$/u],
  ['5', /^enforcing on v0|^enforcing on nothing yet/u],
  ['5', / deny {7}curl\[\d+\] - 203\.0\.113\.9:80\/tcp no-rule/u],
  ['6', / allow {6}curl\[\d+\] - 198\.51\.100\.7:80\/tcp by /u],
  ['5', /^reloaded$/u],
  ['4', /^NOT reloaded, what was in force stays$/u],
  ['4', /^ {2}\/etc\/l7egg\/worker\.yaml:\d+:\d+: /u],
  ['5', /^cgroup ".*worker\.service" is gone/u],
  ['4', /^\d{4,} events left out: \d+ info$/u],
  // journald itself would have dropped it, behind all that passed.
  ['5', / deny {7}python3\[\d+\] - 198\.51\.100\.9:80\/tcp no-rule/u],
  ['5', /^stopped: nothing is enforced any more$/u],
];

/** What probe.sh prints in a container. */
function seenInContainer(): string {
  const work = mkdtempSync(join(tmpdir(), 'l7egg-unit-'));
  after(() => rmSync(work, { recursive: true, force: true }));
  const checkout = findCheckout();
  const script = join(checkout, 'test/systemd/unit.sh');
  return execFileSync('bash', [script, checkout, work], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    maxBuffer: 64 << 20,
  });
}

describe('the service', () => {
  let seen: readonly string[];

  before(() => {
    const { L7EGG_UNIT_SEEN: file } = process.env;
    seen = (file === undefined ? seenInContainer() : readFileSync(file, 'utf8')).split('\n');
  });

  for (const line of SEEN) test(line, () => assert.ok(seen.includes(line), seen.join('\n')));

  for (const text of SAID) {
    test(`says: ${text}`, () =>
      assert.ok(
        seen.some((line) => line.startsWith('journal: ') && line.includes(text)),
        seen.join('\n'),
      ));
  }

  for (const [priority, line] of LEVELS) {
    test(`the journal has as ${priority}: ${line.source}`, () => {
      const entries = seen.filter((each) => each.startsWith('priority: ')).map((each) => each.slice(10));
      const found = entries.filter((each) => line.test(each.slice(2)));
      assert.ok(found.length > 0, entries.slice(0, 200).join('\n'));
      for (const each of found) assert.equal(each[0], priority, each);
    });
  }

  test('exposure by systemd-analyze is at most 3.0', () => {
    const exposure = seen.find((line) => line.startsWith('exposure: '));
    assert.ok(exposure, seen.join('\n'));
    assert.ok(Number(exposure.slice('exposure: '.length)) <= 3, exposure);
  });
});
