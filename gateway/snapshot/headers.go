package snapshot

import (
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// framing are the fields that the gateway itself writes: an edit of them would
// break the message (RFC 9110 section 7.6.1, RFC 9112 section 6).
var framing = []string{
	"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// edits compiles one level's header changes; direction is "request" or
// "response". It gives nil when nothing is to be done.
func (c *compiler) edits(at resource.Path, direction string, add []*core.HeaderValueOption, remove []string) *router.HeaderEdits {
	if len(add) == 0 && len(remove) == 0 {
		return nil
	}
	at = join(join(at, "headers"), direction)
	out := &router.HeaderEdits{}
	for i, name := range remove {
		if where := item(join(at, "remove"), i); c.editable(where, name) {
			out.Remove = append(out.Remove, strings.ToLower(name))
		}
	}
	for _, option := range add {
		verb, action := "add", router.Append
		switch option.GetAppendAction() {
		case core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
		case core.HeaderValueOption_ADD_IF_ABSENT:
			verb, action = "default", router.AddIfAbsent
		case core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
			verb, action = "set", router.SetAlways
		case core.HeaderValueOption_OVERWRITE_IF_EXISTS:
			verb, action = "replace", router.SetIfPresent
		default:
			c.fail(at, "HeaderValueOption.append_action: %v is not known", option.GetAppendAction())
		}
		name := option.GetHeader().GetKey()
		where := join(join(at, verb), name)
		c.only(where, option, "header", "append_action", "keep_empty_value")
		c.only(where, option.GetHeader(), "key", "value")
		if !c.editable(where, name) {
			continue
		}
		text := option.GetHeader().GetValue()
		if text == "" && !option.GetKeepEmptyValue() {
			c.fail(where, "the value is empty, and HeaderValueOption.keep_empty_value is not set")
			continue
		}
		if format, ok := c.format(where, text); ok {
			out.Fields = append(out.Fields, router.HeaderEdit{Name: strings.ToLower(name), Value: format, Action: action})
		}
	}
	return out
}

// editable checks the name of a field to change.
func (c *compiler) editable(at resource.Path, name string) bool {
	switch lower := strings.ToLower(name); {
	case slices.Contains(framing, lower):
		hint := "the gateway writes it itself"
		if lower == "host" {
			hint = "rewrite: {host: ...} changes it"
		}
		c.failHint(at, hint, "%q cannot be changed", name)
	case lower == "cdn-loop":
		c.failHint(at, "loop_guard says what is added to it", "%q tells gateways which others a request has come through: it cannot be changed", name)
	case !stream.IsToken(name):
		c.fail(at, "%q is no header name", name)
	default:
		return true
	}
	return false
}

// format compiles a template that becomes a field's value.
func (c *compiler) format(at resource.Path, text string) (*stream.Format, bool) {
	if !isFieldText(text) {
		c.fail(at, "%q cannot stand in a header field: control characters, or a blank at its ends", text)
		return nil, false
	}
	format, err := stream.ParseFormat(text)
	if err != nil {
		c.fail(at, "%v", err)
		return nil, false
	}
	return format, true
}

// merge joins the edits of a route, its virtual host and its table, which are
// made in that order. A later level's removal takes away what an earlier one
// has written, so that all removals may come first.
func merge(levels []*router.HeaderEdits) *router.HeaderEdits {
	var out *router.HeaderEdits
	for _, level := range levels {
		switch {
		case level == nil:
			continue
		case out == nil:
			out = &router.HeaderEdits{Remove: slices.Clone(level.Remove), Fields: slices.Clone(level.Fields)}
			continue
		}
		out.Fields = slices.DeleteFunc(out.Fields, func(e router.HeaderEdit) bool { return slices.Contains(level.Remove, e.Name) })
		out.Remove = append(out.Remove, level.Remove...)
		out.Fields = append(out.Fields, level.Fields...)
	}
	return out
}

// fingerprinting reports whether the header edits of a table tell of clients'
// fingerprints.
func fingerprinting(hosts []*router.VirtualHost) bool {
	tells := func(e *router.HeaderEdits) bool {
		return e != nil && slices.ContainsFunc(e.Fields, func(f router.HeaderEdit) bool { return f.Value.Fingerprints() })
	}
	for _, host := range hosts {
		for _, r := range host.Routes {
			if tells(r.Request) || tells(r.Response) {
				return true
			}
			if r.Forward == nil {
				continue
			}
			for i := range r.Forward.Clusters {
				if target := &r.Forward.Clusters[i]; tells(target.Request) || tells(target.Response) {
					return true
				}
			}
		}
	}
	return false
}

// isFieldText reports whether s can be a field value as it stands (RFC 9110
// section 5.5): no control bytes but tab, no blanks at its ends.
func isFieldText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return strings.Trim(s, " \t") == s
}
