import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Event } from '../../src/flow/event.ts';
import { type Painter, PLAIN } from '../../src/flow/render-text.ts';
import { parseKeys } from '../../src/watch/keys.ts';
import { type Vitals, WatchModel } from '../../src/watch/model.ts';
import { renderFrame } from '../../src/watch/render.ts';
import { widthOf } from '../../src/watch/width.ts';
import { FLOW, LIFECYCLE, LOOKUP, TIME_MS } from '../flow/events.ts';

const VITALS: Vitals = {
  enforcing: true,
  audit: false,
  subjects: ['host'],
  uptimeSeconds: 3_725,
  outbound: 12,
  inbound: 3,
  leases: 123_456,
  refused: 7,
  losses: 0,
};
const paint = (code: number) => (text: string) => (text === '' ? '' : `\x1b[${code}m${text}\x1b[39m`);
const COLOURS: Painter = {
  allow: paint(32),
  deny: paint(31),
  wouldDeny: paint(33),
  dim: paint(90),
  strong: paint(97),
};
const HOSTILE = '\x1b[2J\x1b]0;x\x07\u202e\u0301\u0301\u0301例え🦊\r\n'.repeat(3);
const EVENTS: readonly Event[] = [
  FLOW,
  LOOKUP,
  LIFECYCLE,
  {
    ...FLOW,
    verdict: 'deny',
    reason: 'no-rule',
    rule: HOSTILE,
    names: [HOSTILE],
    process: { pid: 1, uid: 0, comm: HOSTILE },
    packet: {
      family: 'ipv6',
      proto: 'tcp',
      src: '2001:db8::1',
      sport: 1,
      dst: '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
      dport: 65_535,
    },
  },
  { ...LOOKUP, qname: HOSTILE },
  { ...FLOW, packet: { family: 'unread', etherType: 0x8847 }, verdict: 'would_deny' },
];

function modelWith(keys = '', vitals: Vitals | undefined = VITALS): WatchModel {
  const model = new WatchModel('web');
  if (vitals) model.know(vitals);
  for (const event of EVENTS) model.take(event);
  for (const key of parseKeys(keys)) model.press(key);
  return model;
}

function frame(model: WatchModel, columns: number, rows: number): string[] {
  return renderFrame(model, { columns, rows }, PLAIN, TIME_MS + 3_000);
}

describe('a frame is as large as the screen, whatever is in it', () => {
  for (const [columns, rows] of [
    [80, 24],
    [40, 24],
    [40, 8],
    [20, 6],
    [63, 10],
    [64, 10],
    [200, 60],
    [500, 3],
  ] as const) {
    for (const keys of ['', 'd', 'p', '?', '/ex', '/ex\r'])
      test(`${columns}×${rows} after "${keys.trim()}"`, () => {
        const lines = renderFrame(modelWith(keys), { columns, rows }, COLOURS, TIME_MS);
        assert.equal(lines.length, rows);
        for (const line of lines) {
          const text = stripVTControlCharacters(line);
          assert.ok(widthOf(text) <= columns, `${widthOf(text)} columns: ${text}`);
          assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u);
          assert.ok(
            line
              .split('\x1b')
              .slice(1)
              .every((piece) => /^\[\d+m/u.test(piece)),
            'only colours',
          );
        }
      });
  }
});

describe('a frame says', () => {
  test('what the enforcer does, for whom, and how much', () => {
    const [title, whom, rates, counts] = frame(modelWith(), 80, 24);
    assert.equal(title, 'l7egg web  enforcing  up 1 h 2 min');
    assert.equal(whom, 'for host');
    assert.equal(rates, 'allow 0.2/s  deny 0.6/s  would_deny 0.2/s');
    assert.equal(counts, 'refused 7  flows 12 out 3 in  leases 123k  lost 0');
  });

  test('that it enforces no more, audits, lost something, has many subjects', () => {
    const subjects = ['host', 'unit:a', 'unit:b', 'unit:c', 'unit:\x1bd'];
    const odd = { ...VITALS, enforcing: false, losses: 12_345, subjects, uptimeSeconds: undefined };
    const lines = frame(modelWith('', odd), 80, 24);
    assert.equal(lines[0], 'l7egg web  NOT enforcing');
    assert.equal(lines[1], 'for host and 4 subjects more');
    assert.match(lines[3] ?? '', /lost 12\.3k$/u);
    assert.match(frame(modelWith('', { ...VITALS, audit: true }), 80, 24)[0] ?? '', /audit: drops nothing/u);
  });

  test('what it was too slow for', () => {
    const model = modelWith();
    model.take({ ...FLOW, lost: 12 });
    assert.match(frame(model, 80, 24)[3] ?? '', /lost 0 {2}not seen here 12$/u);
  });

  test('the busiest targets in columns below each other', () => {
    const lines = frame(modelWith(), 100, 24);
    const head = lines.find((line) => line.includes('verdict')) ?? '';
    const row = lines.find((line) => line.includes('www.example.com')) ?? '';
    for (const [title, cell] of [
      ['verdict', 'allow'],
      ['process', 'curl'],
      ['name', 'www.example.com'],
      ['address', '198.51.100.7:443/tcp'],
      ['rule', '.example.com'],
    ] as const) {
      const at = title === 'rule' ? row.lastIndexOf(cell) : row.indexOf(cell);
      assert.equal(at, head.indexOf(title), title);
    }
    assert.match(row, /3s$/u);
  });

  test('a letter for the verdict and one name or address where it is narrow', () => {
    const text = frame(modelWith(), 40, 24).join('\n');
    assert.match(text, /^ {4}1 A www\.example\.com +3s$/mu);
    assert.match(text, /^ {4}1 D evil\.test +3s$/mu);
  });

  test('how to find the keys', () => {
    assert.match(frame(modelWith(), 80, 24).at(-1) ?? '', /^q quit .* \? help$/u);
    assert.match(frame(modelWith('?'), 80, 24).join('\n'), /PgUp/u);
    assert.match(frame(modelWith('/evil'), 80, 24).at(-1) ?? '', /^\/evil/u);
    assert.match(frame(modelWith('pd'), 80, 24).at(-1) ?? '', /^PAUSED, denies only/u);
  });

  test('nothing before anything is known, without harm', () => {
    const lines = frame(new WatchModel('web'), 80, 24);
    assert.deepEqual([lines[0], lines[1]], ['l7egg web', 'for -']);
  });
});
