package raft

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// Most requests and answers are short and plain. These are written and read here, the
// same to the byte as by net/http, but much faster. On simulated machines, net/http is a
// good part of the cost of a client. All others are left to net/http.

// longestPlain is how much net/http writes at once.
const longestPlain = 4096

// plainRequest is what net/http would send for a request; authorization "" is none. It is
// not ok if it has to do it itself.
func plainRequest(method, node, path, authorization string, body []byte) (b []byte, ok bool) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || !isPlain(path[1:]) || node == "" || !isPlain(node) {
		return nil, false
	}
	b = make([]byte, 0, 150+len(node)+len(path)+len(authorization)+len(body))
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, node...)
	b = append(b, "\r\nUser-Agent: Go-http-client/1.1\r\n"...)
	named := func() {
		if authorization != "" {
			b = append(append(append(b, "Authorization: "...), authorization...), "\r\n"...)
		}
	}
	switch {
	case method == http.MethodGet && body == nil:
		named()
	case method == http.MethodPost && len(body) > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
		named()
		b = append(b, "Content-Type: application/json\r\n"...)
	default:
		return nil, false
	}
	b = append(b, "\r\n"...)
	b = append(b, body...)
	return b, len(b) < longestPlain
}

// isPlain says whether nothing of s would be written in another way.
func isPlain(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '/':
		default:
			return false
		}
	}
	return true
}

// plainAnswer reads an answer that came as a whole. It is not ok if it is not
// plain, or longer; then nothing of it was taken.
func plainAnswer(r *bufio.Reader, longest int64) (status int, answer []byte, ok bool) {
	b, _ := r.Peek(r.Buffered())
	head, rest, found := bytes.Cut(b, []byte("\r\n\r\n"))
	line, head, _ := bytes.Cut(head, []byte("\r\n"))
	const begin, digits = "HTTP/1.1 ", "200"
	if !found || len(line) <= len(begin)+len(digits) || string(line[:len(begin)]) != begin || line[len(begin)+len(digits)] != ' ' {
		return 0, nil, false
	}
	code, err := strconv.ParseUint(string(line[len(begin):][:len(digits)]), 10, 16)
	if err != nil || code < 200 || code == http.StatusNoContent || code == http.StatusNotModified {
		return 0, nil, false
	}
	size, has := uint64(0), false
	for len(head) > 0 {
		var field []byte
		field, head, _ = bytes.Cut(head, []byte("\r\n"))
		name, value, _ := bytes.Cut(field, []byte(": "))
		switch string(name) {
		case "Content-Type", "Date":
		case "Content-Length":
			if size, err = strconv.ParseUint(string(value), 10, 63); err != nil || has {
				return 0, nil, false
			}
			has = true
		default: // it may change what the rest means
			return 0, nil, false
		}
	}
	if !has || size > uint64(len(rest)) || size > uint64(longest) {
		return 0, nil, false
	}
	answer = bytes.Clone(rest[:size])
	r.Discard(len(b) - len(rest) + len(answer)) // it is all there
	return int(code), answer, true
}
