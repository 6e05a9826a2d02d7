import { Fields } from '../flow/fields.ts';
import { REASONS } from '../flow/reason.ts';
import {
  type Denial,
  type Enforcing,
  endLine,
  FATES,
  type Seen,
  type SeenFlow,
  type SeenHead,
  type SeenLookup,
  type SeenMissing,
  type SeenUnread,
  type SubjectInForce,
  WAYS,
} from './seen.ts';

const KINDS = ['flow', 'lookup', 'unread', 'missing', 'denial'] as const;

/** What an enforcer answers: itself, then what it saw. */
export interface SeenByEnforcer {
  readonly enforcing: Enforcing;
  readonly seen: Seen;
  readonly denials: readonly Denial[];
}

/**
 * Parses the lines of an answer, each an object in JSON: the first is the enforcer with its counts, the last is `endLine`, the others are
 * flows, lookups, what could not be read, and deny rules. Throws SyntaxError for anything else.
 */
export function parseSeen(lines: readonly string[]): SeenByEnforcer {
  const told = lines.slice(0, -1);
  if (lines.at(-1) !== endLine(told.length))
    throw new SyntaxError('the answer of the enforcer was cut short');
  const [first, ...others] = told.map((line) => new Fields(JSON.parse(line), 'what was seen'));
  if (!first) throw new SyntaxError('the enforcer answered nothing');
  const flows: SeenFlow[] = [];
  const lookups: SeenLookup[] = [];
  const unread: SeenUnread[] = [];
  const missing: SeenMissing[] = [];
  const denials: Denial[] = [];
  for (const fields of others) {
    const kind = fields.word('kind', KINDS);
    switch (kind) {
      case 'flow':
        flows.push(parseFlow(fields));
        break;
      case 'lookup':
        lookups.push({ kind, ...parseHead(fields), name: fields.text('name') });
        break;
      case 'unread':
        unread.push({
          kind,
          ...parseSubject(fields),
          reason: fields.word('reason', REASONS),
          count: fields.number('count'),
        });
        break;
      case 'missing':
        missing.push({
          kind,
          ...parseSubject(fields),
          what: fields.word('what', ['lookups', 'names'] as const),
          count: fields.number('count'),
        });
        break;
      case 'denial':
        denials.push({
          kind,
          ...parseSubject(fields),
          rule: fields.text('rule'),
          source: fields.text('source'),
        });
        break;
      default:
        kind satisfies never;
    }
  }
  const seen = {
    flows,
    lookups,
    unread,
    missing,
    others: first.number('others'),
    lost: first.number('lost'),
  };
  return { enforcing: parseEnforcing(first), seen, denials };
}

function parseSubject(fields: Fields): { readonly subject: string } {
  return { subject: fields.text('subject') };
}

function parseHead(fields: Fields): SeenHead {
  return {
    subject: fields.text('subject'),
    fate: fields.word('fate', FATES),
    count: fields.number('count'),
    firstMs: fields.number('firstMs'),
    lastMs: fields.number('lastMs'),
    ...(fields.has('rule') && { rule: fields.text('rule') }),
  };
}

function parseFlow(fields: Fields): SeenFlow {
  return {
    kind: 'flow',
    ...parseHead(fields),
    way: fields.word('way', WAYS),
    l4Proto: fields.number('l4Proto'),
    ...(fields.has('port') && { port: fields.number('port') }),
    ...(fields.has('name') && { name: fields.text('name') }),
    ...(fields.has('fromPort') && { fromPort: fields.number('fromPort') }),
    addresses: fields.texts('addresses'),
    hasMore: fields.boolean('hasMore'),
    reasons: REASONS.filter((reason) => fields.texts('reasons').includes(reason)),
  };
}

function parseEnforcing(fields: Fields): Enforcing {
  return {
    instance: fields.text('instance'),
    startedMs: fields.number('startedMs'),
    adopted: fields.boolean('adopted'),
    isRun: fields.boolean('isRun'),
    ...(fields.has('netns') && { netns: fields.text('netns') }),
    ifaces: fields.texts('ifaces'),
    efaces: fields.texts('efaces'),
    resolvers: fields.texts('resolvers'),
    areResolversGiven: fields.boolean('areResolversGiven'),
    ownAddresses: fields.texts('ownAddresses'),
    subjects: fields.list('subjects').map(parseSubjectInForce),
  };
}

function parseSubjectInForce(fields: Fields): SubjectInForce {
  return {
    subject: fields.text('subject'),
    policies: fields.texts('policies'),
    dns: fields.word('dns', ['open', 'strict'] as const),
    audit: fields.boolean('audit'),
    allowPrivateAnswers: fields.boolean('allowPrivateAnswers'),
    ...(fields.has('inbound') && { inbound: fields.texts('inbound') }),
    ...(fields.has('rate') && { rate: fields.text('rate') }),
    ...(fields.has('ceil') && { ceil: fields.text('ceil') }),
  };
}
