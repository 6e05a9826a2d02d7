import { getSystemErrorName } from 'node:util';
import { SystemError } from '../errors.ts';
import { requestNetlink } from '../libbpf/netlink-request.ts';
import { decodeMessages, encodeMessage, type Message } from './message.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const ATTEMPTS = 8;

/**
 * Asks the kernel for all objects of a kind in the network namespace of this thread; `what` names them in errors.
 * A dump during which the objects changed is asked for again. Throws SystemError: EPROTONOSUPPORT when the kernel
 * does not have the protocol.
 */
export function dump(what: string, protocol: number, messageType: number, payload: Buffer): Message[] {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const answer = request(what, protocol, messageType, payload);
    if (answer.every(({ flags }) => (flags & NLM_F_DUMP_INTR) === 0)) return answer;
  }
  throw new SystemError(`list ${what}, which kept changing`, 'EINTR');
}

/**
 * Asks the kernel for one object in the network namespace of this thread, `undefined` when it has none; `operation` says
 * in errors what was tried. Throws SystemError.
 */
export function ask(
  operation: string,
  protocol: number,
  messageType: number,
  payload: Buffer,
): Message | undefined {
  let answer: Message | undefined;
  requestNetlink(protocol, encodeMessage(messageType, NLM_F_REQUEST, payload), (datagram) => {
    const [first] = decodeMessages(datagram);
    if (!first) return false;
    if (first.messageType === NLMSG_ERROR) {
      const code = getSystemErrorName(first.payload.readInt32LE(0));
      if (code !== 'ENOENT') throw new SystemError(operation, code);
    } else {
      answer = first;
    }
    return true;
  });
  return answer;
}

function request(what: string, protocol: number, messageType: number, payload: Buffer): Message[] {
  const answer: Message[] = [];
  const message = encodeMessage(messageType, NLM_F_REQUEST | NLM_F_DUMP, payload);
  try {
    requestNetlink(protocol, message, (datagram) => {
      for (const each of decodeMessages(datagram)) {
        if (each.messageType === NLMSG_ERROR || each.messageType === NLMSG_DONE) {
          // Both begin with an errno, 0 where all went well; older kernels send a DONE without one.
          const errno = each.payload.length >= 4 ? each.payload.readInt32LE(0) : 0;
          if (errno < 0) throw new SystemError(`list ${what}`, getSystemErrorName(errno));
          return true;
        }
        answer.push(each);
      }
      return false;
    });
  } catch (thrown) {
    if (!(thrown instanceof SystemError)) throw thrown;
    throw new SystemError(`list ${what}`, thrown.code, { cause: thrown });
  }
  return answer;
}
