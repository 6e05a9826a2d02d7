import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** One running process, as /proc tells it. */
interface Running {
  readonly pid: string;
  readonly state: string;
  readonly parent: string;
  readonly command: string;
}

function readProcess(pid: string): readonly Running[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [
      { pid, state, parent, command: readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ') },
    ];
  } catch {
    return []; // it ended meanwhile
  }
}

/**
 * What the labs of one process leave where they work: namespaces, directories, its children, and programs that
 * were started with a lab's files. Zombies wait for their parent and do not count.
 *
 * @param lab pid of the process that made the labs
 */
export function traces(lab = process.pid): readonly string[] {
  const mark = `l7t-${lab}-`;
  const names = [...(existsSync('/run/netns') ? readdirSync('/run/netns') : []), ...readdirSync(tmpdir())];
  const programs = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap(readProcess)
    .filter(({ state, parent, command }) => state !== 'Z' && (parent === `${lab}` || command.includes(mark)));
  return [
    ...names.filter((name) => name.includes(mark)),
    ...programs.map(({ pid, command }) => `${pid} ${command}`),
  ];
}
