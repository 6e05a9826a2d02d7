import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePort, portText } from '../../src/policy/port.ts';
import { joinPorts, splitPorts } from '../../src/suggest/ports.ts';

const ports = (text: string) => text.split(' ').flatMap(parsePort);
const texts = (text: string, max: number) => {
  const joined = joinPorts(ports(text), max);
  return [joined.ports.map(portText).join(' '), joined.isWider];
};

describe('joinPorts', () => {
  test('leaves what is within the bound', () => {
    assert.deepEqual(texts('443/tcp 80/tcp 443/udp', 3), ['80/tcp 443/tcp 443/udp', false]);
    assert.deepEqual(texts('80/tcp 81/tcp 443/tcp', 2), ['80-81/tcp 443/tcp', false]);
  });
  test('joins the nearest of one protocol past it', () => {
    assert.deepEqual(texts('80/tcp 443/tcp 450/tcp 451/udp', 3), ['80/tcp 443-450/tcp 451/udp', true]);
    assert.deepEqual(texts('1/tcp 10/tcp 14/tcp 100/tcp', 2), ['1-14/tcp 100/tcp', true]);
  });
  test('never joins two protocols', () => {
    assert.deepEqual(texts('80/tcp 80/udp icmp:8', 1), ['icmp:8 80/tcp 80/udp', true]);
  });
});

describe('splitPorts', () => {
  test('makes sets of 16 at most', () => {
    const many = joinPorts(
      Array.from({ length: 40 }, (_, index) => ports(`${index * 2 + 1}/tcp`)).flat(),
      64,
    ).ports;
    assert.deepEqual(
      splitPorts(many).map(({ length }) => length),
      [16, 16, 8],
    );
    assert.deepEqual(splitPorts(many).flat(), many);
  });
});
