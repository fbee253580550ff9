package admin

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/valyala/fasthttp"
)

// Certificate is one certificate of the gateway's own, at one place where it is
// used, as /certs shows it. The form is Envoy's, with the names that it lacks.
type Certificate struct {
	Name     string `json:"name"`               // of its secret
	Listener string `json:"listener,omitempty"` // that serves it
	Cluster  string `json:"cluster,omitempty"`  // whose endpoints are shown it
	Kind     string `json:"kind"`               // of its key: "rsa", "ecdsa", "ed25519", "sm2"
	// Chain is the certificate itself; of a TLCP pair the one that signs and the
	// one that encrypts.
	Chain []CertificateDetails `json:"cert_chain"`
}

// CertificateDetails is what is told of a certificate.
type CertificateDetails struct {
	Path        string       `json:"path"`          // the file, or what else it was read from
	Serial      string       `json:"serial_number"` // hexadecimal
	Subject     string       `json:"subject"`
	Issuer      string       `json:"issuer"`
	Fingerprint string       `json:"fingerprint_256"` // SHA-256, hexadecimal
	Names       []AltName    `json:"subject_alt_names"`
	Days        int          `json:"days_until_expiration"` // rounded down; negative: it has expired
	ValidFrom   time.Time    `json:"valid_from"`
	Expires     time.Time    `json:"expiration_time"`
	MustStaple  bool         `json:"must_staple,omitempty"`
	OCSP        *OCSPDetails `json:"ocsp_details,omitempty"` // nil: no response is stapled
}

// AltName is a subject alternative name.
type AltName struct {
	DNS string `json:"dns,omitempty"`
	URI string `json:"uri,omitempty"`
	IP  string `json:"ip_address,omitempty"`
}

// OCSPDetails tells of the response that is stapled.
type OCSPDetails struct {
	Expires time.Time `json:"expiration"`
}

func (s *Server) certs(ctx *fasthttp.RequestCtx) {
	all := s.options.Certificates()
	if all == nil {
		all = []Certificate{}
	}
	shown := struct {
		Certificates []Certificate `json:"certificates"`
	}{all}
	show(ctx, shown, func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "CERTIFICATE\tUSED BY\tKIND\tDAYS\tEXPIRES\tOCSP\tSERIAL\tNAMES\tREAD FROM")
		for _, c := range all {
			user := "listener " + c.Listener
			if c.Listener == "" {
				user = "cluster " + c.Cluster
			}
			for i, d := range c.Chain {
				kind := c.Kind
				if len(c.Chain) > 1 {
					kind += [...]string{" sign", " encrypt"}[min(i, 1)]
				}
				staple := "-"
				switch {
				case d.OCSP != nil:
					staple = "until " + d.OCSP.Expires.UTC().Format(time.RFC3339)
				case d.MustStaple:
					staple = "missing"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", c.Name, user, kind, d.Days, d.Expires.UTC().Format(time.RFC3339),
					staple, d.Serial, orDash(altNames(d.Names)), orDash(d.Path))
			}
		}
	})
}

// altNames writes the first few names.
func altNames(names []AltName) string {
	const most = 4
	var texts []string
	for _, n := range names[:min(len(names), most)] {
		texts = append(texts, cmp.Or(n.DNS, n.URI, n.IP))
	}
	text := strings.Join(texts, ",")
	if len(names) > most {
		text += fmt.Sprintf(",+%d", len(names)-most)
	}
	return text
}
