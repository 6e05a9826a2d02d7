import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseBtf, readElfSection } from '../../tools/btf.ts';
import { diffLayout, type Mirror, parseContract } from '../../tools/layout-diff.ts';

const HEADER = `
#define LIMIT 8 /* of things */
#define RING (1 << 20)
struct addr {
	union { unsigned char bytes[16]; unsigned int words[4]; unsigned long long halves[2]; };
};
struct key {
	struct addr addr;
	unsigned short port_be;
	unsigned char proto;
	unsigned char pad[5];
};
enum verdict {
	ALLOW = 1,
	DENY = 2,
};
`;

const MIRROR: Mirror = {
  structs: {
    addr: { size: 16, fields: { bytes: [0, 16] } },
    key: { size: 24, fields: { addr: [0, 16], port_be: [16, 2], proto: [18, 1], pad: [19, 5] } },
  },
  enums: { verdict: { ALLOW: 1, DENY: 2 } },
  limits: { LIMIT: 8, RING: 1048576 },
};

const directory = mkdtempSync(join(tmpdir(), 'l7egg-btf-'));
after(() => rmSync(directory, { recursive: true }));

function compile(header: string): Uint8Array {
  const source = join(directory, 'probe.c');
  const globals = 'struct key one_key; enum verdict one_verdict;\n';
  writeFileSync(source, `${header}${globals}`);
  const object = join(directory, 'probe.o');
  execFileSync('clang', ['-g', '-O2', '-target', 'bpf', '-c', source, '-o', object]);
  return readFileSync(object);
}

function diff(header: string, mirror: Mirror = MIRROR): string[] {
  return diffLayout(mirror, parseBtf(compile(header)), parseContract(header));
}

describe('parseBtf', () => {
  test('gives members with offset and size, those of an anonymous union as shared', () => {
    const { structs, enums } = parseBtf(compile(HEADER));
    assert.deepEqual(structs.get('addr'), {
      size: 16,
      fields: ['bytes', 'words', 'halves'].map((name) => ({ name, offset: 0, size: 16, inUnion: true })),
    });
    assert.deepEqual(structs.get('key')?.fields[3], { name: 'pad', offset: 19, size: 5, inUnion: false });
    assert.deepEqual(enums.get('verdict'), new Map(Object.entries({ ALLOW: 1, DENY: 2 })));
  });

  test('refuses what is not an object', () => {
    assert.throws(() => parseBtf(Buffer.alloc(100)), /not ELF/);
  });
});

test('readElfSection quotes the section that is not there', () => {
  const object = compile(HEADER);
  assert.throws(() => readElfSection(object, '.nowhere'), /"\.nowhere"/);
});

test('parseContract refuses a #define that is not a number', () => {
  assert.throws(() => parseContract('#define LIMIT sizeof(int)\n'), /"#define LIMIT sizeof\(int\)"/);
});

test('diffLayout finds nothing where mirror and object agree', () => assert.deepEqual(diff(HEADER), []));

describe('diffLayout reports', () => {
  const edits: readonly (readonly [what: string, from: string, to: string, said: readonly string[]])[] = [
    [
      'a member that grew',
      'char pad[5]',
      'char pad[13]',
      ['struct key has 32 bytes, the mirror says 24', 'key.pad is [19, 13], the mirror says [19, 5]'],
    ],
    [
      'a member that moved',
      'unsigned short port_be;\n\tunsigned char proto;',
      'unsigned char proto;\n\tunsigned char odd;\n\tunsigned short port_be;',
      [
        'struct key has 32 bytes, the mirror says 24',
        'key.proto is [16, 1], the mirror says [18, 1]',
        'key.odd is [17, 1], the mirror says nothing',
        'key.port_be is [18, 2], the mirror says [16, 2]',
        'key.pad is [20, 5], the mirror says [19, 5]',
        'struct key has a hole of 7 bytes at its end',
      ],
    ],
    [
      'a hole',
      'unsigned char pad[5]',
      'unsigned int pad',
      ['key.pad is [20, 4], the mirror says [19, 5]', 'struct key has a hole of 1 bytes before pad'],
    ],
    ['another enum number', 'DENY = 2', 'DENY = 3', ['enum verdict DENY is 3, the mirror says 2']],
    [
      'a new enum member',
      'DENY = 2',
      'DENY = 2, ASK = 3',
      ['enum verdict ASK is 3, the mirror says nothing'],
    ],
    ['another constant', 'LIMIT 8', 'LIMIT 9', ['#define LIMIT is 9, the mirror says 8']],
    ['a constant that is gone', '#define LIMIT 8', '', ['#define LIMIT is absent, the mirror says 8']],
    [
      'a new struct',
      'struct key {',
      'struct more {\n\tint one;\n};\nstruct key {',
      ['struct more is not in the mirror'],
    ],
  ];
  for (const [what, from, to, said] of edits) {
    test(what, () => assert.deepEqual(diff(HEADER.replace(from, to)), said));
  }

  test('a struct that no code of the object uses', () => {
    const header = `${HEADER}struct idle {\n\tint one;\n};\n`;
    const structs = { ...MIRROR.structs, idle: { size: 4, fields: { one: [0, 4] as const } } };
    assert.deepEqual(diff(header, { ...MIRROR, structs }), [
      'struct idle is not in the BTF of the object: nothing there uses it',
    ]);
  });

  test('what only the mirror has', () => {
    const structs = {
      ...MIRROR.structs,
      addr: { size: 16, fields: { bytes: [0, 16], more: [0, 4] } },
    } as const;
    assert.deepEqual(diff(HEADER, { ...MIRROR, structs }), ['addr.more is in the mirror only']);
  });
});
