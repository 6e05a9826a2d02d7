/*
 * Policy files that change by themselves, in all the ways in which files do. The lab is that of reload-lab.ts.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import type { RunningEnforcer } from './enforcer.ts';
import {
  ANOTHER,
  allow,
  epochOf,
  makeDirectory,
  ONE,
  policyText,
  replaceFile,
  startByFiles,
  statusOf,
  THIRD,
  untilRefused,
  untilReloaded,
} from './reload-lab.ts';
import { createRobustLab, isOpen } from './robust-lab.ts';

/** Longer than a change is left alone. */
const QUIET_MS = 700;
const FIRST = policyText([allow('one', ONE)]);
const SECOND = policyText([allow('another', ANOTHER)]);

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** Which of ONE, ANOTHER and THIRD are allowed, each by a connect. */
async function openOnes(): Promise<string[]> {
  const open: string[] = [];
  for (const address of [ONE, ANOTHER, THIRD]) if (await isOpen(host, address)) open.push(address);
  return open;
}

/** Does what changes files, and resolves once that is in force. */
async function changed(enforcer: RunningEnforcer, change: () => void): Promise<void> {
  const mark = enforcer.process.mark();
  change();
  await untilReloaded(enforcer, mark);
}

function refusals(enforcer: RunningEnforcer): number {
  return enforcer.remarks().filter((text) => text.startsWith('NOT reloaded')).length;
}

test('written in place', async (context) => {
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, FIRST);
  const enforcer = await startByFiles(context, host, [file]);
  assert.deepEqual(await openOnes(), [ONE]);
  await changed(enforcer, () => writeFileSync(file, SECOND));
  assert.deepEqual(await openOnes(), [ANOTHER]);
  await changed(enforcer, () => writeFileSync(file, FIRST));
  assert.deepEqual(await openOnes(), [ONE]);
});

test('another file renamed over it, again and again', async (context) => {
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, FIRST);
  const enforcer = await startByFiles(context, host, [file]);
  for (const [text, open] of [
    [SECOND, ANOTHER],
    [FIRST, ONE],
    [SECOND, ANOTHER],
  ] as const) {
    await changed(enforcer, () => replaceFile(file, text));
    assert.deepEqual(await openOnes(), [open]);
  }
});

test('a link to it turned, and then the file that it leads to now is written', async (context) => {
  const directory = makeDirectory(host);
  const [old, fresh] = [`${directory}/a/policy.yaml`, `${directory}/b/policy.yaml`];
  mkdirSync(`${directory}/a`);
  mkdirSync(`${directory}/b`);
  writeFileSync(old, FIRST);
  writeFileSync(fresh, SECOND);
  const link = `${directory}/link.yaml`;
  symlinkSync('a/policy.yaml', link);
  const enforcer = await startByFiles(context, host, [link]);
  await changed(enforcer, () => {
    symlinkSync('b/policy.yaml', `${link}.new`);
    renameSync(`${link}.new`, link);
  });
  assert.deepEqual(await openOnes(), [ANOTHER]);
  await changed(enforcer, () => writeFileSync(fresh, policyText([allow('third', THIRD)])));
  assert.deepEqual(await openOnes(), [THIRD]);
});

test('as a ConfigMap is changed: ..data turned to another directory, twice, the old one removed', async (context) => {
  const directory = makeDirectory(host);
  const publish = (version: string, text: string) => {
    mkdirSync(`${directory}/..${version}`);
    writeFileSync(`${directory}/..${version}/policy.yaml`, text);
    symlinkSync(`..${version}`, `${directory}/..data_tmp`);
    renameSync(`${directory}/..data_tmp`, `${directory}/..data`);
  };
  publish('2024_1', FIRST);
  symlinkSync('..data/policy.yaml', `${directory}/policy.yaml`);
  const enforcer = await startByFiles(context, host, [`${directory}/policy.yaml`]);
  assert.deepEqual(await openOnes(), [ONE]);
  await changed(enforcer, () => {
    publish('2024_2', SECOND);
    rmSync(`${directory}/..2024_1`, { recursive: true });
  });
  assert.deepEqual(await openOnes(), [ANOTHER]);
  await changed(enforcer, () => {
    publish('2024_3', policyText([allow('third', THIRD)]));
    rmSync(`${directory}/..2024_2`, { recursive: true });
  });
  assert.deepEqual(await openOnes(), [THIRD]);
});

test('deleted: the old one stays and that is said once; written again it is taken', async (context) => {
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, FIRST);
  const enforcer = await startByFiles(context, host, [file]);
  const mark = enforcer.process.mark();
  unlinkSync(file);
  await untilRefused(enforcer, mark);
  assert.ok(enforcer.remarks().some((text) => text.includes(file) && text.includes('ENOENT')));
  writeFileSync(`${file}.other`, 'nobody reads this');
  renameSync(`${file}.other`, file);
  unlinkSync(file);
  await pause(QUIET_MS);
  assert.equal(refusals(enforcer), 1);
  assert.deepEqual(await openOnes(), [ONE]);
  await changed(enforcer, () => writeFileSync(file, SECOND));
  assert.deepEqual(await openOnes(), [ANOTHER]);
});

test('half-written: the old one stays until the rest is there', async (context) => {
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, FIRST);
  const enforcer = await startByFiles(context, host, [file]);
  const text = policyText([allow('another', ANOTHER), allow('third', THIRD)]);
  const half = text.lastIndexOf(`'${THIRD}`) + 4;
  const mark = enforcer.process.mark();
  writeFileSync(file, text.slice(0, half));
  await untilRefused(enforcer, mark);
  assert.deepEqual(await openOnes(), [ONE]);
  await changed(enforcer, () => appendFileSync(file, text.slice(half)));
  assert.deepEqual(await openOnes(), [ANOTHER, THIRD]);
  const cut = enforcer.process.mark();
  truncateSync(file, 0);
  await untilRefused(enforcer, cut);
  assert.deepEqual(await openOnes(), [ANOTHER, THIRD]);
});

test('of two files one changes, and then the other', async (context) => {
  const directory = makeDirectory(host);
  const [a, b] = [`${directory}/a.yaml`, `${directory}/b.yaml`];
  writeFileSync(a, FIRST);
  writeFileSync(b, SECOND);
  const enforcer = await startByFiles(context, host, [a, b]);
  const idOf = async (name: string) =>
    (await statusOf(host, enforcer)).rules.find(({ rule }) => rule === name)?.id;
  const first = await idOf('one');
  await changed(enforcer, () => replaceFile(b, policyText([allow('third', THIRD)])));
  assert.deepEqual(await openOnes(), [ONE, THIRD]);
  assert.equal(await idOf('one'), first);
  await changed(enforcer, () => replaceFile(a, SECOND));
  assert.deepEqual(await openOnes(), [ANOTHER, THIRD]);
});

test('written with the same content: nothing is said, and the epoch stays', async (context) => {
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, FIRST);
  const enforcer = await startByFiles(context, host, [file]);
  const before = epochOf(enforcer);
  const said = enforcer.remarks().length;
  replaceFile(file, FIRST);
  await pause(QUIET_MS);
  replaceFile(file, `${FIRST}# with a remark\n`);
  await pause(QUIET_MS);
  assert.equal(epochOf(enforcer), before);
  assert.deepEqual(enforcer.remarks().slice(said), []);
  await changed(enforcer, () => replaceFile(file, SECOND)); // it was listening all the time
});

test('a pipe in its place is refused, and holds nothing up', async (context) => {
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, FIRST);
  const enforcer = await startByFiles(context, host, [file]);
  const mark = enforcer.process.mark();
  host.must('mkfifo', [`${file}.pipe`]);
  renameSync(`${file}.pipe`, file);
  await untilRefused(enforcer, mark);
  assert.deepEqual(await openOnes(), [ONE]);
  await changed(enforcer, () => replaceFile(file, SECOND));
  assert.deepEqual(await openOnes(), [ANOTHER]);
});
