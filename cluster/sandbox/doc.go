// Package sandbox is the small agent that owns a node's network, address and
// process namespace, and breaks them when the nemesis asks.
//
// Start with [Main], the agent, and [NewAgent], the harness's side.
//
// The agent is the first process of a container of its own. The system under test runs
// unchanged in other containers that join its namespaces. So the agent sees and signals
// every process of the node, and filters every packet to it. It stays when the node is
// killed, so a node that restarts is still cut off. When the agent ends, the kernel ends
// the node with it.
//
// Requests and answers are lines of JSON on the agent's standard input and
// output. The agent ends when its input is closed, for whatever reason: so a harness that
// was killed leaves no node running.
package sandbox

// EchoPort is the TCP port on which an agent answers probes from outside, and
// the UDP port on which it counts probes from its peers.
const EchoPort = 6999
