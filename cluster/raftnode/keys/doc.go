// Package keys is who may talk to the bundled node, and how it tells: mutual TLS, and
// tokens for clients.
//
//	authority.go  issues certificates and tokens, for whoever runs a cluster
//	bundle.go     what a node is given, as a file in its folder
//	store.go      a node's view of that file, which may be replaced while the node runs
//	gate.go       a listener that lets nobody in who has not shown a certificate
//
// Everybody has a certificate of one authority, with one name that says who it is:
// n1.node.coup, p3.client.coup, harness.operator.coup ([Identity]). A node trusts other
// nodes by their certificates alone. Clients and operators also show a token, which their
// name is part of, with each request. Tokens have generations: a node accepts those that its
// file names, so that a new one is brought in before the old one is withdrawn.
//
// A node looks whether its file has changed before each handshake and each request that has a token. It
// needs no restart and no signal, and a node that was frozen while its file changed goes by the new
// one from its first request on. Connections that are open go on.
//
// Keys and signatures are Ed25519, and the exchange is X25519 by TLS 1.3: every message of
// a handshake has the same length in each run, which simulated machines need.
package keys
