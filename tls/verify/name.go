package verify

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// attributes are the short names that OpenSSL has for the attributes of names.
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description", "2.5.4.15": "businessCategory",
	"2.5.4.17": "postalCode", "2.5.4.20": "telephoneNumber", "2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym", "2.5.4.72": "role", "2.5.4.97": "organizationIdentifier",
	"1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.3": "mail", "0.9.2342.19200300.100.1.25": "DC",
	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

var errName = errors.New("malformed distinguished name")

// distinguishedName writes a name in RFC 2253's form as OpenSSL's flag
// XN_FLAG_RFC2253 does, which Envoy uses: last part first, every byte that is not
// printable ASCII escaped, so that it is safe in a header field.
func distinguishedName(der []byte) (string, error) {
	in := cryptobyte.String(der)
	var name cryptobyte.String
	if !in.ReadASN1(&name, cryptobyteasn1.SEQUENCE) || !in.Empty() {
		return "", errName
	}
	var parts []string
	for !name.Empty() {
		var set cryptobyte.String
		if !name.ReadASN1(&set, cryptobyteasn1.SET) {
			return "", errName
		}
		var together []string
		for !set.Empty() {
			var attribute cryptobyte.String
			if !set.ReadASN1(&attribute, cryptobyteasn1.SEQUENCE) {
				return "", errName
			}
			text, err := attributeText(attribute)
			if err != nil {
				return "", err
			}
			together = append(together, text)
		}
		slices.Reverse(together)
		parts = append(parts, strings.Join(together, "+"))
	}
	slices.Reverse(parts)
	return strings.Join(parts, ","), nil
}

func attributeText(attribute cryptobyte.String) (string, error) {
	var oid asn1.ObjectIdentifier
	var element, value cryptobyte.String
	var tag cryptobyteasn1.Tag
	if !attribute.ReadASN1ObjectIdentifier(&oid) || !attribute.ReadAnyASN1Element(&element, &tag) || !attribute.Empty() {
		return "", errName
	}
	kind := oid.String()
	if short := attributes[kind]; short != "" {
		whole := element
		if !whole.ReadAnyASN1(&value, &tag) {
			return "", errName
		}
		if text, ok := stringText(value, tag); ok {
			return short + "=" + escapeName(text), nil
		}
		kind = short
	}
	return kind + "=#" + strings.ToUpper(hex.EncodeToString(element)), nil
}

// stringText is a string of one of ASN.1's types in UTF-8.
func stringText(p []byte, tag cryptobyteasn1.Tag) (string, bool) {
	switch tag {
	case 12: // UTF8String
		return string(p), utf8.Valid(p)
	case 18, 19, 20, 22, 26: // NumericString, PrintableString, T61String, IA5String, VisibleString
		var b strings.Builder
		for _, c := range p {
			b.WriteRune(rune(c))
		}
		return b.String(), true
	case 30: // BMPString
		if len(p)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(p)/2)
		for i := range units {
			units[i] = uint16(p[2*i])<<8 | uint16(p[2*i+1])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

func escapeName(s string) string {
	plain := func(i int) bool {
		c := s[i]
		return c > ' ' && c < 0x7f && strings.IndexByte(`,+"\<>;#`, c) < 0 || (c == ' ' || c == '#') && i > 0 && i < len(s)-1
	}
	for i := 0; ; i++ {
		if i == len(s) {
			return s
		}
		if !plain(i) {
			break
		}
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case plain(i) || c == '#' && i > 0:
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.Write([]byte{'\\', digits[c>>4], digits[c&15]})
		default:
			b.Write([]byte{'\\', c})
		}
	}
	return b.String()
}
