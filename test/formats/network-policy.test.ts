import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePrefix } from '../../src/policy/prefix.ts';
import { atMarks, errorsOf, type Reading, read, verdict } from './kube-reading.ts';

function policy(spec: string, name = 'np'): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
}

const EGRESS = (rules: string) => `{podSelector: {}, policyTypes: [Egress], egress: ${rules}}`;
const TO = (peers: string) => EGRESS(`[{to: ${peers}}]`);
const PORTS = (ports: string) => EGRESS(`[{ports: ${ports}}]`);
const LABELLED: Reading = {
  labels: new Map([
    ['app', 'web'],
    ['tier', 'front'],
  ]),
};
const APP = 'matchLabels: {app: web}';
const EXPRESS = (text: string) => `{podSelector: {matchExpressions: [{${text}}]}, policyTypes: [Egress]}`;

/** The policy of the documentation of Kubernetes, of which the part about pods is left out. */
const DOCUMENTED = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: db
  namespace: shop
spec:
  podSelector:
    matchLabels:
      role: db
  policyTypes:
    - Ingress
    - Egress
  ingress:
    - from:
        - ipBlock:
            cidr: 172.17.0.0/16
            except:
              - 172.17.1.0/24
      ports:
        - protocol: TCP
          port: 6379
  egress:
    - to:
        - ipBlock:
            cidr: 10.0.0.0/24
      ports:
        - protocol: TCP
          port: 5978
`;
const DB: Reading = { labels: new Map([['role', 'db']]) };
const RANGE = TO('[{ipBlock: {cidr: 10.0.0.0/24}}], ports: [{protocol: TCP, port: 32000, endPort: 32768}]');
const TEN = '[{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}}]';
const OVERLAP = '[{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.1.2.0/24}}]';
const TWO_RULES = EGRESS(
  '[{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80}]}, {to: [{ipBlock: {cidr: 10.0.0.0/16}}], ports: [{port: 443}]}]',
);

describe('readNetworkPolicy lets pass', () => {
  const rows: readonly (readonly [text: string, target: string, expected: string, reading?: Reading])[] = [
    // Whether egress is controlled: policyTypes, else whether there are rules.
    [policy('{policyTypes: [Egress]}'), '192.0.2.1:443', 'deny'],
    [policy('{policyTypes: [Egress], egress: null}'), '192.0.2.1:443', 'deny'],
    [policy(EGRESS('[]')), '192.0.2.1:443', 'deny'],
    [policy('{policyTypes: [Ingress, Egress]}'), '192.0.2.1:443', 'deny'],
    [policy('{policyTypes: [Ingress]}'), '192.0.2.1:443', 'open'],
    [
      policy('{policyTypes: [Ingress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}'),
      '192.0.2.1:443',
      'open',
    ],
    [policy('{}'), '192.0.2.1:443', 'open'],
    [policy('{podSelector: {}, ingress: [{}]}'), '192.0.2.1:443', 'open'],
    [policy('{podSelector: {}, egress: []}'), '192.0.2.1:443', 'open'],
    [policy('{podSelector: {}, policyTypes: [], egress: []}'), '192.0.2.1:443', 'open'],
    [policy('{podSelector: null, policyTypes: null, egress: null}'), '192.0.2.1:443', 'open'],
    [policy('{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}'), '192.0.2.1:443', 'deny'],
    [policy('{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}'), '10.0.0.1:443', 'allow np egress[0]'],
    [policy('{policyTypes: [], egress: [{}]}'), '10.0.0.1:443', 'allow np egress[0]'],
    // Nil and empty lists of a rule.
    [policy(EGRESS('[{}]')), '192.0.2.1:443', 'allow np egress[0]'],
    [policy(EGRESS('[{}]')), '[2001:db8::1]:53/udp', 'allow np egress[0]'],
    [policy(EGRESS('[{}]')), '192.0.2.1 icmp', 'allow np egress[0]'],
    [policy(EGRESS('[{to: [], ports: []}]')), '192.0.2.1:443', 'allow np egress[0]'],
    [policy(EGRESS('[{to: null, ports: null}]')), '192.0.2.1:443', 'allow np egress[0]'],
    [policy(PORTS('[]')), '192.0.2.1 icmp', 'allow np egress[0]'],
    [policy(EGRESS('[{to: [], ports: [{port: 443}]}]')), '192.0.2.1:443', 'allow np egress[0]'],
    [policy(EGRESS('[{to: [], ports: [{port: 443}]}]')), '192.0.2.1:80', 'deny'],
    // ipBlock and its exceptions.
    [policy(TO(TEN)), '10.3.0.1:443', 'allow np egress[0]'],
    [policy(TO(TEN)), '10.1.0.1:443', 'deny'],
    [policy(TO(TEN)), '10.2.255.255:443', 'deny'],
    [policy(TO(TEN)), '11.0.0.1:443', 'deny'],
    [policy(TO(TEN)), '10.3.0.1 icmp', 'allow np egress[0]'],
    [policy(TO('[{ipBlock: {cidr: 10.0.0.0/8, except: []}}]')), '10.1.0.1:443', 'allow np egress[0]'],
    [policy(TO('[{ipBlock: {cidr: 10.0.0.0/8, except: null}}]')), '10.1.0.1:443', 'allow np egress[0]'],
    [policy(TO(OVERLAP)), '10.1.2.3:443', 'allow np egress[0]'],
    [policy(TO(OVERLAP)), '10.1.3.3:443', 'deny'],
    [
      policy(TO('[{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]')),
      '169.254.169.254:80',
      'deny',
    ],
    [policy(TO('[{ipBlock: {cidr: 0.0.0.0/0}}]')), '[2001:db8::1]:443', 'deny'],
    [policy(TO('[{ipBlock: {cidr: "2001:db8::/64"}}]')), '[2001:db8::1]:443', 'allow np egress[0]'],
    [
      policy(TO('[{ipBlock: {cidr: "2001:db8::/32", except: ["2001:db8:1::/48"]}}]')),
      '[2001:db8:1::1]:1',
      'deny',
    ],
    [policy(TO('[{ipBlock: {cidr: 10.1.2.3/16}}]')), '10.1.9.9:443', 'allow np egress[0]'],
    [
      policy(TO('[{ipBlock: {cidr: 10.0.0.1/32}}, {ipBlock: {cidr: 10.0.0.2/32}}]')),
      '10.0.0.2:1',
      'allow np egress[0]',
    ],
    // Ports; a rule's are not those of another.
    [policy(PORTS('[{port: 443}]')), '192.0.2.1:443', 'allow np egress[0]'],
    [policy(PORTS('[{port: 443}]')), '192.0.2.1:443/udp', 'deny'],
    [policy(PORTS('[{port: 443}]')), '192.0.2.1 icmp', 'deny'],
    [policy(PORTS('[{port: 53, protocol: UDP}]')), '192.0.2.1:53/udp', 'allow np egress[0]'],
    [policy(PORTS('[{port: 53, protocol: UDP}]')), '192.0.2.1:53', 'deny'],
    [policy(PORTS('[{port: 7, protocol: SCTP}]')), '192.0.2.1:7/sctp', 'allow np egress[0]'],
    [policy(PORTS('[{protocol: UDP}]')), '192.0.2.1:65535/udp', 'allow np egress[0]'],
    [policy(PORTS('[{protocol: UDP}]')), '192.0.2.1:65535', 'deny'],
    [policy(PORTS('[{}]')), '192.0.2.1:9', 'allow np egress[0]'],
    [policy(PORTS('[{}]')), '192.0.2.1:9/udp', 'deny'],
    [policy(PORTS('[{port: null, endPort: null, protocol: null}]')), '192.0.2.1:9', 'allow np egress[0]'],
    [policy(PORTS('[{port: 80, endPort: 80}]')), '192.0.2.1:80', 'allow np egress[0]'],
    [policy(PORTS('[{port: 80, endPort: 80}]')), '192.0.2.1:81', 'deny'],
    [policy(RANGE), '10.0.0.9:32000', 'allow np egress[0]'],
    [policy(RANGE), '10.0.0.9:32768', 'allow np egress[0]'],
    [policy(RANGE), '10.0.0.9:31999', 'deny'],
    [policy(RANGE), '10.0.0.9:32769', 'deny'],
    [policy(RANGE), '10.0.1.9:32000', 'deny'],
    [policy(TWO_RULES), '10.0.0.1:80', 'allow np egress[0]'],
    [policy(TWO_RULES), '10.0.0.1:443', 'allow np egress[1]'],
    [policy(TWO_RULES), '10.9.0.1:443', 'deny'],
    // Several policies add up.
    [
      `${policy(TO('[{ipBlock: {cidr: 10.0.0.0/8}}]'), 'a')}---\n${policy(EGRESS('[]'), 'b')}`,
      '10.0.0.1:1',
      'allow a egress[0]',
    ],
    [`${policy(EGRESS('[]'), 'a')}---\n${policy(EGRESS('[{}]'), 'b')}`, '10.0.0.1:1', 'allow b egress[0]'],
    [`${policy(EGRESS('[]'), 'a')}---\n${policy('{policyTypes: [Ingress]}', 'b')}`, '10.0.0.1:1', 'deny'],
    [
      `${policy(TO(TEN), 'a')}---\n${policy(TO('[{ipBlock: {cidr: 10.1.2.0/24}}]'), 'b')}`,
      '10.1.2.3:1',
      'allow b egress[0]',
    ],
    [
      `${policy('{policyTypes: [Ingress], egress: [{}]}', 'a')}---\n${policy(EGRESS('[]'), 'b')}`,
      '10.0.0.1:1',
      'deny',
    ],
    // The documentation's own.
    [DOCUMENTED, '10.0.0.7:5978', 'allow db egress[0]', DB],
    [DOCUMENTED, '10.0.0.7:5979', 'deny', DB],
    [DOCUMENTED, '172.17.2.1:6379', 'deny', DB],
    [DOCUMENTED, '192.0.2.1:443', 'open', LABELLED],
    // Whom it is for.
    [policy(`{podSelector: {${APP}}, policyTypes: [Egress]}`), '192.0.2.1:443', 'deny', LABELLED],
    [
      policy('{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress]}'),
      '192.0.2.1:443',
      'open',
      LABELLED,
    ],
    [
      policy('{podSelector: {matchLabels: {}, matchExpressions: []}, policyTypes: [Egress]}'),
      '192.0.2.1:443',
      'deny',
    ],
    [policy('{podSelector: {matchLabels: null}, policyTypes: [Egress]}'), '192.0.2.1:443', 'deny'],
    [
      policy('{podSelector: {matchLabels: {app: web, tier: back}}, policyTypes: [Egress]}'),
      '192.0.2.1:1',
      'open',
      LABELLED,
    ],
    [policy(EXPRESS('key: app, operator: In, values: [db, web]')), '192.0.2.1:1', 'deny', LABELLED],
    [policy(EXPRESS('key: app, operator: In, values: [db]')), '192.0.2.1:1', 'open', LABELLED],
    [policy(EXPRESS('key: zone, operator: In, values: [a]')), '192.0.2.1:1', 'open', LABELLED],
    [policy(EXPRESS('key: app, operator: NotIn, values: [db]')), '192.0.2.1:1', 'deny', LABELLED],
    [policy(EXPRESS('key: app, operator: NotIn, values: [web]')), '192.0.2.1:1', 'open', LABELLED],
    [policy(EXPRESS('key: zone, operator: NotIn, values: [a]')), '192.0.2.1:1', 'deny', LABELLED],
    [policy(EXPRESS('key: app, operator: Exists')), '192.0.2.1:1', 'deny', LABELLED],
    [policy(EXPRESS('key: zone, operator: Exists, values: []')), '192.0.2.1:1', 'open', LABELLED],
    [policy(EXPRESS('key: zone, operator: DoesNotExist')), '192.0.2.1:1', 'deny', LABELLED],
    [policy(EXPRESS('key: app, operator: DoesNotExist, values: null')), '192.0.2.1:1', 'open', LABELLED],
    [policy(EXPRESS('key: app, operator: Exists')), '192.0.2.1:1', 'open', { labels: new Map() }],
    // What is for others may have what is not enforced.
    [
      policy(
        '{podSelector: {matchLabels: {app: db}}, egress: [{to: [{podSelector: {}}], ports: [{port: web}]}]}',
      ),
      '192.0.2.1:1',
      'open',
      LABELLED,
    ],
    // -lenient narrows only.
    [policy(TO('[{podSelector: {}}]')), '192.0.2.1:443', 'deny', { lenient: true }],
    [
      policy(TO('[{namespaceSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}]')),
      '10.0.0.1:443',
      'allow np egress[0]',
      { lenient: true },
    ],
    [
      policy(TO('[{namespaceSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}]')),
      '11.0.0.1:443',
      'deny',
      { lenient: true },
    ],
    [policy(PORTS('[{port: web}]')), '192.0.2.1:80', 'deny', { lenient: true }],
    [policy(PORTS('[{port: web}, {port: 443}]')), '192.0.2.1:443', 'allow np egress[0]', { lenient: true }],
    [policy(PORTS('[{port: web}, {port: 443}]')), '192.0.2.1:80', 'deny', { lenient: true }],
    [policy('{egress: [{to: [{podSelector: {}}]}]}'), '192.0.2.1:443', 'deny', { lenient: true }],
    // Aliases stand for what they name.
    [
      policy(
        '{policyTypes: [Egress], egress: [{to: &ten [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80}]}, {to: *ten, ports: [{port: 443}]}]}',
      ),
      '10.0.0.1:443',
      'allow np egress[1]',
    ],
  ];
  for (const [text, target, expected, reading = {}] of rows) {
    const how = [...(reading.labels ?? [])].join(' ') + (reading.lenient ? ' -lenient' : '');
    test(`${text.replace(/^apiVersion[^\n]*\nkind[^\n]*\n/u, '')} [${how}] ${target} → ${expected}`, async () => {
      assert.equal(verdict((await read(text, reading)).parts, target), expected);
    });
  }
});

describe('readNetworkPolicy refuses', () => {
  const port = 'a whole number from 1 to 65535 is legal';
  const leave = '-lenient leaves it out';
  const rows: readonly (readonly [spec: string, what: string])[] = [
    ['§x', 'spec is "x": a map with "podSelector", "policyTypes" and "egress" is legal'],
    ['§null', 'spec is nothing: a map with "podSelector", "policyTypes" and "egress" is legal'],
    ['§[[]]', 'spec is a list: a map with "podSelector", "policyTypes" and "egress" is legal'],
    [
      '{§egres: []}',
      'spec has the unknown key "egres", did you mean "egress"? "podSelector", "policyTypes", "ingress" or "egress" is legal',
    ],
    ['{policyTypes: §Egress}', 'spec.policyTypes is "Egress": a list of Ingress and Egress is legal'],
    ['{policyTypes: [§egress]}', 'spec.policyTypes[0] is "egress": "Ingress" or "Egress" is legal'],
    ['{policyTypes: [§null]}', 'spec.policyTypes[0] is nothing: "Ingress" or "Egress" is legal'],
    ['{policyTypes: [§[Egress]]}', 'spec.policyTypes[0] is a list: "Ingress" or "Egress" is legal'],
    [
      '{policyTypes: §[Egress, Egress, Ingress]}',
      'spec.policyTypes has 3 items: one or two are legal, Ingress and Egress',
    ],
    ['{egress: §{}}', 'spec.egress is a map: a list of egress rules is legal, [] for none'],
    [
      '{egress: [§null]}',
      'spec.egress[0] is nothing: a map with "to" and "ports" is legal, {} for everything',
    ],
    ['{egress: [§[]]}', 'spec.egress[0] is a list: a map with "to" and "ports" is legal, {} for everything'],
    ['{egress: [{§from: []}]}', 'spec.egress[0] has the unknown key "from": "to" or "ports" is legal'],
    [TO('§{ipBlock: {cidr: 10.0.0.0/8}}'), 'spec.egress[0].to is a map: a list of peers is legal'],
    [TO('[§null]'), 'spec.egress[0].to[0] is nothing: a map with "ipBlock" is legal'],
    [TO('[§[[]]]'), 'spec.egress[0].to[0] is a list: a map with "ipBlock" is legal'],
    [TO('[§{}]'), 'spec.egress[0].to[0] is empty: a map with "ipBlock" is legal'],
    [TO('[§{ipBlock: null}]'), 'spec.egress[0].to[0] is empty: a map with "ipBlock" is legal'],
    [
      TO('[{ipBlock: {cidr: 10.0.0.0/8}, §labels: {}}]'),
      'spec.egress[0].to[0] has the unknown key "labels": "ipBlock", "podSelector" or "namespaceSelector" is legal',
    ],
    [
      TO('[§{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]'),
      'spec.egress[0].to[0] has an "ipBlock" and a selector: one of them is legal',
    ],
    [
      TO('[§{podSelector: {}, namespaceSelector: {}}]'),
      `spec.egress[0].to[0] chooses pods by labels, whose addresses are not known here: "ipBlock" is enforced; ${leave}`,
    ],
    [
      TO('[{ipBlock: §10.0.0.0/8}]'),
      'spec.egress[0].to[0].ipBlock is "10.0.0.0/8": a map with "cidr" and "except" is legal',
    ],
    [
      TO('[{ipBlock: §{except: []}}]'),
      'spec.egress[0].to[0].ipBlock has no "cidr": a prefix such as 192.0.2.0/24 is legal',
    ],
    [
      TO('[{ipBlock: {cidr: §null}}]'),
      'spec.egress[0].to[0].ipBlock.cidr is nothing: a prefix such as 192.0.2.0/24 is legal',
    ],
    [
      TO('[{ipBlock: {cidr: §10}}]'),
      'spec.egress[0].to[0].ipBlock.cidr is 10: a prefix such as 192.0.2.0/24 is legal',
    ],
    [
      TO('[{ipBlock: {cidr: §10.0.0.0/33}}]'),
      'spec.egress[0].to[0].ipBlock.cidr: prefix "10.0.0.0/33" has the length "33": 0 to 32 is legal',
    ],
    [
      TO('[{ipBlock: {cidr: 10.0.0.0/8, except: §10.1.0.0/16}}]'),
      'spec.egress[0].to[0].ipBlock.except is "10.1.0.0/16": a list of prefixes is legal',
    ],
    [
      TO('[{ipBlock: {cidr: 10.0.0.0/8, except: [§11.0.0.0/16]}}]'),
      'spec.egress[0].to[0].ipBlock.except[0] is 11.0.0.0/16: a prefix inside 10.0.0.0/8, and smaller, is legal',
    ],
    [
      TO('[{ipBlock: {cidr: 10.0.0.0/8, except: [§10.0.0.0/8]}}]'),
      'spec.egress[0].to[0].ipBlock.except[0] is 10.0.0.0/8: a prefix inside 10.0.0.0/8, and smaller, is legal',
    ],
    [
      TO('[{ipBlock: {cidr: 10.0.0.0/8, except: [§"::/0"]}}]'),
      'spec.egress[0].to[0].ipBlock.except[0] is ::/0: a prefix inside 10.0.0.0/8, and smaller, is legal',
    ],
    [
      TO('[{ipBlock: {cidr: 10.0.0.0/8, except: [§null]}}]'),
      'spec.egress[0].to[0].ipBlock.except[0] is nothing: a prefix such as 192.0.2.0/24 is legal',
    ],
    [PORTS('§443'), 'spec.egress[0].ports is 443: a list of ports is legal'],
    [PORTS('[§443]'), 'spec.egress[0].ports[0] is 443: a map with "protocol", "port" and "endPort" is legal'],
    [
      PORTS('[§null]'),
      'spec.egress[0].ports[0] is nothing: a map with "protocol", "port" and "endPort" is legal',
    ],
    [
      PORTS('[{§name: web}]'),
      'spec.egress[0].ports[0] has the unknown key "name": "protocol", "port" or "endPort" is legal',
    ],
    [
      PORTS('[{protocol: §tcp}]'),
      'spec.egress[0].ports[0].protocol is "tcp": "TCP", "UDP" or "SCTP" is legal',
    ],
    [
      PORTS('[{protocol: §ICMP}]'),
      'spec.egress[0].ports[0].protocol is "ICMP": "TCP", "UDP" or "SCTP" is legal',
    ],
    [PORTS('[{port: §0}]'), `spec.egress[0].ports[0].port is 0: ${port}`],
    [PORTS('[{port: §65536}]'), `spec.egress[0].ports[0].port is 65536: ${port}`],
    [PORTS('[{port: §80.5}]'), `spec.egress[0].ports[0].port is 80.5: ${port}`],
    [PORTS('[{port: §[80]}]'), `spec.egress[0].ports[0].port is a list: ${port}`],
    [PORTS('[{port: §true}]'), `spec.egress[0].ports[0].port is true: ${port}`],
    [
      PORTS('[{port: §"443"}]'),
      'spec.egress[0].ports[0].port is the text "443", no name of a port: a number from 1 to 65535 is legal',
    ],
    [
      PORTS('[{port: §"a--b"}]'),
      'spec.egress[0].ports[0].port is the text "a--b", no name of a port: a number from 1 to 65535 is legal',
    ],
    [
      PORTS('[{port: §https}]'),
      `spec.egress[0].ports[0].port is the name "https", which pods give to a port: numbers are enforced; ${leave}`,
    ],
    [
      PORTS('[{port: https, endPort: §90}]'),
      'spec.egress[0].ports[0].endPort goes with the named port "https": only with a number it is legal',
    ],
    [
      PORTS('[{endPort: §90}]'),
      'spec.egress[0].ports[0].endPort has no "port" beside it: the first port of the range is legal there',
    ],
    [
      PORTS('[{port: 80, endPort: §79}]'),
      'spec.egress[0].ports[0].endPort is 79, less than the port 80: as much or more is legal',
    ],
    [PORTS('[{port: 80, endPort: §"90"}]'), `spec.egress[0].ports[0].endPort is "90": ${port}`],
    [
      '{podSelector: §web}',
      'spec.podSelector is "web": {} for all, or a map with "matchLabels" and "matchExpressions", is legal',
    ],
    [
      '{podSelector: {§app: web}}',
      'spec.podSelector has the unknown key "app": "matchLabels" or "matchExpressions" is legal',
    ],
    [
      `{podSelector: §{${APP}}}`,
      `spec.podSelector chooses pods by labels, and of the subject none are known: -label says them; ${leave}`,
    ],
    [
      '{podSelector: {matchLabels: §[app]}}',
      'spec.podSelector.matchLabels is a list: a map of labels and their values is legal',
    ],
    [
      '{podSelector: {matchLabels: {app: §1}}}',
      'spec.podSelector.matchLabels.app is 1: the value of a label is legal',
    ],
    [
      '{podSelector: {matchLabels: {app: §null}}}',
      'spec.podSelector.matchLabels.app is nothing: the value of a label is legal',
    ],
    [
      '{podSelector: {matchLabels: {app: §"a b"}}}',
      'spec.podSelector.matchLabels.app is "a b", which no label can have: nothing or up to 63 letters, digits, "-", "_" and "." between letters or digits are legal',
    ],
    [
      '{podSelector: {matchLabels: {"/a": §x}}}',
      'spec.podSelector.matchLabels./a has the key "/a", which no label can have: up to 63 letters, digits, "-", "_" and "." between letters or digits are legal, and a DNS name with "/" before them',
    ],
    [
      '{podSelector: {matchExpressions: §{}}}',
      'spec.podSelector.matchExpressions is a map: a list of requirements is legal',
    ],
    [
      EXPRESS('key: §"", operator: Exists'),
      'spec.podSelector.matchExpressions[0].key has the key "", which no label can have: up to 63 letters, digits, "-", "_" and "." between letters or digits are legal, and a DNS name with "/" before them',
    ],
    [
      EXPRESS('key: app, operator: §Equals'),
      'spec.podSelector.matchExpressions[0].operator is "Equals": "In", "NotIn", "Exists" or "DoesNotExist" is legal',
    ],
    [
      EXPRESS('key: app, operator: In, values: §[]'),
      'spec.podSelector.matchExpressions[0].values has no values: In needs one or more',
    ],
    [
      EXPRESS('key: app, operator: Exists, values: §[a]'),
      'spec.podSelector.matchExpressions[0].values has values: with Exists none are legal',
    ],
    [
      EXPRESS('key: app, operator: In, values: [§[a]]'),
      'spec.podSelector.matchExpressions[0].values[0] is a list: the value of a label is legal',
    ],
    [
      '{podSelector: {matchExpressions: [§{operator: Exists}]}}',
      'spec.podSelector.matchExpressions[0] has no "key": the key of a label is legal',
    ],
    [
      '{podSelector: {matchExpressions: [§{key: app}]}}',
      'spec.podSelector.matchExpressions[0] has no "operator": one of In, NotIn, Exists, DoesNotExist is legal',
    ],
    [TO('[{ipBlock: {cidr: 10.0.0.0/8}}], §to: []'), 'the key "to" stands twice in a map: once is legal'],
  ];
  for (const [spec, what] of rows) {
    test(`${spec} → ${what}`, async () => {
      const text = policy(spec);
      assert.deepEqual(await errorsOf(text), atMarks(text, what));
    });
  }

  const documents: readonly (readonly [text: string, what: string])[] = [
    [
      '§apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n',
      'the document has no "spec": a map with "podSelector", "policyTypes" and "egress" is legal',
    ],
    [
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {}\n§extra: 1\n',
      'the document has the unknown key "extra": "apiVersion", "kind", "metadata", "status" or "spec" is legal',
    ],
    [
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {}\nmetadata: §np\n',
      'metadata is "np": a map with "name" is legal',
    ],
    [
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {}\nmetadata: {name: §1}\n',
      'metadata.name is 1: the name of the policy is legal',
    ],
    [
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {}\nmetadata: {namespace: §[]}\n',
      'metadata.namespace is a list: the name of a namespace is legal',
    ],
  ];
  for (const [text, what] of documents) {
    test(`${JSON.stringify(text)} → ${what}`, async () => {
      assert.deepEqual(await errorsOf(text), atMarks(text, what));
    });
  }

  test('an alias of nothing', async () => {
    const text = policy(TO('[§*nothing]'));
    const what = 'spec.egress[0].to[0] is an alias of nothing: "*nothing"';
    assert.deepEqual(await errorsOf(text), atMarks(text, what));
  });

  test('finds all errors of a policy, in one that is for others too', async () => {
    const text = policy(
      '{podSelector: {matchLabels: {app: db}}, policyTypes: [§Out], egress: [{to: [{ipBlock: {cidr: §ten}}], ports: [{port: §0}]}]}',
    );
    const errors = await errorsOf(text, LABELLED);
    const expected = atMarks(
      text,
      'spec.policyTypes[0] is "Out": "Ingress" or "Egress" is legal',
      'spec.egress[0].to[0].ipBlock.cidr: prefix "ten" is not an address or a prefix: 192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32 is legal',
      'spec.egress[0].ports[0].port is 0: a whole number from 1 to 65535 is legal',
    );
    assert.deepEqual([...errors].sort(), [...expected].sort());
  });

  test('more ranges of ports than rules can have', async () => {
    const odd = Array.from({ length: 513 }, (_, index) => `{port: ${2 * index + 1}}`);
    const text = policy(PORTS(`§[${odd.join(', ')}]`));
    assert.deepEqual(
      await errorsOf(text),
      atMarks(text, 'spec.egress[0].ports makes 513 ranges of ports: at most 512 are legal'),
    );
  });
});

describe('readNetworkPolicy', () => {
  const remarks: readonly (readonly [spec: string, whats: readonly string[], reading?: Reading])[] = [
    [EGRESS('[]'), []],
    [
      '{policyTypes: [Egress], ingress: §[{from: [{whatever: 1}]}]}',
      ['spec.ingress is about ingress, which is not controlled: left out'],
    ],
    [
      '{policyTypes: §[Ingress, Egress]}',
      ['spec.policyTypes names Ingress, and ingress is not controlled: left out'],
    ],
    [
      '§{podSelector: {}}',
      ['spec leaves egress as it is, as "policyTypes" does not choose it: Egress there would control it'],
    ],
    [
      '{egress: §[]}',
      [
        'spec.egress leaves egress as it is, as "policyTypes" does not choose it: Egress there would control it',
      ],
    ],
    [
      TO('[{ipBlock: {cidr: §10.0.2.5/24}}]'),
      [
        'spec.egress[0].to[0].ipBlock.cidr: prefix "10.0.2.5/24" has bits set past its length: taken as "10.0.2.0/24"',
      ],
    ],
    [
      TO('[{ipBlock: {cidr: 10.0.0.0/8, except: [§10.1.2.3/16]}}]'),
      [
        'spec.egress[0].to[0].ipBlock.except[0]: prefix "10.1.2.3/16" has bits set past its length: taken as "10.1.0.0/16"',
      ],
    ],
    [
      `{podSelector: §{matchLabels: {app: db}}, policyTypes: [Ingress], ingress: []}`,
      ['spec.podSelector does not choose what has the labels of -label: the policy is not for this subject'],
      LABELLED,
    ],
    [
      `{podSelector: §{${APP}}, policyTypes: [Egress]}`,
      [
        'spec.podSelector chooses pods by labels, and of the subject none are known: -label says them: left out',
      ],
      { lenient: true },
    ],
    [
      TO('[§{podSelector: {}}]'),
      [
        'spec.egress[0].to[0] chooses pods by labels, whose addresses are not known here: "ipBlock" is enforced: left out',
      ],
      { lenient: true },
    ],
    [
      PORTS('[{port: §web}]'),
      [
        'spec.egress[0].ports[0].port is the name "web", which pods give to a port: numbers are enforced: left out',
      ],
      { lenient: true },
    ],
  ];
  for (const [spec, whats, reading] of remarks) {
    test(`remarks on ${spec}`, async () => {
      const text = policy(spec);
      assert.deepEqual((await read(text, reading)).remarks, atMarks(text, ...whats));
    });
  }

  test('makes a rule of each peer, named after the policy and its place', async () => {
    const { parts } = await read(
      policy(
        TO('[{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]'),
        'web',
      ),
    );
    const rule = (cidr: string) => ({
      who: { kind: 'prefix', prefix: parsePrefix(cidr).prefix, except: [] },
      action: 'allow',
      ports: [{ l4Proto: 6, low: 443, high: 443 }],
      source: 'web egress[0]',
    });
    assert.deepEqual(parts, [
      { name: 'web', restricts: true, rules: [rule('10.0.0.0/8'), rule('192.0.2.0/24')] },
    ]);
  });

  test('has the name of the file when the policy has none', async () => {
    const { parts } = await read(
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {egress: [{}]}\n',
    );
    assert.deepEqual(
      parts.map(({ name, rules }) => [name, rules[0]?.source]),
      [['p.yaml', 'p.yaml egress[0]']],
    );
  });

  test('makes no part of one that is for others, one that is left out where that is not known', async () => {
    const spec = '{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress]}';
    assert.deepEqual((await read(policy(spec), LABELLED)).parts, []);
    const { parts } = await read(policy(spec), { lenient: true });
    assert.deepEqual(parts, [{ name: 'np', restricts: false, rules: [], isLeftOut: true }]);
  });

  test('gives many ports to several rules, and every one passes', async () => {
    const odd = Array.from({ length: 512 }, (_, index) => 2 * index + 1);
    const { parts } = await read(policy(PORTS(`[${odd.map((port) => `{port: ${port}}`).join(', ')}]`)));
    assert.equal(parts[0]?.rules.length, 32);
    assert.ok(parts[0]?.rules.every(({ ports }) => ports.length === 16));
    for (const port of odd) assert.equal(verdict(parts, `192.0.2.1:${port}`), 'allow np egress[0]');
    assert.equal(verdict(parts, '192.0.2.1:2'), 'deny');
  });

  test('joins ports that lie side by side', async () => {
    const all = Array.from({ length: 600 }, (_, index) => `{port: ${index + 1}}`);
    const { parts } = await read(policy(PORTS(`[${all.join(', ')}]`)));
    assert.deepEqual(
      parts[0]?.rules.map(({ ports }) => ports),
      [[{ l4Proto: 6, low: 1, high: 600 }]],
    );
  });

  test('is read from JSON and from a List', async () => {
    const item = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'np', uid: '1', managedFields: [{}] },
      spec: { policyTypes: ['Egress'], egress: [{ ports: [{ port: 443 }] }] },
      status: {},
    };
    const list = { apiVersion: 'v1', kind: 'List', metadata: {}, items: [item, item] };
    for (const document of [item, list])
      assert.equal(
        verdict((await read(JSON.stringify(document))).parts, '192.0.2.1:443'),
        'allow np egress[0]',
      );
  });
});
