package router

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"longmen/gateway/stream"
)

// tableOfRegexes is one host with n regular expressions that begin with nothing that
// could be filed: each is tried until one holds. The last rule is for all else.
func tableOfRegexes(n int) []*VirtualHost {
	vh := &VirtualHost{Domains: []string{"shop.example.com"}}
	for i := range n {
		vh.Routes = append(vh.Routes, &Route{Match: Match{Regex: fmt.Sprintf(`/[a-z]+/service-%06d/.*`, i)}})
	}
	vh.Routes = append(vh.Routes, &Route{})
	return []*VirtualHost{vh}
}

// tableOfFiled is one host with n regular expressions that are filed, and prefixes
// beside them.
func tableOfFiled(n int) []*VirtualHost {
	vh := &VirtualHost{Domains: []string{"shop.example.com"}}
	for i := range n {
		vh.Routes = append(vh.Routes,
			&Route{Match: Match{Regex: fmt.Sprintf(`/service-%06d/[0-9]+/.*`, i)}},
			&Route{Match: Match{Prefix: fmt.Sprintf("/service-%06d", i)}})
	}
	return []*VirtualHost{vh}
}

// BenchmarkCache measures lookups that come to regular expressions, with and without a
// Cache. What is asked for follows Zipf's law ("flat": s = 1.01, "steep": 1.3); with
// "unique" each path has an identifier that never comes again, which is the most
// that a cache can cost.
func BenchmarkCache(b *testing.B) {
	client := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		name   string
		n      int
		table  func(int) []*VirtualHost
		before string // the service's number in the path
	}{
		{"tried", 1, tableOfRegexes, "/shop/service-"}, {"tried", 5, tableOfRegexes, "/shop/service-"}, {"tried", 50, tableOfRegexes, "/shop/service-"},
		{"filed", 100, tableOfFiled, "/service-"}, {"filed", 100_000, tableOfFiled, "/service-"},
	} {
		table, problems := New(c.table(c.n))
		if table == nil {
			b.Fatal(problems)
		}
		for _, law := range []struct {
			name   string
			s      float64
			unique bool
		}{{"flat", 1.01, false}, {"steep", 1.3, false}, {"unique", 1.01, true}} {
			zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), law.s, 1, uint64(max(c.n, 2)-1))
			order := rand.New(rand.NewPCG(2, 2)).Perm(max(c.n, 2)) // what is asked for most lies all over the table
			asked := make([]uint32, 1<<18)
			for i := range asked {
				asked[i] = uint32(order[zipf.Uint64()])
			}
			for _, cached := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%d/%s/cached=%t", c.name, c.n, law.name, cached), func(b *testing.B) {
					b.ReportAllocs()
					find := table.Find
					if cached {
						find = table.NewCache().Find
					}
					r := newRequest("GET", "shop.example.com", "")
					buf := make([]byte, 0, 96)
					looked := 0
					for b.Loop() {
						ask(r, append(buf, c.before...), asked[looked&(len(asked)-1)])
						if law.unique {
							binary.LittleEndian.PutUint64(r.Path[len(r.Path)-8:], uint64(looked)*0x9e3779b97f4a7c15|0x8080808080808080)
						}
						looked++
						if find(r, client, 0) == nil {
							b.Fatalf("%s: nothing found", r.Path)
						}
					}
				})
			}
		}
	}
}

func ask(r *stream.Request, buf []byte, service uint32) {
	r.Path = append(appendSix(buf, int(service)), "/42/items/00000042"...)
}
