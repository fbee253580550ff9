package certificate

import (
	"fmt"
	"slices"
	"time"
)

// A Problem is what is wrong, or will be, with a certificate that can be read.
type Problem struct {
	Certificate *Certificate
	Severe      bool   // clients refuse it now
	Text        string // begins with the place, ends with what to do
}

// Problems lists what is wrong with a server's certificate at a time: expired or not yet
// valid, expiring within soon, too weak, and Warnings. It does not judge whether the names are
// the right ones: Table.Covers answers for a host.
func (c *Certificate) Problems(now time.Time, soon time.Duration) []Problem {
	var problems []Problem
	report := func(severe bool, format string, args ...any) {
		problems = append(problems, Problem{c, severe, c.From + ": " + fmt.Sprintf(format, args...)})
	}
	switch {
	case now.After(c.NotAfter):
		report(true, "the certificate expired %s ago (%s): clients refuse it; renew it", days(now.Sub(c.NotAfter)), date(c.NotAfter))
	case now.Before(c.NotBefore):
		report(true, "the certificate is not valid before %s: clients refuse it; is this machine's clock right?", date(c.NotBefore))
	case c.NotAfter.Sub(now) <= soon:
		report(false, "the certificate expires in %s (%s); renew it", days(c.NotAfter.Sub(now)), date(c.NotAfter))
	}
	if c.ends != nil && now.After(c.ends.notAfter) {
		report(true, "the authority %q in its chain expired %s ago (%s): clients refuse it; the authority's site has a new one", commonName(c.ends), days(now.Sub(c.ends.notAfter)), date(c.ends.notAfter))
	} else if c.ends != nil && c.ends.notAfter.Sub(now) <= soon {
		report(false, "the authority %q in its chain expires in %s (%s); renew the certificate with its chain", commonName(c.ends), days(c.ends.notAfter.Sub(now)), date(c.ends.notAfter))
	}
	if c.weak != "" {
		report(true, "%s; replace it", c.weak)
	}
	if !c.ForServer {
		report(true, "its extended key usage does not allow servers: clients refuse it; ask for one with serverAuth")
	}
	for _, text := range c.Warnings {
		problems = append(problems, Problem{Certificate: c, Text: text})
	}
	if c.Encryption != nil {
		for _, p := range c.Encryption.Problems(now, soon) {
			if p.Severe || !slices.Contains(c.Warnings, p.Text) {
				problems = append(problems, p)
			}
		}
	}
	return problems
}

// Problems lists those of all certificates, in the order in which they were listed.
func (t *Table) Problems(now time.Time, soon time.Duration) []Problem {
	var problems []Problem
	for _, c := range t.all {
		problems = append(problems, c.Problems(now, soon)...)
	}
	return problems
}

func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	}
	return fmt.Sprintf("%d minutes", int(d/time.Minute))
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
