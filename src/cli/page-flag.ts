import { isLoopback, parseAddress } from '../dns/resolver.ts';
import { UsageError } from '../errors.ts';

/** Where the page is served: a loopback address, bare; port 0 = any free one. */
export interface PageAddress {
  readonly address: string;
  readonly port: number;
}

const MAX_PORT = 65_535;

/** Parses the value of `-ui`: `127.0.0.1:8080`, `[::1]:8080`. Throws UsageError, also where it is not on loopback. */
export function parsePageAddress(text: string): PageAddress {
  const [, bracketed, dotted, digits = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/u.exec(text) ?? [];
  const address = bracketed ?? dotted ?? '';
  const port = Number(digits);
  const parsed = parseAddress(address, port);
  if (
    !parsed ||
    parsed.scope !== undefined ||
    port > MAX_PORT ||
    (bracketed ?? ':').includes(':') === false
  ) {
    throw new UsageError(
      `-ui "${text}" is no address with a port: 127.0.0.1:8080 or [::1]:8080 is legal, port 0 is any`,
    );
  }
  if (isLoopback(parsed)) return { address, port };
  throw new UsageError(
    `-ui "${text}" is not on loopback, and who reaches the page sees what this host talks to: 127.0.0.1:${digits} or [::1]:${digits} is legal; from elsewhere forward it with ssh -L ${digits}:127.0.0.1:${digits}`,
  );
}
