import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListenTable, Namespace } from './namespace.ts';
import type { Process } from './process.ts';
import { until } from './wait.ts';

/** What an nginx answers and where; default: every address, ports 80, 443 and 8443, "hello from ADDRESS". */
export interface WebOptions {
  readonly addresses?: readonly string[];
  readonly ports?: readonly number[];
  /** nginx variables are filled in. */
  readonly greeting?: string;
  /** URLs that paths are redirected to. */
  readonly redirects?: Readonly<Record<string, string>>;
}

const LIMIT_MS = 10_000;
const GREETING = 'hello from $server_addr';

/** nginx, plain HTTP on each port of each address; resolves when it listens. Several share a namespace by address. */
export async function startWeb(namespace: Namespace, options: WebOptions = {}): Promise<Process> {
  const {
    addresses = ['0.0.0.0', '::'],
    ports = [80, 443, 8443],
    greeting = GREETING,
    redirects = {},
  } = options;
  const hosts = addresses.map((address) => (address.includes(':') ? `[${address}]` : address));
  const directory = mkdtempSync(join(namespace.directory, 'nginx-'));
  const config = join(directory, 'conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    config,
    `daemon off;
    master_process off;
    pid ${directory}/pid;
    error_log stderr error;
    events { worker_connections 8192; }
    http {
      access_log off;
      default_type text/plain;
      ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join('\n')}
      server {
        ${ports.flatMap((port) => hosts.map((host) => `listen ${host}:${port} backlog=4096;`)).join('\n')}
        ${Object.entries(redirects)
          .map(([path, url]) => `location = ${path} { return 301 ${url}; }`)
          .join('\n')}
        location / { return 200 "${greeting}\\n"; }
      }
    }`,
  );
  const nginx = namespace.spawn('nginx', ['-e', 'stderr', '-p', directory, '-c', config]);
  // Written after the sockets listen. The ports themselves would not tell one nginx from another.
  await until(
    () => {
      if (nginx.exit !== undefined) throw new Error(`Cannot start nginx: it ended\n${nginx.tail()}`);
      return existsSync(`${directory}/pid`);
    },
    { limitMs: LIMIT_MS, what: `nginx in ${namespace.name}` },
  );
  return nginx;
}

/** A TCP server on every address that sends back what it gets, for flows that last. */
export async function startTcpEcho(namespace: Namespace, port = 7): Promise<Process> {
  const echo = namespace.spawn('socat', [
    `TCP6-LISTEN:${port},ipv6only=0,reuseaddr,fork,backlog=1024`,
    'PIPE',
  ]);
  await untilListening(namespace, echo, ['tcp6'], port);
  return echo;
}

/**
 * A UDP server that sends back what it gets, from the address it was sent to.
 * socat answers from the namespace's first address; the redirect makes that the address that was asked.
 */
export async function startUdpEcho(namespace: Namespace, port = 7): Promise<readonly Process[]> {
  namespace.must('nft', ['-f', '-'], {
    input: `table inet echo${port} {
      chain prerouting { type nat hook prerouting priority dstnat; udp dport ${port} redirect to :${port}; }
    }`,
  });
  const v4 = namespace.spawn('socat', ['-T30', `UDP4-LISTEN:${port},reuseaddr,fork`, 'PIPE']);
  const v6 = namespace.spawn('socat', ['-T30', `UDP6-LISTEN:${port},ipv6only=1,reuseaddr,fork`, 'PIPE']);
  await untilListening(namespace, v4, ['udp'], port);
  await untilListening(namespace, v6, ['udp6'], port);
  return [v4, v6];
}

/** Resolves when `port` is open in every one of `tables`; rejects at once when `server` ends. */
export async function untilListening(
  namespace: Namespace,
  server: Process,
  tables: readonly ListenTable[],
  port: number,
): Promise<void> {
  await until(
    () => {
      if (server.exit !== undefined)
        throw new Error(`Cannot wait for port ${port}: the server ended\n${server.tail()}`);
      return tables.every((table) => namespace.listens(table, port));
    },
    { limitMs: LIMIT_MS, what: `port ${port} in ${namespace.name}` },
  );
}
