/** Policy files of each kind, with most of the keys that are read; what mutation begins with. */
export const POLICY_TEXTS: readonly [string, ...string[]] = [
  `apiVersion: l7egg/v1
kind: EgressPolicy
name: web
dns: strict
allowPrivateAnswers: true
inbound: [22, 8000-8100/tcp]
shaping: {rate: 10mbit, ceil: 20mbit}
rules:
  - name: sources # of the build
    names: [git.example.com, "*.cdn.example.com", "**.deep.example.com", "api-*.example.com"]
    suffixes: [.debian.org, ome.com]
    cidrs: [192.0.2.0/24, {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.3.0/24]}, "2001:db8::/32"]
    ports: [443/tcp, 22, 8000-8100/udp, icmp:8, "proto:47"]
  - {names: [tracker.example.com], action: deny}
  - {cidrs: [198.51.100.7], action: deny}
  - ports: [80/tcp]
    action: audit
`,
  `{"apiVersion": "l7egg/v1", "kind": "EgressPolicy", "rules": [{"cidrs": ["192.0.2.1"], "ports": [443]}]}`,
  `apiVersion: l7egg/v1
kind: EgressPolicy
rules:
- names: &all [a.test, b.test]
- {names: *all, action: deny}
---
apiVersion: l7egg/v1
kind: EgressPolicy
subject: unit:unbound.service
rules: [{ports: [53/udp, 53/tcp]}]
`,
  `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{ipBlock: {cidr: 172.17.0.0/16}}]}]
  egress:
    - to:
        - ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.7/32]}
      ports: [{protocol: TCP, port: 5978}, {protocol: UDP, port: 32000, endPort: 32768}]
    - ports: [{port: 53, protocol: UDP}]
`,
  `apiVersion: k8s.cni.cncf.io/v1beta1
kind: MultiNetworkPolicy
metadata: {name: mnp, annotations: {k8s.v1.cni.cncf.io/policy-for: default/macvlan1}}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 2.2.5.11/32}}], ports: [{port: 5000, endPort: 5900}]}]
`,
  `apiVersion: maciekleks.dev/v1alpha1
kind: ClusterEgg
metadata: {name: egg}
spec:
  programType: tc
  ingress: {}
  egress:
    interfaceName: eth0
    shaping: {rate: 1mbit, ceil: 2mbit}
    commonNames: [www.interia.pl, .ubuntu.com, ome.com]
    cidrs: [10.152.183.0/24, {cidr: 172.172.34.3/32, ports: [{port: 443, protocol: TCP}]}]
    ports: [{port: 80}, {port: 443, protocol: TCP}]
`,
  `apiVersion: egress.monzo.com/v1
kind: ExternalService
metadata: {name: search}
spec:
  dnsName: google.com
  hijackDns: true
  ipOverride: [1.1.1.1]
  ports: [{port: 443, protocol: TCP}]
  minReplicas: 5
  resources: {requests: {cpu: 1, memory: 100Mi}}
`,
  `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: fqdn}
spec:
  endpointSelector: {}
  egress:
  - toFQDNs: [{matchName: my-remote-service.com}, {matchPattern: "*.cilium.io"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}, {port: "8000", endPort: 8100}]}]
  - toCIDR: [20.1.1.1/32]
  - toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.96.0.0/12]}]
    toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*.example.com"}]}}]
  - toEntities: [world]
    icmps: [{fields: [{type: 8, family: IPv4}, {type: EchoRequest, family: IPv6}]}]
  egressDeny:
  - toCIDR: [20.1.1.7/32]
`,
  `apiVersion: v1
kind: List
items:
- apiVersion: cilium.io/v2
  kind: CiliumClusterwideNetworkPolicy
  metadata: {name: all}
  spec: {endpointSelector: {}, egress: [{toEntities: [all]}]}
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: none}
  spec: {podSelector: {}, policyTypes: [Egress]}
`,
];
