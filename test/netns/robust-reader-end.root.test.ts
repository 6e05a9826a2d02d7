/*
 * An enforcer whose stdout nobody reads ends as any other. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import { hasEnded } from '../lab/process.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { BLOCKED, createRobustLab, isOpen, l7egg } from './robust-lab.ts';
import { causeEvents, startUnread, type Unread } from './robust-unread.ts';

const LIMIT_MS = 3_000;
/** More than may wait for a reader. */
const FILLING = 10_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

const ENDS: readonly { how: string; isOpenAfter: boolean; end: (unread: Unread) => unknown }[] = [
  { how: 'SIGTERM', isOpenAfter: true, end: ({ process }) => process.kill('SIGTERM') },
  { how: 'SIGUSR2', isOpenAfter: false, end: ({ process }) => process.kill('SIGUSR2') },
  { how: 'stop', isOpenAfter: true, end: ({ instance }) => l7egg(host, 'stop', `-instance=${instance}`) },
];

describe('an enforcer that nobody reads is ended by', () => {
  for (const { how, isOpenAfter, end } of ENDS) {
    test(how, async (context) => {
      const unread = await startUnread(context, host);
      await causeEvents(host, 0, FILLING);
      assert.equal(await isOpen(host, BLOCKED), false);
      await end(unread);
      await unread.process.waitForLine(/^(stopped|ended): /, LIMIT_MS);
      assert.equal(await isOpen(host, BLOCKED), isOpenAfter);
      await until(() => hasEnded(unread.process.pid), { limitMs: LIMIT_MS, what: 'the end of the process' });
    });
  }
});
