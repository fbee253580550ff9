// Package http2 judges HTTP/2 of the built gateway: by h2spec, by clients that
// abuse it, and by what clients and origins of either version exchange.
package http2

import (
	"os"
	"testing"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
