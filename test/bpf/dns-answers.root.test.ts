import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { type MessageParts, name, pointer, RECORDS_AT, record, u16 } from '../dns/raw-message.ts';
import {
  A,
  AAAA,
  answer,
  answerA,
  aRecord,
  ask,
  CNAME,
  HTTPS,
  hear,
  QNAME,
  QUERIED,
  RESOLVER4,
} from './dns-exchange.ts';
import { useHarness } from './harness.ts';

const POLICY = { rules: { 1: { cn: '.example.com' } } };
const datapath = await useHarness('query', 'learn');

beforeEach(async () => {
  await datapath.ensure(POLICY);
  datapath.trust([RESOLVER4, 53]);
});

const NS = 2;
const SOA = 6;
const OPT = 41;
const RRSIG = 46;
const SVCB = 64;
const ONE = '198.51.100.1';
const TWO = '198.51.100.2';
const SIX = '2001:db8::6';
const one = aRecord(ONE);
const two = aRecord(TWO);
const cdn = name('cdn.test');
const toCdn = record(QUERIED, CNAME, cdn);
const ofCdn = (address = ONE) => aRecord(address, { owner: cdn });
const AAAA_6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6];
const edns = record([0], OPT, [], { rclass: 1232, ttl: 0x8000 });
const servfail = 0x8182;
/** A name of 255 wire bytes, the longest that is legal; and one of 256. */
const longest = [
  ...Array.from({ length: 3 }, () => [63, ...Array(63).fill(97)]).flat(),
  61,
  ...Array(61).fill(98),
  0,
];
const tooLong = [
  ...Array.from({ length: 3 }, () => [63, ...Array(63).fill(97)]).flat(),
  62,
  ...Array(62).fill(98),
  0,
];
const NEXT = RECORDS_AT;

/** An answer to the query, what it teaches, and how it is counted. */
type Row = readonly [what: string, parts: MessageParts, taught: readonly string[], counter?: string];

const ROWS: readonly Row[] = [
  ['an A', { answers: [one] }, [ONE]],
  ['an AAAA', { answers: [record(QUERIED, AAAA, AAAA_6)] }, [SIX]],
  ['A and AAAA', { answers: [one, two, record(QUERIED, AAAA, AAAA_6)] }, [ONE, TWO, SIX]],
  ['no record', {}, []],
  ['the owner in full', { answers: [aRecord(ONE, { owner: name(QNAME) })] }, [ONE]],
  ['the owner in another case', { answers: [aRecord(ONE, { owner: name('WWW.Example.COM') })] }, [ONE]],
  [
    'the owner half in full',
    { answers: [aRecord(ONE, { owner: [...name('www').slice(0, -1), ...pointer(16)] })] },
    [ONE],
  ],
  [
    'an owner that is a pointer to a pointer',
    { answers: [one, aRecord(TWO, { owner: pointer(NEXT) })] },
    [ONE, TWO],
  ],
  [
    'authority, additional and EDNS beside it',
    { answers: [one], authorities: [record(QUERIED, NS, cdn)], additionals: [edns] },
    [ONE],
  ],
  ['a signature beside it', { answers: [one, record(QUERIED, RRSIG, Array(40).fill(1))] }, [ONE]],
  ['by way of a CNAME', { answers: [toCdn, ofCdn()] }, [ONE]],
  [
    'by way of a CNAME whose owner is compressed',
    { answers: [toCdn, aRecord(ONE, { owner: pointer(NEXT + 12) })] },
    [ONE],
  ],
  [
    'by way of three CNAMEs',
    {
      answers: [
        record(QUERIED, CNAME, name('a.test')),
        record(name('a.test'), CNAME, name('b.test')),
        record(name('b.test'), CNAME, cdn),
        ofCdn(),
      ],
    },
    [ONE],
  ],
  [
    'by way of the longest name',
    { answers: [record(QUERIED, CNAME, longest), aRecord(ONE, { owner: longest })] },
    [ONE],
  ],
  ['the root as target', { answers: [record(QUERIED, CNAME, [0]), aRecord(ONE, { owner: [0] })] }, [ONE]],

  ['another owner', { answers: [aRecord(TWO, { owner: name('evil.test') }), one] }, [ONE]],
  ['a longer owner', { answers: [aRecord(TWO, { owner: name(`a.${QNAME}`) }), one] }, [ONE]],
  ['a shorter owner', { answers: [aRecord(TWO, { owner: pointer(16) }), one] }, [ONE]],
  ['A in authority', { answers: [one], authorities: [two] }, [ONE]],
  ['A in additional', { answers: [one], additionals: [two] }, [ONE]],
  ['CNAME in authority', { authorities: [toCdn], additionals: [ofCdn(TWO)] }, []],
  ['A before its CNAME', { answers: [ofCdn(TWO), toCdn, ofCdn()] }, [ONE]],
  ['A of the name behind its CNAME', { answers: [toCdn, two, ofCdn()] }, [ONE]],
  ['CNAME of another name', { answers: [record(name('x.test'), CNAME, cdn), ofCdn(TWO), one] }, [ONE]],
  ['CNAME of class CHAOS', { answers: [record(QUERIED, CNAME, cdn, { rclass: 3 }), ofCdn(TWO)] }, []],
  ['A of class CHAOS', { answers: [record(QUERIED, A, [198, 51, 100, 2], { rclass: 3 }), one] }, [ONE]],
  ['A of class ANY', { answers: [record(QUERIED, A, [198, 51, 100, 2], { rclass: 255 }), one] }, [ONE]],
  ['SOA', { answers: [record(QUERIED, SOA, Array(30).fill(0)), one] }, [ONE]],

  ['a CNAME to itself', { answers: [record(QUERIED, CNAME, QUERIED), two] }, [], 'malformed'],
  ['CNAMEs in a ring', { answers: [toCdn, record(cdn, CNAME, QUERIED), two] }, [], 'malformed'],
  ['a chain of 16 names', { answers: [...chain(15), aRecord(ONE, { owner: name('n15.test') })] }, [ONE]],
  [
    'a chain of 17 names',
    { answers: [...chain(16), aRecord(TWO, { owner: name('n16.test') })] },
    [],
    'malformed',
  ],
  ['a pointer to itself', { answers: [aRecord(TWO, { owner: pointer(NEXT) })] }, [], 'malformed'],
  ['a forward pointer', { answers: [aRecord(TWO, { owner: pointer(NEXT + 16) }), one] }, [], 'malformed'],
  ['a pointer into the header', { answers: [aRecord(TWO, { owner: pointer(4) })] }, [], 'malformed'],
  ['a pointer to byte 11', { answers: [aRecord(TWO, { owner: pointer(11) })] }, [], 'malformed'],
  ['pointers in a ring', { answers: [aRecord(TWO, { owner: [1, 97, ...pointer(NEXT)] })] }, [], 'malformed'],
  ['a pointer past the end', { answers: [aRecord(TWO, { owner: pointer(0x3fff) })] }, [], 'malformed'],
  [
    'half a pointer at the end',
    { answers: [one], trailing: [0xc0], countErrors: [1, 0, 0] },
    [],
    'malformed',
  ],
  ['a label of type 01', { answers: [aRecord(TWO, { owner: [0x41, 97, 0] })] }, [], 'malformed'],
  ['a label of type 10', { answers: [aRecord(TWO, { owner: [0x81, 97, 0] })] }, [], 'malformed'],
  ['a label of 64', { answers: [aRecord(TWO, { owner: [64, ...Array(64).fill(97), 0] })] }, [], 'malformed'],
  ['a dot in a label', { answers: [record(QUERIED, CNAME, [3, 97, 46, 98, 0]), one] }, [], 'malformed'],
  ['a NUL in a label', { answers: [record(QUERIED, CNAME, [3, 97, 0, 98, 0]), one] }, [], 'malformed'],
  [
    'a name of 256 bytes',
    { answers: [record(QUERIED, CNAME, tooLong), aRecord(TWO, { owner: tooLong })] },
    [],
    'malformed',
  ],
  [
    'a CNAME that ends before its rdata',
    { answers: [record(QUERIED, CNAME, [...cdn, 0]), ofCdn(TWO)] },
    [],
    'malformed',
  ],
  [
    'a CNAME that ends behind its rdata',
    { answers: [record(QUERIED, CNAME, cdn, { rdataBytes: 9 }), ofCdn(TWO)] },
    [],
    'malformed',
  ],
  ['a CNAME without rdata', { answers: [record(QUERIED, CNAME, []), two] }, [], 'malformed'],
  ['an A of 3 bytes', { answers: [one, record(QUERIED, A, [198, 51, 100])] }, [], 'malformed'],
  ['an A of 5 bytes', { answers: [one, record(QUERIED, A, [198, 51, 100, 2, 0])] }, [], 'malformed'],
  ['an A of 16 bytes', { answers: [one, record(QUERIED, A, AAAA_6)] }, [], 'malformed'],
  ['an AAAA of 4 bytes', { answers: [one, record(QUERIED, AAAA, [198, 51, 100, 2])] }, [], 'malformed'],
  [
    'an A of 5 bytes in additional',
    { answers: [one], additionals: [record(QUERIED, A, [1, 2, 3, 4, 5])] },
    [],
    'malformed',
  ],
  ['rdata past the end', { answers: [one, record(QUERIED, 16, [1], { rdataBytes: 2 })] }, [], 'malformed'],
  ['one record fewer than counted', { answers: [one], countErrors: [1, 0, 0] }, [], 'malformed'],
  ['one authority fewer than counted', { answers: [one], countErrors: [0, 1, 0] }, [], 'malformed'],
  ['65,535 additionals counted', { answers: [one], countErrors: [0, 0, 65_535] }, [], 'malformed'],
  ['one record more than counted', { answers: [one, two], countErrors: [-1, 0, 0] }, [], 'malformed'],
  ['a trailing byte', { answers: [one], trailing: [0] }, [], 'malformed'],
  ['a record cut off', { answers: [one, two.slice(0, -1)] }, [], 'malformed'],
  ['a record header cut off', { answers: [one, two.slice(0, 8)] }, [], 'malformed'],

  ['QR=0', { flags: 0x0180, answers: [one] }, [], 'malformed'],
  ['opcode 1', { flags: 0x8980, answers: [one] }, [], 'malformed'],
  ['opcode 5', { flags: 0xa980, answers: [one] }, [], 'malformed'],
  [
    'no question',
    { questions: 0, question: [], answers: [aRecord(ONE, { owner: name(QNAME) })] },
    [],
    'malformed',
  ],
  ['two questions', { questions: 2, answers: [one] }, [], 'malformed'],
  ['class CHAOS asked', { question: [...name(QNAME), 0, A, 0, 3], answers: [one] }, [], 'question'],
  [
    'a dot in the question',
    { question: [11, ...ascii('www.example'), 3, ...ascii('com'), 0, 0, A, 0, 1], answers: [one] },
    [],
    'question',
  ],
  ['rcode SERVFAIL', { flags: servfail, answers: [one] }, [], 'rcode'],
  ['rcode NXDOMAIN', { flags: 0x8183, answers: [one] }, [], 'rcode'],
  ['rcode 15', { flags: 0x818f, answers: [one] }, [], 'rcode'],
  ['AA, AD and CD', { flags: 0x85b0, answers: [one] }, [ONE]],
];

for (const [what, parts, taught, counter] of ROWS) {
  test(`an answer with ${what} teaches ${taught.join(', ') || 'nothing'}`, () => {
    ask(datapath);
    hear(datapath, answer(parts));
    assert.deepEqual(
      [ONE, TWO, SIX].filter((address) => datapath.leases(address).length > 0),
      taught,
    );
    assert.equal(datapath.learnedCount(), taught.length);
    const { queries, learned, ...faults } = datapath.counters();
    assert.deepEqual(faults, counter === undefined ? {} : { [counter]: 1 });
  });
}

const hint = [0, 1, 0, 0, 4, 0, 4, 198, 51, 100, 2];
const EVENTS: readonly (readonly [
  what: string,
  parts: MessageParts,
  unparsed: string,
  taught: readonly string[],
])[] = [
  ['TC=1', { flags: 0x8380, answers: [one] }, 'truncated', []],
  ['HTTPS hints', { answers: [record(QUERIED, HTTPS, hint)] }, 'hints', []],
  ['SVCB hints beside an A', { answers: [record(QUERIED, SVCB, hint), one] }, 'hints', [ONE]],
  [
    'more names than the parser takes steps',
    { answers: Array.from({ length: 20 }, (_, at) => record(at ? pointer(NEXT) : longest, 16, [])) },
    'steps',
    [],
  ],
];
for (const [what, parts, unparsed, taught] of EVENTS) {
  test(`an answer with ${what} is told as ${unparsed}, and teaches ${taught.join(', ') || 'nothing'}`, () => {
    ask(datapath);
    hear(datapath, answer(parts));
    assert.deepEqual(
      datapath
        .dnsEvents()
        .filter((event) => event.reason === 'dns-unparsed')
        .map((event) => [event.unparsed, event.qname]),
      [[unparsed, QNAME]],
    );
    assert.deepEqual(
      [ONE, TWO].filter((address) => datapath.leases(address).length > 0),
      taught,
    );
  });
}

test('150 addresses are learned, and told sixteen at a time', () => {
  ask(datapath);
  hear(datapath, answerA(...Array.from({ length: 150 }, (_, index) => `198.51.100.${index}`)));
  const told = datapath.dnsEvents().map(({ addresses }) => addresses.length);
  assert.deepEqual([datapath.learnedCount(), told], [150, [...Array(9).fill(16), 6]]);
});

test('an answer of 12 bytes and one of 11 teach nothing', () => {
  for (const bytes of [12, 11, 0]) {
    ask(datapath);
    hear(datapath, answerA(ONE).slice(0, bytes));
  }
  assert.equal(datapath.learnedCount(), 0);
});

test('the answer to a name of 63-byte labels teaches', () => {
  const exchange = {
    qname: `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(49)}.example.com`,
  };
  ask(datapath, exchange);
  hear(datapath, answer({ answers: [one] }, exchange));
  assert.deepEqual([datapath.leases(ONE).length, u16(exchange.qname.length)], [1, [0, 253]]);
});

/** CNAMEs from the question to n1.test and on to n{hops}.test. */
function chain(hops: number): number[][] {
  return Array.from({ length: hops }, (_, hop) =>
    record(hop === 0 ? QUERIED : name(`n${hop}.test`), CNAME, name(`n${hop + 1}.test`)),
  );
}

function ascii(text: string): number[] {
  return [...Buffer.from(text)];
}
