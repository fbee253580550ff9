package snapshot

import (
	"fmt"
	"strings"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
	"longmen/tls/certificate"
	"longmen/tls/openssl"
	"longmen/tls/sign"
)

// compiler reads one set and collects everything that is wrong with it.
type compiler struct {
	set      *resource.Set
	previous *Snapshot // never nil
	next     *Snapshot // in the making
	defaults Defaults
	now      time.Time
	problems resource.Problems

	secretNames map[string]resource.Path // as gateway.yaml has them: one for a list of certificates
	usedSecrets map[string]bool          // of these
	unread      map[string]*tlsv3.Secret // those that nothing has asked for yet
	parts       map[string]secretParts
	room        []byte // of a file that was read and forgotten; may be nil
	parsers     map[sign.Policy]*certificate.Parser
	judged      map[judged]bool
	ownFilters  map[string][]filterSetting // of listeners, by their names
	earlyRules  []resource.Path            // rules that answer early data
	partial     map[string]bool            // listeners that lack certificates, as these are wrong
	ruleFiles   []usedFile                 // that rules of the table which is compiled name
	hashing     map[string]hashing         // of clusters that say what requests to them are hashed by
}

func (d Defaults) compiler(set *resource.Set, previous *Snapshot) *compiler {
	c := &compiler{
		set: set, previous: previous, defaults: d, now: time.Now(),
		next: &Snapshot{
			ClusterSlots: assignSlots(set, previous), tables: map[string]*table{},
			secrets: map[string]*secret{}, files: map[string]fileState{}, filters: map[string]compiledFilter{},
			clusterTLS: map[string]clientTLS{}, policies: map[policyKey]*policy{}, tickets: previous.tickets, refusedPINs: previous.refusedPINs, stickyKey: previous.stickyKey,
		},
		secretNames: map[string]resource.Path{}, usedSecrets: map[string]bool{},
		unread: map[string]*tlsv3.Secret{}, parts: map[string]secretParts{}, parsers: map[sign.Policy]*certificate.Parser{}, judged: map[judged]bool{}, partial: map[string]bool{}, ownFilters: map[string][]filterSetting{},
		hashing: map[string]hashing{},
	}
	if c.next.refusedPINs == nil {
		c.next.refusedPINs = new(openssl.RefusedPINs)
	}
	if d.Now != nil {
		c.now = d.Now()
	}
	for _, s := range set.Secrets {
		whole, _, _ := strings.Cut(s.GetName(), "[")
		c.secretNames[whole] = join("secrets", whole)
	}
	return c
}

// fail reports an error about the part at; it stands where that part was written.
func (c *compiler) fail(at resource.Path, format string, args ...any) {
	c.report(c.set.Origins.Problem(at, at, format, args...))
}

// failHint is fail with what was probably meant.
func (c *compiler) failHint(at resource.Path, hint, format string, args ...any) {
	p := c.set.Origins.Problem(at, at, format, args...)
	p.Hint = hint
	c.report(p)
}

// warn reports what is odd but can be served.
func (c *compiler) warn(at resource.Path, hint, format string, args ...any) {
	p := c.set.Origins.Problem(at, at, format, args...)
	p.Hint, p.Warning = hint, true
	c.report(p)
}

func (c *compiler) report(p resource.Problem) { c.problems = append(c.problems, p) }

// place is where a part was written, as routes and clusters carry it.
func (c *compiler) place(at resource.Path) string { return c.set.Origins.Find(at).String() }

// line says where a part was written in a text about another part: "line 17",
// or its whole place when that is not known or in another file.
func (c *compiler) line(at, from resource.Path) string {
	here, there := c.set.Origins.Find(from), c.set.Origins.Find(at)
	if there.Line > 0 && there.File == here.File {
		return fmt.Sprintf("line %d", there.Line)
	}
	return there.String()
}

// didYouMean is the hint for a name that is none of the candidates.
func didYouMean(name string, candidates []string) string {
	if near, ok := resource.Nearest(name, candidates); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}
