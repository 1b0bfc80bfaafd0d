// Package sandbox is the small agent that owns a node's network, address and
// process namespace, and breaks them when the nemesis asks.
//
// The agent is the first process of a container of its own; the system under
// test runs unchanged in a second container that joins the first one's
// namespaces. So the agent sees and signals every process of the node, filters
// every packet to it, and stays when the node is killed: a node that restarts
// is still cut off. When the agent ends, the kernel ends the node with it.
//
// Requests and answers are lines of JSON on the agent's standard input and
// output. The agent ends when its input closes, whatever closed it: a harness
// that was killed leaves no node running.
package sandbox

// EchoPort is the TCP port on which an agent answers probes from outside, and
// the UDP port on which it counts probes from its peers.
const EchoPort = 6999
