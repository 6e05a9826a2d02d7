import {
  edgeChild,
  edgeLength,
  edgeStart,
  exceptionsRoot,
  labelText,
  nodeFlags,
  rulesRoot,
} from 'tldts/dist/cjs/src/data/trie.js';

/* Azure's customers choose names in each region below these, and they are not in the list. */
const UNLISTED = ['cloudapp.azure.com', 'cloudapp.usgovcloudapi.net', 'cloudapp.chinacloudapi.cn'];

/* Where the text of each edge begins: the texts stand one behind the other. */
let textStarts: Uint32Array | undefined;

/**
 * Whether strangers can have names below `name`: it is a public suffix, those of the private part of the list as well, or
 * one lies below it, as `s3.amazonaws.com` does below `amazonaws.com`.
 */
export function hasStrangersBelow(name: string): boolean {
  return isSuffix(name) || hasSuffixBelow(name) || isUnlisted(name);
}

function isSuffix(name: string): boolean {
  const isMarked = (node: number) => at(nodeFlags, node) !== 0;
  return nodesAt(rulesRoot, name).some(isMarked) && !nodesAt(exceptionsRoot, name).some(isMarked);
}

function isUnlisted(name: string): boolean {
  const above = name.split('.').slice(1).join('.');
  return UNLISTED.some((suffix) => suffix === name || suffix === above || suffix.endsWith(`.${name}`));
}

/* Every path of the list's trie ends in a suffix, so a node with edges has one below it. */
function hasSuffixBelow(name: string): boolean {
  return nodesAt(rulesRoot, name).some((node) => at(edgeStart, node + 1) > at(edgeStart, node));
}

function nodesAt(root: number, name: string): number[] {
  let nodes = [root];
  for (const label of name.split('.').reverse()) nodes = nodes.flatMap((node) => childrenOf(node, label));
  return nodes;
}

function childrenOf(node: number, label: string): number[] {
  const children: number[] = [];
  for (let edge = at(edgeStart, node); edge < at(edgeStart, node + 1); edge += 1) {
    const text = textOf(edge);
    if (text === label || text === '*') children.push(at(edgeChild, edge));
  }
  return children;
}

function textOf(edge: number): string {
  textStarts ??= findTextStarts();
  const start = at(textStarts, edge);
  return labelText.slice(start, start + at(edgeLength, edge));
}

function findTextStarts(): Uint32Array {
  const starts = new Uint32Array(edgeLength.length);
  for (let edge = 1; edge < starts.length; edge += 1)
    starts[edge] = at(starts, edge - 1) + at(edgeLength, edge - 1);
  return starts;
}

function at(numbers: { readonly [index: number]: number | undefined }, index: number): number {
  const number = numbers[index];
  if (number === undefined) throw new RangeError(`the list of public suffixes has no entry ${index}`);
  return number;
}
