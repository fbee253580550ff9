package command

import (
	"strings"
	"testing"

	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/source/yaml"
)

func TestLoopGuardSettings(t *testing.T) {
	guard := func(file string) cdnloop.Guard { return good(t, from(t, file)).loopGuard() }
	one, other := guard(""), guard("loop_guard: {id: auto}")
	if !strings.HasPrefix(one.ID, "longmen-") || one.ID == other.ID || one.Hops != cdnloop.DefaultHops {
		t.Errorf("%+v, %+v", one, other)
	}
	if g := guard("loop_guard: {id: dc1, hops: 3}"); g.ID != "dc1" || g.Hops != 3 {
		t.Errorf("%+v", g)
	}
	if g := guard(`loop_guard: {id: "off"}`); g.ID != "" {
		t.Errorf("%+v", g)
	}
	t.Setenv("LONGMEN_LOOP_GUARD_ID", "dc2")
	if g := guard("loop_guard: {id: dc1}"); g.ID != "dc2" {
		t.Errorf("the environment must beat the file: %+v", g)
	}
	t.Setenv("LONGMEN_LOOP_GUARD_ID", "a b")
	if _, problems := from(t, "").settings(); problems.Err() == nil {
		t.Error("a token with a blank is taken")
	}
	for _, file := range []string{"loop_guard: {id: 'a,b'}", "loop_guard: {id: ''}", "loop_guard: {hops: 0}", "loop_guard: {hops: 256}", "loop_guard: {name: x}", "loop_guard: dc1"} {
		if _, problems := yaml.Decode("gateway.yaml", []byte(file)); problems.Err() == nil {
			t.Errorf("%s is taken", file)
		}
	}
}
