import { type Document, isScalar, type Scalar, visit } from 'yaml';

/** How a key is called: what it is, not what YAML 1.1 makes of it. */
export function keyText({ value, source }: Scalar): string {
  return typeof value === 'string' ? value : (source ?? String(value));
}

/** The keys that an earlier one of their map says already: `1` and `"1"` are the same. */
export function repeatedKeys(document: Document): Scalar[] {
  const repeated: Scalar[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const text = keyText(key);
        if (seen.has(text)) repeated.push(key);
        seen.add(text);
      }
    },
  });
  return repeated;
}
