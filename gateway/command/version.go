package command

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"longmen/tls/openssl"
)

// build says what was built: the module's version and the commit, as the go
// command wrote them into the binary.
func build() (version, revision string) {
	version, revision = "unknown", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision
	}
	if info.Main.Version != "" {
		version = info.Main.Version
	}
	modified := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			revision = setting.Value
		case "vcs.modified":
			modified = setting.Value == "true"
		}
	}
	if len(revision) > 12 {
		revision = revision[:12]
	}
	if modified {
		revision += "+changes"
	}
	return version, revision
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, revision := build()
			keys := "no OpenSSL: private keys are held in Go"
			if openssl.Available() {
				keys = openssl.Version()
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "longmen %s (%s, %s, %s/%s; %s)\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH, keys)
			return err
		},
	}
}
