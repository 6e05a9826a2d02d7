import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from 'dns-packet';
import { encodeQuery } from '../../src/dns/encode-query.ts';
import { RecordType, recordTypeWord } from '../../src/dns/record-type.ts';
import { UsageError } from '../../src/errors.ts';

test('encodeQuery gives header and question', () => {
  const expected = '12340100000100000000000003777777076578616d706c6503636f6d0000010001';
  assert.equal(Buffer.from(encodeQuery(0x1234, 'WWW.Example.com.', RecordType.a)).toString('hex'), expected);
});

test('encodeQuery adds an OPT record for EDNS', () => {
  const plain = Buffer.from(encodeQuery(1, 'a.test', RecordType.aaaa));
  const edns = Buffer.from(encodeQuery(1, 'a.test', RecordType.aaaa, { edns: 1232 }));
  assert.equal(edns.subarray(plain.length).toString('hex'), '00002904d0000000000000');
  assert.equal(edns.readUInt16BE(10), 1);
  assert.deepEqual(edns.subarray(12, plain.length), plain.subarray(12));
});

test('encodeQuery asks what dns-packet reads', () => {
  const query = decode(
    Buffer.from(encodeQuery(0xffff, '_a.www.example.com', RecordType.aaaa, { edns: 4096 })),
  );
  assert.equal(query.id, 0xffff);
  assert.equal(query.type, 'query');
  assert.equal(query.flag_rd, true);
  assert.deepEqual(query.questions, [{ name: '_a.www.example.com', type: 'AAAA', class: 'IN' }]);
  assert.equal(query.additionals?.[0]?.type, 'OPT');
});

test('encodeQuery asks for the root', () => {
  assert.deepEqual(encodeQuery(0, '.', RecordType.ns).subarray(12), Uint8Array.of(0, 0, 2, 0, 1));
});

test('encodeQuery refuses a malformed name', () => {
  assert.throws(() => encodeQuery(0, 'a..b', RecordType.a), UsageError);
});

for (const [rtype, word] of [
  [1, 'a'],
  [28, 'aaaa'],
  [65, 'https'],
  [0, 'type0'],
  [65_280, 'type65280'],
] as const) {
  test(`recordTypeWord of ${rtype} is ${word}`, () => {
    assert.equal(recordTypeWord(rtype), word);
  });
}
