package command

import (
	"fmt"
	"io"
	"strings"
)

// report lists the files and says how gateway.yaml names them.
func (o *certOrder) report(out io.Writer, made *certFiles, stem certStem) error {
	var text strings.Builder
	width := 0
	for _, f := range made.files {
		width = max(width, len(f.path))
	}
	for _, f := range made.files {
		fmt.Fprintf(&text, "wrote %-*s  %s\n", width, f.path, f.about)
	}
	if made.signedBy != "" {
		fmt.Fprintf(&text, "signed by %s: %s\n", made.signedBy, o.trust())
	}
	text.WriteString("\n")
	switch {
	case o.csr && o.kind == "sm2":
		text.WriteString("Send the request to an authority. It answers with the signing certificate, and gives you the\nencryption certificate with its key.\n\n")
	case o.csr:
		fmt.Fprintf(&text, "Send the request to an authority, and save its answer as %s,\nfollowed by the authority's own certificates.\n\n", stem.path(".crt"))
	}
	text.WriteString("In gateway.yaml, if it is in this folder:\n\n")
	fmt.Fprintf(&text, "secrets:\n  %s: %s\n\n", stem.secret(), o.secretValue(stem))
	switch {
	case o.client && made.signedBy != "":
		fmt.Fprintf(&text, "and in a cluster, to show it to its endpoints    tls: {cert: %s}\n", stem.secret())
		fmt.Fprintf(&text, "or in a listener, to ask its clients for one     tls: {certs: [...], client_ca: %s, require: true}\n", yamlScalar(made.signedBy))
	case o.client:
		fmt.Fprintf(&text, "and in a cluster, to show it to its endpoints    tls: {cert: %s}\n", stem.secret())
	default:
		fmt.Fprintf(&text, "and in a listener    tls: [%s]\n", stem.secret())
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// trust says who has to know the authority.
func (o *certOrder) trust() string {
	if o.client {
		return "servers have to trust it"
	}
	return "clients have to trust it"
}

// secretValue is the certificate as a secret of gateway.yaml.
func (o *certOrder) secretValue(stem certStem) string {
	file := func(suffix string) string { return yamlScalar(stem.path(suffix)) }
	if o.kind == "sm2" {
		return fmt.Sprintf("{sm2: {sign: [%s, %s], encrypt: [%s, %s]}}", file(".sign.crt"), file(".sign.key"), file(".encrypt.crt"), file(".encrypt.key"))
	}
	return fmt.Sprintf("{cert: %s, key: %s}", file(".crt"), file(".key"))
}
