import { UsageError } from '../errors.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';

const LEGAL = 'PORT, 127.0.0.1:PORT or [::1]:PORT, with a port of 0 to 65535, is legal';

/** Parses the value of `-ui`, as `parseEndpoint` does. Throws UsageError, also where it is not on loopback. */
export function parsePageAddress(text: string): Endpoint {
  const endpoint = parseEndpoint('ui', text, LEGAL);
  const { port } = endpoint;
  if (endpoint.isLoopback && !endpoint.host.includes('%')) return endpoint;
  throw new UsageError(
    `-ui "${text}" is not on loopback, and who reaches the page sees what this host talks to: 127.0.0.1:${port} or [::1]:${port} is legal; from elsewhere forward it with ssh -L ${port}:127.0.0.1:${port}`,
  );
}
