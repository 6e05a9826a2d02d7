import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkImports, importsOf } from '../../tools/import-rules.ts';

function check(sources: Record<string, string>): string[] {
  return checkImports(new Map(Object.entries(sources)));
}

describe('importsOf finds', () => {
  const rows: readonly (readonly [text: string, modules: readonly string[]])[] = [
    ["import { a } from './a.ts';", ['./a.ts']],
    ["import type { A } from './a.ts';", ['./a.ts']],
    ["import a, { b } from './a.ts';", ['./a.ts']],
    ["import * as a from './a.ts';", ['./a.ts']],
    ["import {\n  a,\n  b,\n} from './a.ts';\nimport 'node:fs';", ['./a.ts', 'node:fs']],
    ["export { a } from './a.ts';", ['./a.ts']],
    ["export * from './a.ts';", ['./a.ts']],
    ["const { a } = await import('./a.ts');", ['./a.ts']],
    ["// import { a } from './a.ts';", []],
    ["export const from = 'there';", []],
    ['export function f() {}\nconst s = " from \'./a.ts\'";', []],
  ];
  for (const [text, modules] of rows) {
    test(`${modules.join(' and ') || 'nothing'} in ${JSON.stringify(text)}`, () => {
      assert.deepEqual(importsOf(text), modules);
    });
  }
});

describe('checkImports allows', () => {
  const rows: readonly (readonly [path: string, text: string])[] = [
    ['policy/rule.ts', "import { UsageError } from '../errors.ts';"],
    ['policy/rule.ts', "import { parsePrefix } from './prefix.ts';"],
    ['policy/rule.ts', "import ipaddr from 'ipaddr.js';"],
    ['dns/answer.ts', "import { formatAddress } from '../policy/prefix.ts';"],
    ['netlink/watch.ts', "import { errnoName } from '../libbpf/errno.ts';"],
    ['containers/watch.ts', "import { errnoName } from '../libbpf/errno.ts';"],
    ['containers/watch.ts', "import { parsePrefix } from '../policy/prefix.ts';"],
    ['libbpf/symbols.ts', "import koffi from 'koffi';"],
    ['datapath/attach.ts', "import { parsePrefix } from '../policy/prefix.ts';"],
    ['run/own-cgroup.ts', "import { errnoName } from '../libbpf/errno.ts';"],
    ['enforcer/start.ts', "import { attach } from '../datapath/attach.ts';"],
    ['view/remedy.ts', "import { parsePrefix } from '../policy/prefix.ts';"],
    ['browser/page.ts', "import { drawMap } from '../view/traffic-map.ts';"],
    ['page/page-server.ts', "import { createServer } from 'node:http';"],
    ['main.ts', "const { start } = await import('./enforcer/start.ts');"],
  ];
  const rest = {
    'errors.ts': '',
    'policy/prefix.ts': '',
    'libbpf/errno.ts': '',
    'view/traffic-map.ts': '',
    'datapath/attach.ts': '',
    'enforcer/start.ts': '',
  };
  for (const [path, text] of rows) {
    test(`${path}: ${text}`, () => assert.deepEqual(check({ ...rest, [path]: text }), []));
  }
});

describe('checkImports refuses', () => {
  const rows: readonly (readonly [path: string, text: string, said: string])[] = [
    ['errors.ts', "import { Scope } from './scope.ts';", 'errors may import only nothing'],
    ['policy/rule.ts', "import { readFileSync } from 'node:fs';", 'policy is pure'],
    ['policy/rule.ts', "import { readFileSync } from 'fs';", 'policy is pure'],
    ['dns/answer.ts', "import type { Rule } from '../policy/rule.ts';", 'dns may import only'],
    ['containers/watch.ts', "import { flow } from '../flow/flow.ts';", 'containers may import only'],
    ['dns/answer.ts', "import { flow } from '../flow/flow.ts';", 'dns may import only'],
    ['libbpf/map.ts', "import { attach } from '../datapath/attach.ts';", 'libbpf may import only'],
    ['control/socket.ts', "import { flow } from '../flow/flow.ts';", 'control may import only'],
    ['datapath/maps.ts', "const koffi = await import('koffi');", 'which only libbpf may'],
    ['datapath/maps.ts', "export { main } from '../main.ts';", 'datapath may import only'],
    ['cli/flags.ts', "import { lab } from '../../test/lab/namespace.ts';", 'not a .ts file of src'],
    ['cli/flags.ts', "import { start } from '../enforcer/start.js';", 'not a .ts file of src'],
    ['view/remedy.ts', "import { readFileSync } from 'node:fs';", 'view is pure'],
    ['browser/page.ts', "import { readFileSync } from 'node:fs';", 'browser is pure'],
    ['browser/page.ts', "import { start } from '../enforcer/start.ts';", 'browser may import only'],
    ['page/page-server.ts', "import { start } from '../enforcer/start.ts';", 'page may import only'],
    ['utils/text.ts', '', '"utils" is not a room'],
  ];
  const rest = {
    'scope.ts': '',
    'main.ts': '',
    'policy/rule.ts': '',
    'flow/flow.ts': '',
    'datapath/attach.ts': '',
    'enforcer/start.ts': '',
  };
  for (const [path, text, said] of rows) {
    test(`${path}: ${text}`, () => {
      const violations = check({ ...rest, [path]: text });
      assert.equal(violations.length, 1, violations.join('\n'));
      assert.ok(violations[0]?.startsWith(`${path}: `) && violations[0].includes(said), violations[0]);
    });
  }

  test('a cycle, once', () => {
    const sources = {
      'dns/a.ts': "import './b.ts';",
      'dns/b.ts': "import './c.ts';",
      'dns/c.ts': "import './a.ts';",
    };
    assert.deepEqual(check(sources), ['cycle: dns/a.ts -> dns/b.ts -> dns/c.ts -> dns/a.ts']);
  });
});
