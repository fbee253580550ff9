// Package gateway_test holds the test of the house's own rules. It reads every
// non-test Go file of the repository (it needs no build) and fails, with
// file:line, on what the design forbids:
//
//   - an import between two packages of this project that allowedImports lacks;
//   - a func init, or a blank import of anything but the standard library;
//   - package-level mutable state;
//   - a package whose name says nothing.
//
// The rules are in architecture_rules_test.go and architecture_state_test.go; each has a
// failing example in architecture_fixture_test.go.
package gateway_test

import (
	"os"
	"testing"
)

// allowedImports says which of our packages may import which. Names are
// folders below gateway/ where there is one, else below the root; "main" is
// main.go. "x/*" is every package below x; a lone "*" is every package.
// A package without a row, and an import without an entry, are errors: to add one is a
// decision about the design, so it is made here, in sight.
const allowedImports = `
worker:
connection:          worker telemetry/metrics tls/record
protocol/grpc:
protocol/cdnloop:
stream:              worker protocol/grpc tls/handshake tls/verify
protocol/http1:      worker connection stream telemetry/metrics tls/handshake
protocol/http2:      protocol/http2/hpack worker connection stream telemetry/metrics tls/handshake
protocol/http2/hpack: stream
filter:              worker stream
standby:
cluster:             standby ledger cluster/balance cluster/dns cluster/eventlog cluster/health cluster/outlier tls/client
cluster/balance:
cluster/dns:
cluster/health:      protocol/grpc
cluster/outlier:
cluster/eventlog:
ledger:
router:              stream cluster protocol/grpc
upstream:            standby worker connection stream ledger cluster cluster/balance cluster/outlier protocol/* telemetry/metrics tls/client tls/handshake
upstream/origintest:
proxy:               worker stream filter router cluster cluster/balance cluster/outlier upstream snapshot protocol/grpc protocol/cdnloop telemetry/metrics
listener:            worker connection stream protocol/* snapshot telemetry/metrics tls/server tls/hello tls/handshake tls/sign tls/record tls/tlcp tls/replay
telemetry:           worker stream
telemetry/metrics:   worker stream protocol/grpc
telemetry/accesslog: worker stream telemetry/metrics
telemetry/exposition: worker stream protocol/grpc telemetry/metrics
resource:
cgroup:
overload:            cgroup
source/yaml:         standby protocol/cdnloop resource protocol/grpc filter plugins overload
snapshot:            standby protocol/cdnloop stream protocol/grpc filter plugins router cluster cluster/balance cluster/outlier resource telemetry/accesslog tls/server tls/client tls/certificate tls/ticket tls/verify tls/sign tls/openssl tls/ocsp tls/ech tls/acme
admin:               ledger standby worker cluster telemetry telemetry/* resource snapshot
supervisor:          ledger standby tls/acme worker connection stream protocol/* filter router cluster cluster/outlier upstream proxy listener telemetry telemetry/* resource snapshot admin cgroup overload tls/server tls/client tls/sign tls/std tls/tlcp tls/tls13 tls/replay tls/ocsp tls/openssl tls/certificate tls/handshake
command:             *
main:                command
tls/record:
tls/hello:
tls/handshake:       tls/record tls/verify
tls/std:             tls/record tls/handshake
tls/tlcp:            tls/record tls/handshake
tls/tls13:           tls/record tls/handshake
tls/replay:
tls/openssl:
tls/sign:            tls/openssl
tls/certificate:     tls/openssl tls/sign
tls/ticket:
tls/verify:
tls/ocsp:            tls/certificate
tls/acme:
tls/ech:
tls/server:          tls/record tls/hello tls/handshake tls/std tls/tlcp tls/tls13 tls/replay tls/sign tls/certificate tls/ech tls/ticket tls/verify tls/ocsp
tls/client:          tls/record tls/hello tls/handshake tls/std tls/tlcp tls/tls13 tls/sign tls/certificate tls/ticket tls/verify tls/ocsp
plugins:             filter plugins/*
plugins/*:           filter stream worker protocol/grpc
bench:               bench/*
bench/*:             bench bench/*
conformance:         conformance/*
conformance/*:       conformance conformance/*
`

func TestArchitecture(t *testing.T) {
	edges, err := parseEdges(allowedImports)
	if err != nil {
		t.Fatal(err)
	}
	house, err := loadHouse(os.DirFS(".."), "longmen")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range house.check(edges) {
		t.Error(problem)
	}
}
