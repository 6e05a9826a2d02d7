import assert from 'node:assert/strict';
import { curl, type FetchedBody, type FetchOptions, type Place } from '../lab/clients.ts';
import { MAX_FRESH_V4 } from '../lab/first-packet.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import { patient, until } from '../lab/wait.ts';

/** curl could not connect, and was told so. */
const CURL_REFUSED = 7;

const SOON_MS = 2_000;
const AT_ONCE_MS = 100;
const NO_TIMEOUT_MS = 1_000;

/** An address of the lab's web prefixes in each family; `number` is 1 to 508. */
export function webAddress(number: number): { readonly v4: string; readonly v6: string } {
  if (number < 1 || number > MAX_FRESH_V4)
    throw new RangeError(`Cannot give the web address "${number}": legal is 1 to ${MAX_FRESH_V4}`);
  const v4 = number < 255 ? `198.51.100.${number}` : `203.0.113.${number - 254}`;
  return { v4, v6: `2001:db8:2::${number.toString(16)}` };
}

/** An A and an AAAA record for each name: the n-th, from 0, has `webAddress(first + n)`, which no other has. */
export function distinctRecords(names: readonly string[], first = 1, ttl = 60): readonly DnsRecord[] {
  return names.flatMap((name, index) => {
    const { v4, v6 } = webAddress(first + index);
    return addressRecords(name, [v4, v6], ttl);
  });
}

/** Asserts that curl gets an answer from `host`, at the first try. */
export async function passes(place: Place, host: string, options: FetchOptions = {}): Promise<FetchedBody> {
  const fetched = await curl(place, urlOf(host), options);
  assert.equal(fetched.exitCode, 0, `${host} should pass: ${fetched.error}`);
  return fetched;
}

/** Resolves once curl gets an answer from `host`: for what user space learns on its own account, soon but not at once. */
export async function passesSoon(place: Place, host: string): Promise<void> {
  const isThere = async () => (await curl(place, urlOf(host))).exitCode === 0;
  await until(isThere, { limitMs: SOON_MS, what: `a connect to ${host}` });
}

/** Asserts that curl finds an address for `host`, and is told that it can't connect. */
export async function isRefused(
  place: Place,
  host: string,
  options: FetchOptions = {},
): Promise<FetchedBody> {
  const fetched = await curl(place, urlOf(host), options);
  assert.equal(fetched.exitCode, CURL_REFUSED, `${host} should be refused: ${fetched.error || fetched.body}`);
  return fetched;
}

/**
 * Asserts that what `measure` does takes less than 100 ms. It is done three times, each in less than a second: on a
 * busy machine one may be slow, a time-out would be slow each time.
 *
 * @param measure answers how many ms it took
 */
export async function isAtOnce(measure: () => number | Promise<number>): Promise<void> {
  const tookMs: number[] = [];
  for (let round = 0; round < 3; round++) tookMs.push(await measure());
  assert.ok(
    Math.min(...tookMs) < patient(AT_ONCE_MS) && Math.max(...tookMs) < patient(NO_TIMEOUT_MS),
    `${tookMs} ms`,
  );
}

function urlOf(host: string): string {
  const [, name = host, port = ''] = /^(.*[^:\]]|\[.*\])(:\d+)$/u.exec(host) ?? [];
  return name.includes(':') && !name.startsWith('[') ? `http://[${host}]/` : `http://${name}${port}/`;
}
