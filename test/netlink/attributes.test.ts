import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeAddress,
  decodeAttributes,
  decodeText,
  encodeAttribute,
  encodeText,
} from '../../src/netlink/attributes.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('decodeAttributes reads attributes that are padded to four bytes', () => {
  const attributes = decodeAttributes(hex('0500 0300 61 000000  0800 0a00 07000000'));
  assert.deepEqual(attributes.get(3), hex('61'));
  assert.deepEqual(attributes.get(10), hex('07000000'));
});

test('decodeAttributes leaves the nested and byte-order bits out of the type', () => {
  assert.deepEqual([...decodeAttributes(hex('0400 1280')).keys()], [0x12]);
  assert.deepEqual([...decodeAttributes(hex('0400 1240')).keys()], [0x12]);
});

test('decodeAttributes of nothing is empty', () => {
  assert.equal(decodeAttributes(Buffer.alloc(0)).size, 0);
});

for (const [name, bytes] of [
  ['a length past the end', '0900 0300 61000000'],
  ['a length shorter than its header', '0300 0300'],
] as const) {
  test(`decodeAttributes refuses ${name}`, () => {
    assert.throws(() => decodeAttributes(hex(bytes)), RangeError);
  });
}

test('decodeText ends at the NUL', () => {
  assert.equal(decodeText(Buffer.from('eth0\0')), 'eth0');
  assert.equal(decodeText(Buffer.from('eth0')), 'eth0');
});

test('decodeAddress maps IPv4 and keeps IPv6', () => {
  assert.deepEqual(decodeAddress(hex('c0000201')), hex('00000000000000000000ffffc0000201'));
  assert.deepEqual(decodeAddress(hex(`20010db8${'00'.repeat(12)}`)), hex(`20010db8${'00'.repeat(12)}`));
  assert.throws(() => decodeAddress(hex('c00002')), /3 bytes/);
});

test('encodeAttribute pads to four bytes, which the length leaves out', () => {
  assert.deepEqual(encodeAttribute(3, hex('61')), hex('0500 0300 61000000'));
  assert.deepEqual(encodeAttribute(3, hex('61626364')), hex('0800 0300 61626364'));
  assert.deepEqual(encodeAttribute(3, Buffer.alloc(0)), hex('0400 0300'));
});

test('encodeAttribute refuses what the length can not tell', () => {
  assert.equal(encodeAttribute(3, Buffer.alloc(0xffff - 4)).length, 0x10000);
  assert.throws(() => encodeAttribute(3, Buffer.alloc(0xffff - 3)), RangeError);
});

test('encodeText ends with a NUL', () => {
  assert.deepEqual(encodeText(1, 'htb'), hex('0800 0100 68746200'));
});
