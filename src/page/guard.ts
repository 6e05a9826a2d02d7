/** What of a request decides whether it is answered at all; header values as they came. */
export interface Asked {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

/** Why a request is not answered: an HTTP status and a sentence. */
export interface Refusal {
  readonly status: number;
  readonly text: string;
}

const HTTP_PORT = 80;

/** The values of `Host` under which a loopback address is ours: itself and `localhost`, with the port. */
export function legalHosts(address: string, port: number): string[] {
  const literal = address.includes(':') ? `[${address}]` : address;
  return [literal, 'localhost'].flatMap((name) => [
    `${name}:${port}`,
    ...(port === HTTP_PORT ? [name] : []), // browsers leave it out
  ]);
}

/**
 * Refuses what no page of ours asks: other methods than GET and HEAD; another `Host`, as a name has that somebody
 * pointed to loopback (DNS rebinding); another `Origin`. Undefined: it may be answered.
 */
export function refuse({ method, host, origin }: Asked, hosts: readonly string[]): Refusal | undefined {
  if (host === undefined || !hosts.includes(host.toLowerCase()))
    return { status: 421, text: `This is no host of this page: ${hosts.join(' or ')} is legal.` };
  if (origin !== undefined && !hosts.some((legal) => origin.toLowerCase() === `http://${legal}`))
    return { status: 403, text: 'Pages of another origin are told nothing.' };
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, text: 'This page changes nothing: GET and HEAD are legal.' };
  return undefined;
}

/** The token of an `Authorization: Bearer` header; empty where there is none. */
export function bearerOf(authorization: string | undefined): string {
  return /^Bearer ([\w-]{1,128})$/iu.exec(authorization ?? '')?.[1] ?? '';
}
