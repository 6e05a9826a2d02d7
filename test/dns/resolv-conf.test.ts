import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResolvConf, type ResolvConfOptions } from '../../src/dns/resolv-conf.ts';
import { formatAddress } from '../../src/flow/address.ts';

interface Row {
  readonly title: string;
  readonly text: string;
  readonly options?: ResolvConfOptions;
  readonly nameservers: readonly string[];
  readonly unreadable?: readonly string[];
}

const FOUR = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];

const rows: readonly Row[] = [
  { title: 'one nameserver', text: 'nameserver 192.0.2.1\n', nameservers: ['192.0.2.1'] },
  { title: 'no line break at the end', text: 'nameserver 192.0.2.1', nameservers: ['192.0.2.1'] },
  { title: 'carriage returns', text: 'nameserver 192.0.2.1\r\n', nameservers: ['192.0.2.1'] },
  { title: 'tabs and spaces', text: 'nameserver\t  192.0.2.1\t\n', nameservers: ['192.0.2.1'] },
  {
    title: 'what follows the address',
    text: 'nameserver 192.0.2.1 # mine\nnameserver 192.0.2.2 x',
    nameservers: ['192.0.2.1', '192.0.2.2'],
  },
  {
    title: 'both families',
    text: 'nameserver 2001:db8::1\nnameserver 192.0.2.1\n',
    nameservers: ['2001:db8::1', '192.0.2.1'],
  },
  { title: 'a scope', text: 'nameserver fe80::1%eth0\n', nameservers: ['fe80::1%eth0'] },
  { title: 'a mapped address', text: 'nameserver ::ffff:192.0.2.1\n', nameservers: ['192.0.2.1'] },
  {
    title: 'the first three',
    text: FOUR.map((address) => `nameserver ${address}\n`).join(''),
    nameservers: FOUR.slice(0, 3),
  },
  {
    title: 'more when told so',
    text: FOUR.map((address) => `nameserver ${address}\n`).join(''),
    options: { max: Infinity },
    nameservers: FOUR,
  },
  {
    title: 'comments',
    text: '# nameserver 192.0.2.1\n;nameserver 192.0.2.2\n#\nnameserver 192.0.2.3\n',
    nameservers: ['192.0.2.3'],
  },
  {
    title: 'other keywords',
    text: 'search nameserver 192.0.2.1\noptions edns0\nnameserver 192.0.2.2\n',
    nameservers: ['192.0.2.2'],
  },
  {
    title: 'a keyword that does not begin the line',
    text: ' nameserver 192.0.2.1\nnameserver 192.0.2.2\n',
    nameservers: ['192.0.2.2'],
  },
  {
    title: 'a keyword that only begins alike',
    text: 'nameservers 192.0.2.1\nnameserver:192.0.2.1\nNameserver 192.0.2.1\nnameserver 192.0.2.2\n',
    nameservers: ['192.0.2.2'],
  },
  { title: 'an empty file', text: '', nameservers: ['127.0.0.1'] },
  {
    title: 'a file without nameserver',
    text: 'search example.com\nnameserver\nnameserver \n',
    nameservers: ['127.0.0.1'],
  },
  {
    title: 'the unspecified addresses',
    text: 'nameserver 0.0.0.0\nnameserver ::\n',
    nameservers: ['127.0.0.1', '::1'],
  },
  {
    title: 'short and octal IPv4',
    text: 'nameserver 127.1\nnameserver 010.0.0.1\nnameserver 192.0.2.1\n',
    nameservers: ['192.0.2.1'],
    unreadable: ['127.1', '010.0.0.1'],
  },
  {
    title: 'nothing readable',
    text: 'nameserver dns.example.com\n',
    nameservers: [],
    unreadable: ['dns.example.com'],
  },
  { title: 'no port', text: 'nameserver 192.0.2.1:5353\n', nameservers: [], unreadable: ['192.0.2.1:5353'] },
];

for (const { title, text, options, nameservers, unreadable = [] } of rows) {
  test(`parseResolvConf reads ${title}`, () => {
    const parsed = parseResolvConf(text, options);
    const shown = parsed.nameservers.map(
      ({ addr16, scope }) => formatAddress(addr16) + (scope ? `%${scope}` : ''),
    );
    assert.deepEqual({ nameservers: shown, unreadable: parsed.unreadable }, { nameservers, unreadable });
    assert.deepEqual(
      new Set(parsed.nameservers.map(({ port }) => port)),
      new Set(nameservers.length > 0 ? [53] : []),
    );
  });
}
