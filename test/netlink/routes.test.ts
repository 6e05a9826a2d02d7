import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDefaultRoute } from '../../src/netlink/routes.ts';

const AF_INET = 2;
const AF_MPLS = 28;

/** struct rtmsg, then RTA_OIF 4. */
function route(fields: {
  family?: number;
  prefixLength?: number;
  table?: number;
  routeType?: number;
}): Buffer {
  const message = Buffer.alloc(20);
  message.writeUInt8(fields.family ?? AF_INET, 0);
  message.writeUInt8(fields.prefixLength ?? 0, 1);
  message.writeUInt8(fields.table ?? 254, 4);
  message.writeUInt8(fields.routeType ?? 1, 7);
  message.writeUInt16LE(8, 12);
  message.writeUInt16LE(4, 14);
  message.writeInt32LE(9, 16);
  return message;
}

test('decodeDefaultRoute reads a default route of the main table', () => {
  assert.deepEqual(decodeDefaultRoute(route({})), [{ family: 4, ifindex: 9, metric: 0 }]);
});

for (const [name, fields] of [
  ['a route to a prefix', { prefixLength: 24 }],
  ['a route of another table', { table: 255 }],
  ['an unreachable route', { routeType: 7 }],
  ['a route of another family', { family: AF_MPLS }],
] as const) {
  test(`decodeDefaultRoute leaves out ${name}`, () => {
    assert.deepEqual(decodeDefaultRoute(route(fields)), []);
  });
}
