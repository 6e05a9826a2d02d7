import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FLAGS } from '../../src/cli/flags.ts';
import { normaliseArgs } from '../../src/cli/normalise.ts';
import type { ObserveOptions } from '../../src/cli/observe-flags.ts';
import { type Options, parseOptions } from '../../src/cli/options.ts';
import { UsageError } from '../../src/errors.ts';
import { NO_FILTER } from '../../src/flow/filter.ts';

function parse(line: string): Options {
  return parseOptions(normaliseArgs(line.split(' '), FLAGS));
}

const PLAIN: ObserveOptions = {
  command: 'observe',
  instance: 'default',
  follow: false,
  format: 'compact',
  filter: NO_FILTER,
};

describe('observe takes', () => {
  const rows: readonly (readonly [line: string, options: Partial<ObserveOptions>])[] = [
    ['observe', {}],
    ['-instance=a observe', { instance: 'a' }],
    ['observe -f', { follow: true, last: 10 }],
    ['observe --follow', { follow: true, last: 10 }],
    ['observe -f=false', {}],
    ['observe -n=5', { last: 5 }],
    ['observe -n 0', { last: 0 }],
    ['observe -last=1000000', { last: 1_000_000 }],
    ['observe -f -n=3', { follow: true, last: 3 }],
    // With a time the past is asked for, all of it.
    ['observe -f -since=10m', { follow: true, filter: { ...NO_FILTER, since: ['10m'] } }],
    ['observe -f -since=10m -n=1', { follow: true, last: 1, filter: { ...NO_FILTER, since: ['10m'] } }],
    ['observe -json', { format: 'json' }],
    ['observe -o=json', { format: 'json' }],
    ['observe -json -o json', { format: 'json' }],
    ['observe -json=false -o=dict', { format: 'dict' }],
    ['observe -output=table', { format: 'table' }],
    ['observe -o=compact', {}],
    [
      'observe -verdict=deny,would_deny -verdict=allow -to=192.0.2.0/24,::1 -port=53/udp -proto=tcp,udp',
      {
        filter: {
          ...NO_FILTER,
          verdict: ['deny', 'would_deny', 'allow'],
          to: ['192.0.2.0/24', '::1'],
          port: ['53/udp'],
          proto: ['tcp', 'udp'],
        },
      },
    ],
    [
      'observe -name=**.example.com -process=curl,77 -rule=-cn=.example.com',
      {
        filter: {
          ...NO_FILTER,
          name: ['**.example.com'],
          process: ['curl', '77'],
          rule: ['-cn=.example.com'],
        },
      },
    ],
  ];
  for (const [line, options] of rows) {
    test(line, () => assert.deepEqual(parse(line), { ...PLAIN, ...options }));
  }
});

describe('observe refuses, and quotes:', () => {
  const rows: readonly (readonly [line: string, message: RegExp])[] = [
    ['observe -n=-1', /-n "-1" is no count of events: 0 to 1000000 is legal/],
    ['observe -n=1e3', /-n "1e3"/],
    ['observe -n=01', /-n "01"/],
    ['observe -n=1000001', /-n "1000001"/],
    ['observe -n=', /-n needs a value/],
    ['observe -n=1 -n=2', /-n is given twice/],
    ['observe -o=xml', /-o has the value "xml": compact or dict or table or json is legal/],
    ['observe -json -o=table', /-json and -o="table" contradict each other/],
    ['observe -verdict=drop', /verdict "drop"/],
    ['observe -name=a..b', /"a\.\.b"/],
    ['observe -to=a.test', /"a\.test"/],
    ['observe -port=https', /port "https"/],
    ['observe -proto=tpc', /proto "tpc"/],
    ['observe -since=yesterday', /since "yesterday"/],
    ['observe -since=1h -since=2h', /-since is given twice/],
    ['observe now', /"now" is one argument too many for observe/],
    ['observe -cn=.a.test', /flag -cn is not for observe/],
    ['observe -log=json', /flag -log is not for observe/],
    ['observe -verbose', /unknown flag "-verbose"/],
    ['status -f', /flag -f is not for status/],
    ['check a.test -verdict=deny', /flag -verdict is not for check/],
    ['-f -cn=.a.test', /flag -f is not for enforce/],
  ];
  for (const [line, message] of rows) {
    test(line, () => {
      assert.throws(
        () => parse(line),
        (thrown) => thrown instanceof UsageError && message.test(thrown.message),
      );
    });
  }
});
