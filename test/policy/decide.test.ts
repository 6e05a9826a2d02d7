import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decide } from '../../src/policy/decide.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { parsePort } from '../../src/policy/port.ts';
import { type Action, parseCanonicalRule, type Rule } from '../../src/policy/rule.ts';
import { parseTarget } from '../../src/policy/target.ts';

/** `ACTION KIND WHO [PORT…]` as rules: the source of each is its place, r1, r2, … */
function policyOf(texts: readonly string[], more: Partial<Policy> = {}): Policy {
  const rules = texts.map((text, index): Rule => {
    const [action = '', kind = '', who = '', ...ports] = text.split(' ');
    const rule = parseCanonicalRule(`${action} ${kind} ${who} any`, `r${index + 1}`);
    return { ...rule, ports: ports.flatMap(parsePort) };
  });
  return { rules, dns: 'open', audit: false, allowPrivateAnswers: false, inbound: 'all', ...more };
}

const told = (policy: Policy, target: string): string => {
  const { verdict, because } = decide(policy, parseTarget(target));
  return `${verdict} ${because}`;
};

describe('decide', () => {
  const WEB = ['allow exact a.test 443/tcp'];
  const NET = ['allow prefix 10.0.0.0/8!10.1.0.0/16 443/tcp 8000-8100/udp'];
  const DENIED = ['allow prefix 10.0.0.0/8', 'deny prefix 10.1.0.0/16 25/tcp'];
  const ANY = ['allow any any 443/tcp'];
  const AUDITED = ['audit suffix .a.test', 'allow exact www.a.test'];
  const rows: readonly (readonly [rules: readonly string[], target: string, told: string])[] = [
    [[], 'a.test', 'deny no rule lists a.test'],
    [[], '10.0.0.1', 'deny no rule holds 10.0.0.1'],
    [WEB, 'a.test:443', 'allow r1: allow the name a.test on 443/tcp'],
    [WEB, 'A.test.:443', 'allow r1: allow the name a.test on 443/tcp'],
    [WEB, 'a.test', 'allow r1: allow the name a.test on 443/tcp'],
    [WEB, 'a.test:443/udp', 'deny r1 lists a.test, but not 443/udp'],
    [WEB, 'a.test:80', 'deny r1 lists a.test, but not 80/tcp'],
    [WEB, 'a.test:8/icmp', 'deny r1 lists a.test, but not 8/icmp'],
    [WEB, 'www.a.test:443', 'deny no rule lists www.a.test'],
    [WEB, '192.0.2.1:443', 'deny no rule holds 192.0.2.1'],
    [['allow suffix .a.test'], 'x.y.a.test:9', 'allow r1: allow names that end in ".a.test"'],
    [['allow suffix .a.test'], 'a.test', 'deny no rule lists a.test'],
    [['allow pattern *.a.test'], 'x.a.test', 'allow r1: allow names like *.a.test'],
    [['allow pattern *.a.test'], 'x.y.a.test', 'deny no rule lists x.y.a.test'],
    [NET, '10.2.3.4:443', 'allow r1: allow 10.0.0.0/8 but not 10.1.0.0/16 on 443/tcp, 8000-8100/udp'],
    [NET, '10.2.3.4:8050/udp', 'allow r1: allow 10.0.0.0/8 but not 10.1.0.0/16 on 443/tcp, 8000-8100/udp'],
    [NET, '10.2.3.4:8101/udp', 'deny r1 lists 10.2.3.4, but not 8101/udp'],
    [NET, '10.1.0.0:443', 'deny no rule holds 10.1.0.0'],
    [
      NET,
      'a.test:443',
      'deny no rule lists a.test; a rule for addresses may hold where it leads to, which is not looked up here',
    ],
    [['allow prefix 2001:db8::/32'], '[2001:db8::1]:443', 'allow r1: allow 2001:db8::/32'],
    [['allow prefix ::/0'], '192.0.2.1:443', 'deny no rule holds 192.0.2.1'],
    [ANY, '192.0.2.1:443', 'allow r1: allow every address on 443/tcp'],
    [ANY, 'a.test:443', 'allow r1: allow every address on 443/tcp'],
    [ANY, 'a.test:80', 'deny r1 lists a.test, but not 80/tcp'],
    [DENIED, '10.1.0.1:25', 'deny r2 denies 10.1.0.1'],
    [DENIED, '10.1.0.1:26', 'allow r1: allow 10.0.0.0/8'],
    [DENIED, '10.1.0.1:25/udp', 'allow r1: allow 10.0.0.0/8'],
    [DENIED, '10.1.0.1', 'allow r1: allow 10.0.0.0/8'],
    [
      ['allow prefix 10.0.0.0/8 25/tcp', 'deny prefix 10.1.0.0/16 1-100/tcp'],
      '10.1.0.1',
      'deny r2 denies 10.1.0.1',
    ],
    [['allow prefix 10.0.0.0/8', 'deny prefix 10.1.0.0/16'], '10.1.0.1', 'deny r2 denies 10.1.0.1'],
    [['allow prefix 10.0.0.0/8', 'deny prefix 10.1.0.0/16 tcp'], '10.1.0.1', 'deny r2 denies 10.1.0.1'],
    [['allow exact a.test', 'deny suffix .test'], 'a.test:443', 'deny r2 denies a.test'],
    [['deny exact a.test'], '10.0.0.1', 'deny no rule holds 10.0.0.1'],
    [['allow exact a.test', 'deny any any'], 'a.test', 'deny r2 denies a.test'],
    [['allow exact a.test', 'allow any any'], 'a.test', 'allow r2: allow every address'],
    [['allow any any', 'deny exact a.test 25/tcp'], 'a.test:80', 'deny r2 denies a.test'],
    [['lookup exact a.test'], 'a.test', 'deny no rule lists a.test'],
    [AUDITED, 'x.a.test', 'allow r1: audit names that end in ".a.test", which is reported'],
    [AUDITED, 'www.a.test', 'allow r2: allow the name www.a.test'],
  ];
  for (const [rules, target, expected] of rows)
    test(`${target} by ${rules.join(', ') || 'no rule'}`, () =>
      assert.equal(told(policyOf(rules), target), expected));

  test('under strict says that the lookup is refused', () => {
    assert.equal(
      told(policyOf([], { dns: 'strict' }), 'a.test'),
      'deny no rule lists a.test, and with dns strict its lookup is refused',
    );
  });

  test('under strict a rule for every address opens no name whose lookup is refused', () => {
    const strict = (...rules: readonly string[]) => policyOf(rules, { dns: 'strict' });
    const refused = 'deny no rule lists a.test, and with dns strict its lookup is refused';
    assert.equal(told(strict('allow any any 443/tcp'), 'a.test:443'), refused);
    assert.equal(told(strict('allow any any 443/tcp', 'allow exact b.test'), 'a.test:443'), refused);
    assert.equal(told(strict('allow any any 443/tcp'), 'a.test'), refused);
    const opened = 'allow r1: allow every address on 443/tcp';
    for (const rule of [
      'lookup exact a.test',
      'allow exact a.test',
      'allow suffix .a.test',
      'audit exact x.a.test',
    ])
      assert.equal(told(strict('allow any any 443/tcp', rule), 'a.test:443'), opened, rule);
    assert.equal(told(strict('allow any any 443/tcp'), '192.0.2.1:443'), opened);
  });

  test('without a port does not ask for port 0, which nothing goes to', () => {
    const rules = ['allow prefix 10.0.0.0/8 tcp', 'deny prefix 10.0.0.0/8 1-65535/tcp'];
    assert.equal(told(policyOf(rules), '10.0.0.1'), 'deny r2 denies 10.0.0.1');
    assert.match(told(policyOf(['allow prefix 10.0.0.0/8 icmp:0']), '10.0.0.1:0/icmp'), /^allow /u);
  });

  test('under strict takes ports of DNS out of rules that do not name them', () => {
    const policy = policyOf(['allow exact a.test', 'allow exact b.test 53/udp'], { dns: 'strict' });
    assert.equal(told(policy, 'a.test:53/udp'), 'deny r1 lists a.test, but not 53/udp');
    assert.equal(told(policy, 'a.test:853'), 'deny r1 lists a.test, but not 853/tcp');
    assert.equal(told(policy, 'a.test:54/udp'), 'allow r1: allow the name a.test');
    assert.equal(told(policy, 'b.test:53/udp'), 'allow r2: allow the name b.test on 53/udp');
    assert.equal(told(policy, 'a.test'), 'allow r1: allow the name a.test');
  });

  test('under audit lets pass, and says what else', () => {
    const policy = policyOf(['allow exact a.test'], { audit: true });
    assert.equal(told(policy, 'b.test'), 'allow audit lets all pass; else: no rule lists b.test');
    assert.equal(told(policy, 'a.test'), 'allow r1: allow the name a.test');
  });
});

describe('decide considers', () => {
  test('every rule that speaks of the target, in the order in which they count', () => {
    const policy = policyOf([
      'audit any any',
      'allow exact a.test 443/tcp',
      'allow exact b.test',
      'lookup exact a.test',
      'allow any any 80/tcp',
      'deny suffix .test',
    ]);
    assert.deepEqual(decide(policy, parseTarget('a.test:80')).considered, [
      'deny names that end in ".test" (r6): applies',
      'allow every address on 80/tcp (r5): applies',
      'allow the name a.test on 443/tcp (r2): not 80/tcp',
      'audit every address (r1): applies',
    ]);
  });

  test('none where none speaks of it', () => {
    assert.deepEqual(decide(policyOf(['allow exact b.test']), parseTarget('a.test')).considered, []);
  });
});

/* Decides without a port as by going through all of them. */
describe('decide without a port agrees with one port at least', () => {
  const actions: readonly Action[] = ['allow', 'deny', 'audit'];
  const ports = ['', '1', '1-3/tcp', '2/tcp', '2-65535', '65535/tcp', 'tcp', 'udp', '53', 'icmp'];
  for (const dns of ['open', 'strict'] as const) {
    for (const first of actions) {
      for (const second of actions) {
        test(`${first} and ${second}, dns ${dns}`, () => {
          for (const one of ports) {
            for (const other of ports) {
              const policy = policyOf(
                [`${first} prefix 10.0.0.0/8 ${one}`.trim(), `${second} prefix 10.0.0.0/8 ${other}`.trim()],
                { dns },
              );
              const asked = [1, 2, 3, 4, 52, 53, 54, 852, 853, 854, 65_534, 65_535];
              const passes = asked.some(
                (port) => decide(policy, parseTarget(`10.0.0.1:${port}`)).verdict === 'allow',
              );
              assert.equal(
                decide(policy, parseTarget('10.0.0.1')).verdict,
                passes ? 'allow' : 'deny',
                `${one} ${other}`,
              );
            }
          }
        });
      }
    }
  }
});
