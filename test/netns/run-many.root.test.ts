/*
 * Several runs at once, runs next to an enforcer of the host, runs for a user of sudo; and what a run costs. The lab is
 * that of run-lab.ts.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { curl } from '../lab/clients.ts';
import { newInstance } from './robust-lab.ts';
import { createRunLab, NO, NO_ADDRESS, OK, OK_ADDRESS, type RunLab } from './run-lab.ts';

const AT_ONCE = 8;
const PLAIN = 65534;
const REFUSED = 7;

describe('runs among others', () => {
  let lab: RunLab;
  before(async () => {
    lab = await createRunLab();
  });
  after(() => lab.close());

  test(`${AT_ONCE} at once, each with a policy of its own`, async () => {
    const instances = Array.from({ length: AT_ONCE }, () => newInstance());
    const runs = instances.map((instance, index) => {
      const all = instances.map(
        (_, other) => `curl -s -m 5 -o /dev/null http://198.51.100.${other + 1}/; echo $?`,
      );
      const script = `${all.join('; ')}; sleep 0.5`;
      return lab.run([`-instance=${instance}`, `-cidr=198.51.100.${index + 1}`], ['sh', '-c', script]);
    });
    for (const [index, { stdout, stderr }] of (await Promise.all(runs)).entries()) {
      const expected = instances.map((_, other) => (other === index ? '0' : `${REFUSED}`));
      assert.deepEqual(stdout.trim().split('\n'), expected, stderr);
    }
    for (const instance of instances) lab.hasLeftNothing(instance);
  });

  test('two at once: the end of one changes nothing for the other', async (context) => {
    const loop = `while :; do curl -s -m 5 -o /dev/null -4 http://${OK}/ && curl -s -m 2 http://${NO_ADDRESS.v4}/ || echo "$?"; done`;
    const { process: longer } = lab.start([`-name=${OK}`], ['sh', '-c', loop]);
    context.after(() => longer.stop());
    await longer.waitForLine(/^7$/u, 10_000);
    assert.equal(
      (await lab.run([`-cidr=${NO_ADDRESS.v4}`], ['curl', '-s', `http://${NO_ADDRESS.v4}/`])).code,
      0,
    );
    await longer.waitForLine(/^7$/u, 5_000, longer.mark());
    const codes = longer.lines.filter(({ stream }) => stream === 'stdout').map(({ text }) => text);
    assert.deepEqual([...new Set(codes)], ['7']);
  });

  describe('next to an enforcer of the host', () => {
    const cases = [
      { host: [OK_ADDRESS.v4, NO_ADDRESS.v4], run: OK_ADDRESS.v4, code: 0, what: 'both allow' },
      { host: [NO_ADDRESS.v4], run: OK_ADDRESS.v4, code: REFUSED, what: 'only the run allows' },
      { host: [OK_ADDRESS.v4], run: NO_ADDRESS.v4, code: REFUSED, what: 'only the host allows' },
      { host: [NO_ADDRESS.v4], run: NO_ADDRESS.v4, code: REFUSED, what: 'neither allows' },
    ];
    for (const { host, run, code, what } of cases) {
      test(`${what}: ${code === 0 ? 'passes' : 'refused'}`, async (context) => {
        const flags = ['-iface=eth0', '-eface=eth0', ...host.map((cidr) => `-cidr=${cidr}`)];
        const place = lab.place([`-cidr=${run}`]);
        const fetch = async () => (await curl(place, `http://${OK_ADDRESS.v4}/`)).exitCode;
        const before = run === OK_ADDRESS.v4 ? 0 : REFUSED;
        assert.equal(await fetch(), before, 'without the enforcer');
        const enforcer = await lab.base.enforce(context, flags);
        assert.equal(await fetch(), code);
        await enforcer.stop();
        assert.equal(await fetch(), before, 'after it');
      });
    }

    test('names that both list are learned by both', async (context) => {
      await lab.base.enforce(context, ['-iface=eth0', '-eface=eth0', `-name=${OK}`]);
      assert.equal((await curl(lab.place([`-name=${OK}`]), `http://${OK}/`)).exitCode, 0);
      assert.equal((await curl(lab.place([`-name=${NO}`]), `http://${NO}/`)).exitCode, REFUSED);
    });
  });

  test('under sudo the command is the caller, and so is what it makes', async () => {
    const folder = join(lab.base.host.directory, 'shared');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    chmodSync(lab.base.host.directory, 0o755);
    const made = join(folder, 'made');
    const env = {
      SUDO_UID: `${PLAIN}`,
      SUDO_GID: `${PLAIN}`,
      SUDO_USER: 'nobody',
      SUDO_COMMAND: 'l7egg-cli',
    };
    const script = `id -u; id -g; touch ${made}; curl -s -o /dev/null -4 http://${OK}/; echo $?; curl -s http://${NO}/; echo $?`;
    const ran = await lab.run([`-name=${OK}`], ['sh', '-c', script], { env });
    assert.deepEqual(ran.stdout.trim().split('\n'), [`${PLAIN}`, `${PLAIN}`, '0', '6'], ran.stderr);
    const { uid, gid } = statSync(made);
    assert.deepEqual([uid, gid], [PLAIN, PLAIN]);
  });

  test('what a run costs', async (context) => {
    const median = async (measure: () => Promise<{ ms: number }>) => {
      const times: number[] = [];
      for (let round = 0; round < 10; round++) times.push((await measure()).ms);
      return times.sort((a, b) => a - b)[5] ?? 0;
    };
    const bare = await median(() => lab.base.a.runAsync('true', []));
    const confined = await median(() => lab.run([`-name=${OK}`], ['true']));
    context.diagnostic(`true ${bare.toFixed(0)} ms, run -- true ${confined.toFixed(0)} ms (medians of 10)`);
    assert.ok(confined - bare < 2_000, `${confined} ms`);
  });
});
