/*
 * Whatever the call, it is the packet that is judged: of the processes of a cgroup, and on an interface. The lab is that
 * of subject-lab.ts; 198.51.100.1 and 2001:db8:2::1 are allowed, and `web` forwards what is routed by its sender.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { newInstance } from './robust-lab.ts';
import { createSubjectLab, RESOLVER, type SubjectLab } from './subject-lab.ts';

const OK = { 4: '198.51.100.1', 6: '2001:db8:2::1' };
const NO = { 4: '198.51.100.66', 6: '2001:db8:2::66' };
const ALLOW = [`-cidr=${OK[4]}`, `-cidr=${OK[6]}`];

interface Attempts {
  readonly refused: readonly string[];
  readonly allowed: readonly string[];
}

interface Row extends Attempts {
  readonly what: string;
  /** What it is told on an interface: a socket without a peer hears of no refusal. */
  readonly host: string;
}

const plain = (attempt: string, family: 4 | 6, port: string) => ({
  refused: [`${attempt}${family}`, NO[family], port],
  allowed: [`${attempt}${family}`, OK[family], port],
});
/** One that has a third address: of an allowed call it is an allowed one. */
const by = (attempt: string, family: 4 | 6, port: string) => ({
  refused: [`${attempt}${family}`, OK[family], port, NO[family]],
  allowed: [`${attempt}${family}`, OK[family], port, OK[family]],
});

const FAMILIES = [4, 6] as const;
const ROWS: readonly Row[] = [
  ...FAMILIES.flatMap((family): Row[] => [
    { what: `TCP, IPv${family}`, ...plain('tcp', family, '80'), host: 'ECONNREFUSED' },
    { what: `UDP, IPv${family}`, ...plain('udp', family, '7'), host: 'silence' },
    { what: `connected UDP, IPv${family}`, ...plain('connected', family, '7'), host: unreachable(family) },
    {
      what: `connected UDP that is connected elsewhere, IPv${family}`,
      ...by('moved', family, '7'),
      host: unreachable(family),
    },
    {
      what: `TCP by the same port after connect(AF_UNSPEC), IPv${family}`,
      ...by('again', family, '80'),
      host: 'ECONNREFUSED',
    },
    { what: `MSG_ZEROCOPY, IPv${family}`, ...plain('zerocopy', family, '7'), host: 'silence' },
    { what: `splice, IPv${family}`, ...plain('splice', family, '7'), host: unreachable(family) },
    { what: `sendmsg by io_uring, IPv${family}`, ...plain('uring', family, '7'), host: 'silence' },
    { what: `connect by io_uring, IPv${family}`, ...plain('uring-tcp', family, '80'), host: 'ECONNREFUSED' },
  ]),
  {
    what: 'TCP fast open',
    refused: ['fastopen', NO[4], '80'],
    allowed: ['fastopen', OK[4], '80'],
    host: 'ECONNREFUSED',
  },
  {
    what: 'connected UDP, sendto elsewhere',
    refused: ['aside4', OK[4], '7', NO[4]],
    allowed: ['udp4', OK[4], '7'],
    host: 'silence',
  },
];

function unreachable(family: 4 | 6): string {
  return family === 4 ? 'EHOSTUNREACH' : 'EACCES';
}

/** Routed by the sender, to an allowed host by way of another and the other way round. */
const ROUTES = FAMILIES.flatMap((family) => {
  const allowed = [`udp${family}`, OK[family], '7'];
  const route = (to: string, hop: string) => ({ allowed, refused: [`route${family}`, to, '7', hop] });
  return [
    { what: `IPv${family}, an allowed target by way of another host`, ...route(OK[family], NO[family]) },
    { what: `IPv${family}, another target by way of an allowed host`, ...route(NO[family], OK[family]) },
  ];
});

/** What came of one row: before the start, when allowed, when refused, and after the stop. */
interface Came {
  readonly before: string;
  readonly allowed: string;
  readonly refused: string;
  readonly after: string;
}

for (const mode of ['subject', 'host'] as const) {
  describe(mode === 'subject' ? 'in a cgroup,' : 'on an interface,', () => {
    let lab: SubjectLab;
    let enforcer: RunningEnforcer;
    const came = new Map<Attempts, Came>();

    /* One enforcer for all: to start and stop it takes longer than to call. */
    before(async () => {
      lab = await createSubjectLab();
      allowRouting(lab.lab.web);
      const place = mode === 'subject' ? lab.a : lab.host;
      const rows: readonly Attempts[] = [...ROWS, ...ROUTES];
      const make = async (which: keyof Attempts) => {
        const outcomes: string[] = [];
        for (const row of rows) outcomes.push(await lab.came(place, ...row[which]));
        return outcomes;
      };
      const first = await make('refused');
      const flags =
        mode === 'subject' ? ['-mode=cgroup', `-cgroup=${lab.a.path}`] : ['-iface=eth0', '-eface=eth0'];
      const trusted = `-resolver=${RESOLVER.v4}`;
      enforcer = await startEnforcer(lab.host, [trusted, ...flags, ...ALLOW], { instance: newInstance() });
      const [allowed, refused] = [await make('allowed'), await make('refused')];
      await enforcer.stop();
      const last = await make('refused');
      rows.forEach((row, at) => {
        const [before = '', after = ''] = [first[at], last[at]];
        came.set(row, { before, allowed: allowed[at] ?? '', refused: refused[at] ?? '', after });
      });
    });
    after(() => lab.close());

    for (const row of ROWS) {
      test(`${row.what}: passes, is refused, passes again`, () => {
        // A call aside is not answered: its socket hears its peer only.
        const open = row.refused[0] === 'aside4' ? 'silence' : 'ok';
        const refused = mode === 'subject' ? 'EPERM' : row.host;
        assert.deepEqual(came.get(row), { before: open, allowed: 'ok', refused, after: open });
      });
    }

    for (const row of ROUTES) {
      test(`routed by its sender, ${row.what}: passes, is refused, passes again`, () => {
        const refused = mode === 'subject' ? 'EPERM' : 'silence';
        assert.deepEqual(came.get(row), { before: 'ok', allowed: 'ok', refused, after: 'ok' });
      });
    }

    test('every refusal is told', () => {
      const denied = enforcer.events().filter(({ verdict }) => verdict === 'deny');
      for (const [family, proto] of FAMILIES.flatMap((each) => [
        [each, 'tcp'] as const,
        [each, 'udp'] as const,
      ]))
        assert.ok(
          denied.some((event) => event.dst === NO[family] && event.proto === proto),
          `${proto} ${family}`,
        );
      // Of a route the header names the hop, allowed or not; IPv4 with such options is not read so far.
      const routed = denied.filter(({ reason }) => reason === 'unreadable').map(({ dst }) => dst);
      for (const hop of ['::', OK[6], NO[6]]) assert.ok(routed.includes(hop), JSON.stringify(routed));
    });
  });
}

/** Has the servers take what is routed by its sender. */
function allowRouting(web: Namespace): void {
  for (const device of ['all', 'eth0']) {
    const settings = [
      `net.ipv4.conf.${device}.accept_source_route=1`,
      `net.ipv6.conf.${device}.seg6_enabled=1`,
    ];
    web.must('sysctl', ['-qw', ...settings]);
  }
}
