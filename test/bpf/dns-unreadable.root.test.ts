import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { message, name, u16 } from '../dns/raw-message.ts';
import { A, aRecord, ask, ID, query, question, RESOLVER4 } from './dns-exchange.ts';
import { useHarness, type Verdict } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';

const OPEN: PolicySpec = { rules: { 1: { cn: '.example.com' } } };
const STRICT: PolicySpec = { ...OPEN, strict: true };
const DENY: PolicySpec = { rules: { ...OPEN.rules, 2: { denyName: 'evil.example.com' } } };
const datapath = await useHarness('egress');

beforeEach(() => datapath.trust([RESOLVER4, 53]));

/** Labels of so many bytes on the wire, without the end of a name. */
function bytesBefore(count: number): number[] {
  const [whole, rest] = [Math.floor(count / 64), count % 64];
  const label = (length: number) => [length, ...Array(length).fill(97)];
  return [...Array.from({ length: whole }, () => label(63)).flat(), ...(rest > 0 ? label(rest - 1) : [])];
}

test('under strict DNS the longest label and the longest name pass', async () => {
  await datapath.ensure(STRICT);
  for (const labels of [[63, ...Array(63).fill(97)], bytesBefore(242)]) {
    const asked = message({
      id: ID,
      flags: 0x0100,
      question: [...labels, ...name('example.com'), 0, A, 0, 1],
    });
    assert.equal(ask(datapath, {}, 'egress', asked).verdict, 'pass');
  }
});

const noNames = message({ id: ID, flags: 0x0100, questions: 0, question: [] });
const UNREADABLE: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ['not DNS', Buffer.from('hello')],
  ['nothing', Buffer.alloc(0)],
  ['no question', noNames],
  [
    'two questions',
    message({
      id: ID,
      flags: 0x0100,
      questions: 2,
      question: [...question(), ...question({ qname: 'evil.test' })],
    }),
  ],
  ['a response', message({ id: ID, flags: 0x8180, question: question() })],
  [
    'an answer record',
    message({ id: ID, flags: 0x0100, question: question(), answers: [aRecord('192.0.2.1')] }),
  ],
  [
    'an authority record',
    message({ id: ID, flags: 0x0100, question: question(), authorities: [aRecord('192.0.2.1')] }),
  ],
  ['a zone update', message({ id: ID, flags: 0x2900, question: question() })],
  ['class CHAOS', message({ id: ID, flags: 0x0100, question: [...name('www.example.com'), 0, A, 0, 3] })],
  [
    'a dot in a label',
    message({
      id: ID,
      flags: 0x0100,
      question: [9, ...Buffer.from('x.example'), 3, 99, 111, 109, 0, 0, A, 0, 1],
    }),
  ],
  [
    'a NUL in a label',
    message({ id: ID, flags: 0x0100, question: [3, 97, 0, 98, ...name('example.com'), 0, A, 0, 1] }),
  ],
  [
    'a label of 64',
    message({
      id: ID,
      flags: 0x0100,
      question: [64, ...Array(64).fill(97), ...name('example.com'), 0, A, 0, 1],
    }),
  ],
  [
    'a name of 256 bytes',
    message({ id: ID, flags: 0x0100, question: [...bytesBefore(243), ...name('example.com'), 0, A, 0, 1] }),
  ],
  ['a pointer', message({ id: ID, flags: 0x0100, question: [1, 97, ...u16(0xc00c), 0, A, 0, 1] })],
  ['a question cut off', query().slice(0, -2)],
];
for (const [what, bytes] of UNREADABLE) {
  test(`a query with ${what} passes with open DNS; under strict or deny-name it is refused as unreadable`, async () => {
    const verdicts: Verdict[] = [];
    for (const policy of [OPEN, STRICT, DENY]) {
      await datapath.ensure(policy);
      verdicts.push(ask(datapath, {}, 'egress', bytes).verdict);
    }
    assert.deepEqual(verdicts, ['pass', 'refuse', 'refuse']);
    assert.deepEqual(
      datapath.dnsEvents().map(({ verdict, reason }) => [verdict, reason]),
      [
        ['deny', 'dns-unreadable'],
        ['deny', 'dns-unreadable'],
      ],
    );
  });
}
