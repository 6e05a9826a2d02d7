/*
 * What `l7egg-cli run` says of what it blocked, and that it says nothing where the command speaks. The lab is that of
 * run-lab.ts.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import { createRunLab, NO, NO_ADDRESS, OK, OK_ADDRESS, type Ran, type RunLab } from './run-lab.ts';

const STREAM_BYTES = 1 << 20;
const WEB = ['curl', '-sS', '-m', '5', '-4'];

/** The flags that a summary suggests, of all its targets. */
function suggested({ said }: Ran): string[] {
  return [
    ...new Set(
      said.flatMap((line) => /^ {2}\S.*? {2,}(-\S+(?: -\S+)*) {2}\(/u.exec(line)?.[1]?.split(' ') ?? []),
    ),
  ];
}

describe('the summary of a run', () => {
  let lab: RunLab;
  before(async () => {
    lab = await createRunLab();
  });
  after(() => lab.close());

  const blocked = [
    {
      what: 'a name',
      flags: [`-name=${OK}`],
      url: `http://${NO}/`,
      line: `${NO}  -name=${NO}  (dns-strict, 2 lookups by curl)`,
    },
    {
      what: 'an address',
      flags: [`-name=${OK}`],
      url: `http://${NO_ADDRESS.v4}/`,
      line: `${NO_ADDRESS.v4}:80/tcp  -cidr=${NO_ADDRESS.v4}  (no-rule, once by curl)`,
    },
    {
      what: 'a name under -dns=open',
      flags: [`-name=${OK}`, '-dns=open'],
      url: `http://${NO}/`,
      line: `${NO} (${NO_ADDRESS.v4}:80/tcp)  -name=${NO}  (no-rule, once by curl)`,
    },
    {
      what: 'a port',
      flags: [`-name=${OK}`, '-port=443'],
      url: `http://${OK}/`,
      line: `${OK} (${OK_ADDRESS.v4}:80/tcp)  -port=80/tcp  (port, once by curl)`,
    },
    {
      what: 'an address and a port',
      flags: [`-name=${OK}`, '-port=443'],
      url: `http://${NO_ADDRESS.v4}/`,
      line: `${NO_ADDRESS.v4}:80/tcp  -cidr=${NO_ADDRESS.v4} -port=80/tcp  (no-rule, once by curl)`,
    },
  ];
  for (const { what, flags, url, line } of blocked) {
    test(`${what} is listed with a flag, which allows it`, async () => {
      const ran = await lab.run(flags, [...WEB, url]);
      assert.notEqual(ran.code, 0);
      assert.deepEqual(ran.said, ['1 target was blocked; what would allow each:', `  ${line}`]);
      const again = await lab.run([...flags, ...suggested(ran)], [...WEB, url]);
      assert.deepEqual([again.code, again.said], [0, ['nothing was blocked']]);
      assert.match(again.stdout, /^hello from /u);
    });
  }

  test('a name that is refused and then a port: two rounds lead to what passes', async () => {
    const url = `http://${NO}/`;
    const flags = [`-name=${OK}`, '-port=443'];
    for (const expected of [[`-name=${NO}`], ['-port=80/tcp']]) {
      const ran = await lab.run(flags, [...WEB, url]);
      assert.deepEqual(suggested(ran), expected);
      flags.push(...expected);
    }
    assert.equal((await lab.run(flags, [...WEB, url])).code, 0);
  });

  test('deny rules are named as what is in the way', async () => {
    const name = await lab.run(['-cn=.example', `-deny-name=${NO}`], [...WEB, `http://${NO}/`]);
    assert.match(name.said[1] ?? '', new RegExp(`without -deny-name=${NO}  \\(dns-denied, `, 'u'));
    const flags = ['-cidr=198.51.100.0/24', `-deny-cidr=${NO_ADDRESS.v4}`];
    const address = await lab.run(flags, [...WEB, `http://${NO_ADDRESS.v4}/`]);
    assert.match(
      address.said[1] ?? '',
      new RegExp(`without -deny-cidr=${NO_ADDRESS.v4}  \\(deny-cidr, once`, 'u'),
    );
  });

  test('all attempts are counted, also those of one moment, and programs are named', async () => {
    const script = `for i in 1 2 3 4 5 6 7; do curl -s -m 2 http://${NO_ADDRESS.v4}/; done; wget -q -t 1 -T 2 -O /dev/null http://${NO_ADDRESS.v4}/; true`;
    const { said } = await lab.run([`-name=${OK}`], ['sh', '-c', script]);
    assert.match(said[1] ?? '', /\(no-rule, 8 times by curl, wget\)$/u);
    assert.equal(said.length, 2);
  });

  test('a socket that is connected and not used is no attempt', async () => {
    const sorts = await lab.run([`-name=${OK}`, '-dns=open'], ['getent', 'ahosts', NO]);
    assert.match(sorts.stdout, new RegExp(NO_ADDRESS.v4, 'u'));
    assert.deepEqual(sorts.said, ['nothing was blocked']);
    const sends = await lab.run([`-name=${OK}`], [lab.base.probe, 'connected4', NO_ADDRESS.v4, '7']);
    assert.match(
      sends.said[1] ?? '',
      new RegExp(`${NO_ADDRESS.v4}:7/udp  -cidr=${NO_ADDRESS.v4}  \\(no-rule, once`, 'u'),
    );
  });

  test('lookups of names above a listed one, as of qname minimisation, are no attempts', async () => {
    const walk = ['example NS', 'ok.example NS', `${OK} A`].map((words) => `dig +tries=1 +time=2 ${words}`);
    const { said, code } = await lab.run([`-name=${OK}`], ['sh', '-ec', walk.join('; ')]);
    assert.deepEqual([code, said], [0, ['nothing was blocked']]);
  });

  test('A and AAAA of one name are one target of two lookups', async () => {
    const { said } = await lab.run([`-name=${OK}`], ['getent', 'ahosts', NO]);
    assert.deepEqual(said.slice(1), [`  ${NO}  -name=${NO}  (dns-strict, 2 lookups by getent)`]);
  });

  test('nothing of it goes to stdout, and a mebibyte goes through both ways', async () => {
    const input = randomBytes(STREAM_BYTES / 2).toString('hex');
    const digest = createHash('sha256').update(input).digest('hex');
    const copied = await lab.run([`-name=${OK}`], ['cat'], { input });
    assert.equal(copied.stdout.length, STREAM_BYTES);
    assert.ok(copied.stdout === input, 'byte for byte');
    const summed = await lab.run([`-name=${OK}`], ['sha256sum'], { input });
    assert.equal(summed.stdout, `${digest}  -\n`);
    const mixed = await lab.run(
      [`-name=${OK}`],
      ['sh', '-c', `curl -s http://${NO}/; echo out; echo err >&2`],
    );
    assert.equal(mixed.stdout, 'out\n');
    assert.match(mixed.stderr, /^err$/mu);
  });

  test('zero bytes and a last line without its end are kept', async () => {
    const file = join(lab.base.host.directory, 'raw');
    const script = `"$0" run -name=${OK} -- printf 'a\\000\\377b' >"$1"`;
    await lab.base.a.runAsync('sh', ['-c', script, findCli(), file]);
    assert.deepEqual(readFileSync(file), Buffer.from([0x61, 0, 0xff, 0x62]));
  });

  test('a reader that goes away ends the command, not the cleaning up', async () => {
    const script = `"$0" run -instance=runpipe -name=${OK} -- yes | head -n 1`;
    const done = await lab.base.a.runAsync('sh', ['-c', script, findCli()]);
    assert.equal(done.stdout, 'y\n');
    lab.hasLeftNothing('runpipe');
  });

  describe('-summary-md', () => {
    test('is appended to what is there', async () => {
      const file = join(lab.base.host.directory, 'summary.md');
      writeFileSync(file, '# before');
      await lab.run([`-name=${OK}`, `-summary-md=${file}`], [...WEB, `http://${NO}/`]);
      await lab.run([`-name=${OK}`, `-summary-md=${file}`], ['true']);
      const text = readFileSync(file, 'utf8');
      assert.match(text, /^# before\n### Egress of `curl`: 1 blocked\n/u);
      assert.match(text, new RegExp(`^\\| \`${NO}\` \\| 2 \\| dns-strict \\| \`-name=${NO}\` \\|$`, 'mu'));
      assert.match(text, /\n\n### Egress of `true`: nothing was blocked\n\nExit code 0\.\n$/u);
    });

    test('names with bars, backticks and controls stay in their cells', async () => {
      const file = join(lab.base.host.directory, 'hostile.md');
      const script = ['a\\|b.example', 'a`b.example', 'a\\010b.example']
        .map((name) => `dig +tries=1 +time=1 '${name}' >/dev/null`)
        .join('; ');
      await lab.run([`-name=${OK}`, `-summary-md=${file}`], ['sh', '-c', script]);
      const rows = readFileSync(file, 'utf8').split('\n').slice(7, 10);
      assert.equal(rows.length, 3);
      for (const row of rows) assert.match(row, /^\| `[^`]+` \| 1 \| dns-strict \| {2}\|$/u, row);
      assert.ok(
        rows.some((row) => row.includes('\\|b')),
        rows.join('\n'),
      );
    });

    test('that can not be written: nothing is started, exit 2', async () => {
      const folder = lab.base.host.directory;
      for (const [file, why] of [
        [folder, 'EISDIR'],
        [join(folder, 'none', 'x.md'), 'ENOENT'],
      ] as const) {
        const { code, stdout, stderr } = await lab.run(
          [`-name=${OK}`, `-summary-md=${file}`],
          ['echo', 'ran'],
        );
        assert.deepEqual([code, stdout], [2, '']);
        assert.equal(stderr, `l7egg-cli: -summary-md "${file}" can't be written: ${why}\n`);
      }
    });

    test('goes to the file that was there, not to where the command points its path', async () => {
      const file = join(lab.base.host.directory, 'turned.md');
      const other = join(lab.base.host.directory, 'other');
      writeFileSync(other, 'kept');
      const turn = ['ln', '-sf', other, file];
      assert.equal((await lab.run([`-name=${OK}`, `-summary-md=${file}`], turn)).code, 0);
      assert.equal(readFileSync(other, 'utf8'), 'kept');
    });
  });

  test('-fail-on-blocked is 10 in place of 0 only', async () => {
    const cases = [
      { script: `curl -s http://${NO}/; exit 0`, code: 10 },
      { script: `curl -s http://${NO}/; exit 3`, code: 3 },
      { script: `curl -s http://${NO}/; kill -TERM $$`, code: 143 },
      { script: 'exit 0', code: 0 },
    ];
    for (const { script, code } of cases) {
      const ran = await lab.run([`-name=${OK}`, '-fail-on-blocked'], ['sh', '-c', script]);
      assert.equal(ran.code, code, script);
    }
    assert.equal((await lab.run([`-name=${OK}`], ['sh', '-c', `curl -s http://${NO}/; exit 0`])).code, 0);
  });
});
