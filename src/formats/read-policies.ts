import { PolicyFileError } from '../errors.ts';
import { anyOf, anyQuoted, suggest } from '../wording.ts';
import { readCilium, readCiliumClusterwide } from './cilium.ts';
import { readClusterEgg } from './cluster-egg.ts';
import { readExternalService } from './external-service.ts';
import { readL7egg } from './l7egg.ts';
import { readMultiNetworkPolicy } from './multi-network-policy.ts';
import { readNetworkPolicy } from './network-policy.ts';
import type { FormatContext, PolicyPart, ReadPolicy } from './part.ts';
import { formatProblem, type Problem, Problems } from './problem.ts';
import { type Progress, readDocuments } from './read-documents.ts';
import type { Value } from './value.ts';

/** The kinds that we read, by `apiVersion` and `kind`. */
const KINDS: ReadonlyMap<string, ReadPolicy> = new Map<string, ReadPolicy>([
  ['l7egg/v1 EgressPolicy', readL7egg],
  ['networking.k8s.io/v1 NetworkPolicy', readNetworkPolicy],
  ['k8s.cni.cncf.io/v1beta1 MultiNetworkPolicy', readMultiNetworkPolicy],
  ['k8s.cni.cncf.io/v1beta2 MultiNetworkPolicy', readMultiNetworkPolicy],
  ['maciekleks.dev/v1alpha1 ClusterEgg', readClusterEgg],
  ['egress.monzo.com/v1 ExternalService', readExternalService],
  ['cilium.io/v2 CiliumNetworkPolicy', readCilium],
  ['cilium.io/v2 CiliumClusterwideNetworkPolicy', readCiliumClusterwide],
]);

/** A policy file's name, as its owner gave it, and its text. */
export interface PolicyText {
  readonly file: string;
  readonly text: string;
}

/** What policy files say, and remarks on how it was taken. */
export interface ReadPolicies {
  readonly parts: readonly PolicyPart[];
  /** The file of each of them. */
  readonly files: readonly string[];
  readonly remarks: readonly string[];
}

/**
 * Reads policy files of any kind that we know, each with one or more documents. Throws PolicyFileError with all that is
 * wrong, a line each, `FILE:LINE:COL: what`. `lenient`: what is legal but not enforced is a remark, not an error.
 */
export async function readPolicies(
  texts: readonly PolicyText[],
  context: FormatContext & { readonly lenient: boolean },
  progress?: Progress,
): Promise<ReadPolicies> {
  const problems = new Problems(context.lenient);
  const parts: PolicyPart[] = [];
  const files: string[] = [];
  for (const { file, text } of texts) {
    const documents = await readDocuments(file, text, problems, progress);
    if (documents.length === 0 && problems.errors.length === 0)
      problems.error({ file, line: 1, column: 1 }, 'is empty: a policy is legal');
    for (const document of documents)
      for (const part of readDocument(document, context)) {
        parts.push(part);
        files.push(file);
      }
  }
  const { errors, uncounted, warnings } = problems;
  if (errors.length > 0) {
    const more = uncounted > 0 ? [`and ${uncounted} errors more`] : [];
    throw new PolicyFileError([...new Set(inOrder(errors).map(formatProblem)), ...more]);
  }
  return { parts, files, remarks: warnings.map(formatProblem) };
}

/* As they stand in a file; files in the order in which they were given. */
function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort(({ place: a }, { place: b }) =>
    a.file === b.file ? a.line - b.line || a.column - b.column : 0,
  );
}

function readDocument(document: Value, context: FormatContext): PolicyPart[] {
  const legal = `${anyOf([...KINDS.keys()])} is legal`;
  const map = document.map(`a map with "apiVersion" and "kind" is legal`);
  if (!map) return [];
  const apiVersion = map.require('apiVersion', legal)?.text();
  const kind = map.require('kind', legal)?.text();
  if (apiVersion === undefined || kind === undefined) return [];
  if (kind === 'List' && apiVersion === 'v1') {
    map.ignore('metadata');
    const items = map.require('items', 'a list of policies is legal')?.list() ?? [];
    map.end();
    return items.flatMap((item) => readDocument(item, context));
  }
  const read = KINDS.get(`${apiVersion} ${kind}`);
  if (read) return read(map, context);
  const known = [...KINDS.keys()].map((each) => each.split(' '));
  const versions = known.flatMap(([version = '', name]) => (name === kind ? [version] : []));
  if (versions.length > 0) {
    const what = `"${apiVersion}" of kind "${kind}" is not one that is read`;
    map.get('apiVersion')?.error(`${what}: ${anyQuoted(versions)} is legal`);
  } else {
    const hint = suggest(kind, [...new Set(known.map(([, name = '']) => name))]) || ':';
    map
      .get('kind')
      ?.error(`"${kind}" of apiVersion "${apiVersion}" is not a kind that is read${hint} ${legal}`);
  }
  return [];
}
