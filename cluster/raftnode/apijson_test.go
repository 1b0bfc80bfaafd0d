package raftnode

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// What encoding/json makes of a request.
func decodeByReflection(b []byte) (req Request, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err = dec.Decode(&req)
	return req, err
}

var someRequests = map[string]bool{ // whether they are plain
	`{"key":"k","value":-7,"from":0,"client":"p1","seq":3,"retry":true,"timeout_ms":900,"reads":"lease","forwarded":false}`: true,
	`{}`: true, " { \"key\" : \"\" ,\n\"value\":123456789012345678 }\n": true, `{"key":"a","key":"b"}`: true, `{"value":-0}`: true,
	`{"key":"a"} and more`:           true, // which is ignored
	`{"value":1234567890123456789}`:  false,
	`{"value":92233720368547758070}`: false,
	`{"value":1.0}`:                  false, `{"value":1e3}`: false, `{"value":01}`: false, `{"value":-}`: false, `{"value":null}`: false,
	`{"seq":-1}`: false, `{"seq":-0}`: false, `{"seq":18446744073709551615}`: false,
	`{"key":"\u006b"}`: false, "{\"key\":\"\x01\"}": false, `{"key":"ключ"}`: false, `{"Key":"k"}`: false, `{"who":"k"}`: false,
	`{"txn":[{"f":"r","k":"a"}]}`: false,
	`{"key":"k",}`:                false, `{,}`: false, `{"key" "k"}`: false, `{"key":"k"`: false, `{"key":"k`: false, `[]`: false, ``: false, `{"retry":tru}`: false,
}

func TestDecodePlain(t *testing.T) {
	for s, want := range someRequests {
		if _, ok := decodePlain([]byte(s)); ok != want {
			t.Errorf("%s: plain %v, want %v", s, ok, want)
		}
	}
}

// A request that is plain is what encoding/json takes it for.
func FuzzDecodePlain(f *testing.F) {
	for s := range someRequests {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := decodePlain(b)
		if !ok {
			return
		}
		if want, err := decodeByReflection(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, want %+v, %v", b, got, want, err)
		}
	})
}

// An answer is to the byte what encoding/json makes of it.
func FuzzEncodeAnswer(f *testing.F) {
	f.Add(true, int64(0), []byte{}, "", "", "")
	f.Add(false, int64(-1<<63), []byte{1, 2, 255}, "not the leader", DidNotHappen, "n1")
	f.Add(true, int64(7), []byte{9}, `a "quoted" <tag> & \`, Unknown, "ключ\x00\xff")
	f.Fuzz(func(t *testing.T, there bool, v int64, values []byte, reason, happened, leader string) {
		r := Response{}
		if there {
			r.Value = &v
		}
		for _, b := range values {
			r.Values = append(r.Values, int64(b)*v)
		}
		if happened != DidNotHappen {
			happened = Unknown
		}
		for _, body := range []any{r, &Failure{Reason: reason, Happened: happened, Leader: leader}} {
			got, err := encodeAnswer(body)
			want, wantErr := json.Marshal(body)
			if !bytes.Equal(got, want) || err != nil || wantErr != nil {
				t.Errorf("%s, %v, want %s, %v", got, err, want, wantErr)
			}
		}
	})
}
