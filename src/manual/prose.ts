import type { Command } from '../cli/commands.ts';

/** A part of the manual page that no table has: paragraphs, or what is explained and how. */
export interface Section {
  readonly title: string;
  readonly paragraphs?: readonly string[];
  readonly items?: readonly (readonly [what: string, meaning: string])[];
}

/** What the page says of a command besides its line in help. */
export const MORE_ON_COMMANDS: Partial<Record<Command, string>> = {
  enforce:
    'Puts the rules in force, writes a line that begins with `enforcing` to stderr when it has, and then a line for each new verdict to stdout. Policy files are read again when they change. Without a command this one is meant.',
  run: 'Puts the command into a cgroup of its own. It looks up listed names only (`-dns=strict`), what is blocked fails at once, and at the end stderr says what was blocked and which flag would allow it. Without rules nothing is let out.',
  status: 'Also says what a dead process left in force.',
  check:
    'By what is in force, or by files alone where `-policy` or `-preset` is given; then without root. A name is looked up, as a program would. Exits 2 for bad input and 3 when nothing is in force.',
  presets: '`list` has them all, `show` prints one as the policy file that it is.',
  reload:
    'A bad file changes nothing. Connections of rules that stay go on, those of withdrawn rules are ended. Exits 2 when a file is bad, 3 when no process is there.',
  stop: 'Cleans where the process is dead.',
  clean: 'Takes programs, maps and pins of an instance from the kernel.',
  doctor: 'Exits 3 when something is missing that enforcing needs.',
  completion:
    '`make install` puts the scripts into the usual places; by hand: `eval "$(l7egg-cli completion bash)"`. Names of interfaces, instances, network namespaces, units and presets are completed, too, and behind `--` the command of `run`.',
};

/** What the page says of a flag of `enforce` or `run` besides its line in help, by name. */
export const MORE_ON_FLAGS: ReadonlyMap<string, string> = new Map([
  ['iface', "Default: the default route's, and `lo` when the resolver is on loopback."],
  [
    'eface',
    "Default: the default route's. `*` also takes those that appear later; bridges and veth only by name.",
  ],
  ['cidr', 'IPv4 or IPv6. Deny beats allow.'],
  [
    'cn',
    'Compared as plain text: `.gitlab.com` is www.gitlab.com and not gitlab.com; `ome.com` is also home.com.',
  ],
  ['name', '`*.example.com` is www.example.com, not a.b.example.com; `**.example.com` is both.'],
  ['deny-name', 'It takes no address from a rule that allows it.'],
  [
    'port',
    'Also tcp, icmp:8, icmpv6:128, proto:47. A bare number is tcp and udp. Ports of single rules are for policy files.',
  ],
  [
    'policy',
    'l7egg/v1 EgressPolicy, CiliumNetworkPolicy, NetworkPolicy, MultiNetworkPolicy, ClusterEgg, ExternalService. Under `run` it is read once.',
  ],
  ['label', 'Of containers of containerd, Docker and Podman.'],
  ['container', 'Of containerd, Docker and Podman.'],
  ['resolver', 'ADDR or ADDR:PORT. Its DNS port is open; DNS to any other needs a rule.'],
  ['dns', 'Under `strict` other names get NXDOMAIN at once. The default under `run`.'],
  ['inbound', 'And to pings. By default all ports of the host, none of cgroups, containers and `run`.'],
  [
    'rate',
    "By interface, per subject with cgroups. Somebody else's root qdisc is replaced with `-force` only.",
  ],
  [
    'log',
    'Events go to stdout, a line each; all else goes to stderr as text, and with `json` is told as events as well. See LOGS.',
  ],
]);

/** What stands before the commands. */
export const DESCRIPTION: readonly string[] = [
  'An egress firewall for one host: programs in the kernel let out only what a rule allows, networks (`-cidr`) and the addresses that DNS answers gave for listed names (`-cn`, `-name`). The first packet after an answer passes; only answers that this host asked a trusted resolver for count.',
  'Replies to inbound connections pass. What is refused learns so at once. A killed enforcer leaves everything in force; the next start takes over without a gap. Run it as root.',
];

/** What stands behind the options. */
export const SECTIONS: readonly Section[] = [
  {
    title: 'EXIT STATUS',
    paragraphs: ['`check` and `explain` exit 0 for allowed and 1 for not; `run` exits as the command does.'],
    items: [
      ['0', 'Done; `status`: enforcing.'],
      ['1', 'A failure, or the instance or interface is taken by another enforcer.'],
      ['2', 'A bad flag or policy, or a thing that is named and is not there.'],
      ['3', 'A privilege or something of the kernel is missing, or nothing is in force.'],
      ['4', 'It would cut the session that starts it.'],
      ['10', '`run` with `-fail-on-blocked`, in place of 0, when anything was blocked.'],
      ['125, 126, 127, 128+n', '`run`: it failed after the start, as env(1) has them, ended by signal n.'],
    ],
  },
  {
    title: 'SIGNALS',
    items: [
      ['SIGINT, SIGTERM', 'Stop: open, remove everything, exit 0.'],
      ['SIGUSR2', 'End, and leave everything in force.'],
      ['SIGHUP', 'Read policy files, interfaces, addresses, resolvers and exact names again.'],
    ],
  },
  {
    title: 'LOGS',
    paragraphs: [
      'Events are written to stdout, everything else to stderr. Control characters and the like in whatever comes from outside are escaped.',
      'Where an output is the journal (JOURNAL_STREAM, systemd.exec(5)), each line has its level: 3 for what was asked for and is not done, 4 for what needs attention (a reload that failed, an interface that is gone, lost events), 5 for what changes and for verdicts `deny` and `would_deny`, 6 for all else and for `allow`. `journalctl -u l7egg -p notice` shows what is refused, `-p warning` what needs attention.',
      'The journal takes 10,000 lines in 30 s from a service and then drops. l7egg stays below that: of each level it writes 1000 events at once and then 30 a second, and 200 other lines and then 20 a second; how many were left out is said, and `lost` of the next event counts them. A file, pipe or terminal gets all.',
      'When stderr is a file, lines after the start have the time of day in front.',
    ],
  },
  {
    title: 'FILES',
    items: [
      ['/etc/l7egg/flags', 'Flags of the service: L7EGG_FLAGS=…'],
      ['/run/l7egg/INSTANCE', 'State of an instance; its pins are in /sys/fs/bpf/l7egg/INSTANCE.'],
      [
        '@PREFIX@/lib/l7egg/tc-cleaner.sh',
        'Takes l7egg off interfaces when Node does not run: `tc-cleaner.sh -iface=IF -eface=IF`.',
      ],
    ],
  },
  {
    title: 'EXAMPLES',
    items: [
      [
        'l7egg-cli -iface=eth0 -eface=eth0 -cidr=10.0.2.0/24 -cn=.debian.org -audit',
        'Says what would be dropped, drops nothing.',
      ],
      ['l7egg-cli run -preset=npm -- npm ci', 'Confines one command.'],
      ['l7egg-cli check www.debian.org:443', 'Would it pass?'],
      ['systemctl enable --now l7egg', 'As a service, with the flags of /etc/l7egg/flags.'],
    ],
  },
];

/** Pages that say more. */
export const SEE_ALSO: readonly string[] = ['journalctl(1)', 'tc(8)', 'systemd.service(5)'];
