import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLink, decodeLinkEvents } from '../../src/netlink/links.ts';
import { decodeMessages } from '../../src/netlink/message.ts';

const AF_BRIDGE = 7;

/** struct nlmsghdr, struct ifinfomsg, IFLA_IFNAME "eth7", IFLA_MASTER 3, IFLA_MTU 1400. */
function linkMessage(messageType: number, family = 0): Buffer {
  const message = Buffer.alloc(60);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(messageType, 4);
  message.writeUInt8(family, 16);
  message.writeUInt16LE(1, 18);
  message.writeInt32LE(9, 20);
  message.writeUInt32LE(1, 24);
  message.writeUInt16LE(9, 32);
  message.writeUInt16LE(3, 34);
  message.write('eth7\0', 36);
  message.writeUInt16LE(8, 44);
  message.writeUInt16LE(10, 46);
  message.writeUInt32LE(3, 48);
  message.writeUInt16LE(8, 52);
  message.writeUInt16LE(4, 54);
  message.writeUInt32LE(1400, 56);
  return message;
}

const LINK = { ifindex: 9, name: 'eth7', kind: undefined, arphrd: 1, up: true, masterIfindex: 3, mtu: 1400 };

test('decodeLink reads fields and attributes', () => {
  assert.deepEqual(decodeLink(linkMessage(16).subarray(16)), LINK);
});

for (const [messageType, kind] of [
  [16, 'new'],
  [17, 'deleted'],
] as const) {
  test(`decodeLinkEvents reads message ${messageType} as ${kind}`, () => {
    assert.deepEqual(decodeLinkEvents(linkMessage(messageType)), [{ kind, link: LINK }]);
  });
}

test('decodeLinkEvents leaves out a port that left its bridge, and messages of other types', () => {
  assert.deepEqual(decodeLinkEvents(linkMessage(17, AF_BRIDGE)), []);
  assert.deepEqual(decodeLinkEvents(linkMessage(20)), []);
});

test('decodeLinkEvents reads each message of a datagram', () => {
  const kinds = decodeLinkEvents(Buffer.concat([linkMessage(16), linkMessage(17)])).map(
    (event) => event.kind,
  );
  assert.deepEqual(kinds, ['new', 'deleted']);
});

for (const length of [59, 51, 40, 34]) {
  test(`decodeLinkEvents counts a message that is cut to ${length} bytes as lost`, () => {
    assert.deepEqual(decodeLinkEvents(linkMessage(16).subarray(0, length)), [{ kind: 'overrun' }]);
  });
}

test('decodeLinkEvents counts a message without room for its struct as lost', () => {
  const short = linkMessage(16).subarray(0, 20);
  short.writeUInt32LE(20, 0);
  assert.deepEqual(decodeLinkEvents(short), [{ kind: 'overrun' }]);
});

test('decodeMessages of nothing is empty', () => {
  assert.deepEqual(decodeMessages(Buffer.alloc(0)), []);
});

test('decodeMessages refuses a length shorter than the header', () => {
  assert.throws(() => decodeMessages(Buffer.alloc(16)), /0 bytes: 16 are left/);
});
