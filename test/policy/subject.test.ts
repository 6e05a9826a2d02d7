import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import {
  LEGAL_SUBJECT,
  parseCgroup,
  parseContainer,
  parseLabel,
  parseSubject,
  type Subject,
  subjectText,
} from '../../src/policy/subject.ts';

const refuses = (parse: () => unknown, message: string): void =>
  assert.throws(parse, (error) => {
    assert.ok(error instanceof UsageError);
    assert.equal(error.message, message);
    return true;
  });

describe('parseSubject takes', () => {
  const rows: readonly (readonly [text: string, subject: Subject, canonical?: string])[] = [
    ['host', { kind: 'host' }],
    ['cgroup:/', { kind: 'cgroup', path: '/' }],
    ['cgroup:/system.slice', { kind: 'cgroup', path: '/system.slice' }],
    ['cgroup:/a/b//', { kind: 'cgroup', path: '/a/b' }, 'cgroup:/a/b'],
    ['cgroup://', { kind: 'cgroup', path: '/' }, 'cgroup:/'],
    ['cgroup:/x//y', { kind: 'cgroup', path: '/x/y' }, 'cgroup:/x/y'],
    ['cgroup:///x///.y/', { kind: 'cgroup', path: '/x/.y' }, 'cgroup:/x/.y'],
    ['cgroup:/a..b/...', { kind: 'cgroup', path: '/a..b/...' }],
    ['cgroup:unit:nginx', { kind: 'unit', unit: 'nginx.service' }, 'unit:nginx.service'],
    ['cgroup:pid:7', { kind: 'pid', pid: 7 }, 'pid:7'],
    ['unit:unbound.service', { kind: 'unit', unit: 'unbound.service' }],
    ['unit:unbound', { kind: 'unit', unit: 'unbound.service' }, 'unit:unbound.service'],
    ['unit:user-1000.slice', { kind: 'unit', unit: 'user-1000.slice' }],
    ['unit:a@b.c', { kind: 'unit', unit: 'a@b.c.service' }, 'unit:a@b.c.service'],
    ['unit:dev\\x2da.swap', { kind: 'unit', unit: 'dev\\x2da.swap' }],
    ['pid:1', { kind: 'pid', pid: 1 }],
    ['pid:9999999', { kind: 'pid', pid: 9_999_999 }],
    ['container:web', { kind: 'container', name: 'web' }],
    ['container:0a1b2c', { kind: 'container', name: '0a1b2c' }],
    ['label:app=web', { kind: 'label', key: 'app', value: 'web' }],
    ['label:a.b/c=', { kind: 'label', key: 'a.b/c', value: '' }],
    ['label:a=b=c', { kind: 'label', key: 'a', value: 'b=c' }],
  ];
  for (const [text, subject, canonical = text] of rows) {
    test(text, () => {
      assert.deepEqual(parseSubject(text), subject);
      assert.equal(subjectText(subject), canonical);
      assert.deepEqual(parseSubject(canonical), subject);
    });
  }
});

describe('parseSubject refuses', () => {
  const unknown = (text: string): readonly [string, string] => [
    text,
    `subject "${text}" is not known: ${LEGAL_SUBJECT}`,
  ];
  const path = (text: string): readonly [string, string] => [
    `cgroup:${text}`,
    `cgroup "${text}" is not legal: a path that begins with /, without "." and "..", unit:NAME or pid:NUMBER is`,
  ];
  const unit = (text: string): readonly [string, string] => [
    `unit:${text}`,
    `unit "${text}" is no name of a unit: one such as unbound.service is legal`,
  ];
  const pid = (text: string): readonly [string, string] => [
    `pid:${text}`,
    `"${text}" is no process id: 1 to 9999999 is legal`,
  ];
  const container = (text: string): readonly [string, string] => [
    `container:${text}`,
    `container "${text}" is no name or id of a container: letters, digits, "_", "." and "-" are legal`,
  ];
  const rows = [
    unknown(''),
    unknown('Host'),
    unknown('host '),
    unknown('host:a'),
    unknown('pod:a'),
    unknown('unit:'),
    unknown('unit'),
    path('a'),
    path('/a/../b'),
    path('/./A'),
    path('/.'),
    path('/a/.'),
    path('/a/./'),
    path('/a//..'),
    path('..'),
    path('/a\0b'),
    unit('a/b'),
    unit('a b'),
    unit('a'.repeat(256)),
    pid('0'),
    pid('-1'),
    pid('07'),
    pid('1e3'),
    pid('10000000'),
    container('-a'),
    container('a/b'),
    container('a'.repeat(129)),
    [`cgroup:/${'a'.repeat(4095)}`, 'cgroup has a path of 4096 characters: at most 4095 are legal'],
    [`label:a=${'b'.repeat(999)}`, 'label has 1001 characters: at most 1000 are legal'],
    ['label:a', 'label "a" is not legal: KEY=VALUE is'],
    ['label:=a', 'label "=a" is not legal: KEY=VALUE is'],
  ] as const;
  for (const [text, message] of rows)
    test(JSON.stringify(text), () => refuses(() => parseSubject(text), message));
});

test('parseCgroup, parseContainer and parseLabel take what stands behind the kind', () => {
  assert.deepEqual(parseCgroup('/a'), parseSubject('cgroup:/a'));
  assert.deepEqual(parseCgroup('unit:a'), parseSubject('unit:a'));
  assert.deepEqual(parseContainer('a'), parseSubject('container:a'));
  assert.deepEqual(parseLabel('a=b'), parseSubject('label:a=b'));
});
