package gateway_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A house is every non-test Go file of a module, by package.
type house struct {
	module   string
	fset     *token.FileSet
	packages map[string]*sourcePackage // by folder; "." is the root
	problems []problem
}

// A sourcePackage is one folder's files and what go/types could say of them.
type sourcePackage struct {
	dir   string
	files []*ast.File
	types *types.Package // nil until typed
	info  *types.Info
}

// A problem is one broken rule and its place.
type problem struct {
	at   token.Position
	text string
}

func (p problem) String() string {
	return fmt.Sprintf("%s:%d: %s", p.at.Filename, p.at.Line, p.text)
}

// forbiddenNames are package names that say nothing of what is inside.
var forbiddenNames = []string{"util", "utils", "common", "types", "base", "manager", "helpers"}

// loadHouse parses the module in fsys. Test files, testdata and folders that the go
// command ignores ("." and "_" first) are left out.
func loadHouse(fsys fs.FS, module string) (*house, error) {
	h := &house{module: module, fset: token.NewFileSet(), packages: map[string]*sourcePackage{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if name != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor" || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") || base[0] == '.' || base[0] == '_' {
			return nil
		}
		source, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(h.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if h.packages[dir] == nil {
			h.packages[dir] = &sourcePackage{dir: dir}
		}
		h.packages[dir].files = append(h.packages[dir].files, file)
		return nil
	})
	if err == nil && len(h.packages) == 0 {
		err = errors.New("no Go file found: the test does not stand where it thinks it does")
	}
	return h, err
}

// check applies every rule and returns what it found, in file and line order.
func (h *house) check(edges edgeTable) []problem {
	h.problems = nil
	for _, dir := range slices.Sorted(maps.Keys(h.packages)) {
		pkg := h.packages[dir]
		h.checkNames(pkg)
		h.checkInit(pkg)
		h.checkImports(pkg, edges)
	}
	h.checkState()
	slices.SortStableFunc(h.problems, func(a, b problem) int {
		if c := strings.Compare(a.at.Filename, b.at.Filename); c != 0 {
			return c
		}
		return a.at.Line - b.at.Line
	})
	return h.problems
}

func (h *house) report(pos token.Pos, format string, args ...any) {
	h.problems = append(h.problems, problem{h.fset.Position(pos), fmt.Sprintf(format, args...)})
}

func (h *house) checkNames(pkg *sourcePackage) {
	for _, file := range pkg.files {
		if slices.Contains(forbiddenNames, file.Name.Name) {
			h.report(file.Name.Pos(), "package name %q says nothing of what is inside; name it after what it does", file.Name.Name)
		}
	}
}

func (h *house) checkInit(pkg *sourcePackage) {
	for _, file := range pkg.files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				h.report(f.Pos(), "func init runs unseen and unordered; do the work in a constructor that main calls")
			}
		}
	}
}

func (h *house) checkImports(pkg *sourcePackage, edges edgeTable) {
	from := h.shortName(pkg.dir)
	row, known := edges.row(from)
	if !known {
		h.report(pkg.files[0].Name.Pos(), "package %s has no row in allowedImports (gateway/architecture_test.go)", from)
	}
	for _, file := range pkg.files {
		for _, spec := range file.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has refused it already
			}
			dir, ours := h.dirOf(target)
			if spec.Name != nil && spec.Name.Name == "_" && (ours || !isStandard(target)) {
				h.report(spec.Pos(), "blank import of %s: a registry filled by side effects; name what is used in a plain list", target)
			}
			if to := h.shortName(dir); ours && known && !row.allows(to) {
				h.report(spec.Pos(), "package %s may not import %s: allowedImports (gateway/architecture_test.go) lacks %q -> %q", from, to, from, to)
			}
		}
	}
}

// dirOf gives the folder of an import path, if it is one of this module.
func (h *house) dirOf(importPath string) (dir string, ours bool) {
	if importPath == h.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, h.module+"/")
}

// shortName is a folder's name in allowedImports.
func (h *house) shortName(dir string) string {
	if dir == "." {
		return "main"
	}
	return strings.TrimPrefix(dir, "gateway/")
}

// isStandard tells the standard library from modules as the go command does: a
// module's first path element is a host name.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// An edgeTable is allowedImports, parsed.
type edgeTable map[string]edgeRow

type edgeRow []string

// row finds a package's own row, else that of the nearest "x/*" above it.
func (t edgeTable) row(name string) (edgeRow, bool) {
	if row, ok := t[name]; ok {
		return row, true
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if row, ok := t[dir+"/*"]; ok {
			return row, true
		}
	}
	return nil, false
}

func (r edgeRow) allows(name string) bool {
	return slices.ContainsFunc(r, func(entry string) bool { return covers(entry, name) })
}

func covers(entry, name string) bool {
	if entry == "*" || entry == name {
		return true
	}
	prefix, wild := strings.CutSuffix(entry, "*")
	return wild && strings.HasPrefix(name, prefix)
}

// parseEdges reads allowedImports and refuses a table that is itself wrong: a row
// written twice, an entry that no row stands for, a circle between rows.
func parseEdges(table string) (edgeTable, error) {
	edges := edgeTable{}
	for line := range strings.Lines(table) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, entries, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !ok {
			return nil, fmt.Errorf("allowedImports: %q: want \"package: packages it may import\"", strings.TrimSpace(line))
		}
		if _, twice := edges[name]; twice {
			return nil, fmt.Errorf("allowedImports: two rows for %s", name)
		}
		edges[name] = strings.Fields(entries)
	}
	for _, name := range slices.Sorted(maps.Keys(edges)) {
		for _, entry := range edges[name] {
			stands := func(other string) bool { return covers(entry, other) }
			if !slices.ContainsFunc(slices.Collect(maps.Keys(edges)), stands) {
				return nil, fmt.Errorf("allowedImports: %s may import %s, which has no row", name, entry)
			}
		}
		if circle := edges.circle(name, name, nil); circle != nil {
			return nil, fmt.Errorf("allowedImports: a circle: %s", strings.Join(circle, " -> "))
		}
	}
	return edges, nil
}

// circle finds a way from a row back to the row named start. Rows with a
// wildcard are groups of siblings, whose members Go itself keeps free of circles.
func (t edgeTable) circle(start, at string, way []string) []string {
	if strings.HasSuffix(at, "*") || slices.Contains(way, at) {
		return nil
	}
	way = append(way, at)
	for _, entry := range t[at] {
		if entry == "*" {
			continue
		}
		for _, next := range slices.Sorted(maps.Keys(t)) {
			if !covers(entry, next) {
				continue
			}
			if next == start {
				return append(way, next)
			}
			if found := t.circle(start, next, slices.Clone(way)); found != nil {
				return found
			}
		}
	}
	return nil
}
