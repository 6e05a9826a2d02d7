/** The keys and what they do. */
export const HELP: readonly (readonly [key: string, meaning: string])[] = [
  ['q, Ctrl-C', 'quit'],
  ['p, space', 'pause, and go on'],
  ['d', 'only what is or would be denied'],
  ['a', 'all again'],
  ['s', 'order by count, last seen, name'],
  ['/', 'find in names, addresses, processes, rules'],
  ['arrows', 'scroll; PgUp, PgDn, Home, End, too'],
  ['Ctrl-L', 'draw anew'],
  ['Ctrl-Z', 'to the shell; fg comes back'],
  ['?', 'this help; any key closes it'],
];
