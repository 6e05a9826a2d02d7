/*
 * The session that starts us, over what an earlier run left in force: a lease learned before kill -9 counts as if a rule
 * named the peer. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import type { Lab } from '../lab/topology.ts';
import {
  ALLOWED,
  ALLOWED_ADDRESS,
  BLOCKED,
  createRobustLab,
  filesOf,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  OTHER,
  startFor,
} from './robust-lab.ts';

const LIMIT_MS = 15_000;
const INTERFACES = ['-iface=eth0', '-eface=eth0'];
/* No exact name: those are asked at the start, and need no lease. */
const LISTED = '-cn=.ok.example';
const LIMITED = [LISTED, '-port=443'];
const BESIDE = '-cidr=203.0.113.1';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** bash that holds a connection to port 7 of `peer`, and starts an enforcer when it is told to. */
class Session {
  readonly instance = newInstance();
  readonly #bash: Process;
  readonly #go = join(host.directory, `go-${this.instance}`);

  constructor(peer: string, flags: readonly string[]) {
    host.must('mkfifo', [this.#go]);
    const command = `exec 3<>/dev/tcp/${peer}/7; echo holding >&2; read -r _ <"$1"; shift; "$@"; exit $?`;
    const start = [findCli(), ...INTERFACES, ...flags, `-instance=${this.instance}`];
    this.#bash = host.spawn('bash', ['-c', command, 'bash', this.#go, ...start]);
  }

  async held(): Promise<void> {
    await this.#bash.waitForLine(/^holding$/, LIMIT_MS);
  }

  /** Has it start the enforcer; resolves with its process. */
  async start(): Promise<Process> {
    await writeFile(this.#go, '\n');
    return this.#bash;
  }
}

/** A session to ALLOWED_ADDRESS, and in force under it what an enforcer with `before` left that saw these names. */
async function holdOver(context: TestContext, { before, names, now }: Row): Promise<Session> {
  const session = new Session(ALLOWED_ADDRESS, now);
  await session.held();
  const enforcer = await startFor(context, host, [...INTERFACES, ...before], session);
  for (const name of names) assert.equal(await isOpen(host, name), before !== LIMITED, name);
  await killNow(enforcer);
  return session;
}

interface Row {
  readonly what: string;
  readonly before: readonly string[];
  readonly names: readonly string[];
  readonly now: readonly string[];
}

const STARTS: readonly Row[] = [
  { what: 'has a lease', before: [LISTED], names: [ALLOWED], now: [LISTED] },
  { what: 'has a lease, beside other rules', before: [LISTED], names: [ALLOWED], now: [BESIDE, LISTED] },
];
const REFUSALS: readonly Row[] = [
  { what: 'has no lease', before: [LISTED], names: [], now: [LISTED] },
  { what: 'has none, another address has one', before: [LISTED], names: [OTHER], now: [LISTED] },
  { what: 'had one of a rule that is withdrawn', before: [LISTED], names: [ALLOWED], now: [BESIDE] },
  { what: 'has one for other ports', before: LIMITED, names: [ALLOWED], now: LIMITED },
];

describe('a start over a killed enforcer, from a session whose peer', () => {
  for (const row of STARTS) {
    test(`${row.what}: adopts`, async (context) => {
      const session = await holdOver(context, row);
      const process = await session.start();
      await process.waitForLine(/^enforcing.*adopted what was in force/, LIMIT_MS);
      assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
      assert.equal((await l7egg(host, 'stop', `-instance=${session.instance}`)).code, 0);
      assert.deepEqual(await process.exited, { code: 0, signal: null });
    });
  }

  for (const row of REFUSALS) {
    test(`${row.what}: exit 4, and what was in force stays`, async (context) => {
      const session = await holdOver(context, row);
      const files = filesOf(session.instance);
      const process = await session.start();
      const says = new RegExp(`${ALLOWED_ADDRESS} port 7.*-cidr=${ALLOWED_ADDRESS}.*-force`);
      await process.waitForLine(says, LIMIT_MS);
      assert.deepEqual(await process.exited, { code: 4, signal: null });
      assert.deepEqual(filesOf(session.instance), files);
      assert.equal((await l7egg(host, 'status', `-instance=${session.instance}`)).code, 0);
      assert.equal(await isOpen(host, BLOCKED), false);
    });
  }
});
