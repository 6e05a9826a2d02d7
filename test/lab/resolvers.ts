import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import { type DnsRecord, encodeRootZone, withGeneration } from './records.ts';
import { RecordResolver, type Reload, Resolver } from './resolver.ts';
import {
  encodeBind,
  encodeDnsmasq,
  encodeDnsmasqForwarder,
  encodeUnbound,
  encodeUnboundForwarder,
  type Listen,
  type Upstream,
} from './resolver-config.ts';

/** Where a server with its own records listens, and what it answers. */
export interface ResolverOptions {
  readonly addresses: readonly string[];
  readonly records: readonly DnsRecord[];
  readonly port?: number;
}

/** Where a forwarder listens; default 127.0.0.1 and port 53. */
export interface ForwarderOptions {
  readonly addresses?: readonly string[];
  readonly port?: number;
}

/** How one kind of server is started and told of new records. */
interface Kind {
  readonly command: string;
  readonly args: (config: string) => readonly string[];
  /** Writes what the server reads. */
  readonly write: (
    directory: string,
    config: string,
    listen: Listen,
    records: readonly DnsRecord[],
    serial: number,
  ) => void;
  readonly reload: Reload;
}

const LOOPBACK: readonly string[] = ['127.0.0.1'];

const DNSMASQ: Kind = {
  command: 'dnsmasq',
  args: (config) => ['--keep-in-foreground', '--log-facility=-', '--pid-file=', `--conf-file=${config}`],
  write: (_directory, config, listen, records) => writeFileSync(config, encodeDnsmasq(listen, records)),
  reload: 'restart',
};

const UNBOUND: Kind = {
  command: 'unbound',
  args: (config) => ['-d', '-c', config],
  write: (directory, config, listen, records, serial) => {
    const zone = join(directory, 'root.zone');
    writeFileSync(zone, encodeRootZone(records, serial));
    writeFileSync(config, encodeUnbound(directory, listen, zone));
  },
  reload: 'SIGHUP',
};

const BIND: Kind = {
  command: 'named',
  args: (config) => ['-g', '-n', '1', '-u', 'root', '-c', config],
  write: (directory, config, listen, records, serial) => {
    const zone = join(directory, 'root.zone');
    writeFileSync(zone, encodeRootZone(records, serial));
    writeFileSync(config, encodeBind(directory, listen, zone));
  },
  reload: 'SIGHUP',
};

/** dnsmasq with its own records: A, AAAA, TXT, CNAME, and `*.` for addresses. */
export function startDnsmasq(namespace: Namespace, options: ResolverOptions): Promise<RecordResolver> {
  return startKind(DNSMASQ, namespace, options);
}

/** unbound with its own records, of any type; follows CNAME chains. */
export function startUnbound(namespace: Namespace, options: ResolverOptions): Promise<RecordResolver> {
  return startKind(UNBOUND, namespace, options);
}

/** BIND with its own records, of any type; follows CNAME chains and keeps the case of their names. */
export function startBind(namespace: Namespace, options: ResolverOptions): Promise<RecordResolver> {
  return startKind(BIND, namespace, options);
}

/** dnsmasq as a caching forwarder. */
export async function startDnsmasqForwarder(
  namespace: Namespace,
  upstream: Upstream,
  options: ForwarderOptions = {},
): Promise<Resolver> {
  return startForwarder(DNSMASQ, namespace, options, (_directory, listen) =>
    encodeDnsmasqForwarder(listen, upstream),
  );
}

/** unbound as a caching forwarder. */
export async function startUnboundForwarder(
  namespace: Namespace,
  upstream: Upstream,
  options: ForwarderOptions = {},
): Promise<Resolver> {
  return startForwarder(UNBOUND, namespace, options, (directory, listen) =>
    encodeUnboundForwarder(directory, listen, upstream),
  );
}

async function startKind(
  kind: Kind,
  namespace: Namespace,
  options: ResolverOptions,
): Promise<RecordResolver> {
  const directory = mkdtempSync(join(namespace.directory, `${kind.command}-`));
  const config = join(directory, 'conf');
  const listen = { addresses: options.addresses, port: options.port ?? 53 };
  const publish = (records: readonly DnsRecord[], generation: number) =>
    kind.write(directory, config, listen, withGeneration(records, generation), generation);
  publish(options.records, 1);
  const start = () => namespace.spawn(kind.command, kind.args(config));
  const resolver = new RecordResolver(namespace, listen, start, publish, kind.reload);
  await resolver.ready(1);
  return resolver;
}

async function startForwarder(
  kind: Kind,
  namespace: Namespace,
  options: ForwarderOptions,
  encode: (directory: string, listen: Listen) => string,
): Promise<Resolver> {
  const directory = mkdtempSync(join(namespace.directory, `${kind.command}-`));
  const config = join(directory, 'conf');
  const listen = { addresses: options.addresses ?? LOOPBACK, port: options.port ?? 53 };
  writeFileSync(config, encode(directory, listen));
  const resolver = new Resolver(namespace, listen, () => namespace.spawn(kind.command, kind.args(config)));
  await resolver.ready();
  return resolver;
}
