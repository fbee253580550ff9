package certificate

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"runtime"
	"testing"
)

// domains are the sources of n certificates with RSA-2048 keys under one authority, one name
// each. Names are written into copies of one certificate: n keys would take minutes.
func domains(t testing.TB, n int) []Source {
	t.Helper()
	root := issue(t, nil, newKey(t, "rsa"), authorityTemplate("an authority whose certificate each file repeats"))
	original := issue(t, root, newKey(t, "rsa"), template("d00000.example.com", "www.d00000.example.com"))
	key := keyPEM(t, original.key)
	authority := certPEM(root)
	sources := make([]Source, n)
	for i := range sources {
		name := fmt.Sprintf("d%05d.", i)
		der := bytes.ReplaceAll(original.der, []byte("d00000."), []byte(name))
		cert := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), authority...)
		sources[i] = Source{Name: name, Pair: Pair{Cert: cert, Key: bytes.Clone(key), CertFrom: name + "crt", KeyFrom: name + "key"}}
	}
	return sources
}

func tableOf(t testing.TB, sources []Source) *Table {
	t.Helper()
	var p Parser
	certificates := make([]*Certificate, 0, len(sources))
	for _, source := range sources {
		c, err := p.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, c)
	}
	return NewTable(certificates)
}

// Ten thousand certificates must fit into 100 MB, with much room for all else.
func TestMemoryOfManyCertificates(t *testing.T) {
	const n = 2_000 // ten thousand take as much each, and the race detector too long
	sources := domains(t, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := tableOf(t, sources)
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d certificates: %.1f MB, %d bytes each", n, float64(used)/1e6, used/n)
	if used > 5000*n {
		t.Errorf("a certificate takes %d bytes, want less than 5000: 50 MB for ten thousand", used/n)
	}
	for _, i := range []int{0, 1, 471, n - 1} {
		name := fmt.Sprintf("www.d%05d.example.com", i)
		if found := table.Find(name); len(found) != 1 || found[0].Name != fmt.Sprintf("d%05d.", i) {
			t.Errorf("%s: %v", name, found)
		}
	}
	if table.Covers("d02000.example.com") {
		t.Error("a name is covered that no certificate has")
	}
	runtime.KeepAlive(sources)
}

func BenchmarkTenThousandCertificates(b *testing.B) {
	sources := domains(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		tableOf(b, sources)
	}
}

func BenchmarkFind(b *testing.B) {
	table := tableOf(b, domains(b, 10_000))
	offer := &Offer{Version: versionTLS13, Schemes: []uint16{0x0403, 0x0804}}
	b.ReportAllocs()
	for b.Loop() {
		if Choose(table.Find("www.d04711.example.com"), offer, noon) == nil {
			b.Fatal("not found")
		}
	}
}
