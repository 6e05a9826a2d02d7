/*
 * How long a table of a million prefixes takes from its rows until it is in force, next to the least that the
 * kernel takes for it: a C loop of batch updates with the same entries, ready in memory, in the same order.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST_POLICY } from '../../src/datapath/compile.ts';
import { LAYOUT } from '../../src/datapath/layout.ts';
import { applyPolicy, freeIdleSlot } from '../../src/datapath/policy-slot.ts';
import { placeOf } from '../../src/datapath/struct.ts';
import { compilePrefixTable, type PrefixEntries } from '../../src/policy/compile-prefixes.ts';
import { Scope } from '../../src/scope.ts';
import { Harness } from '../bpf/harness.ts';
import { mustRun } from '../lab/command.ts';
import type { Compiler } from './compile.ts';
import { randomRows, tablePolicy } from './policies.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

const COUNT = 1_000_000;
const ROUNDS = 5;
const LIMIT = 1.5;

/** Loads the table both ways, in turns. */
export async function measureLoading(compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  const fill = compiler.program('fill.c', 'bpf');
  const harness = scope.use(await Harness.load([]));
  const rows = randomRows({ count: COUNT, bits: 28, given: [] });
  const directory = mkdtempSync(join(tmpdir(), 'l7egg-bench-'));
  scope.defer(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'entries');
  writeFileSync(file, encodeEntries(compilePrefixTable(rows).prefixes));
  const words = [file, `${COUNT}`, `${LAYOUT.prefix_key.size}`, `${LAYOUT.addr_rules.size}`];

  const compiling: number[] = [];
  const applying: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now();
    const policy = tablePolicy(rows);
    const compiled = performance.now();
    await applyPolicy(harness.state, policy);
    applying.push(performance.now() - compiled);
    compiling.push(compiled - started);
    await freeIdleSlot(harness.state);
    bare.push(Number(mustRun([fill, ...words])) / 1e6);
  }
  const [sort, apply, loop] = [median(compiling), median(applying), median(bare)];
  const whole = sort + apply;
  report.table(`1M prefixes: from rows to in force, median of ${ROUNDS}`, [
    ['', 'ms', 'of the C loop'],
    ['bare C loop of batch updates', loop.toFixed(0), '1.00'],
    ['sorted and compiled', sort.toFixed(0), (sort / loop).toFixed(2)],
    ['put in force', apply.toFixed(0), (apply / loop).toFixed(2)],
    ['all together', whole.toFixed(0), (whole / loop).toFixed(2)],
  ]);
  report.expect({
    what: '1M prefixes loaded, of a bare C loop',
    value: whole / loop,
    limit: LIMIT,
    unit: ' ×',
  });
}

/** The entries of the trie as `fill` takes them: all keys, then all values. */
function encodeEntries({ addrs, bits, allowSet, denySet }: PrefixEntries): Buffer {
  const count = bits.length;
  const { prefix_key: key, addr_rules: rules, addr } = LAYOUT;
  const bytes = Buffer.alloc(count * (key.size + rules.size));
  const addrAt = placeOf('prefix_key', 'addr')[0];
  const policyAt = placeOf('prefix_key', 'policy')[0];
  for (let entry = 0; entry < count; entry += 1) {
    const at = entry * key.size;
    bytes.writeUInt32LE(32 + (bits[entry] ?? 0), at);
    bytes.writeUInt16LE(HOST_POLICY, at + policyAt);
    bytes.set(addrs.subarray(entry * addr.size, (entry + 1) * addr.size), at + addrAt);
    const value = count * key.size + entry * rules.size;
    bytes.writeUInt32LE(allowSet[entry] ?? 0, value);
    bytes.writeUInt32LE(denySet[entry] ?? 0, value + 4);
  }
  return bytes;
}
