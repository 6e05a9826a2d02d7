import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file of the page, and what a browser is to take it for. */
export interface Asset {
  readonly body: Buffer;
  readonly mediaType: string;
}

const FILES = [
  { path: '/', file: 'page.html', mediaType: 'text/html; charset=utf-8' },
  { path: '/page.js', file: 'page.js', mediaType: 'text/javascript; charset=utf-8' },
  { path: '/page.css', file: 'page.css', mediaType: 'text/css; charset=utf-8' },
];

/** The files of the page by their paths, all in memory: a path of a request never names a file. */
export function readAssets(directory: string): ReadonlyMap<string, Asset> {
  return new Map(
    FILES.map(({ path, file, mediaType }) => [
      path,
      { body: readFileSync(join(directory, file)), mediaType },
    ]),
  );
}
