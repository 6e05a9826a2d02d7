/*
 * A job as CI runs it, of many programs: what is allowed works, what is not fails at once. The lab is that of
 * run-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRunLab, NO, NO_ADDRESS, OK, OK_ADDRESS, type RunLab } from './run-lab.ts';

/** No step waits for an answer that does not come; a busy machine is slow to start node. */
const STEP_LIMIT_MS = 2_000;
const NODE = process.execPath;

interface Step {
  readonly what: string;
  /** Of a name, or of an address where it takes one. */
  readonly words: (host: string) => readonly string[];
  readonly takesAddress?: true;
}

const python = 'import sys,urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read())';
const asks = (call: string) =>
  `require('dns').${call}(process.argv[1],(e,a)=>{if(e){console.error(e.code);process.exit(1)}})`;
const STEPS: readonly Step[] = [
  { what: 'curl', words: (host) => ['curl', '-sS', '-m', '10', `http://${host}/`] },
  {
    what: 'curl, address',
    words: (host) => ['curl', '-sS', '-m', '10', `http://${host}/`],
    takesAddress: true,
  },
  { what: 'wget', words: (host) => ['wget', '-q', '-t', '1', '-T', '10', '-O', '-', `http://${host}/`] },
  { what: 'python urllib', words: (host) => ['/usr/bin/python3', '-c', python, `http://${host}/`] },
  {
    what: 'node fetch',
    words: (host) => [
      NODE,
      '-e',
      'fetch(process.argv[1]).then(()=>process.exit(0),()=>process.exit(1))',
      `http://${host}/`,
    ],
  },
  { what: 'node dns.lookup', words: (host) => [NODE, '-e', asks('lookup'), host] },
  { what: 'node dns.resolve (c-ares)', words: (host) => [NODE, '-e', asks('resolve4'), host] },
  { what: 'getent', words: (host) => ['getent', 'hosts', host] },
  { what: 'busybox nslookup', words: (host) => ['busybox', 'nslookup', host] },
  { what: 'ping, name', words: (host) => ['ping', '-n', '-4', '-c', '1', '-W', '1', host] },
  { what: 'ping, address', words: (host) => ['ping', '-n', '-c', '1', '-W', '1', host], takesAddress: true },
  { what: 'nc', words: (host) => ['nc', '-4', '-z', '-w', '10', host, '80'] },
  {
    what: 'dig over TCP',
    words: (host) => ['sh', '-c', 'dig +tcp +tries=1 +time=10 "$0" | grep -q "status: NOERROR"', host],
  },
];

describe('a job', () => {
  let lab: RunLab;
  before(async () => {
    lab = await createRunLab();
  });
  after(() => lab.close());

  /* Runs all steps as one job; answers the exit code and the time of each. */
  async function job(flags: readonly string[], name: string, address: string) {
    const clock = 'date +%s%3N';
    const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
    const lines = STEPS.map(({ words, takesAddress }) => {
      const command = words(takesAddress ? address : name)
        .map(quote)
        .join(' ');
      return `s=$(${clock}); ${command} >/dev/null 2>&1 </dev/null; c=$?; echo $c $(($(${clock}) - s))`;
    });
    const ran = await lab.run(flags, ['sh', '-c', lines.join('\n')], { timeoutMs: 90_000 });
    const results = ran.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
    assert.equal(results.length, STEPS.length, ran.stderr);
    return { ran, results };
  }

  test('every step works where its target is listed', async () => {
    const flags = [`-name=${OK}`, `-cidr=${OK_ADDRESS.v4}`];
    const { ran, results } = await job(flags, OK, OK_ADDRESS.v4);
    assert.deepEqual(
      STEPS.flatMap(({ what }, index) => (results[index]?.[0] === 0 ? [] : [what])),
      [],
      ran.stderr,
    );
    assert.deepEqual(ran.said, ['nothing was blocked']);
  });

  test('every step fails at once where it is not, and the summary has both targets', async (context) => {
    const { ran, results } = await job([`-name=${OK}`], NO, NO_ADDRESS.v4);
    for (const [index, { what }] of STEPS.entries()) {
      const [code = 0, ms = Number.NaN] = results[index] ?? [];
      context.diagnostic(`${what}: exit code ${code} after ${ms} ms`);
      assert.notEqual(code, 0, what);
      assert.ok(ms < STEP_LIMIT_MS, `${what} took ${ms} ms`);
    }
    assert.match(ran.said.join('\n'), new RegExp(`  ${NO} +-name=${NO} `, 'u'));
    assert.match(ran.said.join('\n'), new RegExp(`  ${NO_ADDRESS.v4}:80/tcp +-cidr=${NO_ADDRESS.v4} `, 'u'));
  });

  /* A reverse name can carry data out as any other can, so an address that is listed does not list its name. */
  test('the name of a listed address is not looked up unasked: ping goes on without, and it is said', async () => {
    const reverse = OK_ADDRESS.v4.split('.').reverse().join('.');
    const ping = (...flags: string[]) =>
      lab.run([`-name=${OK}`, ...flags], ['ping', '-4', '-c', '1', '-W', '2', OK]);
    const { code, said } = await ping();
    assert.equal(code, 0);
    const name = `${reverse}.in-addr.arpa`;
    assert.match(said.join('\n'), new RegExp(`  ${name}  -name=${name}  \\(dns-strict`, 'u'));
    assert.deepEqual((await ping(`-name=${name}`)).said, ['nothing was blocked']);
  });

  /* Those of BIND do not look at what became of their sendmsg(): they wait for an answer as long as they are told. */
  test('dig waits out its time: the lookup is refused all the same', async () => {
    const { said, ms } = await lab.run([`-name=${OK}`], ['dig', '+tries=1', '+time=1', NO]);
    assert.ok(ms < 1_000 + STEP_LIMIT_MS, `${ms} ms`);
    assert.match(said.join('\n'), new RegExp(`${NO} +-name=${NO} +\\(dns-strict, 1 lookup by`, 'u'));
  });
});
