import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_FILTER } from '../../src/flow/filter.ts';
import { fieldsOf } from '../../src/view/event-fields.ts';
import { rowOf } from '../../src/view/event-row.ts';
import { observeCommand } from '../../src/view/observe-command.ts';
import { FLOW, LIFECYCLE, LOOKUP } from '../flow/events.ts';

const HOSTILE = 'a\u202eb\nc\u001b[31m';
const HARMLESS = 'a\\u{202e}b\\x0ac\\x1b[31m';

describe('rowOf', () => {
  test('has the texts of a flow', () => {
    const { time, ...row } = rowOf({ ...FLOW, count: 5 });
    assert.match(time, /^\d\d:04:05\.006$/);
    assert.deepEqual(row, {
      verdict: 'allow',
      process: 'curl[1234]',
      name: 'www.example.com',
      target: '198.51.100.7:443/tcp',
      cause: 'by .example.com',
      count: '×5',
    });
  });
  test('has the texts of a lookup', () => {
    const { name, cause, target } = rowOf({ ...LOOKUP, rcode: 'nxdomain' });
    assert.deepEqual([name, cause, target], ['evil.test', 'dns-strict AAAA nxdomain', '192.0.2.53:53/udp']);
  });
  test('says what happened to the enforcer', () => {
    assert.equal(rowOf(LIFECYCLE).told, 'detached: the interface is gone');
  });
  test('has nothing that moves other text', () => {
    const process = { pid: 1, uid: 0, comm: HOSTILE };
    const row = rowOf({ ...FLOW, names: [HOSTILE], process, reason: 'no-rule', rule: HOSTILE });
    assert.deepEqual(
      [row.name, row.process, row.cause],
      [HARMLESS, `${HARMLESS}[1]`, `no-rule by ${HARMLESS}`],
    );
    assert.ok(rowOf({ ...LIFECYCLE, message: HOSTILE }).told?.includes(HARMLESS));
  });
});

describe('fieldsOf', () => {
  test('has every field of the JSON form, lists a line each', () => {
    const fields = new Map(fieldsOf({ ...FLOW, names: ['a.test', 'b.test'] }));
    assert.equal(fields.get('names'), 'a.test\nb.test');
    assert.equal(fields.get('dport'), '443');
    assert.equal(fields.get('subject'), 'host');
    assert.match(fields.get('leases') ?? '', /^www\.example\.com until \d{4}-/);
    assert.equal(fields.has('exe'), false);
  });
  test('escapes each text', () => {
    assert.equal(new Map(fieldsOf({ ...FLOW, names: [HOSTILE] })).get('names'), HARMLESS);
  });
});

describe('observeCommand', () => {
  test('has the flags of the filters, quoted where a shell would take them for more', () => {
    const texts = { ...NO_FILTER, verdict: ['deny'], name: ['**.example.com'], process: ["it's"] };
    assert.equal(
      observeCommand('ci', texts),
      `l7egg-cli observe -f -instance=ci -verdict=deny '-name=**.example.com' '-process=it'\\''s'`,
    );
  });
});
