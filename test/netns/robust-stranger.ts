/*
 * Somebody else's program, in a network namespace: `OBJECT INTERFACE DIRECTION tcx|clsact`. Prints `attached`, and on
 * SIGUSR1 `runs N`, how many packets it has seen. SIGTERM takes it off; a clsact qdisc has to be there.
 */
import { attachFilter, detachFilter, type FilterPlace } from '../../src/libbpf/clsact.ts';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { attachTcx } from '../../src/libbpf/link.ts';
import { loadObject } from '../../src/libbpf/object.ts';

const [, , object = '', name = '', side = '', kind = ''] = process.argv;
const direction = side === 'ingress' ? 'ingress' : 'egress';
const ifindex = readInterface(name)?.ifindex;
if (ifindex === undefined) throw new Error(`Cannot find interface "${name}"`);
const loaded = await loadObject(object, (open) => {
  for (const program of open.programs()) open.setAutoload(program, program === 'count');
});
const program = loaded.program('count');

/** Attaches; answers what takes it off again. */
function attach(place: FilterPlace): () => void {
  if (kind === 'clsact') {
    attachFilter(program, place);
    return () => void detachFilter(place);
  }
  const link = attachTcx(program, place.ifindex, direction);
  return () => link.close();
}

const detach = attach({ ifindex, direction, handle: 7, priority: 100 });
const runs = loaded.map('runs');

process.on('SIGUSR1', () => {
  const counts = runs.getPerCpu(Buffer.alloc(4)) ?? [];
  process.stdout.write(`runs ${counts.reduce((sum, value) => sum + value.readUInt32LE(), 0)}\n`);
});
process.on('SIGTERM', () => {
  detach();
  process.exit(0);
});
process.stdout.write('attached\n');
setInterval(() => {}, 60_000);
