/*
 * Ways out of a run: whatever a command does with its processes and namespaces, it is judged. The lab is that of
 * run-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRunLab, NO_ADDRESS, OK_ADDRESS, type RunLab } from './run-lab.ts';
import { RESOLVER } from './subject-lab.ts';

const FLAGS = [`-cidr=${OK_ADDRESS.v4}`, `-cidr=${RESOLVER.v4}`, '-cn=.ok.example'];
const PLAIN = { SUDO_UID: '65534', SUDO_GID: '65534' };
const FAKE = NO_ADDRESS.v4;

/* "$1" is the probe; what it calls is in "$2". The shell waits, for what is left running is ended with it. */
const WAYS: readonly (readonly [what: string, script: string])[] = [
  ['by itself', '"$1" tcp4 "$2" 80'],
  ['in a session of its own', 'setsid -w "$1" tcp4 "$2" 80'],
  [
    'forked twice, with no parent',
    'out=$(mktemp); (setsid sh -c \'"$1" tcp4 "$2" 80 >"$0"; echo >>"$0"\' "$out" "$1" "$2" &); ' +
      'until [ "$(wc -l <"$out")" = 2 ]; do sleep 0.02; done; head -n 1 "$out"; rm "$out"',
  ],
  ['in a user namespace', 'unshare -Ur "$1" tcp4 "$2" 80'],
  ['in pid and mount namespaces', 'unshare -Urmpf --mount-proc "$1" tcp4 "$2" 80'],
];

describe('a command under run', () => {
  let lab: RunLab;
  /** What came of each way: outside, and under run to who is allowed and to who is not. */
  let outside: readonly string[];
  let allowed: readonly string[];
  let refused: readonly string[];
  before(async () => {
    lab = await createRunLab();
    lab.base.host.must('chmod', ['-R', 'a+rX', lab.base.host.directory]);
    const all = WAYS.map(([, script]) => script).join('\n');
    const asPlain = ['--reuid=65534', '--regid=65534', '--clear-groups', ...call(all, NO_ADDRESS.v4)];
    outside = outcomes((await lab.base.host.runAsync('setpriv', asPlain)).stdout);
    const run = async (to: string) => outcomes((await lab.run(FLAGS, call(all, to), { env: PLAIN })).stdout);
    [allowed, refused] = [await run(OK_ADDRESS.v4), await run(NO_ADDRESS.v4)];
  });
  after(() => lab.close());

  const call = (script: string, to: string) => ['sh', '-c', script, 'sh', lab.base.probe, to];
  const outcomes = (stdout: string) =>
    [...stdout.matchAll(/^(?:ok|silence|E[A-Z]+)(?= )/gmu)].map(([word]) => word);

  for (const [index, [what]] of WAYS.entries()) {
    test(`is judged ${what}`, () => {
      assert.deepEqual([outside[index], allowed[index], refused[index]], ['ok', 'ok', 'EPERM']);
    });
  }

  test('is taught nothing by a resolver of its own in a network namespace of its own', async () => {
    const within = [
      'ip link set lo up',
      `ip addr add ${RESOLVER.v4}/32 dev lo`,
      `ip addr add ${FAKE}/32 dev lo`,
      `dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --user=root --bind-interfaces --listen-address=${RESOLVER.v4} --address=/fake.ok.example/${FAKE}`,
      `dig @${RESOLVER.v4} +time=1 +tries=2 +short fake.ok.example`,
      `"$1" tcp4 ${FAKE} 80`,
    ].join('; ');
    const script = `unshare -Urn sh -c '${within}' sh "$1" 2>&1; "$1" tcp4 ${FAKE} 80; "$1" tcp4 ${OK_ADDRESS.v4} 80`;
    const { stdout } = await lab.run(FLAGS, call(script, ''), { env: PLAIN });
    assert.deepEqual(outcomes(stdout), ['EPERM', 'EPERM', 'ok'], stdout);
  });
});
