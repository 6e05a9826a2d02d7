/** What one boot of a guest came to: the exit code of scripts/vm/boot.sh, and all that it wrote. */
export interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** What an outcome means: `counts` for a cell of the table, `said` for lines of their own (seeds). */
export interface Judgement {
  readonly passed: boolean;
  readonly counts: string;
  readonly said: readonly string[];
}

/** One boot: `systemd` as process 1, or a command. `judge` is asked on the host. */
export interface Part {
  readonly name: string;
  readonly limitSeconds: number;
  readonly boots: { readonly command: readonly string[] } | 'systemd';
  readonly judge: (outcome: Outcome) => Judgement;
}

/** Of test/netns: one that shows all in short, and those that look where kernels differ. */
const NETNS = ['kernel', 'learning-refusal', 'subject-packet'];
/** Tests run some 15 times slower: their limits grow by this, and their rounds of fuzz shrink to so many. */
const PATIENCE = 20;
const FUZZ = 1_000;
/** From Linux 6.1 on all is there; what older ones are told. */
const OLDEST = [6, 1] as const;
const DOCTOR = 'bin/l7egg-cli doctor | grep "^MISSING kernel: Linux 6.1" || exit 1';
const ENFORCE = 'exec bin/l7egg-cli -iface=v0 -eface=v0 -cidr=192.0.2.1 -resolver=192.0.2.53';
const REFUSAL = /^l7egg-cli: .*Linux 6\.1/mu;

/** The parts for a kernel, longest first. `bpfTests`: built files, below the checkout. */
export function partsFor(
  release: string,
  bpfTests: readonly string[],
  judgeUnit: Part['judge'],
): readonly Part[] {
  if (!isSupported(release)) return [REFUSED];
  const netnsTests = NETNS.map((name) => `build/test/netns/${name}.root.test.js`);
  return [
    { name: 'netns', limitSeconds: 1_500, boots: testsIn(netnsTests), judge: judgeTests },
    { name: 'bpf', limitSeconds: 1_200, boots: testsIn(bpfTests), judge: judgeTests },
    { name: 'systemd', limitSeconds: 900, boots: 'systemd', judge: judgeUnit },
    LOAD,
  ];
}

/** Whether l7egg is for this kernel at all. */
export function isSupported(release: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** Counts of a report in TAP, of one run of node's tests. */
export function judgeTap({ code, output }: Outcome): Judgement {
  const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'mu').exec(output)?.[1] ?? 0);
  const notRun = count('skipped') + count('cancelled') + count('todo');
  return judged(code, count('pass'), count('fail'), notRun, []);
}

const LOAD: Part = {
  name: 'load',
  limitSeconds: 300,
  boots: { command: ['../load', 'dist/l7egg.bpf.o'] },
  judge: ({ code, output }) => {
    const loaded = [...output.matchAll(/^ok {3}l7egg_/gmu)].length;
    return { passed: code === 0 && loaded > 0, counts: `${loaded} programs`, said: [] };
  },
};

const REFUSED: Part = {
  name: 'refused',
  limitSeconds: 120,
  boots: { command: ['sh', '-c', `${DOCTOR}; ip link add v0 type veth; ${ENFORCE}`] },
  judge: ({ code, output }) => {
    const sentence = REFUSAL.test(output);
    return {
      passed: code === 3 && sentence,
      counts: `exit ${code}${sentence ? ', says so' : ''}`,
      said: [],
    };
  },
};

function testsIn(files: readonly string[]): Part['boots'] {
  const words = ['env', `L7EGG_PATIENCE=${PATIENCE}`, `L7EGG_FUZZ=${FUZZ}`, 'scripts/vm/guest-tests.sh'];
  return { command: [...words, ...files] };
}

/** Of scripts/vm/guest-tests.sh. */
function judgeTests({ code, output }: Outcome): Judgement {
  const files = [...output.matchAll(/^\S+\.test\.js: pass (\d+), fail (\d+), not run (\d+)/gmu)];
  const sum = (column: number) => files.reduce((total, row) => total + Number(row[column]), 0);
  const said = [...output.matchAll(/^ {5}(.*seed.*)$/gmu)].map(([, line = '']) => line);
  return judged(code, sum(1), sum(2), sum(3), said);
}

function judged(
  code: number,
  pass: number,
  fail: number,
  notRun: number,
  said: readonly string[],
): Judgement {
  const passed = code === 0 && pass > 0 && fail === 0 && notRun === 0;
  const others = [...(fail > 0 ? [`${fail} failed`] : []), ...(notRun > 0 ? [`${notRun} not run`] : [])];
  return { passed, counts: [`${pass} tests`, ...others].join(', '), said };
}
