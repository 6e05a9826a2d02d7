import { contains, type Prefix, parsePrefix } from '../policy/prefix.ts';
import type { Who } from '../policy/who.ts';
import type { Value } from './value.ts';

/** A prefix that stands as text; bits past its length are masked, with a warning there. */
export function readPrefix(value: Value, legal?: string): Who | undefined {
  const prefix = parseAt(value, legal);
  return prefix && { kind: 'prefix', prefix, except: [] };
}

/** A prefix with its exceptions, each of which has to lie inside it and be smaller. */
export function readPrefixes(value: Value, except: Value | undefined): Who | undefined {
  const prefix = parseAt(value);
  const exceptions = (except?.list('a list of prefixes is legal') ?? []).flatMap((each) => {
    const inner = parseAt(each);
    if (!inner || !prefix) return [];
    if (inner.bits > prefix.bits && contains(prefix, inner.bytes)) return inner;
    return each.error(`is ${inner.text}: a prefix inside ${prefix.text}, and smaller, is legal`) ?? [];
  });
  return prefix && { kind: 'prefix', prefix, except: exceptions };
}

function parseAt(value: Value, legal = 'a prefix such as 192.0.2.0/24 is legal'): Prefix | undefined {
  const parsed = value.parse(parsePrefix, legal);
  if (parsed?.warning !== undefined) value.warn(`: ${parsed.warning}`);
  return parsed?.prefix;
}
