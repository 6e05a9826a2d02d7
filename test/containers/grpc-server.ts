import { once } from 'node:events';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { encodeGrpcFrame } from '../../src/containers/grpc-frames.ts';
import { ScratchSocket } from './scratch-socket.ts';

/** What a server does with a call; `method` is its last part, such as Subscribe. */
export type Answer = (stream: ServerHttp2Stream, method: string, namespace: string) => void;

/** Runs `act` while `server` listens; then ends it with its connections. */
export async function serve(server: Server, act: (path: string) => Promise<void>): Promise<void> {
  using socket = new ScratchSocket();
  const connections = new Set<Socket>();
  server.on('connection', (connection: Socket) => connections.add(connection.on('error', () => {})));
  server.listen(socket.path);
  await once(server, 'listening');
  try {
    await act(socket.path);
  } finally {
    for (const connection of connections) connection.destroy();
    server.close();
  }
}

/** A gRPC server that does what `answer` says. */
export function grpcServer(answer: Answer): Server {
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    stream.resume();
    const method = String(headers[':path']).split('/').at(-1) ?? '';
    stream.on('end', () => answer(stream, method, String(headers['containerd-namespace'] ?? '')));
  });
  return server;
}

/** Ends a call with these messages and that status. */
export function reply(stream: ServerHttp2Stream, status: string, ...messages: readonly Uint8Array[]): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, 'grpc-message': 'as asked' }));
  for (const each of messages) stream.write(encodeGrpcFrame(each));
  stream.end();
}
