import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkImports } from './import-rules.ts';

const root = process.argv[2];
if (root === undefined) {
  process.stderr.write('usage: import-check SOURCE_DIRECTORY\n');
  process.exit(2);
}

const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
const violations = checkImports(
  new Map(paths.sort().map((path) => [path, readFileSync(join(root, path), 'utf8')])),
);
for (const violation of violations) process.stdout.write(`import-check: ${violation}\n`);
if (violations.length > 0) process.exit(1);
process.stdout.write(`import-check: ok, ${paths.length} files\n`);
