/*
 * What node is started with. Bundled for Node 10, so that an old one, too, gets a sentence; `main` is compiled
 * when the version is right.
 */
import { join } from 'node:path';
import { CompiledMain } from './boot/compiled-main.ts';

const OLDEST = 20;
const UNSUPPORTED = 3;

if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  process.stderr.write(
    `l7egg-cli: Cannot run on Node.js "${process.version}": version ${OLDEST} or newer is needed.\n`,
  );
  process.exitCode = UNSUPPORTED;
} else {
  CompiledMain.open(join(__dirname, 'main.cjs')).run();
}
