import type { Btf, BtfField } from './btf.ts';

/** A struct as src/datapath/layout.ts writes it: size, and [offset, size] of each field, in bytes. */
export interface MirroredStruct {
  readonly size: number;
  readonly fields: Readonly<Record<string, readonly [offset: number, size: number]>>;
}

/** What src/datapath/layout.ts exports. */
export interface Mirror {
  readonly structs: Readonly<Record<string, MirroredStruct>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly limits: Readonly<Record<string, number>>;
}

/** The names that a contract header gives, with the values of its `#define`s. */
export interface Contract {
  readonly structs: readonly string[];
  readonly enums: readonly string[];
  readonly limits: ReadonlyMap<string, number>;
}

/** Reads a contract header; a `#define` is a number, decimal or `0x…`, or `(number << number)`, or it throws. */
export function parseContract(header: string): Contract {
  const named = (pattern: RegExp): string[] => [...header.matchAll(pattern)].map((match) => match[1] ?? '');
  const limits = new Map<string, number>();
  for (const [, name = '', text = ''] of header.matchAll(
    /^#define[ \t]+(\w+)[ \t]+(.+?)[ \t]*(?:\/\*.*)?$/gm,
  )) {
    const value = /^\(?(0x[0-9a-f]+|\d+)(?: << (\d+)\))?$/.exec(text);
    if (value === null) throw new Error(`Cannot read "#define ${name} ${text}": not a number`);
    limits.set(name, Number(value[1]) * 2 ** Number(value[2] ?? 0));
  }
  return { structs: named(/^struct (\w+) \{/gm), enums: named(/^enum (\w+) \{/gm), limits };
}

/** Every difference between the mirror and what was built, one sentence each; none when they agree. */
export function diffLayout(mirror: Mirror, btf: Btf, contract: Contract): string[] {
  return [
    ...diffNames('struct', Object.keys(mirror.structs), contract.structs),
    ...diffNames('enum', Object.keys(mirror.enums), contract.enums),
    ...Object.entries(mirror.structs).flatMap(([name, struct]) => diffStruct(name, struct, btf)),
    ...Object.entries(mirror.enums).flatMap(([name, values]) => {
      const built = btf.enums.get(name);
      if (built === undefined) return [`enum ${name} is not in the BTF of the object: nothing there uses it`];
      return diffNumbers(`enum ${name}`, values, built);
    }),
    ...diffNumbers('#define', mirror.limits, contract.limits),
  ];
}

function diffNames(kind: string, mirrored: readonly string[], declared: readonly string[]): string[] {
  return [
    ...declared
      .filter((name) => !mirrored.includes(name))
      .map((name) => `${kind} ${name} is not in the mirror`),
    ...mirrored
      .filter((name) => !declared.includes(name))
      .map((name) => `${kind} ${name} is in the mirror only`),
  ];
}

function diffNumbers(
  owner: string,
  mirrored: Readonly<Record<string, number>>,
  built: ReadonlyMap<string, number>,
): string[] {
  const names = new Set([...Object.keys(mirrored), ...built.keys()]);
  return [...names]
    .filter((name) => mirrored[name] !== built.get(name))
    .map(
      (name) =>
        `${owner} ${name} is ${built.get(name) ?? 'absent'}, the mirror says ${mirrored[name] ?? 'nothing'}`,
    );
}

function diffStruct(name: string, mirrored: MirroredStruct, btf: Btf): string[] {
  const built = btf.structs.get(name);
  if (built === undefined) return [`struct ${name} is not in the BTF of the object: nothing there uses it`];
  const differences =
    mirrored.size === built.size
      ? []
      : [`struct ${name} has ${built.size} bytes, the mirror says ${mirrored.size}`];
  for (const field of built.fields) {
    const [offset, size] = mirrored.fields[field.name] ?? [-1, -1];
    if (offset === field.offset && size === field.size) continue;
    if (offset < 0 && hasMirroredTwin(field, built.fields, mirrored)) continue;
    const said = offset < 0 ? 'nothing' : `[${offset}, ${size}]`;
    differences.push(`${name}.${field.name} is [${field.offset}, ${field.size}], the mirror says ${said}`);
  }
  for (const field of Object.keys(mirrored.fields)) {
    if (!built.fields.some((one) => one.name === field))
      differences.push(`${name}.${field} is in the mirror only`);
  }
  return [...differences, ...holes(name, built.size, built.fields)];
}

/** Of union members that are the same bytes, the mirror may name one. */
function hasMirroredTwin(field: BtfField, fields: readonly BtfField[], mirrored: MirroredStruct): boolean {
  return fields.some(
    (twin) =>
      field.inUnion &&
      twin.inUnion &&
      twin.offset === field.offset &&
      twin.size === field.size &&
      twin.name in mirrored.fields,
  );
}

/** Padding that has no name: keys are compared and events are copied with it, whatever it holds. */
function holes(name: string, size: number, fields: readonly BtfField[]): string[] {
  const found: string[] = [];
  let end = 0;
  for (const field of fields) {
    if (field.offset > end)
      found.push(`struct ${name} has a hole of ${field.offset - end} bytes before ${field.name}`);
    end = Math.max(end, field.offset + field.size);
  }
  if (size > end) found.push(`struct ${name} has a hole of ${size - end} bytes at its end`);
  return found;
}
