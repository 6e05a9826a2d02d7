import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DecodedPacket, decode, encode, type Answer as PacketRecord } from 'dns-packet';
import { type Answer, decodeAnswer, MAX_CHAIN } from '../../src/dns/decode-answer.ts';
import { generateAnswer, generateExchange, makeRng } from './synthesize.ts';

const SEED = 0x17e66;
const WELL_FORMED = 4000;
const ANY = 20_000;

/** What an answer teaches by the rules, read from what dns-packet makes of it; undefined where refused. */
function learnFromPacket(packet: DecodedPacket): string[] | undefined {
  const qname = packet.questions?.[0]?.name.toLowerCase() ?? assert.fail('no question');
  const chain = [qname];
  const addresses: string[] = [];
  for (const record of packet.answers ?? []) {
    if (record.name.toLowerCase() !== chain[chain.length - 1]) continue;
    switch (record.type) {
      case 'A':
      case 'AAAA':
        addresses.push(`${record.data} ${record.ttl}`);
        break;
      case 'CNAME': {
        const target = record.data.toLowerCase();
        if (chain.includes(target) || chain.length === MAX_CHAIN) return undefined;
        chain.push(target);
        break;
      }
      default:
        break;
    }
  }
  return addresses;
}

/** The same from our own decoder, addresses as dns-packet has them. */
function learnFromAnswer(answer: Answer): string[] | undefined {
  if (answer.status === 'refused') return undefined;
  return answer.addresses.map(({ addr, ttl }) => `${textOf(addr)} ${ttl}`);
}

/** By way of dns-packet, so that both write an IPv6 address alike. */
function textOf(addr: Uint8Array): string {
  const isIpv4 = addr[10] === 0xff && addr[11] === 0xff && addr.subarray(0, 10).every((byte) => byte === 0);
  if (isIpv4) return addr.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((addr[2 * index] ?? 0) << 8) | (addr[2 * index + 1] ?? 0)).toString(16),
  );
  const record: PacketRecord = { type: 'AAAA', name: 'x', data: groups.join(':') };
  const [parsed] = decode(encode({ type: 'response', answers: [record] })).answers ?? [];
  assert.equal(parsed?.type, 'AAAA');
  return parsed.data;
}

test(`decodeAnswer agrees with dns-packet on ${WELL_FORMED} well-formed answers, seed ${SEED}`, () => {
  const rng = makeRng(SEED);
  const seen = { learned: 0, refused: 0, addresses: 0 };
  for (let round = 0; round < WELL_FORMED; round += 1) {
    const { answer } = generateExchange(rng, { faults: false });
    const ours = learnFromAnswer(decodeAnswer(answer));
    assert.deepEqual(
      ours,
      learnFromPacket(decode(Buffer.from(answer))),
      `round ${round}: ${Buffer.from(answer).toString('hex')}`,
    );
    seen[ours ? 'learned' : 'refused'] += 1;
    seen.addresses += ours?.length ?? 0;
  }
  // Else it would prove nothing.
  assert.ok(
    seen.learned > WELL_FORMED / 2 && seen.refused > 0 && seen.addresses > WELL_FORMED,
    JSON.stringify(seen),
  );
});

test(`decodeAnswer reads what dns-packet encodes`, () => {
  const answers: PacketRecord[] = [
    { type: 'CNAME', name: 'www.example.com', ttl: 5, data: 'CDN.example.net' },
    { type: 'A', name: 'cdn.example.net', ttl: 6, data: '198.51.100.7' },
    { type: 'AAAA', name: 'cdn.example.net', ttl: 7, data: '2001:db8::7' },
    { type: 'TXT', name: 'cdn.example.net', ttl: 8, data: 'x' },
  ];
  const answer = decodeAnswer(
    encode({ type: 'response', id: 9, questions: [{ type: 'A', name: 'www.example.com' }], answers }),
  );
  assert.deepEqual(learnFromAnswer(answer), ['198.51.100.7 6', '2001:db8::7 7']);
});

test(`decodeAnswer ends without a throw on ${ANY} answers of any kind, seed ${SEED}`, () => {
  const rng = makeRng(SEED);
  const seen = new Map<string, number>();
  for (let round = 0; round < ANY; round += 1) {
    const answer = decodeAnswer(generateAnswer(rng));
    const outcome = answer.status === 'learned' ? 'learned' : answer.reason;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  const reached = [...seen.keys()].sort();
  // The kernel's parser is fuzzed with the same answers: each way through must be among them.
  assert.deepEqual(reached, [
    'chain-length',
    'cname-loop',
    'cname-target',
    'learned',
    'name-byte',
    'name-label',
    'name-length',
    'name-past-end',
    'name-pointer',
    'not-response',
    'opcode',
    'question-class',
    'question-count',
    'rcode',
    'rdata-length',
    'record-past-end',
    'size',
    'trailing-bytes',
    'truncated',
  ]);
  assert.ok((seen.get('learned') ?? 0) > ANY / 3, JSON.stringify([...seen]));
});

test('decodeAnswer ends without a throw on random bytes', () => {
  const rng = makeRng(SEED);
  const statuses = Array.from({ length: 5000 }, () => decodeAnswer(rng.bytes(rng.below(200))).status);
  assert.ok(statuses.includes('refused'));
});

test('generateExchange gives the same for the same seed', () => {
  const [one, same, other] = [makeRng(1), makeRng(1), makeRng(2)].map((rng) =>
    Array.from({ length: 20 }, () => generateExchange(rng)),
  );
  assert.deepEqual(one, same);
  assert.notDeepEqual(one, other);
});

test('generateExchange asks what dns-packet reads as one question', () => {
  const rng = makeRng(SEED);
  for (let round = 0; round < 200; round += 1) {
    const { query, answer } = generateExchange(rng, { faults: false });
    const [asked, answered] = [decode(Buffer.from(query)), decode(Buffer.from(answer))];
    assert.equal(asked.id, answered.id);
    assert.equal(asked.questions?.[0]?.name.toLowerCase(), answered.questions?.[0]?.name.toLowerCase());
    assert.equal(asked.questions?.[0]?.type, answered.questions?.[0]?.type);
  }
});
