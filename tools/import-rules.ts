import { builtinModules } from 'node:module';
import { posix } from 'node:path';

const LEAVES = ['errors', 'scope', 'wording'];
const FIRST_FLOOR = [
  ...LEAVES,
  'policy',
  'formats',
  'dns',
  'flow',
  'suggest',
  'libbpf',
  'netlink',
  'containers',
  'control',
  'metrics',
  'run',
  'watch',
];

/** What a room may import besides itself: rooms, or one file of a room. A file right in src/ is a room. */
const ALLOWED: ReadonlyMap<string, readonly string[]> = new Map([
  ['errors', []],
  ['scope', []],
  ['wording', []],
  ['policy', LEAVES],
  ['formats', [...LEAVES, 'policy', 'flow/escape']],
  ['dns', [...LEAVES, 'policy/prefix']],
  ['flow', [...LEAVES, 'policy/name', 'policy/port', 'policy/prefix']],
  ['suggest', [...LEAVES, 'policy', 'flow']],
  ['libbpf', LEAVES],
  ['netlink', [...LEAVES, 'libbpf']],
  ['containers', [...LEAVES, 'policy', 'libbpf', 'netlink']],
  ['control', [...LEAVES, 'libbpf/unix-listener']],
  ['metrics', [...LEAVES, 'flow']],
  ['run', [...LEAVES, 'libbpf', 'policy']],
  ['watch', [...LEAVES, 'flow']],
  ['datapath', FIRST_FLOOR],
  ['enforcer', [...FIRST_FLOOR, 'datapath']],
  ['cli', [...FIRST_FLOOR, 'datapath', 'enforcer']],
  ['manual', [...LEAVES, 'flow', 'cli/commands', 'cli/flags', 'cli/topics']],
  ['boot', [...LEAVES, 'boot']],
  ['main', [...FIRST_FLOOR, 'datapath', 'enforcer', 'cli']],
]);

/** Rooms that see bytes and data only. */
const PURE = ['errors', 'scope', 'wording', 'policy', 'formats', 'dns', 'flow', 'suggest', 'watch'];

/** Packages that only one room may touch. */
const OWNED_PACKAGES: ReadonlyMap<string, string> = new Map([['koffi', 'libbpf']]);

/** Matches the module named by an import, a re-export or an `import()`. */
const SPECIFIER = /^(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

/**
 * Holds the sources of src/ against the import direction of the design: who may import whom, rooms
 * without `node:`, the one room for the FFI, no cycles.
 * @param sources path inside src/ (`dns/query.ts`) → text
 * @returns one sentence per violation
 */
export function checkImports(sources: ReadonlyMap<string, string>): string[] {
  const violations: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, text] of sources) {
    const targets: string[] = [];
    graph.set(path, targets);
    if (!ALLOWED.has(roomOf(path))) violations.push(`${path}: "${roomOf(path)}" is not a room of the design`);
    for (const specifier of importsOf(text)) {
      if (!specifier.startsWith('.')) {
        violations.push(...checkPackage(path, specifier));
        continue;
      }
      const target = posix.join(posix.dirname(path), specifier);
      if (sources.has(target)) targets.push(target);
      violations.push(...checkFile(path, specifier, target, sources.has(target)));
    }
  }
  return [...violations, ...findCycles(graph)];
}

/** Modules that `text` imports, types included, in the order they stand there. */
export function importsOf(text: string): string[] {
  return [...text.matchAll(SPECIFIER)].map((match) => match[1] ?? match[2] ?? '');
}

function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '');
}

function checkPackage(path: string, specifier: string): string[] {
  const room = roomOf(path);
  const name = specifier.split('/')[0] ?? '';
  if (specifier.startsWith('node:') || builtinModules.includes(name)) {
    return PURE.includes(room) ? [`${path}: imports "${specifier}", but ${room} is pure`] : [];
  }
  const owner = OWNED_PACKAGES.get(name) ?? room;
  return owner === room ? [] : [`${path}: imports "${specifier}", which only ${owner} may`];
}

function checkFile(path: string, specifier: string, target: string, exists: boolean): string[] {
  if (!exists) return [`${path}: imports "${specifier}", which is not a .ts file of src`];
  const [from, to] = [roomOf(path), roomOf(target)];
  const allowed = ALLOWED.get(from) ?? [];
  if (from === to || allowed.includes(to) || allowed.includes(target.replace(/\.ts$/, ''))) return [];
  return [`${path}: imports "${specifier}", but ${from} may import only ${allowed.join(', ') || 'nothing'}`];
}

function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push(`cycle: ${[...trail.slice(start), path].join(' -> ')}`);
    if (start >= 0 || done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}
