import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowEvent } from '../../src/flow/event.ts';
import { COLUMNS, drawMap } from '../../src/view/traffic-map.ts';
import { FLOW, LIFECYCLE, LOOKUP } from '../flow/events.ts';

function flow(comm: string, name: string, dst: string, more: Partial<FlowEvent> = {}): FlowEvent {
  const packet = { family: 'ipv4', proto: 'tcp', src: '192.0.2.1', sport: 1, dst, dport: 443 } as const;
  const names = name === '' ? [] : [name];
  return { ...FLOW, packet, names, process: { pid: 1, uid: 0, comm }, ...more };
}

describe('drawMap', () => {
  test('leads from the process over the name to the address', () => {
    const { nodes, edges } = drawMap(
      [flow('curl', 'a.test', '198.51.100.1'), flow('curl', 'a.test', '198.51.100.1')],
      5,
    );
    assert.deepEqual(
      COLUMNS.map((column) => nodes[column].map(({ text }) => text)),
      [['curl'], ['a.test'], ['198.51.100.1']],
    );
    assert.deepEqual(
      edges.map(({ from, to, attempts }) => [from, to, attempts]),
      [
        ['process =curl', 'name =a.test', 2],
        ['name =a.test', 'address =198.51.100.1', 2],
      ],
    );
  });

  test('tells verdicts apart on one way', () => {
    const { edges, nodes } = drawMap(
      [flow('curl', 'a.test', '198.51.100.1'), flow('curl', 'a.test', '198.51.100.1', { verdict: 'deny' })],
      5,
    );
    assert.deepEqual(
      edges.map(({ verdict }) => verdict),
      ['allow', 'allow', 'deny', 'deny'],
    );
    assert.deepEqual(nodes.process[0]?.attempts, { allow: 1, deny: 1, would_deny: 0 });
  });

  test('a refused lookup ends at its name; answers, ends of flows and what is no attempt are not drawn', () => {
    const { nodes } = drawMap(
      [
        LOOKUP,
        { ...LOOKUP, verdict: 'allow', reason: 'learned', qname: 'b.test' },
        LIFECYCLE,
        flow('wget', 'c.test', '198.51.100.3', { reason: 'ended' }),
      ],
      5,
    );
    assert.deepEqual(
      nodes.name.map(({ text }) => text),
      ['evil.test'],
    );
    assert.deepEqual(nodes.address, []);
  });

  test('folds what finds no room into one node, and keeps what was refused', () => {
    const passed = Array.from({ length: 20 }, (_, index) =>
      flow(`p${index}`, `n${index}.test`, `198.51.100.${index}`, { count: 50 }),
    );
    const refused = flow('agent', '', '203.0.113.9', { verdict: 'deny' });
    const { nodes, edges } = drawMap([...passed, refused], 6);
    for (const column of COLUMNS) {
      assert.equal(nodes[column].length, 6, column);
      assert.equal(nodes[column].at(-1)?.folded, 16, column);
      assert.equal(
        nodes[column].reduce((sum, { attempts }) => sum + attempts.allow, 0),
        1_000,
        column,
      );
    }
    assert.ok(nodes.address.some(({ text }) => text === '203.0.113.9'));
    assert.ok(edges.length <= 3 * 36, `${edges.length} edges`);
  });

  test('a name that is called as the folded node stays itself', () => {
    const { nodes } = drawMap([flow('…', 'a.test', '198.51.100.1'), flow('', 'b.test', '198.51.100.2')], 5);
    assert.deepEqual(
      nodes.process.map(({ text, folded }) => [text, folded]),
      [
        ['', 0],
        ['…', 0],
      ],
    );
  });
});
