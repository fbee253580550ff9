package yaml

import (
	"strings"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	file "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// accessLogs reads a listener's logs; false means off.
func (d *decoder) accessLogs(v value) ([]*accesslog.AccessLog, bool) {
	if v.scalar() {
		d.choice(v, "off")
		return nil, false
	}
	var list []*accesslog.AccessLog
	for _, entry := range d.oneOrMore(v) {
		if log := d.accessLog(entry); log != nil {
			list = append(list, &accesslog.AccessLog{
				Name:       accessLogName,
				ConfigType: &accesslog.AccessLog_TypedConfig{TypedConfig: d.pack(entry, log)},
			})
		}
	}
	if v.isList() && len(v.node.Content) == 0 {
		d.failHint(v, "write off for no log at all", "must name at least one log")
	}
	return list, true
}

func (d *decoder) accessLog(v value) *file.FileAccessLog {
	f := d.object(v, accessLogTable)
	log := &file.FileAccessLog{Path: "/dev/stdout"}
	if path, ok := f.word("path"); ok {
		log.Path = path
	}
	format := "text"
	if v, ok := f.get("format"); ok {
		s, ok := d.text(v)
		switch {
		case !ok:
			return nil
		case s != "text" && s != "json" && !strings.Contains(s, "%"):
			d.failHint(v, nearest(s, []string{"text", "json"}), "%q is neither text nor json nor a template", clip(s))
			return nil
		}
		format = s
	}
	fields := f.logFields(format)
	switch format {
	case "text":
	case "json":
		log.AccessLogFormat = &file.FileAccessLog_LogFormat{LogFormat: &core.SubstitutionFormatString{
			Format: &core.SubstitutionFormatString_JsonFormat{JsonFormat: fields},
		}}
	default:
		// Envoy ends no line by itself; a person who writes one line means one.
		text := strings.TrimSuffix(format, "\n") + "\n"
		log.AccessLogFormat = &file.FileAccessLog_LogFormat{LogFormat: &core.SubstitutionFormatString{
			Format: &core.SubstitutionFormatString_TextFormatSource{TextFormatSource: inline(text)},
		}}
	}
	return log
}

// logFields reads the fields of a JSON log.
func (f fields) logFields(format string) *structpb.Struct {
	out := &structpb.Struct{}
	v, ok := f.get("fields")
	if !ok {
		return out
	}
	if format != "json" {
		f.d.fail(v, "fields are for format: json only")
	}
	for _, entry := range f.d.entries(v) {
		if s, ok := f.d.text(entry); ok {
			if out.Fields == nil {
				out.Fields = map[string]*structpb.Value{}
			}
			out.Fields[entry.key.Value] = structpb.NewStringValue(s)
		}
	}
	return out
}

func inline(text string) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: text}}
}
