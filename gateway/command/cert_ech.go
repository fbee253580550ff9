package command

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"longmen/tls/ech"
)

// fillECH makes a key for Encrypted Client Hello (RFC 9849) and says what is published of it.
func (o *certOrder) fillECH(flags *pflag.FlagSet, out io.Writer) error {
	for _, other := range []string{"name", "kind", "days", "ca", "client", "csr"} {
		if flags.Changed(other) {
			return misusef("--ech and --%s: an ECH key is no certificate; make one after the other", other)
		}
	}
	if o.out == "" {
		return misusef("--out is empty: which folder is for the files?")
	}
	key, err := ech.New(o.ech)
	if err != nil {
		return misusef("--ech: %v", err)
	}
	stem := newCertStem(o.out, key.PublicName)
	made := &certFiles{force: o.force}
	if err := made.refuse([]string{stem.path(".ech")}); err != nil {
		return err
	}
	text, err := key.PEM()
	if err != nil {
		return err
	}
	made.add(stem.path(".ech"), 0o600, "ECH key (mode 0600)", text)
	if err := made.write(o.out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `wrote %[1]s  %[2]s

In the HTTPS records (RFC 9848) of the names that are to be hidden behind %[3]s:

shop.example.com. 3600 IN HTTPS 1 . ech="%[4]s"

In gateway.yaml, if it is in this folder:

secrets:
  ech: {ech: %[5]s}

and in a listener with a certificate for %[3]s    tls: {certs: [...], ech: ech}
For another key make a file in another folder, put it in front, ech: [new, old], change DNS, and take
the old one away when the records' time to live has passed.
`, made.files[0].path, made.files[0].about, key.PublicName, key.Record(), yamlScalar(stem.path(".ech")))
	return err
}
