import { type Document, isScalar, type Scalar, visit } from 'yaml';

/** The keys that an earlier one of their map says already: `1` and `"1"` are the same. */
export function repeatedKeys(document: Document): Scalar[] {
  const repeated: Scalar[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const text = String(key.value);
        if (seen.has(text)) repeated.push(key);
        seen.add(text);
      }
    },
  });
  return repeated;
}
