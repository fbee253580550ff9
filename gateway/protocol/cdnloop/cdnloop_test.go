package cdnloop

import (
	"bytes"
	"strings"
	"testing"
)

// ids reads a whole list; "!" stands for an error.
func ids(list string) string {
	var all []string
	for rest := []byte(list); ; {
		info, next, err := Next(rest)
		if err != nil {
			return "!"
		}
		if info.ID == nil {
			return strings.Join(all, " ")
		}
		all, rest = append(all, string(info.ID)), next
	}
}

func TestList(t *testing.T) {
	for list, want := range map[string]string{
		"":                                  "",
		" , ,\t,":                           "",
		"foo123.foocdn.example":             "foo123.foocdn.example",
		"barcdn.example; trace=\"abcdef\"":  "barcdn.example",
		"AnotherCDN; abc=123; def=\"456\"":  "AnotherCDN",
		"a , b;x=1,c ;y=\"q,;\\\"\" , d":    "a b c d",
		"foo, bar,, baz":                    "foo bar baz",
		"cdn.example:8080;loops=1":          "cdn.example:8080",
		"cdn.example:":                      "cdn.example:", // a port may be empty (RFC 3986 section 3.2.3)
		"[2001:db8::1]:443, [::1], [v1.a]":  "[2001:db8::1]:443 [::1] [v1.a]",
		"a;b=\"\tc\x80\"":                   "a",
		"a%20b, ~c!":                        "a%20b ~c!",
		"a\t;\tb=c\t,\td":                   "a d",
		"a b":                               "!",
		"a;":                                "!",
		"a;b":                               "!",
		"a;b=":                              "!",
		"a;=b":                              "!",
		"a; b =c":                           "!",
		"a;b=\"":                            "!",
		"a;b=\"\\":                          "!",
		"a;b=\"c\\\"":                       "!",
		"a;b=\"\x00\"":                      "!",
		"a;b=\"\x7f\"":                      "!",
		"a;b=\"c\"d":                        "!",
		";a=b":                              "!",
		"=":                                 "!",
		"[::1":                              "!",
		"[]":                                "!",
		"[::1] x":                           "!",
		"[a b]":                             "!",
		"a:b":                               "!",
		"a:80x":                             "!",
		"(a)":                               "!",
		"a, \"b\"":                          "!",
		"\x80":                              "!",
		"a\x00":                             "!",
		strings.Repeat("a;b=\"c\",", 10000): strings.TrimSpace(strings.Repeat("a ", 10000)),
	} {
		if got := ids(list); got != want {
			t.Errorf("%.80q: %.80q, want %.80q", list, got, want)
		}
	}
}

// A list that is cut anywhere is read or refused, and what is read is a beginning of
// the whole one's.
func TestEveryCut(t *testing.T) {
	const list = "dc1;via=\"a,\\\"b\" , [2001:db8::1]:443;x=y;z=1,,cdn.example:8080 ;t=\"\""
	whole := strings.Fields(ids(list))
	if len(whole) != 3 {
		t.Fatal(whole)
	}
	for n := range list {
		rest := []byte(list[:n])
		for i := 0; ; i++ {
			info, next, err := Next(rest)
			if err != nil || info.ID == nil {
				break
			}
			if !strings.HasPrefix(whole[i], string(info.ID)) {
				t.Errorf("cut at %d: identifier %d is %q", n, i, info.ID)
			}
			info.Has("z", "1")
			rest = next
		}
	}
}

func TestParameters(t *testing.T) {
	for list, want := range map[string]bool{
		"a;sent=failover": true,
		"a ; x=\"sent=y;sent=failover\" ; SENT=failover , b": true,
		"A;sent=standby;sent=failover":                       true,
		"a":                                                  false,
		"a;sent=failover2":                                   false,
		"a;sent=\"failover\"":                                false, // we write a token
		"a;x=\";sent=failover\"":                             false,
		"a, b;sent=failover":                                 false,
		"a;sent2=failover;se=failover;x=1":                   false,
	} {
		info, _, err := Next([]byte(list))
		if err != nil || info.Has("sent", "failover") != want || !info.Is("a") || info.Is("b") || info.Is("aa") {
			t.Errorf("%s: %v, %v", list, !want, err)
		}
	}
}

func TestValid(t *testing.T) {
	for id, want := range map[string]bool{
		"dc1": true, "gw.example:443": true, "[::1]": true, "": false, "a b": false, "a,b": false, "a;b=c": false,
		strings.Repeat("a", MaxID): true, strings.Repeat("a", MaxID+1): false,
	} {
		if Valid(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
	one, other := NewID(), NewID()
	if !Valid(one) || one == other {
		t.Error(one, other)
	}
}

func TestNoAllocation(t *testing.T) {
	list := []byte("dc1;a=\"b\", dc2, dc3")
	if n := testing.AllocsPerRun(100, func() {
		for rest := list; rest != nil; {
			_, rest, _ = Next(rest)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A list that can be read can be read again when it is written anew with one more
// identifier at its end, which is the last one then.
func FuzzNext(f *testing.F) {
	for _, list := range []string{"", "dc1", "a;b=c, d", "a;b=\"c,\\\"d\" , [::1]:8, ,e:", "a;b=\"", "[", "a:b", ",;="} {
		f.Add([]byte(list))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		before := bytes.Clone(list)
		count := 0
		for rest := list; ; count++ {
			info, next, err := Next(rest)
			if err != nil {
				if info.ID != nil || next != nil {
					t.Fatal("an error with a result")
				}
				return
			}
			id := info.ID
			if id == nil {
				break
			}
			if !Valid(string(id)) && len(id) <= MaxID || len(next) >= len(rest) || !info.Is(string(id)) || info.Has("no such", "x") {
				t.Fatalf("%q of %q leaves %q", id, rest, next)
			}
			info.Has("a", "b")
			rest = next
		}
		if !bytes.Equal(list, before) {
			t.Fatal("the list was changed")
		}
		longer := append(append(before, ", "...), "dc9"...)
		again, last := 0, ""
		for rest := longer; ; again++ {
			info, next, err := Next(rest)
			if err != nil {
				t.Fatalf("%q: %v", longer, err)
			}
			if info.ID == nil {
				break
			}
			last, rest = string(info.ID), next
		}
		if again != count+1 || last != "dc9" {
			t.Fatalf("%q: %d identifiers, then %d, the last %q", list, count, again, last)
		}
	})
}
