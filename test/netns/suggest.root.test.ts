/*
 * From audit to a list: the traffic of suggest-lab.ts is audited, and enforced by what `suggest` prints of it, pasted
 * back unchanged: it passes, and nothing else does.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { dig } from '../lab/clients.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { killNow, startFor } from './robust-lab.ts';
import {
  BARE,
  BARE_NAME,
  createSuggestLab,
  FLAGS,
  fileOf,
  gets,
  OTHER,
  PRIVATE,
  type Step,
  strangersAreRefused,
  suggest,
  suggestRaw,
  trafficPasses,
  wordsOf,
} from './suggest-lab.ts';

const FORMATS = ['flags', 'l7egg', 'cilium', 'networkpolicy'] as const;
type Format = (typeof FORMATS)[number];

/** What a list of a format can't say. */
function isUnsayable(format: Format): (step: Step) => boolean {
  return ({ isPing = false }) => format === 'networkpolicy' && isPing;
}

function argumentsOf(format: Format, lab: Lab, list: string): string[] {
  return format === 'flags' ? wordsOf(list) : [...FLAGS, `-policy=${fileOf(lab.host, list)}`];
}

for (const dns of ['open', 'strict'] as const) {
  describe(`what was seen under -audit -dns=${dns}`, () => {
    const lists = new Map<Format, string>();
    let folded = '';
    let again = '';
    let lab: Lab;
    before(async () => {
      lab = await createSuggestLab();
      const enforcer = await startEnforcer(lab.host, [...FLAGS, '-audit', `-dns=${dns}`]);
      await trafficPasses(lab.host);
      for (const format of FORMATS) lists.set(format, await suggest(lab.host, enforcer, `-format=${format}`));
      folded = await suggest(lab.host, enforcer, '-fold');
      again = await suggest(lab.host, enforcer);
      await enforcer.stop();
    });
    after(() => lab.close());

    for (const format of FORMATS) {
      if (format === 'networkpolicy' && dns === 'strict') continue; // it has no names, so there is nothing to look up
      test(`is enforced by its list as ${format}: the same passes, nothing else does`, async () => {
        const enforcer = await startEnforcer(lab.host, argumentsOf(format, lab, lists.get(format) ?? ''));
        await trafficPasses(lab.host, isUnsayable(format));
        await strangersAreRefused(lab.host);
        if (dns === 'strict') {
          const { stdout } = dig(lab.host, RESOLVERS[0].v4, [OTHER]);
          assert.match(stdout, /status: NXDOMAIN/u);
        }
        await enforcer.stop();
      });
    }
    test('is enforced with siblings folded, which lets other names under their parent pass', async () => {
      assert.match(folded, /-cn=\.cdn\.npm\.example /u);
      assert.match(
        folded,
        /^# every name under cdn\.npm\.example stands for 12 that were seen: c0\.cdn\.npm\.example, /mu,
      );
      const enforcer = await startEnforcer(lab.host, wordsOf(folded));
      await trafficPasses(lab.host);
      await strangersAreRefused(lab.host);
      await enforcer.stop();
    });
    test('what is taken out of the list is refused again', async () => {
      const words = wordsOf(lists.get('flags') ?? '').filter((word) => word !== '-name=security.apt.example');
      const enforcer = await startEnforcer(lab.host, words);
      await trafficPasses(lab.host, ({ what }) => what === 'apt: a chain of CNAMEs');
      await enforcer.stop();
    });
    test('has bare and private addresses flagged, with the name that DNS has', () => {
      for (const [format, list] of lists) {
        assert.match(
          list,
          new RegExp(`^# ${BARE}: no lookup led there; its reverse name is ${BARE_NAME}$`, 'mu'),
          format,
        );
        assert.match(
          list,
          new RegExp(`^# int\\.example leads to the private address ${PRIVATE}, `, 'mu'),
          format,
        );
      }
    });
    test('has names before addresses', () => {
      const words = wordsOf(lists.get('flags') ?? '');
      const cidrs = words.filter((word) => word.startsWith('-cidr=')).sort();
      assert.deepEqual(cidrs, [`-cidr=${PRIVATE}`, `-cidr=${BARE}`]);
    });
    test('does not have what suggest itself looked up', () => {
      assert.equal(again, lists.get('flags'));
      assert.doesNotMatch(again, /in-addr/u);
    });
  });
}

describe('what a rule in a file audits', () => {
  let lab: Lab;
  before(async () => {
    lab = await createSuggestLab();
  });
  after(() => lab.close());
  test('is enforced by the list of it in place of the file', async () => {
    const path = `${lab.host.directory}/audit.yaml`;
    writeFileSync(
      path,
      'apiVersion: l7egg/v1\nkind: EgressPolicy\nname: build\nrules: [{name: git, names: [git.example]}, {name: watch, action: audit}]\n',
    );
    const auditing = await startEnforcer(lab.host, [...FLAGS, `-policy=${path}`]);
    await trafficPasses(lab.host);
    const lists = new Map<Format, string>();
    for (const format of FORMATS) lists.set(format, await suggest(lab.host, auditing, `-format=${format}`));
    await auditing.stop();
    for (const [format, list] of lists) {
      const enforcer = await startEnforcer(lab.host, argumentsOf(format, lab, list));
      await trafficPasses(lab.host, isUnsayable(format));
      await strangersAreRefused(lab.host);
      await enforcer.stop();
    }
  });
  test('names that no rule can hold are remarks, also such as another process made up', async () => {
    const enforcer = await startEnforcer(lab.host, [...FLAGS, '-audit', '-dns=strict']);
    const odd = ['*.evil.example', '$(id).evil.example', "it's.evil.example", '\\027[31m.evil.example'];
    for (const name of odd) dig(lab.host, RESOLVERS[0].v4, [name]);
    assert.equal(await gets(lab.host, 'http://git.example:443/'), true);
    const list = await suggest(lab.host, enforcer);
    await enforcer.stop();
    assert.deepEqual(wordsOf(list).slice(2), ['-dns=strict', '-name=git.example', '-port=443/tcp']);
    const remarks = list
      .split('\n')
      .filter((line) => /^# the name ".*\.evil\.example" was looked up/u.test(line));
    assert.equal(remarks.length, odd.length, list);
    assert.doesNotMatch(list, /[^\P{C}\n]/u);
  });
  test('what an enforcer has seen that another took over from is said to be missing', async (context) => {
    const first = await startEnforcer(lab.host, [...FLAGS, '-audit']);
    assert.equal(await gets(lab.host, 'http://git.example:443/'), true);
    await killNow(first);
    const gone = await suggestRaw(lab.host, `-instance=${first.instance}`);
    assert.deepEqual([gone.code, gone.stdout], [3, '']);
    const second = await startFor(context, lab.host, [...FLAGS, '-audit'], { instance: first.instance });
    assert.equal(await gets(lab.host, 'http://registry.npm.example:443/'), true);
    const list = await suggest(lab.host, second);
    await second.stop();
    assert.deepEqual(wordsOf(list).slice(2), ['-name=registry.npm.example', '-port=443/tcp']);
    assert.match(list, /^# flows that were allowed before this process took over went on/mu);
  });
  test('what is enforced already is in the list, what is refused is a remark with its flag', async () => {
    const enforcer = await startEnforcer(lab.host, [
      ...FLAGS,
      '-name=git.example',
      '-deny-cidr=203.0.113.66',
    ]);
    assert.equal(await gets(lab.host, 'http://git.example:443/'), true);
    assert.equal(await gets(lab.host, `http://${OTHER}/`), false);
    assert.equal(await gets(lab.host, 'http://203.0.113.66/'), false);
    const list = await suggest(lab.host, enforcer);
    await enforcer.stop();
    const [words = '', ...remarks] = list.trimEnd().split('\n');
    assert.equal(words, '-iface=eth0 -eface=eth0 -name=git.example -deny-cidr=203.0.113.66/32 -port=443/tcp');
    assert.ok(
      remarks.some((line) =>
        /^# refused .*: www\.other\.example \(.*\) 80\/tcp: -name=www\.other\.example -port=80\/tcp$/u.test(
          line,
        ),
      ),
      list,
    );
    assert.ok(
      remarks.some((line) =>
        /^# denied .*: 203\.0\.113\.66 80\/tcp: without -deny-cidr=203\.0\.113\.66$/u.test(line),
      ),
      list,
    );
  });
});
