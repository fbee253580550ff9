package command

import (
	"bytes"
	"fmt"
	"testing"
)

// manyRoutes is a file of n rules on one host.
func manyRoutes(n int) []byte {
	var text bytes.Buffer
	text.WriteString("listeners: {http: {bind: \":8080\", routes: public}}\nclusters: {web: {endpoints: [\"10.0.0.1:80\"]}}\n")
	text.WriteString("routes:\n  public:\n    - hosts: [\"*\"]\n      rules:\n")
	for i := range n {
		fmt.Fprintf(&text, "        - {match: {prefix: /api/v%d/items%d}, to: web}\n", i%10, i)
	}
	return text.Bytes()
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		text := manyRoutes(n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if l := load("gateway.yaml", text, sources{}, nil); l.snapshot == nil {
					b.Fatal(l.problems)
				}
			}
		})
	}
}
