package yaml

import (
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

const (
	// letsEncrypt is the directory of those who name none.
	letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"
	// acmeFolder is the storage of those who name none, beside gateway.yaml.
	acmeFolder = "acme"
)

// acme reads how certificates are ordered.
func (d *decoder) acme(v value) *tls.TlsCertificate {
	f := d.object(v, acmeTable)
	values := resource.Values{"directory": letsEncrypt, "storage": d.fileName(acmeFolder)}
	switch agreed, ok := f.flag("agree"); {
	case !f.has("agree"):
		f.missing("agree", "true, when you agree to the terms of service of the authority")
	case ok && !agreed:
		d.fail(f.written("agree"), "must be true: no certificate is issued to who does not agree to the terms of service of the authority")
	default:
		values["agree"] = true
	}
	for _, name := range []string{"email", "directory"} {
		if s, ok := f.word(name); ok {
			values[name] = s
		}
	}
	if s, ok := f.word("storage"); ok {
		values["storage"] = d.fileName(s)
	}
	if s, ok := f.choice("key", "p256", "rsa2048"); ok {
		values["key"] = s
	}
	if s, ok := f.choice("challenge", "http-01", "tls-alpn-01"); ok {
		values["challenge"] = s
	}
	if v, ok := f.get("hosts"); ok {
		var hosts []string
		for _, entry := range d.oneOrMore(v) {
			if s, ok := d.domain(entry); ok {
				hosts = append(hosts, s)
			}
		}
		if len(hosts) > 0 {
			values["hosts"] = hosts
		} else if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one host")
		}
	}
	if v, ok := f.get("ca"); ok {
		if source := d.source(v); source != nil {
			values["ca"] = source
		}
	}
	if v, ok := f.get("eab"); ok {
		d.externalAccount(v, values)
	}
	packed, err := resource.ExtendAny(resource.ACMEExtension, values)
	if err != nil {
		d.fail(v, "%v", err)
	}
	return &tls.TlsCertificate{PrivateKeyProvider: &tls.PrivateKeyProvider{
		ProviderName: resource.Extension,
		ConfigType:   &tls.PrivateKeyProvider_TypedConfig{TypedConfig: packed},
	}}
}

func (d *decoder) externalAccount(v value, values resource.Values) {
	f := d.object(v, eabTable)
	if id, ok := f.word("id"); ok {
		values["external_id"] = id
	} else if !f.has("id") {
		f.missing("id", "the name of the external account")
	}
	if key, ok := f.get("key"); !ok {
		f.missing("key", "the file of its key")
	} else if source := d.source(key); source != nil {
		values["external_key"] = source
	}
}

// acmeNode writes how certificates are ordered.
func acmeNode(values resource.Values) *yaml.Node {
	out := &mapping{}
	for _, name := range []string{"agree", "email"} {
		out.value(name, values, name)
	}
	if s, _ := values.Word("directory"); s != letsEncrypt {
		out.word("directory", s)
	}
	if hosts := values.Strings("hosts"); hosts != nil {
		out.put("hosts", texts(hosts))
	}
	for _, name := range []string{"storage", "key", "challenge"} {
		out.value(name, values, name)
	}
	out.source("ca", values.Source("ca"))
	external := &mapping{}
	external.value("id", values, "external_id")
	external.source("key", values.Source("external_key"))
	out.sub("eab", external)
	return out.node()
}
