import { UsageError } from '../errors.ts';
import type { MapValue, Value } from './value.ts';

/** What `metadata` of a Kubernetes object says that policies need. */
export interface ObjectMetadata {
  /** `metadata.name`, or the name of the file. */
  readonly name: string;
  /** `metadata.namespace`, or the one that Kubernetes takes when there is none. */
  readonly namespace: string;
  readonly annotations?: Value;
}

/* Names stand in events and remarks, one a line; none in Kubernetes is longer (RFC 1123). */
function parseObjectName(text: string): string {
  if (/^[^\p{C}\p{Zl}\p{Zp}]{1,253}$/u.test(text)) return text;
  throw new UsageError(`name "${text}" is not legal: 1 to 253 characters of one line are`);
}

/** Reads `metadata` of a document. The rest of it (labels, owners, times) is for the cluster and means nothing here. */
export function readMetadata(document: MapValue): ObjectMetadata {
  const map = document.getNonNull('metadata')?.map('a map with "name" is legal');
  const name = map?.getNonNull('name')?.parse(parseObjectName, 'the name of the policy is legal');
  const namespace = map?.getNonNull('namespace')?.parse(parseObjectName, 'the name of a namespace is legal');
  const annotations = map?.getNonNull('annotations');
  return {
    name: name ?? document.value.place.file,
    namespace: namespace ?? 'default',
    ...(annotations && { annotations }),
  };
}
