import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeGrpcFrame, GrpcFrames } from '../../src/containers/grpc-frames.ts';

const messages = [new Uint8Array([1, 2, 3]), new Uint8Array(0), new Uint8Array(300).fill(7)];
const bytes = Buffer.concat(messages.map(encodeGrpcFrame));

describe('GrpcFrames', () => {
  for (const size of [1, 2, 4, 5, 6, 7, 100, bytes.length]) {
    test(`gives the messages from chunks of ${size} bytes`, () => {
      const frames = new GrpcFrames(300);
      const got: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) got.push(...frames.push(bytes.subarray(at, at + size)));
      assert.deepEqual(
        got.map((each) => [...each]),
        messages.map((each) => [...each]),
      );
      assert.ok(frames.isEmpty);
    });
  }

  test('holds what is not whole', () => {
    const frames = new GrpcFrames(300);
    assert.deepEqual(frames.push(bytes.subarray(0, 6)), []);
    assert.ok(!frames.isEmpty);
  });

  test('refuses a length past the limit before the message comes', () => {
    const frames = new GrpcFrames(299);
    assert.throws(() => frames.push(bytes.subarray(0, 18)), /300 bytes: 299 are legal/u);
  });

  test('refuses a compressed message', () => {
    assert.throws(() => new GrpcFrames(300).push(Buffer.from([1, 0, 0, 0, 0])), /compressed/u);
  });
});
