package server

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	var names Names[string]
	if _, ok := names.Find(""); ok || names.Len() != 0 {
		t.Error("the zero value is empty")
	}
	for _, name := range []string{"Shop.Example.com.", "*.example.com", "*.deep.example.com", "com"} {
		names.Set(name, name)
	}
	for name, want := range map[string]string{
		"shop.example.com": "Shop.Example.com.", "SHOP.example.COM.": "Shop.Example.com.",
		"a.example.com": "*.example.com", "a.b.example.com": "*.example.com",
		"a.deep.example.com": "*.deep.example.com", "deep.example.com": "*.example.com",
		"com": "com", "example.com": "", "other.org": "", "": "", ".": "", "example.com.": "",
	} {
		if got, ok := names.Find(name); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", name, got, ok, want)
		}
	}
	names.Set("*", "any")
	for _, name := range []string{"", "example.com", "other.org"} {
		if got, ok := names.Find(name); !ok || got != "any" {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
	if got := names.All(); names.Len() != 5 || !slices.Equal(got, []string{"*", "*.deep.example.com", "*.example.com", "com", "shop.example.com"}) {
		t.Errorf("%q", got)
	}
}

func TestNamesWithoutAllocation(t *testing.T) {
	var names Names[int]
	names.Set("*.example.com", 1)
	if n := testing.AllocsPerRun(100, func() { names.Find("a.b.c.example.com") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSettingsFor(t *testing.T) {
	c := &Config{Default: &Settings{}}
	own := &Settings{}
	c.Domains.Set("own.example.com", own)
	if c.SettingsFor("own.example.com") != own || c.SettingsFor("other.example.com") != c.Default || c.SettingsFor("") != c.Default {
		t.Error("each name has its settings")
	}
}
