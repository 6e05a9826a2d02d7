import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EVENT_RATE, EventWriter } from '../../src/cli/event-writer.ts';
import { REMARK_RATE, RemarkWriter } from '../../src/cli/remarks.ts';
import type { Sink } from '../../src/cli/sink.ts';
import type { Event } from '../../src/flow/event.ts';
import { EventFeed } from '../../src/flow/feed.ts';
import { LEVELS } from '../../src/flow/level.ts';
import { renderJson } from '../../src/flow/render-json.ts';

/** What journald takes of one service in its interval; journald.conf(5), RateLimitBurst. */
const JOURNAL = { lines: 10_000, seconds: 30 };

function writer(sink: Sink) {
  let text = '';
  let nowMs = 0;
  const remarks = new RemarkWriter({
    sink,
    write: (more) => {
      text += more;
    },
    nowMs: () => nowMs,
  });
  const lines = () => text.split('\n').slice(0, -1);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { remarks, lines, pass };
}

function flow(verdict: 'allow' | 'deny', seq: number): Event {
  return {
    seq,
    timeMs: 0,
    lost: 0,
    kind: 'flow',
    verdict,
    reason: 'no-rule',
    policy: 'flags',
    subject: 'host',
    iface: 'eth0',
    packet: { family: 'unread', etherType: 0 },
    count: 1,
    windowMs: 0,
    names: [],
    leases: [],
  };
}

describe('RemarkWriter', () => {
  test('puts the level in front of each line for the journal', () => {
    const { remarks, lines } = writer('journal');
    remarks.remark(['NOT reloaded', '  a', '  b'], 'warning');
    remarks.remark('enforcing on eth0', 'notice');
    remarks.remark('said');
    assert.deepEqual(lines(), ['<4>NOT reloaded', '<4>  a', '<4>  b', '<5>enforcing on eth0', '<6>said']);
  });

  for (const sink of ['terminal', 'file', 'other'] as const)
    test(`puts nothing in front of lines of the start for: ${sink}`, () => {
      const { remarks, lines } = writer(sink);
      remarks.remark('enforcing on eth0', 'notice');
      assert.deepEqual(lines(), ['enforcing on eth0']);
    });

  test('puts the time of day in front in a file, once the start is told; nowhere else', () => {
    for (const sink of ['terminal', 'other', 'journal'] as const) {
      const { remarks, lines } = writer(sink);
      remarks.begin();
      remarks.remark('stopped');
      assert.match(lines().join(), /^(?:<6>)?stopped$/u, sink);
    }
    const { remarks, lines } = writer('file');
    remarks.begin();
    remarks.remark(['reloaded', '  + allow']);
    for (const line of lines()) assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} (?:reloaded| {2}\+ allow)$/u);
    assert.equal(lines().length, 2);
  });

  test('escapes a text as a whole: a line break in a name makes no line', () => {
    const { remarks, lines } = writer('journal');
    remarks.remark('container "a\n<3>forged\x1b[2J\u202e" in force');
    assert.deepEqual(lines(), ['<6>container "a\\x0a<3>forged\\x1b[2J\\u{202e}" in force']);
  });

  test('leaves out of a flood for the journal what is too much, level by level, and says how much', () => {
    const { remarks, lines } = writer('journal');
    for (let at = 0; at < 1_000; at += 1) remarks.remark(`info ${at}`);
    remarks.remark('NOT covered', 'error');
    assert.equal(lines().length, REMARK_RATE.burst + 1);
    assert.equal(lines().at(-1), '<3>NOT covered');
    remarks.tellLeftOut();
    assert.equal(
      lines().at(-1),
      `<4>${1_000 - REMARK_RATE.burst} lines left out: ${1_000 - REMARK_RATE.burst} info`,
    );
    remarks.tellLeftOut();
    assert.equal(lines().length, REMARK_RATE.burst + 2);
  });

  test('takes up again as time passes', () => {
    const { remarks, lines, pass } = writer('journal');
    for (let at = 0; at < 1_000; at += 1) remarks.remark(`info ${at}`);
    pass(1_000);
    for (let at = 0; at < 1_000; at += 1) remarks.remark(`info ${at}`);
    assert.equal(lines().length, REMARK_RATE.burst + REMARK_RATE.perSecond);
    remarks.tellLeftOut();
  });

  for (const sink of ['terminal', 'file', 'other'] as const)
    test(`leaves out nothing for: ${sink}`, () => {
      const { remarks, lines } = writer(sink);
      for (let at = 0; at < 5_000; at += 1) remarks.remark(`info ${at}`);
      assert.equal(lines().length, 5_000);
    });
});

describe('EventWriter', () => {
  function output(sink: Sink) {
    const lines: string[] = [];
    const said: string[] = [];
    const feed = new EventFeed(0);
    const events = new EventWriter(
      { send: (text) => lines.push(...text.trimEnd().split('\n')) > 0, onceReady: () => {} },
      {
        sink,
        render: renderJson,
        remark: (text) => said.push(String(text)),
        nowMs: () => 0,
        soon: (act) => act(),
      },
    );
    feed.subscribe(events);
    return { feed, events, lines, said };
  }

  test('a flood of what is allowed hides nothing that is refused, and is counted', () => {
    const { feed, events, lines, said } = output('journal');
    for (let seq = 1; seq <= 50_000; seq += 1) feed.publish(flow('allow', seq));
    feed.publish(flow('deny', 50_001));
    assert.equal(lines.length, EVENT_RATE.burst + 1);
    assert.match(lines[0] ?? '', /^<6>\{.*"verdict":"allow"/u);
    assert.match(lines.at(-1) ?? '', /^<5>\{.*"verdict":"deny".*"lost":49000\}$/u);
    events.tellLeftOut();
    assert.deepEqual(said, ['49000 events left out: 49000 info']);
  });

  test('a pipe gets all of it, with nothing in front', () => {
    const { feed, lines, said } = output('other');
    for (let seq = 1; seq <= 50_000; seq += 1) feed.publish(flow('allow', seq));
    assert.equal(lines.length, 50_000);
    assert.match(lines[0] ?? '', /^\{/u);
    assert.deepEqual(said, []);
  });
});

test('remarks and events of all levels together stay below what journald takes', () => {
  const most = ({ burst, perSecond }: typeof EVENT_RATE) => burst + perSecond * JOURNAL.seconds;
  // Events are no errors.
  assert.ok(most(REMARK_RATE) * LEVELS.length + most(EVENT_RATE) * (LEVELS.length - 1) < JOURNAL.lines);
});
