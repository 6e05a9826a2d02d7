import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { egress, errorsOf, policy } from './read-cilium.ts';

const MEMBERS =
  '"toCIDR", "toCIDRSet", "toEntities", "toEndpoints", "toServices", "toGroups", "toNodes", "toFQDNs", "toPorts", "icmps", "toRequires" or "authentication" is legal';
const WORLDS = '"all", "world", "world-ipv4", "world-ipv6", "host" or "none" is legal';
const at = (port: string) => `{toPorts: [{ports: [${port}]}]}`;

/** All errors of one entry of egress, which stands at 7:5; what they say without `p.yaml:7:`. */
function errors(title: string, rows: readonly (readonly [entry: string, ...errors: string[]])[]): void {
  describe(title, () => {
    for (const [entry, ...expected] of rows) {
      test(entry, async () => {
        assert.equal(await errorsOf(egress(entry)), expected.map((error) => `p.yaml:7:${error}`).join('\n'));
      });
    }
  });
}

errors('an error in an entry of egress', [
  ['[]', '5: spec.egress[0] is a list: a rule is a map such as toCIDR, toFQDNs or toEntities with toPorts'],
  [
    'null',
    '5: spec.egress[0] is nothing: a rule is a map such as toCIDR, toFQDNs or toEntities with toPorts',
  ],
  [
    'world',
    '5: spec.egress[0] is "world": a rule is a map such as toCIDR, toFQDNs or toEntities with toPorts',
  ],
  ['{toCIDRs: []}', `6: spec.egress[0] has the unknown key "toCIDRs", did you mean "toCIDR"? ${MEMBERS}`],
  ['{fromCIDR: []}', `6: spec.egress[0] has the unknown key "fromCIDR": ${MEMBERS}`],
  ['{toCIDR: 10.0.0.0/8}', '14: spec.egress[0].toCIDR is "10.0.0.0/8": a list is legal'],
  ['{toCIDR: {a: b}}', '14: spec.egress[0].toCIDR is a map: a list is legal'],
  ['{toCIDR: [null]}', '15: spec.egress[0].toCIDR[0] is nothing: a prefix such as 192.0.2.0/24 is legal'],
  ['{toCIDR: [7]}', '15: spec.egress[0].toCIDR[0] is 7: a prefix such as 192.0.2.0/24 is legal'],
  ['{toCIDR: [[]]}', '15: spec.egress[0].toCIDR[0] is a list: a prefix such as 192.0.2.0/24 is legal'],
  [
    '{toCIDR: [10.0.0.0/33]}',
    '15: spec.egress[0].toCIDR[0]: prefix "10.0.0.0/33" has the length "33": 0 to 32 is legal',
  ],
  [
    '{toCIDRSet: [10.0.0.0/8]}',
    '18: spec.egress[0].toCIDRSet[0] is "10.0.0.0/8": a map with "cidr" and "except" is legal',
  ],
  [
    '{toCIDRSet: [{}]}',
    '18: spec.egress[0].toCIDRSet[0] has no "cidr": a prefix such as 192.0.2.0/24 is legal',
  ],
  [
    '{toCIDRSet: [{cidr: 10.0.0.0/8, excepts: []}]}',
    '37: spec.egress[0].toCIDRSet[0] has the unknown key "excepts", did you mean "except"? "cidr", "except", "cidrGroupRef" or "cidrGroupSelector" is legal',
  ],
  [
    '{toCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}',
    '46: spec.egress[0].toCIDRSet[0].except[0] is 11.0.0.0/16: a prefix inside 10.0.0.0/8, and smaller, is legal',
  ],
  [
    '{toCIDRSet: [{cidr: 10.0.0.0/8, except: 10.1.0.0/16}]}',
    '45: spec.egress[0].toCIDRSet[0].except is "10.1.0.0/16": a list of prefixes is legal',
  ],
  ['{toEntities: world}', '18: spec.egress[0].toEntities is "world": a list is legal'],
  ['{toEntities: [World]}', `19: spec.egress[0].toEntities[0] is "World": ${WORLDS}`],
  ['{toEntities: [internet]}', `19: spec.egress[0].toEntities[0] is "internet": ${WORLDS}`],
  ['{toEntities: [{}]}', `19: spec.egress[0].toEntities[0] is a map: ${WORLDS}`],
  [
    '{toCIDR: [10.0.0.0/8], toEntities: [world]}',
    '40: spec.egress[0].toEntities stands beside toCIDR: one of them is legal in a rule',
  ],
  [
    '{toFQDNs: [{matchName: a.test}], toCIDR: [10.0.0.0/8]}',
    '15: spec.egress[0].toFQDNs stands beside toCIDR: one of them is legal in a rule',
  ],
  [
    '{toCIDR: [10.0.0.0/8], toCIDRSet: [{cidr: 10.0.0.0/8}]}',
    '39: spec.egress[0].toCIDRSet stands beside toCIDR: one of them is legal in a rule',
  ],
  ['{authentication: {}}', '22: spec.egress[0].authentication has no "mode": "disabled" is legal'],
  [
    '{authentication: {mode: maybe}}',
    '29: spec.egress[0].authentication.mode is "maybe": "disabled", "required" or "test-always-fail" is legal',
  ],
  [
    '{toCIDR: [x], toEntities: [y]}',
    '15: spec.egress[0].toCIDR[0]: prefix "x" is not an address or a prefix: 192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32 is legal',
    '31: spec.egress[0].toEntities stands beside toCIDR: one of them is legal in a rule',
    `32: spec.egress[0].toEntities[0] is "y": ${WORLDS}`,
  ],
]);

const PORT = 'spec.egress[0].toPorts[0].ports[0]';
const NUMBERS = '"1" to "65535", or "0" for all, is legal';

errors('an error in ports', [
  ['{toPorts: {}}', '15: spec.egress[0].toPorts is a map: a list is legal'],
  ['{toPorts: [443]}', '16: spec.egress[0].toPorts[0] is 443: a map with "ports" and "rules" is legal'],
  [
    '{toPorts: [{port: "443"}]}',
    '17: spec.egress[0].toPorts[0] has the unknown key "port", did you mean "ports"? "ports", "rules", "serverNames", "terminatingTLS", "originatingTLS" or "listener" is legal',
  ],
  ['{toPorts: [{ports: "443"}]}', '24: spec.egress[0].toPorts[0].ports is "443": a list is legal'],
  [at('"443"'), `25: ${PORT} is "443": a map with "port", "endPort" and "protocol" is legal`],
  [at('[[]]'), `25: ${PORT} is a list: a map with "port", "endPort" and "protocol" is legal`],
  [at('{}'), `25: ${PORT} has no "port": a port such as "443" is legal`],
  [at('{port: null}'), `32: ${PORT}.port is nothing: a port such as "443" is legal`],
  [at('{port: ""}'), `32: ${PORT}.port is "": ${NUMBERS}`],
  [at('{port: "65536"}'), `32: ${PORT}.port is "65536": ${NUMBERS}`],
  [at('{port: "-1"}'), `32: ${PORT}.port is "-1": ${NUMBERS}`],
  [at('{port: "0443"}'), `32: ${PORT}.port is "0443": ${NUMBERS}`],
  [at('{port: "80-90"}'), `32: ${PORT}.port is "80-90": ${NUMBERS}`],
  [at('{port: 1e3}'), `32: ${PORT}.port is 1e3: a plain decimal number is legal`],
  [at('{port: "80", endPort: 79}'), `47: ${PORT}.endPort is 79: 80 to 65535 is legal`],
  [
    at('{port: "80", endPort: 65536}'),
    `47: ${PORT}.endPort is 65536: a whole number from 0 to 65535 is legal`,
  ],
  [at('{port: "80", endPort: "90"}'), `47: ${PORT}.endPort is "90": a whole number from 0 to 65535 is legal`],
  [
    at('{port: "0", endPort: 90}'),
    `46: ${PORT}.endPort stands beside port "0", which is all ports: leave one out`,
  ],
  [
    at('{port: "80", protocol: QUIC}'),
    `48: ${PORT}.protocol is "QUIC": "TCP", "UDP", "SCTP" or "ANY" is legal`,
  ],
  [
    at('{port: "8", protocol: ICMP}'),
    `47: ${PORT}.protocol is "ICMP": "TCP", "UDP", "SCTP" or "ANY" is legal, and types of ICMP stand in "icmps"`,
  ],
  [at('{port: "80", protocol: 6}'), `48: ${PORT}.protocol is 6: "TCP", "UDP", "SCTP" or "ANY" is legal`],
  [
    at('{port: "80", proto: TCP}'),
    `38: ${PORT} has the unknown key "proto", did you mean "protocol"? "protocol", "port" or "endPort" is legal`,
  ],
  [
    '{toPorts: [{rules: {dns: [{matchPattern: "*"}]}}]}',
    '30: spec.egress[0].toPorts[0].rules.dns stands in an entry without ports: port "53" is legal',
  ],
  [
    '{toPorts: [{ports: [{port: "53"}], rules: {dns: {}}}]}',
    '53: spec.egress[0].toPorts[0].rules.dns is a map: a list is legal',
  ],
  [
    '{toPorts: [{ports: [{port: "80"}], rules: {grpc: []}}]}',
    '48: spec.egress[0].toPorts[0].rules has the unknown key "grpc": "http", "kafka", "l7", "l7proto" or "dns" is legal',
  ],
]);

const FIELD = 'spec.egress[0].icmps[0].fields[0]';

errors('an error in types of ICMP', [
  ['{icmps: {}}', '13: spec.egress[0].icmps is a map: a list is legal'],
  ['{icmps: [8]}', '14: spec.egress[0].icmps[0] is 8: a map with "fields" is legal'],
  ['{icmps: [{fields: [8]}]}', `24: ${FIELD} is 8: a map with "family" and "type" is legal`],
  ['{icmps: [{fields: [{}]}]}', `24: ${FIELD} has no "type": the number or the name of a type is legal`],
  [
    '{icmps: [{fields: [{type: 8, family: IPv5}]}]}',
    `42: ${FIELD}.family is "IPv5": "IPv4" or "IPv6" is legal`,
  ],
  [
    '{icmps: [{fields: [{type: 8}]}], toPorts: [{ports: [{port: "80"}]}]}',
    '13: spec.egress[0].icmps stands beside toPorts: a rule of its own is legal',
  ],
]);

describe('an error of a type of ICMP quotes it and says which are legal', () => {
  for (const [type, text] of [
    ['256', '256'],
    ['-1', '-1'],
    ['PacketTooBig', 'PacketTooBig'],
    ['"Echo Request"', 'Echo Request'],
    ['echorequest', 'echorequest'],
  ]) {
    test(String(type), async () => {
      const error = await errorsOf(egress(`{icmps: [{fields: [{type: ${type}}]}]}`));
      assert.ok(error.startsWith(`p.yaml:7:31: ${FIELD}.type is "${text}": 0 to 255, EchoReply, `), error);
      assert.ok(error.endsWith(' is legal for IPv4'), error);
    });
  }
});

describe('an error of a rule of Cilium', () => {
  const egressLine = 'egress: [{}]';
  const nothing = 'has no entry in egress, egressDeny, ingress or ingressDeny: [{}] in egress allows nothing';
  const rows: readonly (readonly [lines: readonly string[], ...errors: string[]])[] = [
    [[egressLine], '5:3: spec has no selector: "endpointSelector", {} for all, is legal'],
    [
      ['endpointSelector:', egressLine],
      '5:3: spec has no selector: "endpointSelector", {} for all, is legal',
    ],
    [
      ['nodeSelector: {}', egressLine],
      '5:17: spec.nodeSelector stands in a CiliumNetworkPolicy: CiliumClusterwideNetworkPolicy is legal for nodes',
    ],
    [
      ['endpointSelector: web', egressLine],
      '5:21: spec.endpointSelector is "web": {} for all, or a map with "matchLabels" and "matchExpressions", is legal',
    ],
    [
      ['endpointSelector: {app: web}', egressLine],
      '5:22: spec.endpointSelector has the unknown key "app": "matchLabels" or "matchExpressions" is legal',
    ],
    [
      ['endpointSelector: {matchLabels: {app: 7}}', egressLine],
      '5:41: spec.endpointSelector.matchLabels.app is 7: the value of a label is legal',
    ],
    [
      ['endpointSelector: {matchExpressions: [{key: a, operator: Is}]}', egressLine],
      '5:60: spec.endpointSelector.matchExpressions[0].operator is "Is": "In", "NotIn", "Exists" or "DoesNotExist" is legal',
    ],
    [
      ['endpointSelector: {}', 'egress: {}'],
      `5:3: spec ${nothing}`,
      '6:11: spec.egress is a map: a list is legal',
    ],
    [['endpointSelector: {}'], `5:3: spec ${nothing}`],
    [['endpointSelector: {}', 'egress: []'], `5:3: spec ${nothing}`],
    [['endpointSelector: {}', 'egress:'], `5:3: spec ${nothing}`],
    [
      ['endpointSelector: {}', egressLine, 'enableDefaultDeny: {egress: yes}'],
      '7:31: spec.enableDefaultDeny.egress is "yes": true or false is legal',
    ],
    [
      ['endpointSelector: {}', egressLine, 'enableDefaultDeny: true'],
      '7:22: spec.enableDefaultDeny is true: a map with "egress" and "ingress" is legal',
    ],
    [
      ['endpointSelector: {}', egressLine, 'egres: []'],
      '7:3: spec has the unknown key "egres", did you mean "egress"? "description", "labels", "log", "endpointSelector", "nodeSelector", "egress", "egressDeny", "ingress", "ingressDeny" or "enableDefaultDeny" is legal',
    ],
  ];
  for (const [lines, ...expected] of rows) {
    test(lines.join(', '), async () => {
      assert.equal(await errorsOf(policy(...lines)), expected.map((error) => `p.yaml:${error}`).join('\n'));
    });
  }

  const selector = (expression: string) =>
    policy(`endpointSelector: {matchExpressions: [${expression}]}`, egressLine);
  const expressionAt = 'spec.endpointSelector.matchExpressions[0]';
  const expressions: readonly (readonly [expression: string, error: string])[] = [
    ['{key: a, operator: In}', `5:41: ${expressionAt} has no values: In needs one or more`],
    [
      '{key: a, operator: NotIn, values: []}',
      `5:75: ${expressionAt}.values has no values: NotIn needs one or more`,
    ],
    [
      '{key: a, operator: Exists, values: [b]}',
      `5:76: ${expressionAt}.values has values: with Exists none are legal`,
    ],
    ['{operator: Exists}', `5:41: ${expressionAt} has no "key": the key of a label is legal`],
    ['{key: a}', `5:41: ${expressionAt} has no "operator": one of In, NotIn, Exists, DoesNotExist is legal`],
    ['a', `5:41: ${expressionAt} is "a": a map with "key", "operator" and "values" is legal`],
  ];
  for (const [expression, error] of expressions) {
    test(`of the expression ${expression}`, async () => {
      const text = await errorsOf(selector(expression), {});
      assert.equal(text.split('\n')[0], `p.yaml:${error}`);
    });
  }

  const documents: readonly (readonly [text: string, error: string])[] = [
    [
      'metadata: {name: n}',
      '1:1: the document has no "spec": a rule, or a list of them in "specs", is legal',
    ],
    ['specs: {}', '3:8: specs is a map: a list of rules is legal'],
    ['spec: []', '3:7: spec is a list: a rule is a map with "endpointSelector" and "egress"'],
    ['specs: [null]', '3:9: specs[0] is nothing: a rule is a map with "endpointSelector" and "egress"'],
    [
      'spec: {endpointSelector: {}, egress: [{}]}\nmetadata: x',
      '4:11: metadata is "x": a map with "name" is legal',
    ],
    [
      'spec: {endpointSelector: {}, egress: [{}]}\nmetadata: {name: 7}',
      '4:18: metadata.name is 7: the name of the policy is legal',
    ],
    [
      'spec: {endpointSelector: {}, egress: [{}]}\nrules: []',
      '4:1: the document has the unknown key "rules": "apiVersion", "kind", "metadata", "status", "spec" or "specs" is legal',
    ],
  ];
  for (const [text, error] of documents) {
    test(`of the document ${text.replace('\n', ', ')}`, async () => {
      const head = 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n';
      assert.equal(await errorsOf(`${head}${text}`), `p.yaml:${error}`);
    });
  }

  test('of both selectors in the clusterwide kind', async () => {
    const text =
      'apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nspec: {nodeSelector: {}, endpointSelector: {}, egress: [{}]}';
    const error = 'spec.nodeSelector stands beside endpointSelector: one of them is legal';
    assert.equal(await errorsOf(text), `p.yaml:3:22: ${error}`);
  });
});
