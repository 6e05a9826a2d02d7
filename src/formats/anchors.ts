import { type Alias, type Document, isAlias, type Node, visit } from 'yaml';

/** Aliases of one document that may be read. */
const MAX_ALIASES = 10_000;
/** Values that they may stand for, all together: lists of lists of aliases are more than any file could hold. */
const MAX_VALUES = 100_000;

/** What the aliases of a document stand for, within bounds. */
export class Anchors {
  readonly #targets = new Map<Alias, Node | undefined>();
  readonly #sizes = new Map<Node, number>();
  #aliasesLeft = MAX_ALIASES;
  #valuesLeft = MAX_VALUES;

  /** Found in one walk: an alias's own `resolve` walks the whole document each time. */
  constructor(document: Document) {
    const latest = new Map<string, Node>();
    visit(document, {
      Node: (_, node) => {
        if (isAlias(node)) this.#targets.set(node, latest.get(node.source));
        else if (node.anchor !== undefined) latest.set(node.anchor, node);
      },
    });
  }

  /** The node that an alias stands for, or a sentence on why there is none. */
  follow(alias: Alias): Node | string {
    const target = this.#targets.get(alias);
    if (!target) return `is an alias of nothing: "*${alias.source}"`;
    this.#aliasesLeft -= 1;
    if (this.#aliasesLeft < 0) return `is one alias too many: at most ${MAX_ALIASES} are legal`;
    this.#valuesLeft -= this.#sizeOf(target);
    if (this.#valuesLeft >= 0) return target;
    return `is one alias too many: at most ${MAX_VALUES} values may stand behind aliases`;
  }

  #sizeOf(target: Node): number {
    const known = this.#sizes.get(target);
    if (known !== undefined) return known;
    let size = 0;
    visit(target, {
      Node: () => {
        size += 1;
      },
    });
    this.#sizes.set(target, size);
    return size;
  }
}
