import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeAttribute, encodeText } from '../../src/netlink/attributes.ts';
import { decodeTcObject, encodeTcPlace, ROOT } from '../../src/netlink/qdisc.ts';

const PLACE = { ifindex: 7, handle: 0x17e90000, parent: ROOT };

test('encodeTcPlace writes struct tcmsg', () => {
  assert.equal(
    encodeTcPlace(PLACE).toString('hex'),
    ['00000000', '07000000', '0000e917', 'ffffffff', '00000000'].join(''),
  );
});

test('decodeTcObject reads place, kind and options', () => {
  const payload = Buffer.concat([
    encodeTcPlace(PLACE),
    encodeText(1, 'pfifo_fast'),
    encodeAttribute(2, Buffer.from([1, 2, 3])),
  ]);
  assert.deepEqual(decodeTcObject(payload), {
    ...PLACE,
    kind: 'pfifo_fast',
    options: Buffer.from([1, 2, 3]),
  });
});

test('decodeTcObject takes one without options, as noqueue', () => {
  const payload = Buffer.concat([encodeTcPlace(PLACE), encodeText(1, 'noqueue')]);
  assert.deepEqual(decodeTcObject(payload).options, Buffer.alloc(0));
});

test('decodeTcObject refuses one that is cut', () => {
  assert.throws(() => decodeTcObject(encodeTcPlace(PLACE).subarray(0, 12)), RangeError);
});
