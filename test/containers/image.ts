import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../lab/command.ts';

/** What the image is called. */
export const IMAGE = 'l7egg.test/busybox:1';

const BUSYBOX = '/bin/busybox';
const APPLETS = ['sh', 'sleep', 'wget', 'nc', 'cat', 'echo', 'ip'];

/** Makes an OCI image with nothing but busybox in it, as a tar file for `ctr images import`; gives its path. */
export function makeImage(directory: string): string {
  const root = join(directory, 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
  const layer = join(directory, 'layer.tar');
  mustRun(['tar', '-C', root, '--owner=0', '--group=0', '--numeric-owner', '-cf', layer, '.']);

  const layout = join(directory, 'layout');
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const store = (mediaType: string, bytes: Buffer) => {
    const digest = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (mediaType: string, value: object) => store(mediaType, Buffer.from(JSON.stringify(value)));

  const layerBlob = store('application/vnd.oci.image.layer.v1.tar', readFileSync(layer));
  const config = json('application/vnd.oci.image.config.v1+json', {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: ['/bin/sleep', '1000'] },
    rootfs: { type: 'layers', diff_ids: [layerBlob.digest] },
  });
  const manifest = json('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    config,
    layers: [layerBlob],
  });
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ ...manifest, annotations: { 'io.containerd.image.name': IMAGE } }],
    }),
  );
  const tar = join(directory, 'image.tar');
  mustRun(['tar', '-C', layout, '-cf', tar, '.']);
  return tar;
}
