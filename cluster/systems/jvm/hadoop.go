package jvm

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"

	"coup/cluster"
)

// HadoopConf is the directory of Hadoop's files of configuration.
const HadoopConf = "/data/conf"

// HadoopFile is one of these files: properties by name.
func HadoopFile(name string, properties map[string]string) cluster.File {
	var b bytes.Buffer
	b.WriteString("<configuration>\n")
	for _, property := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&b, "<property><name>%s</name><value>", property)
		xml.EscapeText(&b, []byte(properties[property])) // a buffer takes everything
		b.WriteString("</value></property>\n")
	}
	b.WriteString("</configuration>\n")
	return cluster.File{Path: HadoopConf + "/" + name, Content: b.Bytes()}
}

// HadoopLog lets all of Hadoop's programs, and the ZooKeeper beside them, write warnings to their output.
func HadoopLog() cluster.File {
	return cluster.File{Path: HadoopConf + "/log4j.properties", Content: []byte(`log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
`)}
}

// HadoopCommon are the properties that its programs share: of clients of its protocol, so that
// one that waits for a node which is cut off goes on to the next within seconds, and of sessions of ZooKeeper.
func HadoopCommon(all []cluster.Node, session int64) map[string]string {
	return map[string]string{
		"hadoop.tmp.dir": "/data/tmp", "hadoop.http.staticuser.user": "root",
		"ipc.client.connect.timeout": "500", "ipc.client.connect.max.retries": "0", "ipc.client.connect.max.retries.on.timeouts": "0",
		"ipc.client.rpc-timeout.ms": "3000", "ipc.ping.interval": "1000",
		"hadoop.zk.address": Quorum(all), "hadoop.zk.timeout-ms": fmt.Sprint(session),
		"ha.zookeeper.quorum": Quorum(all), "ha.zookeeper.session-timeout.ms": fmt.Sprint(session),
	}
}
