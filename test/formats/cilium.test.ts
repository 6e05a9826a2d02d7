import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { egress, errorsOf, policy, type ReadOptions, read, verdictOf } from './read-cilium.ts';

const TO_TEN = 'egress: [{toCIDR: [10.0.0.0/8]}]';

describe('a rule restricts egress', () => {
  const rows: readonly (readonly [lines: readonly string[], restricts: boolean])[] = [
    [[TO_TEN], true],
    [['egress: [{}]'], true],
    [['egressDeny: [{toCIDR: [10.0.0.0/8]}]'], true],
    [['ingress: [{}]'], false],
    [['ingressDeny: [{}]'], false],
    [['ingress: [{}]', 'egress: []'], false],
    [['ingress: [{}]', 'egress:'], false],
    [['ingress: [{}]', 'enableDefaultDeny: {egress: true}'], true],
    [[TO_TEN, 'enableDefaultDeny: {egress: false}'], false],
    [['egressDeny: [{}]', 'enableDefaultDeny: {egress: false}'], false],
    [[TO_TEN, 'enableDefaultDeny: {ingress: false}'], true],
    [[TO_TEN, 'enableDefaultDeny: {egress: null}'], true],
    [[TO_TEN, 'enableDefaultDeny: {}'], true],
    [[TO_TEN, 'enableDefaultDeny:'], true],
  ];
  for (const [lines, restricts] of rows) {
    test(`${restricts}: ${lines.join(', ')}`, async () => {
      const { parts } = await read(policy('endpointSelector: {}', ...lines));
      assert.deepEqual(
        parts.map((part) => part.restricts),
        [restricts],
      );
    });
  }

  test('or not, and adds its rules all the same', async () => {
    const { parts } = await read(
      policy('endpointSelector: {}', TO_TEN, 'enableDefaultDeny: {egress: false}'),
    );
    assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'allow n egress[0]');
  });
});

describe('a remark tells that', () => {
  const rows: readonly (readonly [lines: readonly string[], remark: string])[] = [
    [
      ['ingress: [{fromEntities: [all]}]', TO_TEN],
      'p.yaml:6:12: spec.ingress is left out: what leaves is controlled, not what comes',
    ],
    [
      ['ingressDeny: [{}]', TO_TEN],
      'p.yaml:6:16: spec.ingressDeny is left out: what leaves is controlled, not what comes',
    ],
    [
      ['egressDeny: [{toEntities: [all]}]', 'egress: []'],
      'p.yaml:7:11: spec.egress is empty, which restricts nothing: [{}] allows nothing',
    ],
    [['egress: [{toCIDR: []}]'], 'p.yaml:6:21: spec.egress[0].toCIDR is empty: it selects nobody'],
    [
      ['egress: [{toEntities: [host]}]'],
      'p.yaml:6:26: spec.egress[0].toEntities[0] is this host, which no controlled interface leads to: no rule is added',
    ],
    [
      ['egress: [{toCIDR: [10.0.0.1/8]}]'],
      'p.yaml:6:22: spec.egress[0].toCIDR[0]: prefix "10.0.0.1/8" has bits set past its length: taken as "10.0.0.0/8"',
    ],
  ];
  for (const [lines, remark] of rows) {
    test(remark, async () => {
      assert.deepEqual((await read(policy('endpointSelector: {}', ...lines))).remarks, [remark]);
    });
  }
});

describe('a selector', () => {
  const web = { app: 'web', env: 'prod' };
  const rows: readonly (readonly [selector: string, labels: ReadOptions['labels'], fits: boolean])[] = [
    ['{}', undefined, true],
    ['{matchLabels: {}}', undefined, true],
    ['{matchLabels: null, matchExpressions: []}', undefined, true],
    ['{}', web, true],
    ['{matchLabels: {app: web}}', web, true],
    ['{matchLabels: {app: web, env: prod}}', web, true],
    ['{matchLabels: {app: web, env: test}}', web, false],
    ['{matchLabels: {app: db}}', web, false],
    ['{matchLabels: {tier: web}}', web, false],
    ['{matchLabels: {app: web}}', {}, false],
    ['{matchLabels: {app: ""}}', { app: '' }, true],
    ['{matchLabels: {"any:app": web}}', web, true],
    ['{matchLabels: {"k8s:app": web}}', web, true],
    ['{matchLabels: {"container:app": web}}', web, true],
    ['{matchLabels: {"k8s:app": web}}', { 'k8s:app': 'web' }, true],
    ['{matchLabels: {app: web}}', { 'k8s:app': 'web' }, true],
    ['{matchLabels: {"container:app": web}}', { 'k8s:app': 'web' }, false],
    ['{matchLabels: {"k8s:app": db}}', web, false],
    ['{matchExpressions: [{key: app, operator: In, values: [db, web]}]}', web, true],
    ['{matchExpressions: [{key: app, operator: In, values: [db]}]}', web, false],
    ['{matchExpressions: [{key: tier, operator: In, values: [web]}]}', web, false],
    ['{matchExpressions: [{key: app, operator: NotIn, values: [db]}]}', web, true],
    ['{matchExpressions: [{key: app, operator: NotIn, values: [db, web]}]}', web, false],
    ['{matchExpressions: [{key: tier, operator: NotIn, values: [db]}]}', web, true],
    ['{matchExpressions: [{key: app, operator: Exists}]}', web, true],
    ['{matchExpressions: [{key: app, operator: Exists, values: []}]}', web, true],
    ['{matchExpressions: [{key: tier, operator: Exists}]}', web, false],
    ['{matchExpressions: [{key: app, operator: DoesNotExist}]}', web, false],
    ['{matchExpressions: [{key: tier, operator: DoesNotExist}]}', web, true],
    ['{matchLabels: {app: web}, matchExpressions: [{key: tier, operator: Exists}]}', web, false],
  ];
  for (const [selector, labels, fits] of rows) {
    test(`${fits ? 'fits' : 'differs'}: ${selector} of ${JSON.stringify(labels)}`, async () => {
      const { parts, remarks } = await read(policy(`endpointSelector: ${selector}`, TO_TEN), {
        ...(labels && { labels }),
      });
      assert.equal(parts.length, fits ? 1 : 0);
      assert.deepEqual(
        remarks,
        fits
          ? []
          : [
              'p.yaml:5:21: spec.endpointSelector does not select the subject by its labels: the rule is left out',
            ],
      );
    });
  }

  const unknown = policy('endpointSelector: {matchLabels: {app: web}}', TO_TEN);
  const what =
    'p.yaml:5:21: spec.endpointSelector selects by labels, and none are known of the subject (-label)';

  test('of labels that are not known is an error', async () => {
    assert.equal(await errorsOf(unknown), `${what}; -lenient leaves it out`);
  });

  test('of labels that are not known leaves the rule out when lenient', async () => {
    const { parts, remarks } = await read(unknown, { lenient: true });
    assert.deepEqual(remarks, [`${what}: left out`]);
    assert.deepEqual(
      parts.map(({ rules, restricts, isLeftOut }) => [rules, restricts, isLeftOut]),
      [[[], false, true]],
    );
  });

  test('of labels that are not known does not hide what is wrong besides', async () => {
    const text = policy('endpointSelector: {matchLabels: {app: web}}', 'egress: [{toCIDR: [x]}]');
    assert.match(await errorsOf(text, { lenient: true }), /toCIDR\[0\]: prefix "x" is not an address/u);
  });

  test('of labels that are not known can not leave out what denies', async () => {
    const text = policy(
      'endpointSelector: {matchLabels: {app: web}}',
      'egressDeny: [{toCIDR: [10.0.0.0/8]}]',
    );
    assert.equal(await errorsOf(text, { lenient: true }), `${what}: what denies can't be left out`);
  });

  test('that differs makes the rest of no account', async () => {
    const text = policy('endpointSelector: {matchLabels: {app: db}}', 'egress: [{toServices: [{}]}]');
    assert.deepEqual((await read(text, { labels: web })).parts, []);
  });
});

describe('a document', () => {
  const head = (kind: string) => `apiVersion: cilium.io/v2\nkind: ${kind}\nmetadata: {name: n}\n`;

  test('with specs has a part for each, named by its place', async () => {
    const { parts } = await read(
      `${head('CiliumNetworkPolicy')}specs:\n- {endpointSelector: {}, ${TO_TEN}}\n- {endpointSelector: {}, egress: [{}, {toCIDR: [192.0.2.1/32]}]}`,
    );
    assert.deepEqual(
      parts.map(({ name }) => name),
      ['n', 'n'],
    );
    assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'allow n specs[0] egress[0]');
    assert.equal(verdictOf(parts, 'tcp 192.0.2.1 443'), 'allow n specs[1] egress[1]');
  });

  test('with spec and specs has all of them', async () => {
    const { parts } = await read(
      `${head('CiliumNetworkPolicy')}spec: {endpointSelector: {}, ${TO_TEN}}\nspecs: [{endpointSelector: {}, egress: [{toCIDR: [192.0.2.1/32]}]}]`,
    );
    assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'allow n egress[0]');
    assert.equal(verdictOf(parts, 'tcp 192.0.2.1 443'), 'allow n specs[0] egress[0]');
  });

  test('whose specs select others has those that fit', async () => {
    const { parts } = await read(
      `${head('CiliumNetworkPolicy')}specs:\n- {endpointSelector: {matchLabels: {app: db}}, ${TO_TEN}}\n- {endpointSelector: {matchLabels: {app: web}}, ${TO_TEN}}`,
      { labels: { app: 'web' } },
    );
    assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'allow n specs[1] egress[0]');
  });

  test('without a name goes by its file', async () => {
    const { parts } = await read(
      `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nspec: {endpointSelector: {}, ${TO_TEN}}`,
    );
    assert.deepEqual(
      parts.map(({ name, rules }) => [name, rules.map(({ source }) => source)]),
      [['p.yaml', ['p.yaml egress[0]']]],
    );
  });

  test('may have what says nothing of egress', async () => {
    const { parts, remarks } = await read(
      [
        'apiVersion: cilium.io/v2',
        'kind: CiliumNetworkPolicy',
        'metadata: {name: n, namespace: default, labels: {a: b}, annotations: {}, uid: x}',
        'status: {conditions: []}',
        `spec: {endpointSelector: {}, ${TO_TEN}, description: why, labels: [{key: a, value: b}], log: {value: x}}`,
      ].join('\n'),
    );
    assert.equal(parts.length, 1);
    assert.deepEqual(remarks, []);
  });

  for (const selector of ['endpointSelector', 'nodeSelector']) {
    test(`that is clusterwide may have ${selector}`, async () => {
      const { parts } = await read(
        `${head('CiliumClusterwideNetworkPolicy')}spec: {${selector}: {}, ${TO_TEN}}`,
      );
      assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'allow n egress[0]');
    });
  }

  test('of the clusterwide kind compares the labels of nodes', async () => {
    const text = `${head('CiliumClusterwideNetworkPolicy')}spec: {nodeSelector: {matchLabels: {type: ingress}}, ${TO_TEN}}`;
    assert.equal((await read(text, { labels: { type: 'ingress' } })).parts.length, 1);
    assert.equal((await read(text, { labels: { type: 'worker' } })).parts.length, 0);
  });

  test('in a List is read as it is by itself', async () => {
    const item = `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: n}, spec: {endpointSelector: {}, ${TO_TEN}}}`;
    const { parts } = await read(`apiVersion: v1\nkind: List\nitems: [${item}]`);
    assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'allow n egress[0]');
  });

  test('that refuses all is [{}], as in the documentation of Cilium', async () => {
    const { parts } = await read(egress('{}'));
    assert.equal(verdictOf(parts, 'tcp 10.0.0.1 443'), 'deny');
  });
});
