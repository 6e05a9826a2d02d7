/* The data of tldts, which has no declaration beside its CommonJS form. */
declare module 'tldts/dist/cjs/src/data/trie.js' {
  export * from 'tldts/dist/types/src/data/trie.js';
}
