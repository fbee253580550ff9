package command

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Bounds of what longmen cert makes.
const (
	certMaxNames = 100
	certMaxDays  = 3650
	certCADays   = 3650 // an authority's life
)

// certKinds are the kinds of keys.
var certKinds = []string{"ecdsa", "rsa", "ed25519", "sm2"}

// A certOrder is what "longmen cert" is asked for.
type certOrder struct {
	names  []string
	kind   string
	days   int
	out    string
	ca     []string
	client bool
	csr    bool
	force  bool
	ech    string // the public name of a key for Encrypted Client Hello; nothing else is made
}

// certCommand is "longmen cert": certificates to test and to begin with.
func certCommand() *cobra.Command {
	var order certOrder
	cmd := &cobra.Command{
		Use:   "cert --name shop.example.com",
		Short: "Make certificates to test and to begin with, requests for an authority, and ECH keys",
		Long: `Make certificates to test and to begin with: an authority of your own, which clients
have to be told to trust, and a certificate that it signs.

  longmen cert --name shop.example.com --name '*.shop.example.com'
  longmen cert --name shop.example.com --kind sm2    SM2: a pair, to sign and to encrypt
  longmen cert --name alice --client                 for a client of a listener with client_ca
  longmen cert --name shop.example.com --csr         a key, and a request for another authority
  longmen cert --ech public.example.com              a key for Encrypted Client Hello, and what DNS tells of it

The authority is made once for each kind of key (ca-ecdsa.crt, ca-ecdsa.key) and signs from then
on what is made in the same folder; --ca names another. Nothing is overwritten without --force,
and an authority never. Keys are PKCS#8, not encrypted, and their files readable by the owner alone.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if order.ech != "" || cmd.Flags().Changed("ech") {
				return order.fillECH(cmd.Flags(), cmd.OutOrStdout())
			}
			if err := order.check(); err != nil {
				return err
			}
			return order.fill(time.Now(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&order.names, "name", nil, "server name, wildcard, address or spiffe:// URI that it is for; again for more")
	flags.StringVar(&order.kind, "kind", "ecdsa", "kind of key: ecdsa (P-256), rsa (2048 bits), ed25519 or sm2")
	flags.IntVar(&order.days, "days", 365, "how long it is valid, 1 to 3650")
	flags.StringVar(&order.out, "out", "certs", "folder for the files")
	flags.StringSliceVar(&order.ca, "ca", nil, "certificate and key of the authority that signs: ca.crt,ca.key")
	flags.BoolVar(&order.client, "client", false, "a client's certificate, not a server's")
	flags.BoolVar(&order.csr, "csr", false, "make a key and a request (PKCS#10) instead of a certificate")
	flags.StringVar(&order.ech, "ech", "", "make a key for Encrypted Client Hello (RFC 9849) with this public name, and nothing else")
	flags.BoolVar(&order.force, "force", false, "replace the files if they are there")
	return cmd
}

// check refuses an order that cannot be filled.
func (o *certOrder) check() error {
	switch {
	case len(o.names) == 0:
		return misusef("--name is missing: which server is the certificate for?")
	case len(o.names) > certMaxNames:
		return misusef("%d names; a certificate is made for %d at most", len(o.names), certMaxNames)
	case !slices.Contains(certKinds, o.kind):
		return misusef("--kind %s: there are %s", o.kind, strings.Join(certKinds, ", "))
	case o.days < 1 || o.days > certMaxDays:
		return misusef("--days %d: 1 to %d are possible", o.days, certMaxDays)
	case o.out == "":
		return misusef("--out is empty: which folder is for the files?")
	case o.ca != nil && len(o.ca) != 2:
		return misusef("--ca %s: want the authority's certificate and key, as in --ca ca.crt,ca.key", strings.Join(o.ca, ","))
	case o.ca != nil && o.csr:
		return misusef("--csr and --ca: a request is signed by nobody yet")
	}
	_, err := readNames(o.names, o.client)
	return err
}

// fill makes what was ordered, writes it and says what there is now.
func (o *certOrder) fill(now time.Time, out io.Writer) error {
	names, err := readNames(o.names, o.client)
	if err != nil {
		return err
	}
	stem := newCertStem(o.out, o.names[0])
	made := &certFiles{force: o.force}
	if err := made.refuse(o.targets(stem)); err != nil {
		return err
	}
	if o.csr {
		err = o.makeRequest(made, stem, names)
	} else {
		err = o.makeCertificates(made, stem, names, now)
	}
	if err != nil {
		return err
	}
	if err := made.write(o.out); err != nil {
		return err
	}
	return o.report(out, made, stem)
}

// role is what the names of the first certificate's files have before their end: SM2 has two.
func (o *certOrder) role() string {
	if o.kind == "sm2" {
		return ".sign"
	}
	return ""
}

// targets are the files that the order would write, but for those of a new authority.
func (o *certOrder) targets(stem certStem) []string {
	switch {
	case o.csr:
		return []string{stem.path(o.role() + ".csr"), stem.path(o.role() + ".key")}
	case o.kind == "sm2":
		return []string{stem.path(".sign.crt"), stem.path(".sign.key"), stem.path(".encrypt.crt"), stem.path(".encrypt.key")}
	}
	return []string{stem.path(".crt"), stem.path(".key")}
}
