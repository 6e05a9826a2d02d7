import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderDict } from '../../src/flow/render-dict.ts';
import { FLOW, LIFECYCLE, POLICY, SHAPES, TIME_MS } from './events.ts';

const iso = (timeMs: number) => new Date(timeMs).toISOString();

test('renderDict writes a line for each key that is known, keys to the right', () => {
  assert.deepEqual(renderDict({ ...FLOW, names: ['www.example.com', 'b.test'] }).split('\n'), [
    `       ts: ${iso(TIME_MS)}`,
    '      seq: 7',
    '     kind: flow',
    '  verdict: allow',
    '   reason: rule-name',
    '     rule: .example.com',
    '   policy: default',
    '  subject: host',
    'direction: out',
    '   family: ipv4',
    '    proto: tcp',
    '      src: 192.0.2.1',
    '    sport: 40000',
    '      dst: 198.51.100.7',
    '    dport: 443',
    '    names: www.example.com, b.test',
    `   leases: www.example.com until ${iso(TIME_MS + 90_000)}`,
    '    iface: eth0',
    '      pid: 1234',
    '     comm: curl',
    '      uid: 1000',
    '    count: 1',
    'window_ms: 0',
    '     lost: 0',
  ]);
});

test('renderDict writes what changed in policies, and what happened to the enforcer', () => {
  assert.match(renderDict(POLICY), /^ *lines: \+ allow names that end in "\.example\.net", - allow 192/mu);
  assert.match(
    renderDict({ ...LIFECYCLE, lost: 9 }),
    /^ *iface: eth1\nmessage: the interface is gone\n *lost: 9$/mu,
  );
});

describe('renderDict is safe for a terminal:', () => {
  for (const [title, event] of SHAPES) {
    test(title, () => {
      const lines = renderDict(event).split('\n');
      for (const line of lines) assert.match(line, /^ *[a-z_]+: [^\p{Cc}\p{Cf}]*$/u);
    });
  }
});
