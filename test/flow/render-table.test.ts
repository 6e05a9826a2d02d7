import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderTable, TABLE_HEAD } from '../../src/flow/render-table.ts';
import { PLAIN } from '../../src/flow/render-text.ts';
import { FLOW, LIFECYCLE, LOOKUP, POLICY, SHAPES, TIME_MS } from './events.ts';

/** Without colours, read when it happened. */
const AS_TOLD = { colour: PLAIN, nowMs: TIME_MS };

const COLUMNS = ['TIME', 'VERDICT', 'SUBJECT', 'PROCESS', 'NAME', 'DESTINATION', 'RULE OR REASON'];

/** The text of a row below each title. */
function cells(row: string): string[] {
  const starts = COLUMNS.map((title) => TABLE_HEAD.indexOf(title));
  return starts.map((start, index) => row.slice(start, starts[index + 1]).trimEnd());
}

const TIME = '03:04:05.006';

describe('renderTable puts below the titles', () => {
  test('a flow', () => {
    assert.deepEqual(cells(renderTable(FLOW, AS_TOLD)), [
      TIME,
      'allow',
      'host',
      'curl[1234]',
      'www.example.com',
      '198.51.100.7:443/tcp',
      'by .example.com',
    ]);
  });

  test('a lookup', () => {
    assert.deepEqual(cells(renderTable(LOOKUP, AS_TOLD)), [
      TIME,
      'deny',
      'host',
      'curl[1234]',
      'evil.test',
      '192.0.2.53:53/udp',
      'dns-strict AAAA',
    ]);
  });

  test('the end of a flow, and what was lost before', () => {
    const traffic = { bytes: 10, packets: 2, bytesIn: 30, packetsIn: 4 };
    const row = renderTable({ ...FLOW, reason: 'ended', traffic, lost: 7 }, AS_TOLD);
    const [last] = cells(row).slice(-1);
    assert.equal(
      last,
      'ended sent 10 bytes in 2 packets, received 30 in 4 by .example.com (7 events lost before)',
    );
  });

  test('sentences of policies and the enforcer', () => {
    assert.deepEqual(cells(renderTable(LIFECYCLE, AS_TOLD)), [
      TIME,
      '',
      '',
      '',
      '',
      '',
      'detached: the interface is gone',
    ]);
    assert.deepEqual(cells(renderTable({ ...POLICY, lost: 1 }, AS_TOLD)).slice(-1), [
      'reloaded: reloaded | + allow names that end in ".example.net" | - allow 192.0.2.0/24 (1 event lost before)',
    ]);
  });
});

test('renderTable pushes the rest of a row for what is wider than its column', () => {
  const name = `${'a'.repeat(60)}.test`;
  const row = renderTable({ ...FLOW, names: [name] }, AS_TOLD);
  assert.ok(row.includes(`  ${name}  198.51.100.7:443/tcp  `), row);
});

test('renderTable gives the verdict its colour, with what fills its column', () => {
  const marks = { ...PLAIN, deny: (text: string) => `<${text}>` };
  assert.match(
    renderTable(LOOKUP, { colour: marks, nowMs: TIME_MS }),
    /^03:04:05\.006 {2}<deny {6}> {2}host/u,
  );
});

describe('renderTable gives one printable line:', () => {
  for (const [title, event] of SHAPES) {
    test(title, () => assert.doesNotMatch(renderTable(event, AS_TOLD), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u));
  }
});
