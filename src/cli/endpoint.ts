import { isLoopback, parseAddress } from '../dns/resolver.ts';
import { UsageError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';

/** Where something of ours listens. `port` 0: one that the kernel chooses. */
export interface Endpoint {
  /** An address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Only programs of this host can reach it. */
  readonly isLoopback: boolean;
}

const LOOPBACK = '127.0.0.1';
const LEGAL =
  'PORT, :PORT, 127.0.0.1:PORT, [::1]:PORT or another ADDRESS:PORT, with a port of 0 to 65535, is legal';

/**
 * Parses the value of a flag that takes HOST:PORT. Without a host it is loopback; an IPv6 address stands in brackets.
 * Names are not looked up, so none but `localhost` is legal. Throws UsageError, which ends in
 * `legal`.
 */
export function parseEndpoint(flag: string, text: string, legal: string = LEGAL): Endpoint {
  const [, bracketed, bare = '', portText = ''] =
    /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d+)$/u.exec(text) ?? [];
  const port = /^(?:0|[1-9]\d{0,4})$/u.test(portText) ? Number(portText) : -1;
  if (port < 0 || port > 65_535) throw malformed(flag, text, legal);
  const isNamed = bracketed !== undefined || (bare !== '' && bare !== 'localhost');
  if (!isNamed) return { host: LOOPBACK, port, isLoopback: true };
  const address = parseAddress(bracketed ?? bare, port);
  const isBracketed = bracketed !== undefined;
  if (!address || isBracketed !== (bracketed ?? bare).includes(':')) throw malformed(flag, text, legal);
  const host = formatAddress(address.addr16);
  return {
    host: address.scope === undefined ? host : `${host}%${address.scope}`,
    port,
    isLoopback: isLoopback(address),
  };
}

function malformed(flag: string, text: string, legal: string): UsageError {
  return new UsageError(`-${flag} "${text}" is nowhere to listen: ${legal}`);
}
