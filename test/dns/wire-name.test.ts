import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeName, encodeName, type NameFault, readName } from '../../src/dns/wire-name.ts';
import { UsageError } from '../../src/errors.ts';
import { name, pointer } from './raw-message.ts';

const HEADER = new Array<number>(12).fill(0);
const LABEL_63 = 'a'.repeat(63);
/** 255 wire bytes: the longest name. */
const LONGEST = [LABEL_63, LABEL_63, LABEL_63, 'a'.repeat(61)].join('.');

interface Reading {
  readonly title: string;
  /** What follows the 12 bytes of a header. */
  readonly bytes: readonly number[];
  readonly offset?: number;
  readonly name: string;
  readonly end: number;
  readonly wireBytes: number;
}

const readings: readonly Reading[] = [
  { title: 'plain', bytes: name('www.example.com'), name: 'www.example.com', end: 29, wireBytes: 17 },
  { title: 'mixed case', bytes: name('wWw.ExAmple.COM'), name: 'www.example.com', end: 29, wireBytes: 17 },
  { title: 'the root', bytes: [0], name: '.', end: 13, wireBytes: 1 },
  { title: 'one label', bytes: name('com'), name: 'com', end: 17, wireBytes: 5 },
  { title: 'a label of 63', bytes: name(LABEL_63), name: LABEL_63, end: 77, wireBytes: 65 },
  { title: '255 bytes', bytes: name(LONGEST), name: LONGEST, end: 267, wireBytes: 255 },
  {
    title: 'underscore and hyphen',
    bytes: name('_dns._udp.a-b'),
    name: '_dns._udp.a-b',
    end: 27,
    wireBytes: 15,
  },
  {
    title: 'punycode',
    bytes: name('XN--bcher-kva.example'),
    name: 'xn--bcher-kva.example',
    end: 35,
    wireBytes: 23,
  },
  { title: 'a space', bytes: name('a b'), name: 'a\\032b', end: 17, wireBytes: 5 },
  { title: 'a backslash', bytes: name('a\\b'), name: 'a\\092b', end: 17, wireBytes: 5 },
  { title: 'an escape sequence', bytes: name('\x1b[2J'), name: '\\027[2j', end: 18, wireBytes: 6 },
  { title: 'a line break', bytes: name('a\n'), name: 'a\\010', end: 16, wireBytes: 4 },
  { title: 'delete', bytes: name('\x7f'), name: '\\127', end: 15, wireBytes: 3 },
  {
    title: 'bytes over 127, case kept',
    bytes: name('\xc4\xe4\xff'),
    name: '\\196\\228\\255',
    end: 17,
    wireBytes: 5,
  },
  { title: 'neighbours of the letters', bytes: name('@[`{'), name: '@[`{', end: 18, wireBytes: 6 },
  {
    title: 'a pointer after labels',
    bytes: [...name('example.com'), 3, 0x66, 0x74, 0x70, ...pointer(12)],
    offset: 25,
    name: 'ftp.example.com',
    end: 31,
    wireBytes: 17,
  },
  {
    title: 'a bare pointer',
    bytes: [...name('a.b'), ...pointer(12)],
    offset: 17,
    name: 'a.b',
    end: 19,
    wireBytes: 5,
  },
  {
    title: 'a pointer into a name',
    bytes: [...name('a.b'), ...pointer(14)],
    offset: 17,
    name: 'b',
    end: 19,
    wireBytes: 3,
  },
  {
    title: 'pointers to pointers',
    bytes: [...name('a'), ...pointer(12), ...pointer(15), ...pointer(17)],
    offset: 19,
    name: 'a',
    end: 21,
    wireBytes: 3,
  },
  {
    title: 'a pointer to a root',
    bytes: [0, 1, 0x61, ...pointer(12)],
    offset: 13,
    name: 'a',
    end: 17,
    wireBytes: 3,
  },
];

for (const { title, bytes, offset = 12, ...expected } of readings) {
  test(`readName takes ${title}`, () => {
    assert.deepEqual(readName(Uint8Array.from([...HEADER, ...bytes]), offset), {
      status: 'read',
      ...expected,
    });
  });
}

interface Fault {
  readonly title: string;
  readonly bytes: readonly number[];
  readonly offset?: number;
  readonly reason: NameFault;
}

const faults: readonly Fault[] = [
  { title: 'nothing at all', bytes: [], reason: 'name-past-end' },
  { title: 'an offset past the end', bytes: name('a'), offset: 99, reason: 'name-past-end' },
  { title: 'no root', bytes: [1, 0x61], reason: 'name-past-end' },
  { title: 'a label past the end', bytes: [5, 0x61, 0x62], reason: 'name-past-end' },
  { title: 'half a pointer', bytes: [1, 0x61, 0xc0], reason: 'name-past-end' },
  { title: 'a label of 64', bytes: [64, ...new Array<number>(64).fill(0x61), 0], reason: 'name-label' },
  { title: 'label type 01', bytes: [0x41, 0x61, 0], reason: 'name-label' },
  { title: 'label type 10', bytes: [0x80, 0x61, 0], reason: 'name-label' },
  { title: '256 bytes', bytes: name(`${LONGEST}a`), reason: 'name-length' },
  { title: 'one label too many', bytes: name(`${LONGEST}.a`), reason: 'name-length' },
  {
    title: '256 bytes by way of a pointer',
    bytes: [...name(LONGEST.slice(2)), 2, 0x61, 0x61, ...pointer(12)],
    offset: 265,
    reason: 'name-length',
  },
  {
    title: 'a dot in a label',
    bytes: [8, ...name('x.gitlab').slice(1, 2), 0x2e, 0x67, 0x69, 0x74, 0x6c, 0x61, 0x62, ...name('com')],
    reason: 'name-byte',
  },
  { title: 'a label that is a dot', bytes: [1, 0x2e, 0], reason: 'name-byte' },
  { title: 'a NUL in a label', bytes: [3, 0x61, 0, 0x62, 0], reason: 'name-byte' },
  { title: 'a pointer to itself', bytes: pointer(12), reason: 'name-pointer' },
  {
    title: 'a pointer to the start of its own segment',
    bytes: [1, 0x61, ...pointer(12)],
    reason: 'name-pointer',
  },
  { title: 'a forward pointer', bytes: [...pointer(14), ...name('a')], reason: 'name-pointer' },
  {
    title: 'two pointers to each other',
    bytes: [...pointer(14), ...pointer(12)],
    offset: 14,
    reason: 'name-pointer',
  },
  {
    title: 'a pointer to the first byte',
    bytes: [...name('a'), ...pointer(0)],
    offset: 15,
    reason: 'name-pointer',
  },
  {
    title: 'a pointer to the last byte of the header',
    bytes: [...name('a'), ...pointer(11)],
    offset: 15,
    reason: 'name-pointer',
  },
  {
    title: 'a second jump that goes forward again',
    bytes: [1, 0x61, ...pointer(16), 1, 0x62, ...pointer(12)],
    offset: 16,
    reason: 'name-pointer',
  },
  { title: 'a pointer past the end', bytes: [0xff, 0xff], reason: 'name-pointer' },
];

for (const { title, bytes, offset = 12, reason } of faults) {
  test(`readName refuses ${title}`, () => {
    assert.deepEqual(readName(Uint8Array.from([...HEADER, ...bytes]), offset), { status: 'refused', reason });
  });
}

test('readName reads a view that does not begin at its buffer', () => {
  const whole = Uint8Array.from([9, 9, 9, ...HEADER, ...name('a.b'), ...pointer(12), 9]);
  const reading = readName(whole.subarray(3, whole.length - 1), 17);
  assert.deepEqual(reading, { status: 'read', name: 'a.b', end: 19, wireBytes: 5 });
});

test('readName ends within the limit of a name where every byte is a pointer', () => {
  const bytes = new Uint8Array(65_535).fill(0xc0);
  assert.deepEqual(readName(bytes, 60_000), { status: 'refused', reason: 'name-pointer' });
});

for (const text of [
  '.',
  'a',
  'www.example.com',
  '_a.b-c',
  LONGEST,
  'a\\032b',
  '\\255',
  '\\092',
  'a\\001.b',
]) {
  test(`encodeName and decodeName agree on ${text}`, () => {
    assert.equal(decodeName(encodeName(text)), text);
  });
}

for (const [text, expected] of [
  ['Www.Example.COM', 'www.example.com'],
  ['www.example.com.', 'www.example.com'],
  ['\\065\\097', 'aa'],
] as const) {
  test(`encodeName takes ${text} for ${expected}`, () => {
    assert.deepEqual(encodeName(text), encodeName(expected));
    assert.equal(decodeName(encodeName(text)), expected);
  });
}

test('encodeName gives length, label and root', () => {
  assert.deepEqual(encodeName('ab.c'), Uint8Array.of(2, 0x61, 0x62, 1, 0x63, 0));
});

for (const [text, message] of [
  ['', /name "" has a label of 0 characters: 1 to 63 are legal/],
  ['..', /label of 0 characters/],
  ['a..b', /name "a\.\.b" has a label of 0 characters/],
  ['.a', /label of 0 characters/],
  ['a'.repeat(64), /label of 64 characters/],
  [`${LONGEST}a`, /is too long: at most 253 characters are legal/],
  ['a b', /" " in a label/],
  ['a\0b', /"\\u0000" in a label/],
  ['a\n', /"\\n" in a label/],
  ['a\\b', /in a label: printable ASCII but/],
  ['a\\046b', /no dot/],
  ['a\\000b', /in a label/],
  ['a\\256', /in a label/],
  ['bücher', /"ü" in a label/],
  // Their lower-case forms begin with ASCII letters.
  ['\u212a', /in a label/],
  ['\u0130', /in a label/],
  ['😀', /"😀" in a label/],
] as const) {
  test(`encodeName refuses ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => encodeName(text),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  });
}

for (const [title, wire] of [
  ['no bytes', []],
  ['a name without root', [1, 0x61]],
  ['bytes behind the root', [1, 0x61, 0, 0]],
  ['a dot in a label', [1, 0x2e, 0]],
  ['a name with a pointer', [...name('aaaaaaaaaaaa'), ...pointer(12)]],
  ['a name that ends in a pointer', [13, ...new Array<number>(13).fill(0x61), ...pointer(13)]],
] as const) {
  test(`decodeName is undefined for ${title}`, () => {
    assert.equal(decodeName(Uint8Array.from(wire)), undefined);
  });
}
