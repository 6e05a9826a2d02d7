import { failure } from '../libbpf/errno.ts';
import { requestNetlink } from '../libbpf/netlink-request.ts';
import { decodeMessages, encodeMessage } from './message.ts';

/** What NLM_F_* ask of a change: make it when absent, only when absent, or put it in place of what is there. */
export const Change = { replace: 0x100, exclusive: 0x200, create: 0x400 };

const NETLINK_ROUTE = 0;
const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;

/**
 * Asks the kernel to change something of rtnetlink in the network namespace of this thread, and waits for its word.
 * `operation` says in errors what was tried. Throws SystemError, UnsupportedError without CAP_NET_ADMIN.
 */
export function changeRoute(operation: string, messageType: number, flags: number, payload: Buffer): void {
  const message = encodeMessage(messageType, NLM_F_REQUEST | NLM_F_ACK | flags, payload);
  let errno = 0;
  requestNetlink(NETLINK_ROUTE, message, (datagram) => {
    const answer = decodeMessages(datagram).find((each) => each.messageType === NLMSG_ERROR);
    if (answer === undefined) return false;
    errno = -answer.payload.readInt32LE(0); // struct nlmsgerr: 0 is the acknowledgement
    return true;
  });
  if (errno !== 0) throw failure(errno, operation);
}
