package snapshot

import (
	"errors"
	"maps"
	"slices"
	"strings"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	file "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"longmen/gateway/resource"
	"longmen/gateway/stream"
	telemetry "longmen/gateway/telemetry/accesslog"
)

// TextLog makes a log whose lines are text. An empty template is the default.
func TextLog(path, template string) (AccessLog, error) {
	if template == "" {
		template = telemetry.DefaultText
	}
	if strings.ContainsAny(template, "\r\n\x00") {
		return AccessLog{}, errors.New("the template of a line holds a line break or a NUL")
	}
	format, err := stream.ParseFormat(template)
	if err != nil {
		return AccessLog{}, err
	}
	return AccessLog{Path: path, Format: format}, checkLogPath(path)
}

// JSONLog makes a log whose lines are JSON objects with the given fields,
// sorted by name; without fields it has the default ones.
func JSONLog(path string, fields map[string]string) (AccessLog, error) {
	list := telemetry.DefaultJSON()
	if len(fields) > 0 {
		list = nil
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			list = append(list, stream.JSONField{Name: name, Template: fields[name]})
		}
	}
	format, err := stream.NewJSONFormat(list)
	if err != nil {
		return AccessLog{}, err
	}
	return AccessLog{Path: path, JSON: true, Format: format}, checkLogPath(path)
}

func checkLogPath(path string) error {
	if path == "" || strings.ContainsRune(path, 0) {
		return errors.New("the path of the file is missing")
	}
	return nil
}

// accessLog compiles one log of a listener.
func (c *compiler) accessLog(at resource.Path, l *accesslog.AccessLog) (AccessLog, bool) {
	c.only(at, l, "name", "typed_config")
	var f file.FileAccessLog
	if l.GetTypedConfig() == nil {
		c.fail(at, "access log %q has no typed_config", l.GetName())
		return AccessLog{}, false
	}
	if !c.unpack(at, l.GetTypedConfig(), &f) {
		return AccessLog{}, false
	}
	c.only(at, &f, "path", "log_format")
	out, err := c.logFormat(at, &f)
	if err != nil {
		c.fail(join(at, "format"), "%v", err)
	}
	return out, err == nil
}

func (c *compiler) logFormat(at resource.Path, f *file.FileAccessLog) (AccessLog, error) {
	format := f.GetLogFormat()
	c.only(join(at, "format"), format, "text_format_source", "json_format")
	if _, ok := format.GetFormat().(*core.SubstitutionFormatString_JsonFormat); ok {
		fields := map[string]string{}
		for name, value := range format.GetJsonFormat().GetFields() {
			template, ok := value.GetKind().(*structpb.Value_StringValue)
			if !ok {
				c.fail(join(join(at, "fields"), name), "a field that is no string is not supported by this version yet")
				continue
			}
			fields[name] = template.StringValue
		}
		return JSONLog(f.GetPath(), fields)
	}
	source := format.GetTextFormatSource()
	c.only(join(at, "format"), source, "inline_string")
	if format != nil && source.GetInlineString() == "" {
		return AccessLog{}, errors.New("the template of a line is empty")
	}
	// Envoy's templates end their lines themselves.
	return TextLog(f.GetPath(), strings.TrimSuffix(source.GetInlineString(), "\n"))
}
