/*
 * ns of each way that a packet takes through the programs, by BPF_PROG_TEST_RUN, next to a program that only
 * returns. What a packet does to maps it does each time. Events go to the ring, and are read between the runs:
 * the wake-up of a reader that waits is not in these figures.
 */
import { HOST_POLICY } from '../../src/datapath/compile.ts';
import { applyPolicy } from '../../src/datapath/policy-slot.ts';
import { teach } from '../../src/datapath/teacher.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { Scope } from '../../src/scope.ts';
import { ethernet, inbound, outbound } from '../bpf/frames.ts';
import { Harness, type ProgramName } from '../bpf/harness.ts';
import { type Segment, tcp, tcpData, udp } from '../bpf/segments.ts';
import {
  ASKED_SUFFIX,
  answerFrame,
  answerNs,
  answerPaths,
  queryFrame,
  RESOLVER,
  SHARE,
} from './answer-paths.ts';
import type { Compiler } from './compile.ts';
import { DROP, measureAll, PASS, type PacketPath } from './packet-path.ts';
import { randomRows, tablePolicy } from './policies.ts';
import type { Report } from './report.ts';

const REPEAT = 50_000;
/** What writes an event each time: the ring holds them all. */
const EVENT_REPEAT = 4_000;
const LISTED = '198.51.100.7';
const LEARNED = '203.0.113.77';
/** A refusal of these is told to nobody, so the packet stays as it is; others become their own answer. */
const GROUP = '239.255.0.1';
const NAME_RULE = 2;
const BARE = 'a program that only returns';
const SIZES = [
  { count: 10, label: '10' },
  { count: 10_000, label: '10k' },
  { count: 1_000_000, label: '1M' },
];
const LIMITS = { flow: 4, answer: 14, manyPrefixes: 1.3 };

/** Measures the paths, and holds them against the targets. */
export async function measurePaths(compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  const harnesses: Harness[] = [];
  for (const { count } of SIZES) {
    const harness = scope.use(await Harness.load(['egress', 'arrive']));
    harness.trust([RESOLVER, 53]);
    await applyPolicy(
      harness.state,
      tablePolicy(randomRows({ count, bits: 28, given: ['198.51.100.0/24'] }), {
        rules: { [NAME_RULE]: { cn: ASKED_SUFFIX, ports: ['443/tcp'], share: SHARE } },
      }),
    );
    harnesses.push(harness);
  }
  const [harness] = harnesses;
  if (!harness) return;
  const objectPath = compiler.object('paths.bpf.c');
  using object = await loadObject(objectPath);
  const bareProgram = scope.use(object.program('bare'));
  const answers = await answerPaths(objectPath, scope, harness, bareProgram);
  const plain = [
    { ...COMMON, what: BARE, program: bareProgram, frame: ethernet(outbound(LISTED, udp())) },
    ...SIZES.flatMap(({ label }, size) => egressPaths(harnesses[size] ?? harness, label)),
    learnedPath(harness),
    ...otherPaths(harness),
  ];
  const found = await measureAll([
    ...plain,
    ...answers.flatMap(({ measured, around }) => [measured, around]),
  ]);
  const ns = (what: string) => found.get(what) ?? Number.NaN;
  const bare = ns(BARE);
  const rows: (readonly [string, number])[] = [
    ...plain.map(({ what }) => [what, ns(what)] as const),
    ...answers.map(
      ({ what, measured, around }) => [what, answerNs(ns(measured.what), ns(around.what), bare)] as const,
    ),
  ];
  report.table('ns per packet (BPF_PROG_TEST_RUN)', [
    ['path', 'ns', '× bare'],
    ...rows.map(([what, value]) => [what, value.toFixed(0), (value / bare).toFixed(1)]),
  ]);
  const result = new Map(rows);
  const ratio = (what: string, to: string) =>
    (result.get(what) ?? Number.NaN) / (result.get(to) ?? Number.NaN);
  for (const kind of ['UDP', 'TCP']) {
    const flow = (label: string) => `egress, flow hit ${kind}, ${label} prefixes`;
    report.expect({ what: flow('10'), value: ratio(flow('10'), BARE), limit: LIMITS.flow, unit: ' × bare' });
    report.expect({
      what: flow('1M'),
      value: ratio(flow('1M'), flow('10')),
      limit: LIMITS.manyPrefixes,
      unit: ' × that at 10',
    });
  }
  const answer = 'DNS answer, 1 A, leases renewed';
  report.expect({ what: answer, value: ratio(answer, BARE), limit: LIMITS.answer, unit: ' × bare' });
}

const COMMON = { verdict: PASS, repeat: REPEAT, prepare: () => {} } as const;

function egressPaths(harness: Harness, label: string): PacketPath[] {
  const drain = () => void harness.events();
  const path = (what: string, to: string, segment: Segment) => ({
    ...COMMON,
    what: `egress, ${what}, ${label} prefixes`,
    program: harness.state.program('l7egg_egress'),
    frame: ethernet(outbound(to, segment)),
  });
  const open = () => {
    for (const segment of [tcp(), udp()]) harness.send('egress', outbound(LISTED, segment));
  };
  return [
    { ...path('flow hit UDP', LISTED, udp()), prepare: open },
    { ...path('flow hit TCP', LISTED, tcpData()), prepare: open },
    { ...path('first packet of a flow', LISTED, tcp()), prepare: drain, repeat: EVENT_REPEAT },
    { ...path('dropped without an answer', GROUP, udp()), verdict: DROP, prepare: drain },
  ];
}

function learnedPath(harness: Harness): PacketPath {
  return {
    ...COMMON,
    what: 'egress, first packet of a flow, learned address and port',
    program: harness.state.program('l7egg_egress'),
    frame: ethernet(outbound(LEARNED, tcp())),
    repeat: EVENT_REPEAT,
    prepare: () => {
      harness.events();
      const addresses = [parseAddress(LEARNED)];
      teach(harness.state, { policyId: HOST_POLICY, ruleIds: [NAME_RULE], addresses, ttlSeconds: 3600 });
    },
  };
}

function otherPaths(harness: Harness): PacketPath[] {
  const path = (what: string, program: ProgramName, frame: Buffer) => ({
    ...COMMON,
    what,
    program: harness.state.program(`l7egg_${program}`),
    frame,
    prepare: () => void harness.events(),
  });
  const reply = { from: 443, to: 40_000 };
  return [
    path('ingress, not DNS, TCP', 'arrive', ethernet(inbound(LISTED, tcpData(reply)))),
    path('ingress, not DNS, UDP', 'arrive', ethernet(inbound(LISTED, udp(reply)))),
    path('DNS query that a rule matches', 'egress', queryFrame(7)),
    path('DNS answer without a query', 'arrive', answerFrame(1, 0xfff0)),
  ];
}
