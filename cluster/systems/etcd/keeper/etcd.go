//go:build linux

package main

import "os"

// etcd is etcd's own main in an image. Here, where etcd is no dependency, it does nothing.
func etcd() { os.Exit(64) }
