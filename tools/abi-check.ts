import { readFileSync } from 'node:fs';
import { ENUMS, LAYOUT, LIMITS } from '../src/datapath/layout.ts';
import { parseBtf } from './btf.ts';
import { diffLayout, parseContract } from './layout-diff.ts';

const [objectPath, headerPath] = process.argv.slice(2);
if (objectPath === undefined || headerPath === undefined) {
  process.stderr.write('usage: abi-check OBJECT CONTRACT_HEADER\n');
  process.exit(2);
}

const mirror = { structs: LAYOUT, enums: ENUMS, limits: LIMITS };
const differences = diffLayout(
  mirror,
  parseBtf(readFileSync(objectPath)),
  parseContract(readFileSync(headerPath, 'utf8')),
);
for (const difference of differences) process.stdout.write(`abi-check: ${difference}\n`);
if (differences.length > 0) process.exit(1);
const count = (table: object): number => Object.keys(table).length;
process.stdout.write(
  `abi-check: ok, ${count(LAYOUT)} structs, ${count(ENUMS)} enums, ${count(LIMITS)} constants agree with ${objectPath}\n`,
);
