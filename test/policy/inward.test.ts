import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isInward } from '../../src/policy/inward.ts';
import { parseAddress } from '../../src/policy/prefix.ts';

const OWN = ['203.0.113.7', '2001:db8::7'].map(parseAddress);

describe('isInward', () => {
  const inward =
    '0.0.0.0 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 169.254.169.254 172.16.0.0 172.31.255.255 192.168.0.1 224.0.0.1 255.255.255.255 :: ::1 fe80::1 febf::1 fc00::1 fdff::1 ff02::1 203.0.113.7 2001:db8::7';
  const ordinary =
    '1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 223.255.255.255 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.8 ::2 fe00::1 fec0::1 fbff::1 2001:db8::8 64:ff9b::a00:1';
  for (const address of inward.split(' ')) {
    test(`${address} is`, () => assert.equal(isInward(parseAddress(address), OWN), true));
  }
  for (const address of ordinary.split(' ')) {
    test(`${address} is not`, () => assert.equal(isInward(parseAddress(address), OWN), false));
  }
});
