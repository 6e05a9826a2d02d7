import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { test } from 'node:test';
import { decodeEvent } from '../../src/datapath/event.ts';
import { ENUMS, LAYOUT } from '../../src/datapath/layout.ts';
import { encodeStruct } from '../../src/datapath/struct.ts';
import { encodeName } from '../../src/dns/wire-name.ts';
import { SystemError } from '../../src/errors.ts';
import { REASONS, VERDICTS } from '../../src/flow/reason.ts';

const CLIENT = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1);
const SERVER = Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7);
const LITTLE = endianness() === 'LE';
const { fields } = LAYOUT.event;

type HostField = Exclude<
  keyof typeof fields,
  'local' | 'remote' | 'comm' | 'local_port_be' | 'remote_port_be'
>;

/** Writes fields as the kernel does: host order, by the width that the layout gives. */
function put(record: Buffer, values: Partial<Record<HostField, number | bigint>>): Buffer {
  for (const [key, [offset, bytes]] of Object.entries(fields)) {
    const entry = Object.entries(values).find(([name]) => name === key);
    if (!entry) continue;
    const bigEndian = Buffer.from(
      BigInt(entry[1])
        .toString(16)
        .padStart(2 * bytes, '0'),
      'hex',
    );
    record.set(LITTLE ? bigEndian.reverse() : bigEndian, offset);
  }
  return record;
}

function flowRecord(values: Partial<Record<HostField, number | bigint>> = {}): Buffer {
  const record = Buffer.alloc(LAYOUT.event.size);
  record.set(CLIENT, fields.local[0]);
  record.set(SERVER, fields.remote[0]);
  record.writeUInt16BE(40_000, fields.local_port_be[0]);
  record.writeUInt16BE(443, fields.remote_port_be[0]);
  record.write('curl', fields.comm[0]);
  return put(record, {
    boot_ns: 0x1122334455667788n,
    count: 5,
    ifindex: 0x01020304,
    rule: 0xfffffffe,
    kind: ENUMS.event_kind.EVENT_FLOW,
    verdict: ENUMS.verdict.VERDICT_DENY,
    reason: ENUMS.reason.REASON_PORT,
    policy: 0x0102,
    l4_proto: 6,
    pid: 1234,
    uid: 0xfffffffe,
    ether_type: 0x86dd,
    started_ns: 0x8877665544332211n,
    cgroup_id: 0x0102030405060708n,
    exec_id: 0xfedcba98,
    window_ms: 1_500,
    ...values,
  });
}

type EndField = keyof typeof LAYOUT.end_event.fields;

/** A flow's end; 64-bit fields are given as bigint. */
function endRecord(parts: { readonly [field in EndField]?: number | bigint }): Buffer {
  const head = flowRecord({ verdict: ENUMS.verdict.VERDICT_ALLOW, reason: ENUMS.reason.REASON_ENDED });
  const tail = encodeStruct('end_event', parts).subarray(head.length);
  return Buffer.concat([head, tail]);
}

function dnsRecord(
  name: Uint8Array,
  addrs: readonly Uint8Array[],
  values: Partial<Record<HostField, number | bigint>> = {},
): Buffer {
  const nameAt = LAYOUT.dns_event.fields.name[0];
  const addrsAt = nameAt + Math.ceil(name.length / 8) * 8;
  const record = Buffer.alloc(addrsAt + 16 * addrs.length);
  record.set(flowRecord());
  record.set(name, nameAt);
  for (const [index, addr] of addrs.entries()) record.set(addr, addrsAt + 16 * index);
  return put(record, {
    kind: ENUMS.event_kind.EVENT_DNS,
    verdict: ENUMS.verdict.VERDICT_ALLOW,
    reason: ENUMS.reason.REASON_LEARNED,
    qtype: 28,
    name_length: name.length,
    n_addrs: addrs.length,
    ...values,
  });
}

const HEAD = {
  bootNs: 0x1122334455667788n,
  count: 5,
  windowMs: 1_500,
  ifindex: 0x01020304,
  ruleId: 0xfffffffe,
  policyId: 0x0102,
  verdict: 'deny',
  reason: 'port',
  l4Proto: 6,
  etherType: 0x86dd,
  local: CLIENT,
  localPort: 40_000,
  remote: SERVER,
  remotePort: 443,
  process: {
    pid: 1234,
    uid: 0xfffffffe,
    comm: 'curl',
    startedNs: 0x8877665544332211n,
    execId: 0xfedcba98,
    cgroupId: 0x0102030405060708n,
  },
} as const;
const LEARNED = { ...HEAD, verdict: 'allow', reason: 'learned' } as const;
const { process: _process, ...NO_PROCESS } = HEAD;

test('decodeEvent reads a flow event', () => {
  assert.deepEqual(decodeEvent(flowRecord()), { kind: 'flow', ...HEAD });
});

test('decodeEvent knows no process where the pid is 0', () => {
  assert.deepEqual(decodeEvent(flowRecord({ pid: 0 })), { kind: 'flow', ...NO_PROCESS });
});

for (const [l4Proto, icmpType] of [
  [1, 8],
  [1, 0],
  [58, 128],
] as const) {
  test(`decodeEvent reads type ${icmpType} of protocol ${l4Proto}`, () => {
    assert.deepEqual(decodeEvent(flowRecord({ l4_proto: l4Proto, detail: icmpType })), {
      kind: 'flow',
      ...HEAD,
      l4Proto,
      icmpType,
    });
  });
}

for (const [number, reason] of REASONS.entries()) {
  test(`decodeEvent reads reason ${reason}`, () => {
    const record = number === ENUMS.reason.REASON_ENDED ? endRecord({}) : flowRecord({ reason: number });
    assert.equal(decodeEvent(record).reason, reason);
  });
}

const CARRIED = { bytes: 2n ** 33n, packets: 7n } as const;
for (const [what, parts, traffic] of [
  ['one way', CARRIED, { bytes: 2 ** 33, packets: 7 }],
  [
    'both ways',
    { ...CARRIED, bytes_in: 9n, packets_in: 3n, has_in: 1 },
    { bytes: 2 ** 33, packets: 7, bytesIn: 9, packetsIn: 3 },
  ],
  [
    'both ways, of which nothing came',
    { ...CARRIED, has_in: 1 },
    { bytes: 2 ** 33, packets: 7, bytesIn: 0, packetsIn: 0 },
  ],
] as const) {
  test(`decodeEvent reads what a flow carried, ${what}`, () => {
    const event = decodeEvent(endRecord(parts));
    assert.equal(event.kind, 'flow');
    assert.deepEqual(event.traffic, traffic);
  });
}

test('decodeEvent refuses an end without what it carried, and another event with it', () => {
  for (const record of [
    endRecord({}).subarray(0, LAYOUT.event.size),
    Buffer.concat([flowRecord(), endRecord({}).subarray(LAYOUT.event.size)]),
  ])
    assert.throws(() => decodeEvent(record), SystemError);
});

for (const [number, verdict] of [...VERDICTS.entries()].slice(1)) {
  test(`decodeEvent reads verdict ${verdict}`, () => {
    assert.equal(decodeEvent(flowRecord({ verdict: number })).verdict, verdict);
  });
}

for (const [title, bytes, comm] of [
  ['of 15 bytes', Buffer.from('abcdefghijklmno\0'), 'abcdefghijklmno'],
  ['without NUL', Buffer.from('abcdefghijklmnop'), 'abcdefghijklmnop'],
  ['with what was there before', Buffer.from('sh\0old process\0\0'), 'sh'],
  ['that is empty', Buffer.alloc(16), ''],
  ['with a control character', Buffer.from('\x1b[2J'.padEnd(16, '\0')), '\x1b[2J'],
  ['in UTF-8', Buffer.from('größe\0\0\0\0\0\0\0\0\0'), 'größe'],
  ['that is not UTF-8', Buffer.concat([Buffer.of(0x61, 0xff), Buffer.alloc(14)]), 'a\ufffd'],
] as const) {
  test(`decodeEvent reads a comm ${title}`, () => {
    const record = flowRecord();
    record.set(bytes, fields.comm[0]);
    assert.equal(decodeEvent(record).process?.comm, comm);
  });
}

const WWW = encodeName('www.example.com');

test('decodeEvent reads a learned answer', () => {
  assert.deepEqual(decodeEvent(dnsRecord(WWW, [SERVER, CLIENT])), {
    kind: 'dns',
    ...LEARNED,
    qname: 'www.example.com',
    qtype: 28,
    rcode: 0,
    addresses: [SERVER, CLIENT],
  });
});

test('decodeEvent reads 16 addresses', () => {
  const event = decodeEvent(dnsRecord(WWW, new Array<Uint8Array>(16).fill(SERVER)));
  assert.equal(event.kind, 'dns');
  assert.equal(event.addresses.length, 16);
});

test('decodeEvent reads an event without a name', () => {
  assert.deepEqual(decodeEvent(dnsRecord(new Uint8Array(0), [], { qtype: 0, rcode: 3 })), {
    kind: 'dns',
    ...LEARNED,
    qtype: 0,
    rcode: 3,
    addresses: [],
  });
});

for (const [name, length] of Object.entries({
  'the root': '.',
  'a name of 255 bytes': `${'a'.repeat(63)}.`.repeat(3) + 'a'.repeat(61),
})) {
  test(`decodeEvent reads ${name}`, () => {
    const event = decodeEvent(dnsRecord(encodeName(length), []));
    assert.equal(event.kind, 'dns');
    assert.equal(event.qname, length);
  });
}

test('decodeEvent escapes what is not printable in a name', () => {
  const event = decodeEvent(dnsRecord(Uint8Array.of(3, 0x61, 0x1b, 0x62, 0), []));
  assert.equal(event.kind, 'dns');
  assert.equal(event.qname, 'a\\027b');
});

for (const [title, name] of [
  ['without root', WWW.subarray(0, -1)],
  ['with a dot in a label', Uint8Array.of(3, 0x61, 0x2e, 0x62, 0)],
] as const) {
  test(`decodeEvent leaves out a name ${title}`, () => {
    assert.ok(!('qname' in decodeEvent(dnsRecord(name, []))));
  });
}

for (const [detail, unparsed] of [
  [ENUMS.unparsed.UNPARSED_SPLIT, 'split'],
  [ENUMS.unparsed.UNPARSED_HINTS, 'hints'],
] as const) {
  test(`decodeEvent reads unparsed ${unparsed}`, () => {
    const event = decodeEvent(dnsRecord(WWW, [], { reason: ENUMS.reason.REASON_DNS_UNPARSED, detail }));
    assert.equal(event.kind, 'dns');
    assert.equal(event.unparsed, unparsed);
  });
}

test('decodeEvent keeps nothing of the record', () => {
  const record = dnsRecord(WWW, [SERVER]);
  const event = decodeEvent(record);
  record.fill(0xee);
  assert.deepEqual(event, {
    kind: 'dns',
    ...LEARNED,
    qname: 'www.example.com',
    qtype: 28,
    rcode: 0,
    addresses: [SERVER],
  });
});

test('decodeEvent reads views that do not begin at their buffer', () => {
  const record = flowRecord();
  const around = Uint8Array.from([1, 2, 3, ...record, 4]);
  const expected = { kind: 'flow', ...HEAD };
  assert.deepEqual(decodeEvent(around.subarray(3, 3 + record.length)), expected);
  assert.deepEqual(decodeEvent(new DataView(around.buffer, 3, record.length)), expected);
});

for (const [title, record] of [
  ['nothing', Buffer.alloc(0)],
  ['a record cut short', flowRecord().subarray(0, -1)],
  ['a record too long', Buffer.concat([flowRecord(), Buffer.alloc(8)])],
  ['kind 0', flowRecord({ kind: 0 })],
  ['kind 3', flowRecord({ kind: 3 })],
  ['verdict 0', flowRecord({ verdict: 0 })],
  ['verdict 4', flowRecord({ verdict: 4 })],
  ['an unknown reason', flowRecord({ reason: REASONS.length })],
  ['a DNS event cut before its name', flowRecord({ kind: ENUMS.event_kind.EVENT_DNS, name_length: 17 })],
  ['an address less than counted', dnsRecord(WWW, [SERVER], { n_addrs: 2 })],
  ['an address more than counted', dnsRecord(WWW, [SERVER], { n_addrs: 0 })],
  ['17 addresses', dnsRecord(WWW, new Array<Uint8Array>(17).fill(SERVER))],
  ['a name of 256 bytes', dnsRecord(WWW, [], { name_length: 256 })],
] as const) {
  test(`decodeEvent refuses ${title}`, () => {
    assert.throws(
      () => decodeEvent(record),
      (error) => error instanceof SystemError && error.code === 'EBADMSG',
    );
  });
}
