package hello

// The extensions that a field of ClientHello tells of.
const (
	extServerName     = 0
	extStatusRequest  = 5
	extGroups         = 10
	extPointFormats   = 11
	extSignatures     = 13
	extALPN           = 16
	extTicket         = 35
	extPSK            = 41
	extEarlyData      = 42
	extVersions       = 43
	extPSKModes       = 45
	extCertSignatures = 50
	extKeyShare       = 51
	extECH            = 0xfe0d
)

// extension reads one extension into its field.
func (h *ClientHello) extension(id uint16, body reader) (err error) {
	switch id {
	case extServerName:
		h.ServerName, err = serverName(body)
	case extALPN:
		h.Protocols, err = protocols(body)
	case extVersions:
		h.Versions, err = versions(body)
	case extGroups:
		h.Groups, err = numbers(body, errGroups)
	case extSignatures:
		h.Signatures, err = numbers(body, errSignatures)
	case extCertSignatures:
		h.CertSignatures, err = numbers(body, errSignatures)
	case extKeyShare:
		h.KeyShares, err = keyShares(body)
	case extPointFormats:
		h.PointFormats, err = octets(body, errPointFormats)
	case extPSKModes:
		h.PSKModes, err = octets(body, errPSKModes)
	default:
		err = h.flag(id, body)
	}
	return err
}

// flag reads an extension of which only its presence is told.
func (h *ClientHello) flag(id uint16, body reader) error {
	switch id {
	case extPSK:
		h.PSK = true
		return preSharedKey(body)
	case extEarlyData:
		h.EarlyData = true
		if len(body) != 0 {
			return errEarlyData
		}
	case extECH:
		h.ECH = true
		if len(body) == 0 || body[0] > 1 {
			return errECH // RFC 9849, 5: outer is 0, inner is 1
		}
	case extStatusRequest:
		if len(body) == 0 {
			return errStatus
		}
		h.StatusRequest = body[0] == 1 // RFC 6066, 8: ocsp
	case extTicket:
		h.Ticket, h.HasTicket = true, len(body) > 0
	}
	return nil
}

// protocols reads RFC 7301, 3.1: names that are not empty.
func protocols(body reader) (Protocols, error) {
	list, ok := body.only16()
	if !ok || len(list) == 0 {
		return nil, errALPN
	}
	for r := reader(list); len(r) > 0; {
		if name, ok := r.vector8(); !ok || len(name) == 0 {
			return nil, errALPN
		}
	}
	return list, nil
}

func versions(body reader) (Uint16s, error) {
	list, ok := body.only8()
	if l := uint16s(list); ok && l != nil {
		return l, nil
	}
	return nil, errVersions
}

func numbers(body reader, malformed *Error) (Uint16s, error) {
	list, ok := body.only16()
	if l := uint16s(list); ok && l != nil {
		return l, nil
	}
	return nil, malformed
}

func octets(body reader, malformed *Error) ([]byte, error) {
	list, ok := body.only8()
	if !ok || len(list) == 0 {
		return nil, malformed
	}
	return list, nil
}

// keyShares reads RFC 8446, 4.2.8. An empty list asks for a HelloRetryRequest.
func keyShares(body reader) (Pairs, error) {
	list, ok := body.only16()
	shares := Pairs(list)
	if !ok || !shares.wellFormed() {
		return nil, errKeyShare
	}
	for _, key := range shares.All() {
		if len(key) == 0 {
			return nil, errKeyShare
		}
	}
	if shares.repeats() {
		return nil, errKeyShares
	}
	return shares, nil
}

// preSharedKey checks the form of RFC 8446, 4.2.11: as many binders as identities.
func preSharedKey(body reader) error {
	identities, ok := body.vector16()
	binders, ok2 := body.only16()
	if !ok || !ok2 || len(identities) == 0 {
		return errPSK
	}
	n := 0
	for r := reader(identities); len(r) > 0; n++ {
		identity, ok := r.vector16()
		_, age := r.take(4)
		if !ok || !age || len(identity) == 0 {
			return errPSK
		}
	}
	for r := reader(binders); len(r) > 0; n-- {
		if binder, ok := r.vector8(); !ok || len(binder) < 32 {
			return errPSK
		}
	}
	if n != 0 {
		return errPSK
	}
	return nil
}
