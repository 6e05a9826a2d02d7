/*
 * resolv.conf changes while an enforcer runs, in every way that files are changed. The lab is that of robust-lab.ts, with
 * a second resolver on 192.0.2.54; the host has an /etc of its own.
 */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { giveOwnEtc } from '../lab/own-etc.ts';
import { addressRecords } from '../lab/records.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import type { RunningEnforcer } from './enforcer.ts';
import { ALLOWED, ALLOWED_ADDRESS, createRobustLab, FLAGS, isOpen, l7egg, startFor } from './robust-lab.ts';

const LIMIT_MS = 2_000;
/** A link whose target comes later is looked at every 15 s. */
const LOOK_LIMIT_MS = 20_000;
const [{ v4: OLD }, { v4: NEW }] = RESOLVERS;
/** What each of them answers. */
const answerOf = (resolver: string) => (resolver === OLD ? ALLOWED_ADDRESS : '198.51.100.212');

let lab: Lab;
let host: Namespace;
let etc: string;
let path: string;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await startDnsmasq(lab.dns, { addresses: [NEW], records: addressRecords(ALLOWED, ['198.51.100.212']) });
  etc = giveOwnEtc(host);
  path = join(etc, 'resolv.conf');
});
after(() => lab.close());
beforeEach(() => {
  for (const name of ['resolv.conf', 'later', 'one', 'two'])
    rmSync(join(etc, name), { recursive: true, force: true });
  write(OLD);
});

/** Asserts that of the two resolvers this one answers and teaches, the other is refused, and status says so. */
async function assertTrusted({ instance }: RunningEnforcer, resolver: string): Promise<void> {
  const other = resolver === OLD ? NEW : OLD;
  assert.deepEqual(digShort(host, other, [ALLOWED, 'A']), [], `${other} is refused`);
  assert.deepEqual(digShort(host, resolver, [ALLOWED, 'A']), [answerOf(resolver)]);
  assert.equal(await isOpen(host, answerOf(resolver)), true, `${resolver} teaches`);
  const { stdout } = await l7egg(host, 'status', '-json', `-instance=${instance}`);
  assert.deepEqual(JSON.parse(stdout).resolvers, [resolver]);
}

/** Resolves once the enforcer says so. */
async function untilChanged({ process }: RunningEnforcer, from: string, to: string, limitMs = LIMIT_MS) {
  await process.waitForLine(new RegExp(`^trusted resolvers changed from ${from} to ${to}$`), limitMs);
}

const write = (resolver: string, name = 'resolv.conf') =>
  writeFileSync(join(etc, name), `nameserver ${resolver}\n`);
const CHANGES: Readonly<Record<string, (resolver: string) => void>> = {
  'written in place': (resolver) => write(resolver),
  'renamed over': (resolver) => {
    write(resolver, 'new');
    renameSync(join(etc, 'new'), path);
  },
  'deleted and written again': (resolver) => {
    rmSync(path);
    write(resolver);
  },
  'made a link to another file': (resolver) => {
    const name = resolver === OLD ? 'one' : 'two';
    write(resolver, name);
    rmSync(path);
    symlinkSync(name, path);
  },
};

describe('resolv.conf', () => {
  for (const [what, change] of Object.entries(CHANGES)) {
    test(`${what}: the new resolver is trusted, the old one no more, there and back`, async (context) => {
      const enforcer = await startFor(context, host, FLAGS);
      await assertTrusted(enforcer, OLD);
      assert.equal(await isOpen(host, answerOf(NEW)), false, 'nobody has taught it yet');
      change(NEW);
      await untilChanged(enforcer, OLD, NEW);
      await assertTrusted(enforcer, NEW);
      change(OLD);
      await untilChanged(enforcer, NEW, OLD);
      await assertTrusted(enforcer, OLD);
    });
  }

  test('a link whose target comes later: no resolver until then, then the one it names', async (context) => {
    rmSync(path);
    symlinkSync('later/resolv.conf', path);
    const enforcer = await startFor(context, host, FLAGS);
    assert.match(enforcer.remarks().join('\n'), /^no resolver is known/mu);
    assert.deepEqual(digShort(host, OLD, [ALLOWED, 'A']), []);
    mkdirSync(join(etc, 'later'));
    write(OLD, 'later/resolv.conf');
    await untilChanged(enforcer, 'none', OLD, LOOK_LIMIT_MS);
    await assertTrusted(enforcer, OLD);
  });

  test('deleted: the one of before stays, until it is written again', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    rmSync(path);
    enforcer.process.kill('SIGHUP');
    await enforcer.process.waitForLine(/^reloaded/, LIMIT_MS);
    await assertTrusted(enforcer, OLD);
    write(NEW);
    await untilChanged(enforcer, OLD, NEW);
    await assertTrusted(enforcer, NEW);
  });
});
