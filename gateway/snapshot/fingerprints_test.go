package snapshot

import (
	"strings"
	"testing"
)

// Fingerprints are taken where something tells of them, however that is written.
func TestFingerprints(t *testing.T) {
	const text = `
listeners:
  http: {bind: ":8080", routes: all, access_log: {path: /dev/null, format: "%METHOD% LOG"}}
  other: {bind: ":8081", routes: more}
routes:
  all: [{hosts: ["*"], headers: {request: {set: {x-host: "HOST"}}}, rules: [{to: a, headers: {response: {add: {x-rule: "RULE"}}}}]}]
  more: [{hosts: ["*"], rules: [{to: {a: {weight: 1, headers: {request: {set: {x-target: "TARGET"}}}}}}]}]
clusters: {a: {endpoints: ["10.0.0.1:80"]}}
`
	previous := compile(t, text, nil)
	for _, l := range previous.Listeners {
		if l.Fingerprints {
			t.Errorf("%s: nothing tells of them", l.Name)
		}
	}
	for place, of := range map[string]string{"LOG": "http", "HOST": "http", "RULE": "http", "TARGET": "other"} {
		next := compile(t, strings.Replace(text, place, "%TLS_JA4_FINGERPRINT%", 1), previous)
		for i, l := range next.Listeners {
			if l.Fingerprints != (l.Name == of) {
				t.Errorf("%s: listener %s: %v", place, l.Name, l.Fingerprints)
			}
			if (l == previous.Listeners[i]) != (l.Name != of) {
				t.Errorf("%s: listener %s is shared: %v", place, l.Name, l == previous.Listeners[i])
			}
		}
	}
}
