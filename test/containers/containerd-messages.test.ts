import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boundLabels, MAX_LABEL_BYTES } from '../../src/containers/container.ts';
import {
  decodeContainer,
  decodeEvent,
  decodeNamespaces,
  decodeTasks,
  encodeGetContainer,
  encodeSubscribe,
  type TaskEvent,
} from '../../src/containers/containerd-messages.ts';
import { Fields } from '../../src/containers/protobuf.ts';
import { envelope, message } from './protobuf.ts';

describe('decodeEvent', () => {
  const of = { namespace: 'ns', id: 'web' };
  const rows: readonly (readonly [
    what: string,
    topic: string,
    event: Uint8Array,
    told: TaskEvent | undefined,
  ])[] = [
    [
      'a create',
      '/tasks/create',
      message([1, 'web'], [2, '/bundle'], [3, message([1, 'bind'])], [6, 4711]),
      { ...of, kind: 'create', pid: 4711 },
    ],
    ['a start', '/tasks/start', message([1, 'web'], [2, 4711]), { ...of, kind: 'start', pid: 4711 }],
    [
      'an exec',
      '/tasks/exec-started',
      message([1, 'web'], [2, 'e1'], [3, 4712]),
      { ...of, kind: 'exec', pid: 4712 },
    ],
    [
      'the end of the first process',
      '/tasks/exit',
      message([1, 'web'], [2, 'web'], [3, 4711], [4, 137]),
      { ...of, kind: 'end', pid: 4711 },
    ],
    ['the end of an exec', '/tasks/exit', message([1, 'web'], [2, 'e1'], [3, 4712]), undefined],
    ['a delete', '/tasks/delete', message([1, 'web'], [2, 4711]), { ...of, kind: 'end', pid: 4711 }],
    ['the delete of an exec', '/tasks/delete', message([1, 'web'], [2, 4712], [5, 'e1']), undefined],
    ['other labels', '/containers/update', message([1, 'web'], [2, 'image']), { ...of, kind: 'update' }],
    ['what was not asked for', '/tasks/oom', message([1, 'web']), undefined],
    [
      'the last of several values',
      '/tasks/start',
      message([1, 'db'], [1, 'web'], [2, 1], [2, 2]),
      { ...of, kind: 'start', pid: 2 },
    ],
  ];
  for (const [what, topic, event, told] of rows) {
    test(what, () => assert.deepEqual(decodeEvent(envelope('ns', topic, event)), told));
  }

  const bytes = envelope('ns', '/tasks/create', message([1, 'web'], [6, 4711]));
  test('an envelope cut short at any byte is refused or says less, and nothing else is thrown', () => {
    for (let length = 0; length < bytes.length; length++) {
      try {
        assert.notDeepEqual(decodeEvent(bytes.subarray(0, length)), { ...of, kind: 'create', pid: 4711 });
      } catch (thrown) {
        assert.ok(thrown instanceof RangeError, String(thrown));
      }
    }
  });

  test('any byte that is another one is refused or read, and nothing else is thrown', () => {
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0x00, 0x7f, 0x80, 0xff]) {
        const changed = bytes.slice();
        changed[at] = value;
        try {
          decodeEvent(changed);
        } catch (thrown) {
          assert.ok(thrown instanceof RangeError, String(thrown));
        }
      }
    }
  });
});

describe('decodeTasks', () => {
  const task = (id: string, pid: number, status: number) =>
    [1, message([2, id], [3, pid], [4, status])] as const;

  test('has those with a process, and says which wait to be started', () => {
    const bytes = message(
      task('a', 11, 1),
      task('b', 12, 2),
      task('c', 13, 3),
      task('d', 14, 4),
      task('e', 15, 5),
    );
    assert.deepEqual(decodeTasks(bytes, 'ns'), [
      { namespace: 'ns', id: 'a', pid: 11, isCreated: true },
      { namespace: 'ns', id: 'b', pid: 12, isCreated: false },
      { namespace: 'ns', id: 'd', pid: 14, isCreated: false },
      { namespace: 'ns', id: 'e', pid: 15, isCreated: false },
    ]);
  });

  test('has none that has no pid', () => assert.deepEqual(decodeTasks(message(task('a', 0, 2)), 'ns'), []));
  test('has none in an empty answer', () => assert.deepEqual(decodeTasks(new Uint8Array(0), 'ns'), []));
});

describe('decodeContainer', () => {
  const labelled = (...labels: readonly (readonly [string, string])[]) =>
    message([
      1,
      message([1, 'web'], ...labels.map(([key, value]) => [2, message([1, key], [2, value])] as const), [
        3,
        'image:1',
      ]),
    ]);

  test('has labels and image', () => {
    const { description, leftOut } = decodeContainer(labelled(['app', 'shop'], ['empty', '']));
    assert.deepEqual(description, {
      names: [],
      labels: new Map([
        ['app', 'shop'],
        ['empty', ''],
      ]),
      image: 'image:1',
    });
    assert.equal(leftOut, 0);
  });

  for (const key of ['nerdctl/name', 'io.kubernetes.container.name']) {
    test(`takes the name from "${key}"`, () => {
      assert.deepEqual(decodeContainer(labelled([key, 'web'])).description.names, ['web']);
    });
  }

  test('leaves a giant label out, and counts it', () => {
    const { description, leftOut } = decodeContainer(
      labelled(['big', 'x'.repeat(MAX_LABEL_BYTES)], ['app', 'shop']),
    );
    assert.deepEqual([...description.labels], [['app', 'shop']]);
    assert.equal(leftOut, 1);
  });
});

test('boundLabels keeps no more than its bound', () => {
  const many = Array.from({ length: 1000 }, (_, i): [string, string] => [`label${i}`, 'x'.repeat(100)]);
  const { labels, leftOut } = boundLabels(many);
  assert.equal(labels.size + leftOut, 1000);
  const bytes = [...labels].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  assert.ok(bytes <= MAX_LABEL_BYTES && bytes > MAX_LABEL_BYTES - 200, `${bytes}`);
});

test('decodeNamespaces has their names', () => {
  const bytes = message(
    [1, message([1, 'default'])],
    [1, message([1, 'moby'], [2, message([1, 'k'], [2, 'v'])])],
  );
  assert.deepEqual(decodeNamespaces(bytes), ['default', 'moby']);
});

test('requests have the fields that containerd reads', () => {
  assert.equal(new Fields(encodeGetContainer('web')).text(1), 'web');
  const filters = new Fields(encodeSubscribe()).all(1).map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(filters.includes('topic=="/tasks/create"'));
  assert.ok(filters.every((filter) => /^topic=="\/[a-z/-]+"$/u.test(filter)));
});
