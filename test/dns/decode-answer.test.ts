import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, type AnswerFault, decodeAnswer, type Question } from '../../src/dns/decode-answer.ts';
import { type MessageParts, message, name, pointer, QNAME_AT, RECORDS_AT, record } from './raw-message.ts';

const A = 1;
const NS = 2;
const CNAME = 5;
const TXT = 16;
const AAAA = 28;
const DNAME = 39;
const OPT = 41;
const SVCB = 64;
const HTTPS = 65;

const QUERIED = pointer(QNAME_AT);
const V4 = [198, 51, 100, 7];
const V4_TEXT = '00000000000000000000ffffc6336407';
const V6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const V6_TEXT = '20010db8000000000000000000000007';
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...V4];
const AN_A = record(QUERIED, A, V4);
const EDNS = record([0], OPT, [], { rclass: 1232, ttl: 0x8000 });

/** Addresses as hex, owner and TTL, so that a row reads in one line. */
function taught(answer: Answer): {
  readonly addresses: readonly string[];
  readonly chain: readonly string[];
  readonly hints: boolean;
} {
  assert.equal(answer.status, 'learned');
  const { addresses, chain, hints } = answer;
  return {
    addresses: addresses.map(
      ({ addr, ttl, owner }) => `${Buffer.from(addr).toString('hex')} ${ttl} ${owner}`,
    ),
    chain,
    hints,
  };
}

function alias(owner: readonly number[], target: readonly number[]): number[] {
  return record(owner, CNAME, target);
}

interface Lesson {
  readonly title: string;
  readonly parts: MessageParts;
  readonly addresses: readonly string[];
  readonly chain?: readonly string[];
  readonly hints?: boolean;
}

const FROM_QUESTION = `${V4_TEXT} 300 www.example.com`;
const ON_TARGET = `${V4_TEXT} 300 cdn.test`;
const TO_CDN = ['www.example.com', 'cdn.test'];

const lessons: readonly Lesson[] = [
  { title: 'an A', parts: { answers: [AN_A] }, addresses: [FROM_QUESTION] },
  {
    title: 'an AAAA',
    parts: { answers: [record(QUERIED, AAAA, V6)] },
    addresses: [`${V6_TEXT} 300 www.example.com`],
  },
  {
    title: 'both families',
    parts: { answers: [AN_A, record(QUERIED, AAAA, V6)] },
    addresses: [FROM_QUESTION, `${V6_TEXT} 300 www.example.com`],
  },
  { title: 'no record at all', parts: {}, addresses: [] },
  {
    title: 'an owner in full',
    parts: { answers: [record(name('www.example.com'), A, V4)] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'an owner in another case',
    parts: { answers: [record(name('WWW.eXample.com'), A, V4)] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'an owner in part by pointer',
    parts: { answers: [record([3, 0x57, 0x77, 0x77, ...pointer(16)], A, V4)] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'TTL 0',
    parts: { answers: [record(QUERIED, A, V4, { ttl: 0 })] },
    addresses: [`${V4_TEXT} 0 www.example.com`],
  },
  {
    title: 'TTL 2^32-1',
    parts: { answers: [record(QUERIED, A, V4, { ttl: 0xffffffff })] },
    addresses: [`${V4_TEXT} 4294967295 www.example.com`],
  },
  { title: 'EDNS', parts: { answers: [AN_A], additionals: [EDNS] }, addresses: [FROM_QUESTION] },
  {
    title: 'AA, RA, AD, CD and Z set',
    parts: { flags: 0x87f0 & ~0x0200, answers: [AN_A] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'a CNAME and its A',
    parts: { answers: [alias(QUERIED, name('cdn.test')), record(pointer(RECORDS_AT + 12), A, V4)] },
    addresses: [ON_TARGET],
    chain: TO_CDN,
  },
  {
    title: 'a CNAME in another case than its A',
    parts: { answers: [alias(QUERIED, name('CDN.test')), record(name('cdn.TEST'), A, V4)] },
    addresses: [ON_TARGET],
    chain: TO_CDN,
  },
  {
    title: 'a compressed CNAME target',
    parts: {
      answers: [
        alias(QUERIED, [3, 0x63, 0x64, 0x6e, ...pointer(16)]),
        record(pointer(RECORDS_AT + 12), A, V4),
      ],
    },
    addresses: [`${V4_TEXT} 300 cdn.example.com`],
    chain: ['www.example.com', 'cdn.example.com'],
  },
  {
    title: 'a chain of three',
    parts: {
      answers: [
        alias(QUERIED, name('b.test')),
        alias(name('b.test'), name('cdn.test')),
        record(name('cdn.test'), A, V4),
      ],
    },
    addresses: [ON_TARGET],
    chain: ['www.example.com', 'b.test', 'cdn.test'],
  },
  {
    title: 'a chain of 16 names',
    parts: { answers: [...links(15), record(name('n15'), A, V4)] },
    addresses: [`${V4_TEXT} 300 n15`],
    chain: ['www.example.com', ...Array.from({ length: 15 }, (_, index) => `n${index + 1}`)],
  },
  {
    title: 'nothing from an A before its CNAME',
    parts: { answers: [record(name('cdn.test'), A, V4), alias(QUERIED, name('cdn.test'))] },
    addresses: [],
    chain: TO_CDN,
  },
  {
    title: 'nothing from a CNAME before the one that leads to it',
    parts: {
      answers: [
        alias(name('b.test'), name('cdn.test')),
        alias(QUERIED, name('b.test')),
        record(name('cdn.test'), A, V4),
      ],
    },
    addresses: [],
    chain: ['www.example.com', 'b.test'],
  },
  {
    title: 'nothing for the question once its CNAME was seen',
    parts: { answers: [alias(QUERIED, name('cdn.test')), AN_A] },
    addresses: [],
    chain: TO_CDN,
  },
  {
    title: 'what came before the CNAME',
    parts: { answers: [AN_A, alias(QUERIED, name('cdn.test'))] },
    addresses: [FROM_QUESTION],
    chain: TO_CDN,
  },
  {
    title: 'nothing of another owner',
    parts: { answers: [record(name('evil.test'), A, V4), AN_A] },
    addresses: [FROM_QUESTION],
  },
  { title: 'nothing of a parent', parts: { answers: [record(pointer(16), A, V4)] }, addresses: [] },
  { title: 'nothing of a child', parts: { answers: [record([1, 0x78, ...QUERIED], A, V4)] }, addresses: [] },
  {
    title: "nothing where another owner's CNAME leads",
    parts: {
      answers: [
        alias(name('evil.test'), QUERIED),
        alias(name('evil.test'), name('x.test')),
        record(name('x.test'), A, V4),
      ],
    },
    addresses: [],
  },
  { title: 'nothing from the authority section', parts: { authorities: [AN_A] }, addresses: [] },
  { title: 'nothing from the additional section', parts: { additionals: [AN_A, EDNS] }, addresses: [] },
  {
    title: 'no chain from the authority section',
    parts: {
      authorities: [alias(QUERIED, name('cdn.test'))],
      additionals: [record(name('cdn.test'), A, V4)],
    },
    addresses: [],
  },
  {
    title: 'nothing of class CH',
    parts: { answers: [record(QUERIED, A, V4, { rclass: 3 }), AN_A] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'nothing of class CH, whatever its length',
    parts: { answers: [record(QUERIED, A, [1, 2], { rclass: 3 })] },
    addresses: [],
  },
  {
    title: 'no chain of class CH',
    parts: {
      answers: [record(QUERIED, CNAME, name('cdn.test'), { rclass: 3 }), record(name('cdn.test'), A, V4)],
    },
    addresses: [],
  },
  {
    title: 'nothing v4-mapped',
    parts: { answers: [record(QUERIED, AAAA, MAPPED), AN_A] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'nothing from a DNAME',
    parts: { answers: [record(QUERIED, DNAME, name('cdn.test')), record(name('cdn.test'), A, V4)] },
    addresses: [],
  },
  {
    title: 'a DNAME and the CNAME made of it',
    parts: {
      answers: [
        record(pointer(16), DNAME, name('test')),
        alias(QUERIED, name('cdn.test')),
        record(name('cdn.test'), A, V4),
      ],
    },
    addresses: [ON_TARGET],
    chain: TO_CDN,
  },
  {
    title: 'past other types',
    parts: { answers: [record(QUERIED, TXT, [3, 1, 2, 3]), AN_A] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'past malformed rdata of other types',
    parts: { answers: [record(QUERIED, NS, [0xc0]), AN_A] },
    addresses: [FROM_QUESTION],
  },
  {
    title: "past another owner's malformed CNAME",
    parts: { answers: [record(name('b.test'), CNAME, [0xc0]), AN_A] },
    addresses: [FROM_QUESTION],
  },
  {
    title: 'that HTTPS has hints',
    parts: { answers: [record(QUERIED, HTTPS, [0, 1, 0, 0, 4, 0, 4, ...V4])] },
    addresses: [],
    hints: true,
  },
  {
    title: 'that SVCB has hints',
    parts: { answers: [AN_A, record(QUERIED, SVCB, [0, 1, 0])] },
    addresses: [FROM_QUESTION],
    hints: true,
  },
  {
    title: 'no hints from the additional section',
    parts: { additionals: [record(QUERIED, HTTPS, [0, 1, 0])] },
    addresses: [],
    hints: false,
  },
  {
    title: 'a question of the root',
    parts: { question: [0, 0, 1, 0, 1], answers: [record([0], A, V4)] },
    addresses: [`${V4_TEXT} 300 .`],
    chain: ['.'],
  },
];

/** CNAMEs from the question through n1, n2, … */
function links(hops: number): number[][] {
  return Array.from({ length: hops }, (_, index) =>
    alias(index === 0 ? QUERIED : name(`n${index}`), name(`n${index + 1}`)),
  );
}

for (const {
  title,
  parts,
  addresses,
  chain = [parts.question ? '.' : 'www.example.com'],
  hints = false,
} of lessons) {
  test(`decodeAnswer learns ${title}`, () => {
    assert.deepEqual(taught(decodeAnswer(message(parts))), { addresses, chain, hints });
  });
}

interface Refusal {
  readonly title: string;
  readonly parts: MessageParts;
  readonly reason: AnswerFault;
}

const LOOP = pointer(RECORDS_AT);
const refusals: readonly Refusal[] = [
  { title: 'a query', parts: { flags: 0x0180, answers: [AN_A] }, reason: 'not-response' },
  { title: 'opcode 4', parts: { flags: 0xa180, answers: [AN_A] }, reason: 'opcode' },
  { title: 'no question', parts: { questions: 0, question: [], answers: [AN_A] }, reason: 'question-count' },
  { title: 'a question count of 0', parts: { questions: 0, answers: [AN_A] }, reason: 'question-count' },
  { title: 'two questions', parts: { questions: 2, answers: [AN_A] }, reason: 'question-count' },
  {
    title: 'class CH',
    parts: { question: [...name('www.example.com'), 0, 1, 0, 3], answers: [AN_A] },
    reason: 'question-class',
  },
  {
    title: 'class IN with the mDNS bit',
    parts: { question: [...name('www.example.com'), 0, 1, 0x80, 1], answers: [AN_A] },
    reason: 'question-class',
  },
  { title: 'TC', parts: { flags: 0x8380, answers: [AN_A] }, reason: 'truncated' },
  ...Array.from({ length: 15 }, (_, index) => ({
    title: `rcode ${index + 1}`,
    parts: { flags: 0x8180 | (index + 1), answers: [AN_A] },
    reason: 'rcode' as const,
  })),
  {
    title: 'a pointer in the question',
    parts: { question: [...pointer(12), 0, 1, 0, 1], answers: [AN_A] },
    reason: 'name-pointer',
  },
  {
    title: 'a pointer behind a label of the question',
    parts: { question: [1, 0x61, ...pointer(12), 0, 1, 0, 1], answers: [AN_A] },
    reason: 'name-pointer',
  },
  {
    title: 'a dot in a label of the question',
    parts: { question: [3, 0x61, 0x2e, 0x62, 0, 0, 1, 0, 1] },
    reason: 'name-byte',
  },
  {
    title: 'a question without type',
    parts: { question: name('www.example.com') },
    reason: 'record-past-end',
  },
  {
    title: 'an owner with a dot in a label',
    parts: { answers: [AN_A, record([3, 0x61, 0x2e, 0x62, 0], A, V4)] },
    reason: 'name-byte',
  },
  {
    title: 'an owner with a NUL in a label',
    parts: { answers: [AN_A, record([3, 0x61, 0, 0x62, 0], A, V4)] },
    reason: 'name-byte',
  },
  {
    title: 'an owner with a pointer loop',
    parts: { answers: [record(LOOP, A, V4)] },
    reason: 'name-pointer',
  },
  {
    title: 'an owner with a forward pointer',
    parts: { answers: [record(pointer(RECORDS_AT + 10), A, V4)] },
    reason: 'name-pointer',
  },
  {
    title: 'an owner with a pointer to the header',
    parts: { answers: [record(pointer(11), A, V4)] },
    reason: 'name-pointer',
  },
  {
    title: 'an owner with a label of 64',
    parts: { answers: [record([64, ...new Array<number>(64).fill(0x61), 0], A, V4)] },
    reason: 'name-label',
  },
  {
    title: 'a malformed owner in the additional section',
    parts: { answers: [AN_A], additionals: [record(pointer(0), TXT, [])] },
    reason: 'name-pointer',
  },
  ...[0, 3, 5, 16].map((bytes) => ({
    title: `an A of ${bytes} bytes`,
    parts: { answers: [AN_A, record(QUERIED, A, new Array<number>(bytes).fill(1))] },
    reason: 'rdata-length' as const,
  })),
  ...[0, 4, 15, 17].map((bytes) => ({
    title: `an AAAA of ${bytes} bytes`,
    parts: { answers: [AN_A, record(QUERIED, AAAA, new Array<number>(bytes).fill(1))] },
    reason: 'rdata-length' as const,
  })),
  {
    title: "another owner's A of 3 bytes",
    parts: { answers: [AN_A, record(name('b.test'), A, [1, 2, 3])] },
    reason: 'rdata-length',
  },
  {
    title: 'an A of 3 bytes in the additional section',
    parts: { answers: [AN_A], additionals: [record(QUERIED, A, [1, 2, 3])] },
    reason: 'rdata-length',
  },
  {
    title: 'a CNAME with bytes behind its target',
    parts: { answers: [alias(QUERIED, [...name('cdn.test'), 0]), AN_A] },
    reason: 'cname-target',
  },
  {
    title: 'a CNAME that ends within its target',
    parts: { answers: [record(QUERIED, CNAME, name('cdn.test'), { rdataBytes: 4 })], trailing: [] },
    reason: 'cname-target',
  },
  {
    title: 'a CNAME whose target is none',
    parts: { answers: [alias(QUERIED, [0xff, 0xff])] },
    reason: 'name-pointer',
  },
  {
    title: 'a CNAME without rdata at the end',
    parts: { answers: [alias(QUERIED, [])] },
    reason: 'name-past-end',
  },
  { title: 'a CNAME to itself', parts: { answers: [alias(QUERIED, QUERIED), AN_A] }, reason: 'cname-loop' },
  {
    title: 'a CNAME to itself in another case',
    parts: { answers: [alias(QUERIED, name('WWW.example.com')), AN_A] },
    reason: 'cname-loop',
  },
  {
    title: 'a CNAME back to the question',
    parts: { answers: [alias(QUERIED, name('b')), alias(name('b'), QUERIED), AN_A] },
    reason: 'cname-loop',
  },
  {
    title: 'a CNAME back into the chain',
    parts: { answers: [...links(3), alias(name('n3'), name('n2'))] },
    reason: 'cname-loop',
  },
  {
    title: 'a chain of 17 names',
    parts: { answers: [...links(16), record(name('n16'), A, V4)] },
    reason: 'chain-length',
  },
  {
    title: 'one answer less than counted',
    parts: { answers: [AN_A], countErrors: [1, 0, 0] },
    reason: 'name-past-end',
  },
  {
    title: 'one answer more than counted',
    parts: { answers: [AN_A, AN_A], countErrors: [-1, 0, 0] },
    reason: 'trailing-bytes',
  },
  {
    title: 'one authority less than counted',
    parts: { answers: [AN_A], countErrors: [0, 1, 0] },
    reason: 'name-past-end',
  },
  {
    title: 'one additional more than counted',
    parts: { answers: [AN_A], additionals: [EDNS], countErrors: [0, 0, -1] },
    reason: 'trailing-bytes',
  },
  { title: 'a trailing byte', parts: { answers: [AN_A], trailing: [0] }, reason: 'trailing-bytes' },
  {
    title: 'a record cut in its header',
    parts: { answers: [AN_A], countErrors: [1, 0, 0], trailing: [...QUERIED, 0, 1, 0, 1, 0] },
    reason: 'record-past-end',
  },
  {
    title: 'rdata past the end',
    parts: { answers: [record(QUERIED, TXT, [1, 2], { rdataBytes: 3 })] },
    reason: 'record-past-end',
  },
];

for (const { title, parts, reason } of refusals) {
  test(`decodeAnswer refuses ${title}`, () => {
    assert.deepEqual(decodeAnswer(message(parts)), { status: 'refused', reason });
  });
}

for (const [title, bytes] of [
  ['no bytes', new Uint8Array(0)],
  ['11 bytes', message().subarray(0, 11)],
  ['65,536 bytes', Uint8Array.from([...message(), ...new Array<number>(65_536 - RECORDS_AT).fill(0)])],
] as const) {
  test(`decodeAnswer refuses ${title} for their size`, () => {
    assert.deepEqual(decodeAnswer(bytes), { status: 'refused', reason: 'size' });
  });
}

test('decodeAnswer takes 65,535 bytes', () => {
  const padding = record([0], TXT, new Array<number>(65_535 - RECORDS_AT - AN_A.length - 11).fill(0));
  const whole = message({ answers: [AN_A], additionals: [padding] });
  assert.equal(whole.length, 65_535);
  assert.deepEqual(taught(decodeAnswer(whole)).addresses, [FROM_QUESTION]);
});

test('decodeAnswer learns 400 addresses', () => {
  const answers = Array.from({ length: 400 }, (_, index) =>
    record(QUERIED, A, [198, 18, index >> 8, index & 0xff]),
  );
  assert.equal(taught(decodeAnswer(message({ answers }))).addresses.length, 400);
});

test('decodeAnswer refuses every message that was cut short', () => {
  const whole = message({
    answers: [alias(QUERIED, name('cdn.test')), record(name('cdn.test'), A, V4)],
    additionals: [EDNS],
  });
  const statuses = Array.from(
    { length: whole.length },
    (_, bytes) => decodeAnswer(whole.subarray(0, bytes)).status,
  );
  assert.deepEqual(new Set(statuses), new Set(['refused']));
  assert.equal(decodeAnswer(whole).status, 'learned');
});

test('decodeAnswer keeps nothing of the message', () => {
  const bytes = message({ answers: [AN_A, record(QUERIED, AAAA, V6)] });
  const answer = decodeAnswer(bytes);
  bytes.fill(0xee);
  assert.deepEqual(taught(answer).addresses, [FROM_QUESTION, `${V6_TEXT} 300 www.example.com`]);
});

test('decodeAnswer reads a view that does not begin at its buffer', () => {
  const bytes = message({ answers: [AN_A] });
  const around = Uint8Array.from([7, 7, 7, ...bytes, 7]);
  assert.deepEqual(decodeAnswer(around.subarray(3, 3 + bytes.length)), decodeAnswer(bytes));
});

const ASKED: Question = { id: 0x1234, name: 'www.example.com', qtype: A };

for (const [title, question, status] of [
  ['the question that was asked', ASKED, 'learned'],
  ['another id', { ...ASKED, id: 0x1235 }, 'refused'],
  ['another name', { ...ASKED, name: 'ww.example.com' }, 'refused'],
  ['another type', { ...ASKED, qtype: AAAA }, 'refused'],
] as const) {
  test(`decodeAnswer with ${title} is ${status}`, () => {
    const answer = decodeAnswer(
      message({ question: [...name('wWw.Example.com'), 0, 1, 0, 1], answers: [AN_A] }),
      question,
    );
    assert.equal(answer.status, status);
  });
}

test('decodeAnswer says question-differs before truncated and rcode', () => {
  const bytes = message({ flags: 0x8383 });
  assert.deepEqual(decodeAnswer(bytes, { ...ASKED, id: 1 }), {
    status: 'refused',
    reason: 'question-differs',
  });
  assert.deepEqual(decodeAnswer(bytes, ASKED), { status: 'refused', reason: 'truncated' });
});

test('decodeAnswer tells id, name and type of the question', () => {
  const answer = decodeAnswer(message({ id: 7, answers: [AN_A] }));
  assert.equal(answer.status, 'learned');
  assert.deepEqual([answer.id, answer.qname, answer.qtype], [7, 'www.example.com', A]);
});
