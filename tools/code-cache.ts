/*
 * code-cache MAIN: keeps the bundle MAIN as V8 compiled it, beside it. Compiling it takes a fifth of a start.
 * It serves the node that made it; another one compiles the bundle itself.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { CompiledMain, cachePath } from '../src/boot/compiled-main.ts';

const [, , path = ''] = process.argv;
// Every function, not only those that run first. V8 takes no cache that was made under another setting.
setFlagsFromString('--no-lazy');
const compiled = new CompiledMain(path);
setFlagsFromString('--lazy');
const cache = compiled.toCache();
if (!new CompiledMain(path, cache).isFromCache) throw new Error(`Cannot use the code cache of "${path}"`);
// Whole or not at all.
const fresh = `${cachePath(path)}.new`;
const file = openSync(fresh, 'w');
writeSync(file, cache);
fsyncSync(file);
closeSync(file);
renameSync(fresh, cachePath(path));
