/*
 *   host                     wire (a switch)          dns
 *   192.0.2.2      eth0 ──────────┬───────────── eth0  192.0.2.53 .54 .55
 *   2001:db8:1::2                 │                    2001:db8:1::53 ::54 ::55
 *                                 │
 *                                 └───────────── eth0  192.0.2.80, 2001:db8:1::80
 *                                                web   (everybody's default route)
 *                                                      every address of 198.51.100.0/24,
 *                                                      203.0.113.0/24 and 2001:db8:2::/64
 *   addSecondUplink: host eth1 192.0.2.66/30, 2001:db8:3::2 ── web eth1 192.0.2.65, 2001:db8:3::1;
 *                    the web prefixes are then reached by eth1, resolvers still by eth0
 *   addNatClient:    client eth0 192.0.2.130/25, 2001:db8:4::2 ── host lan0 192.0.2.129, 2001:db8:4::1;
 *                    host forwards and masquerades
 */
import { Scope } from '../../src/scope.ts';
import { mustRun } from './command.ts';
import { createNamespace, type Namespace } from './namespace.ts';

/** An address in each family. */
export interface AddressPair {
  readonly v4: string;
  readonly v6: string;
}

/** Where things are; all in documentation prefixes (RFC 5737, RFC 3849). */
export const HOST: AddressPair = { v4: '192.0.2.2', v6: '2001:db8:1::2' };
export const WEB: AddressPair = { v4: '192.0.2.80', v6: '2001:db8:1::80' };
export const NAT_CLIENT: AddressPair = { v4: '192.0.2.130', v6: '2001:db8:4::2' };
/** Three addresses of `dns`, so that three resolvers can have port 53 side by side. */
export const RESOLVERS: readonly [AddressPair, AddressPair, AddressPair] = [
  { v4: '192.0.2.53', v6: '2001:db8:1::53' },
  { v4: '192.0.2.54', v6: '2001:db8:1::54' },
  { v4: '192.0.2.55', v6: '2001:db8:1::55' },
];
/** Every address in them is answered by `web`. */
export const WEB_PREFIXES = { v4: ['198.51.100.0/24', '203.0.113.0/24'], v6: ['2001:db8:2::/64'] } as const;

const SETTINGS = [
  'ipv4/conf/all/rp_filter=0',
  'ipv4/conf/default/rp_filter=0',
  'ipv4/conf/default/arp_ignore=1',
  'ipv4/conf/all/accept_redirects=0',
  'ipv6/conf/all/disable_ipv6=0',
  'ipv6/conf/default/disable_ipv6=0',
  'ipv6/ip_nonlocal_bind=1', // a whole prefix on lo is not an address to bind(), for IPv6
  'ipv6/conf/default/accept_dad=0', // else link-local addresses are unusable for a second
];

/** The basic lab; take what else a test needs by `join`, `addSecondUplink` and `addNatClient`. */
export class Lab implements Disposable {
  readonly host: Namespace;
  readonly dns: Namespace;
  readonly web: Namespace;
  readonly #wire: Namespace;
  readonly #scope: Scope;

  constructor() {
    using building = new Scope();
    this.#wire = building.use(createNamespace('wire'));
    ip(this.#wire, ['link add br0 type bridge mcast_snooping 0', 'link set br0 up']);
    this.#scope = building;
    this.web = this.join('web', [WEB]);
    this.dns = this.join('dns', RESOLVERS);
    this.host = this.join('host', [HOST]);
    ip(
      this.web,
      [...WEB_PREFIXES.v4, ...WEB_PREFIXES.v6].map((prefix) => `route add local ${prefix} dev lo`),
    );
    for (const namespace of [this.dns, this.host]) {
      ip(namespace, [`route add default via ${WEB.v4}`, `route add default via ${WEB.v6}`]);
    }
    this.#scope = building.move();
  }

  /** Makes one more namespace on the wire, with `addresses` on its eth0: another resolver, a neighbour, an attacker. */
  join(label: string, addresses: readonly AddressPair[]): Namespace {
    const joined = this.#scope.use(createNamespace(label));
    set(joined, SETTINGS);
    const port = joined.label.slice(0, 15);
    ip(this.#wire, [
      `link add ${port} type veth peer name eth0 netns ${joined.name}`,
      `link set ${port} master br0 up`,
    ]);
    ip(joined, ['link set eth0 up', ...addresses.flatMap((pair) => addressLines('eth0', pair, 24))]);
    return joined;
  }

  /** Takes ownership: closed with the lab, before its namespaces. */
  use<T extends Disposable>(owned: T): T {
    return this.#scope.use(owned);
  }

  /** Ends all programs and deletes all namespaces, newest first. Idempotent. */
  close(): void {
    this.#scope.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Brings up host, dns and web on one wire; no servers yet. */
export function createLab(): Lab {
  return new Lab();
}

/** Gives the host an eth1 to `web` and moves the routes to the web prefixes there. */
export function addSecondUplink(lab: Lab): void {
  ip(lab.host, [`link add eth1 type veth peer name eth1 netns ${lab.web.name}`, 'link set eth1 up']);
  ip(lab.web, [
    'link set eth1 up',
    'addr add 192.0.2.65/30 dev eth1',
    'addr add 2001:db8:3::1/64 dev eth1 nodad',
  ]);
  ip(lab.host, [
    'addr add 192.0.2.66/30 dev eth1',
    'addr add 2001:db8:3::2/64 dev eth1 nodad',
    ...WEB_PREFIXES.v4.map((prefix) => `route add ${prefix} via 192.0.2.65 dev eth1 src 192.0.2.66`),
    ...WEB_PREFIXES.v6.map((prefix) => `route add ${prefix} via 2001:db8:3::1 dev eth1`),
  ]);
}

/** Makes a namespace behind the host, which forwards for it and masquerades; its resolv.conf is its own. */
export function addNatClient(lab: Lab): Namespace {
  const client = lab.use(createNamespace('client'));
  set(client, SETTINGS);
  ip(lab.host, [
    `link add lan0 type veth peer name eth0 netns ${client.name}`,
    'link set lan0 up',
    'addr add 192.0.2.129/25 dev lan0',
    'addr add 2001:db8:4::1/64 dev lan0 nodad',
  ]);
  ip(client, [
    'link set eth0 up',
    ...addressLines('eth0', NAT_CLIENT, 25),
    'route add default via 192.0.2.129',
    'route add default via 2001:db8:4::1',
  ]);
  set(lab.host, ['ipv4/ip_forward=1', 'ipv6/conf/all/forwarding=1']);
  lab.host.must('nft', ['-f', '-'], {
    input: `table inet lab {
      chain postrouting {
        type nat hook postrouting priority srcnat;
        ip saddr 192.0.2.128/25 masquerade
        ip6 saddr 2001:db8:4::/64 masquerade
      }
    }`,
  });
  return client;
}

/** Runs `lines` of `ip` in one process. */
export function ip(namespace: Namespace, lines: readonly string[]): void {
  mustRun(['ip', '-n', namespace.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** Writes each `NAME=VALUE` below /proc/sys/net of `namespace`; procps may not be there. */
function set(namespace: Namespace, settings: readonly string[]): void {
  const write = `for one; do echo "\${one#*=}" >"/proc/sys/net/\${one%%=*}" || exit 1; done`;
  mustRun(['nsenter', `--net=${namespace.path}`, 'sh', '-c', write, 'sh', ...settings]);
}

function addressLines(device: string, pair: AddressPair, v4Bits: number): readonly string[] {
  return [`addr add ${pair.v4}/${v4Bits} dev ${device}`, `addr add ${pair.v6}/64 dev ${device} nodad`];
}
