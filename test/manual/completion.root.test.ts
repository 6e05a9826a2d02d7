/*
 * Completion of what is there on this host: interfaces, network namespaces, instances. Names may be anybody's: one
 * that a shell would take apart is offered by none.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { RUN_ROOT } from '../../src/enforcer/run-dir.ts';
import { must } from './must.ts';
import { Scripts, SHELLS } from './shells.ts';

/** Made where the tests run, were one run. */
const PROOF = `l7egg-taken-${process.pid}`;
const NAME = `l7w${process.pid}`;
/** No slash and no blank may be in the name of an interface. */
const HOSTILE = `${NAME.slice(0, 7)}$(id)`;

describe('completion of what is there', () => {
  let scripts: Scripts;
  before(() => {
    scripts = new Scripts();
    must(['ip', 'netns', 'add', NAME]);
    must(['ip', 'tuntap', 'add', 'name', NAME, 'mode', 'tun']);
    must(['ip', 'tuntap', 'add', 'name', HOSTILE, 'mode', 'tun']);
    mkdirSync(`${RUN_ROOT}/${NAME}`, { recursive: true });
    mkdirSync(`${RUN_ROOT}/${NAME}$(touch ${PROOF})`, { recursive: true });
  });
  after(() => {
    must(['ip', 'netns', 'del', NAME]);
    must(['ip', 'link', 'del', NAME]);
    must(['ip', 'link', 'del', HOSTILE]);
    rmSync(`${RUN_ROOT}/${NAME}`, { recursive: true });
    rmSync(`${RUN_ROOT}/${NAME}$(touch ${PROOF})`, { recursive: true });
    scripts[Symbol.dispose]();
  });

  for (const shell of SHELLS) {
    for (const flag of ['iface', 'eface', 'netns', 'instance'])
      test(`${shell}: -${flag}`, () => {
        const begun = NAME.slice(0, 7);
        const [offered] = scripts.offers(shell, [`l7egg-cli -${flag}=${begun}`]);
        assert.deepEqual(
          offered?.map((each) => each.replace(/^.*=/u, '').replace(/[ ,]+$/u, '')),
          [NAME],
        );
      });
  }

  test('what is hostile was there, and was not run', () => {
    assert.match(must(['ip', '-br', 'link']), /\$\(id\)/u);
    assert.equal(existsSync(PROOF), false);
  });
});
