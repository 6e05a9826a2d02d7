import { fileURLToPath } from 'node:url';

/**
 * Takes the place of the package `koffi` in the bundle: the same native object, loaded from a file
 * beside the bundle. The package's own loader reads the node binary and probes twenty packages.
 */
const native: { exports: unknown } = { exports: {} };
process.dlopen(native, fileURLToPath(new URL('koffi.node', import.meta.url)));
export default native.exports;
