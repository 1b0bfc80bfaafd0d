package histories

import (
	"bufio"
	"bytes"
	"fmt"

	"coup/checker/model"
	"coup/harness"
)

// decoders are the models whose histories coup itself writes.
var decoders = map[string]harness.Decoder{
	"register": model.DecodeRegister, "cas-register": model.DecodeRegister,
	"set": model.DecodeSet, "queue": model.DecodeQueue, "counter": model.DecodeCounter,
	"mutex": model.DecodeMutex, "lock": model.DecodeLock,
	"stack": model.DecodeStack, "priority-queue": model.DecodePriorityQueue,
	"list-append": model.DecodeListTxn, "rw-register": model.DecodeRegisterTxn,
}

// isJSONL reports whether a history begins as coup's own do. An EDN map begins
// with a brace as well, but its first key is a keyword.
func isJSONL(head []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{"))
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
}

func readJSONL(in *bufio.Reader, model string) (*harness.History, error) {
	decode, ok := decoders[model]
	if !ok {
		return nil, fmt.Errorf("coup records no histories of the model %s", model)
	}
	ops, _, err := harness.ReadOperations(in, decode)
	if err != nil {
		return nil, err
	}
	return &harness.History{Operations: ops}, nil
}
