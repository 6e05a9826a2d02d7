import type { MapValue, Value } from './value.ts';

/** What `metadata` of a Kubernetes object says that policies need. */
export interface ObjectMetadata {
  /** `metadata.name`, or the name of the file. */
  readonly name: string;
  /** `metadata.namespace`, or the one that Kubernetes takes when there is none. */
  readonly namespace: string;
  readonly annotations?: Value;
}

/** Reads `metadata` of a document. The rest of it (labels, owners, times) is for the cluster and means nothing here. */
export function readMetadata(document: MapValue): ObjectMetadata {
  const map = document.getNonNull('metadata')?.map('a map with "name" is legal');
  const name = map?.getNonNull('name')?.text('the name of the policy is legal');
  const namespace = map?.getNonNull('namespace')?.text('the name of a namespace is legal');
  const annotations = map?.getNonNull('annotations');
  return {
    name: name ?? document.value.place.file,
    namespace: namespace ?? 'default',
    ...(annotations && { annotations }),
  };
}
