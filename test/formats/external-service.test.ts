import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atMarks, errorsOf, read, verdict } from './kube-reading.ts';

function service(spec: string): string {
  return `apiVersion: egress.monzo.com/v1\nkind: ExternalService\nmetadata: {name: es}\nspec: ${spec}\n`;
}

/** The example of its documentation, and every other key that it has. */
const DOCUMENTED = `
apiVersion: egress.monzo.com/v1
kind: ExternalService
metadata:
  name: search
spec:
  dnsName: google.com
  hijackDns: true
  ports:
  - port: 443
    protocol: TCP
  minReplicas: 5
  maxReplicas: 10
  targetCPUUtilizationPercentage: 30
  resources:
    requests: {cpu: 1, memory: 100Mi}
    limits: {cpu: 2, memory: 200Mi}
  serviceTopologyMode: None
  envoyClusterMaxConnections: 2048
  envoyLogLevel: info
  envoyDnsRefreshRateS: 5
  envoyRespectDnsTTL: true
  envoyJsonAdminAccessLogs: true
  envoyJsonClusterAccessLogs: true
status: {}
`;
const OVERRIDDEN = service('{dnsName: a.test, ipOverride: [192.0.2.1, "2001:db8::1"], ports: [{port: 443}]}');
const TWO = `${service('{dnsName: a.test, ports: [{port: 443}]}')}---\n${service('{dnsName: b.test, ports: [{port: 80}]}')}`;

describe('readExternalService lets pass', () => {
  const rows: readonly (readonly [text: string, target: string, expected: string])[] = [
    [DOCUMENTED, 'google.com:443', 'allow search'],
    [DOCUMENTED, 'google.com:80', 'deny'],
    [DOCUMENTED, 'google.com:443/udp', 'deny'],
    [DOCUMENTED, 'www.google.com:443', 'deny'],
    [DOCUMENTED, '192.0.2.1:443', 'deny'],
    [
      service('{dnsName: A.Test., ports: [{port: 53, protocol: UDP}, {port: 443}]}'),
      'a.test:53/udp',
      'allow es',
    ],
    [
      service('{dnsName: A.Test., ports: [{port: 53, protocol: UDP}, {port: 443}]}'),
      'a.test:443',
      'allow es',
    ],
    [service('{dnsName: A.Test., ports: [{port: 53, protocol: UDP}, {port: 443}]}'), 'a.test:53', 'deny'],
    [service('{dnsName: a.test, ports: [{port: 443, protocol: null}]}'), 'a.test:443', 'allow es'],
    [service('{dnsName: a.test, ports: []}'), 'a.test:443', 'deny'],
    [service('{dnsName: a.test, ports: null}'), 'a.test:443', 'deny'],
    [service('{dnsName: a.test}'), 'a.test:443', 'deny'],
    [service('{dnsName: a.test, ipOverride: null, ports: [{port: 443}]}'), 'a.test:443', 'allow es'],
    [OVERRIDDEN, 'a.test:443', 'allow es'],
    [OVERRIDDEN, '192.0.2.1:443', 'allow es'],
    [OVERRIDDEN, '192.0.2.1:80', 'deny'],
    [OVERRIDDEN, '192.0.2.2:443', 'deny'],
    [OVERRIDDEN, '[2001:db8::1]:443', 'allow es'],
    [TWO, 'a.test:443', 'allow es'],
    [TWO, 'b.test:80', 'allow es'],
    [TWO, 'b.test:443', 'deny'],
  ];
  for (const [text, target, expected] of rows) {
    test(`${text.slice(text.indexOf('spec:')).trim()}: ${target} → ${expected}`, async () => {
      assert.equal(verdict((await read(text)).parts, target), expected);
    });
  }
});

describe('readExternalService refuses', () => {
  const spec = 'a map with "dnsName" and "ports" is legal';
  const name = 'a name such as www.example.com is legal';
  const port = 'a whole number from 1 to 65535 is legal';
  const PORTS = (ports: string) => service(`{dnsName: a.test, ports: ${ports}}`);
  const rows: readonly (readonly [text: string, what: string])[] = [
    [service('§a.test'), `spec is "a.test": ${spec}`],
    [service('§{ports: [{port: 1}]}'), `spec has no "dnsName": ${name}`],
    [service('{dnsName: §null, ports: [{port: 1}]}'), `spec.dnsName is nothing: ${name}`],
    [service('{dnsName: §[a.test], ports: [{port: 1}]}'), `spec.dnsName is a list: ${name}`],
    [
      service('{dnsName: §"", ports: [{port: 1}]}'),
      'spec.dnsName: name "" is empty: a name such as example.com is legal',
    ],
    [
      service('{dnsName: §"*.a.test", ports: [{port: 1}]}'),
      'spec.dnsName: name "*.a.test" has "*", which can\'t be in a name: letters, digits, "-", "_" and single dots between labels are legal',
    ],
    [
      service('{dnsName: §192.0.2.1, ports: [{port: 1}]}'),
      'spec.dnsName: name "192.0.2.1" is an address: -cidr, -deny-cidr and "cidrs" take addresses',
    ],
    [PORTS('§443'), 'spec.ports is 443: a list of ports is legal'],
    [PORTS('[§443]'), 'spec.ports[0] is 443: a map with "port" and "protocol" is legal'],
    [PORTS('[§{}]'), 'spec.ports[0] has no "port": a number from 1 to 65535 is legal'],
    [PORTS('[{port: §null}]'), `spec.ports[0].port is nothing: ${port}`],
    [PORTS('[{port: §70000}]'), `spec.ports[0].port is 70000: ${port}`],
    [PORTS('[{port: 443, protocol: §SCTP}]'), 'spec.ports[0].protocol is "SCTP": "TCP" or "UDP" is legal'],
    [
      PORTS('[{port: 443, §name: web}]'),
      'spec.ports[0] has the unknown key "name": "protocol" or "port" is legal',
    ],
    [
      service('{dnsName: a.test, ports: [{port: 1}], ipOverride: §192.0.2.1}'),
      'spec.ipOverride is "192.0.2.1": a list of addresses is legal',
    ],
    [
      service('{dnsName: a.test, ports: [{port: 1}], ipOverride: [§1]}'),
      'spec.ipOverride[0] is 1: an address such as 192.0.2.1 is legal',
    ],
    [
      service('{dnsName: a.test, ports: [{port: 1}], ipOverride: [§192.0.2.0/24]}'),
      'spec.ipOverride[0]: address "192.0.2.0/24" is not an address: 192.0.2.1 or 2001:db8::1 is legal',
    ],
    [
      service('{dnsName: a.test, ports: [{port: 1}], §dnsName: b.test}'),
      'the key "dnsName" stands twice in a map: once is legal',
    ],
    ['§apiVersion: egress.monzo.com/v1\nkind: ExternalService\n', `the document has no "spec": ${spec}`],
  ];
  for (const [text, what] of rows) {
    test(`${text.split('\n')[3] || text} → ${what}`, async () => {
      assert.deepEqual(await errorsOf(text), atMarks(text, what));
    });
  }

  test('keys that it does not have, all of them', async () => {
    const text = service('{dnsName: a.test, ports: [{port: 1}], §dnsNames: [], §cidr: 1}');
    const starts = atMarks(
      text,
      'spec has the unknown key "dnsNames", did you mean "dnsName"? ',
      'spec has the unknown key "cidr": ',
    );
    const errors = await errorsOf(text);
    assert.equal(errors.length, starts.length);
    for (const [index, start] of starts.entries()) assert.ok(errors[index]?.startsWith(start), errors[index]);
  });
});

test('readExternalService says that without ports nothing passes', async () => {
  const text = service('§{dnsName: a.test, ports: []}');
  const what = 'spec has no "ports", so it may be called on none: [{port: 443}] there would allow that one';
  assert.deepEqual((await read(text)).remarks, atMarks(text, what));
});

test('readExternalService gives many ports to several rules', async () => {
  const odd = Array.from({ length: 17 }, (_, index) => `{port: ${2 * index + 1}}`).join(', ');
  const { parts } = await read(service(`{dnsName: a.test, ports: [${odd}]}`));
  assert.deepEqual(
    parts[0]?.rules.map(({ source, ports }) => [source, ports.length]),
    [16, 1].map((length) => ['es', length]),
  );
});
