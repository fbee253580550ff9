package gateway_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
)

// Package-level mutable state, found without a build: each package is typed by go/types
// with stand-ins for everything outside the module. That resolves every name of ours
// exactly (shadowing included) and leaves foreign types unknown, which the
// rule does not need: what may stand at package level is told by its shape.
//
// A package-level var may be a sentinel error (errors.New, or an error type of ours), a
// `var _ X = ...` assertion, a go:embed, or a table (an array, slice or map, or a struct
// of ours) that nothing changes. "Changes" is: assigned to, in whole or part, counted up or
// down, its address taken, a pointer method called on it, or given to a builtin or sort
// that writes. A change through an alias (m := table) is beyond this rule.

// constructors are the calls whose results never change.
var constructors = []string{
	"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer",
	"net/netip.MustParseAddr", "net/netip.MustParsePrefix",
}

// sorters are the library functions, beside slices.Sort*, that reorder their first argument.
var sorters = []string{"sort.Float64s", "sort.Ints", "sort.Slice", "sort.SliceStable", "sort.Strings", "slices.Reverse"}

const stateAdvice = "package-level state; keep it in a value that its user holds"

func (h *house) checkState() {
	for _, dir := range slices.Sorted(maps.Keys(h.packages)) {
		h.typed(dir)
	}
	for _, dir := range slices.Sorted(maps.Keys(h.packages)) {
		pkg := h.packages[dir]
		for _, file := range pkg.files {
			h.checkVars(pkg, file)
			h.checkChanges(pkg, file)
		}
	}
}

// typed runs go/types over a package and, first, over those of ours that it
// imports. Type errors are expected (foreign types are unknown) and dropped.
func (h *house) typed(dir string) *types.Package {
	pkg := h.packages[dir]
	if pkg.types != nil {
		return pkg.types
	}
	pkg.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{},
		Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	pkg.types = types.NewPackage(dir, pkg.files[0].Name.Name) // ends a circle, which Go would refuse
	config := types.Config{Importer: importer{h}, Error: func(error) {}, FakeImportC: true}
	pkg.types, _ = config.Check(path.Join(h.module, dir), h.fset, pkg.files, pkg.info)
	return pkg.types
}

// An importer gives our packages as they are and everything else as an empty
// stand-in, but for the types of sync and sync/atomic: those are state by nature.
type importer struct{ h *house }

func (i importer) Import(importPath string) (*types.Package, error) {
	if dir, ours := i.h.dirOf(importPath); ours && i.h.packages[dir] != nil {
		return i.h.typed(dir), nil
	}
	pkg := types.NewPackage(importPath, path.Base(importPath))
	if importPath == "sync" || importPath == "sync/atomic" {
		for _, name := range []string{"Cond", "Map", "Mutex", "Once", "Pool", "RWMutex", "WaitGroup",
			"Bool", "Int32", "Int64", "Uint32", "Uint64", "Uintptr", "Value", "Pointer"} {
			declared := types.NewTypeName(token.NoPos, pkg, name, nil)
			named := types.NewNamed(declared, types.NewStruct(nil, nil), nil)
			if name == "Pointer" {
				parameter := types.NewTypeName(token.NoPos, pkg, "T", nil)
				named.SetTypeParams([]*types.TypeParam{types.NewTypeParam(parameter, types.Universe.Lookup("any").Type())})
			}
			pkg.Scope().Insert(declared)
		}
	}
	if importPath == "encoding/asn1" { // a slice, of which constant tables are made
		declared := types.NewTypeName(token.NoPos, pkg, "ObjectIdentifier", nil)
		types.NewNamed(declared, types.NewSlice(types.Typ[types.Int]), nil)
		pkg.Scope().Insert(declared)
	}
	pkg.MarkComplete()
	return pkg, nil
}

// checkVars refuses package-level vars whose shape is not that of a constant table.
func (h *house) checkVars(pkg *sourcePackage, file *ast.File) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, spec := range group.Specs {
			vars := spec.(*ast.ValueSpec)
			if embedded(group.Doc) || embedded(vars.Doc) {
				continue
			}
			for i, name := range vars.Names {
				switch {
				case name.Name == "_" && len(vars.Values) > 0:
				case len(vars.Values) != len(vars.Names):
					h.report(name.Pos(), "var %s: %s", name.Name, stateAdvice)
				default:
					if why := refuse(pkg, name, vars.Values[i]); why != "" {
						h.report(name.Pos(), "var %s: %s", name.Name, why)
					}
				}
			}
		}
	}
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// refuse says why a var may not stand at package level, or "" if it may.
func refuse(pkg *sourcePackage, name *ast.Ident, value ast.Expr) string {
	if call, ok := ast.Unparen(value).(*ast.CallExpr); ok && slices.Contains(constructors, pkg.callee(call)) {
		return ""
	}
	if tv := pkg.info.Types[value]; tv.Value != nil {
		return "a value known when compiled; make it a const"
	}
	defined := pkg.info.Defs[name]
	if defined == nil {
		return stateAdvice
	}
	if held := stateIn(defined.Type(), nil); held != "" {
		return "holds a " + held + ": " + stateAdvice
	}
	if isError(defined.Type()) {
		return ""
	}
	switch defined.Type().Underlying().(type) {
	case *types.Array, *types.Slice, *types.Map, *types.Struct:
		return ""
	}
	return "neither a sentinel error nor a constant table: " + stateAdvice
}

// callee is the import path and name of the foreign function that is called, else "".
func (pkg *sourcePackage) callee(call *ast.CallExpr) string {
	selector, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if ident, ok := selector.X.(*ast.Ident); ok {
		if imported, ok := pkg.info.Uses[ident].(*types.PkgName); ok {
			return imported.Imported().Path() + "." + selector.Sel.Name
		}
	}
	return ""
}

// isError tells a type of ours, or a pointer to one, that is an error.
func isError(t types.Type) bool {
	if types.IsInterface(t) {
		return false // it could hold anything
	}
	return types.Implements(t, types.Universe.Lookup("error").Type().Underlying().(*types.Interface))
}

// stateIn names what a type holds that is made to change: a lock, an atomic, a channel.
func stateIn(t types.Type, seen []types.Type) string {
	if slices.Contains(seen, t) {
		return ""
	}
	seen = append(seen, t)
	if named, ok := t.(*types.Named); ok && named.Obj().Pkg() != nil {
		if from := named.Obj().Pkg().Path(); from == "sync" || from == "sync/atomic" {
			return path.Base(from) + "." + named.Obj().Name()
		}
	}
	switch t := t.Underlying().(type) {
	case *types.Chan:
		return "channel"
	case *types.Pointer:
		return stateIn(t.Elem(), seen)
	case *types.Array:
		return stateIn(t.Elem(), seen)
	case *types.Slice:
		return stateIn(t.Elem(), seen)
	case *types.Map:
		return stateIn(t.Elem(), seen)
	case *types.Struct:
		for field := range t.Fields() {
			if held := stateIn(field.Type(), seen); held != "" {
				return held
			}
		}
	}
	return ""
}

// checkChanges reports every place that changes a package-level var of ours.
func (h *house) checkChanges(pkg *sourcePackage, file *ast.File) {
	change := func(target ast.Expr, how string) {
		if target == nil {
			return
		}
		if v := pkg.global(target); v != nil {
			at := h.fset.Position(v.Pos())
			h.report(target.Pos(), "package-level var %s (%s:%d) %s: %s", v.Name(), at.Filename, at.Line, how, stateAdvice)
		}
	}
	var ranged ast.Expr // the &table of `range &table`, which copies nothing and gives no pointer away
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.AssignStmt:
			for _, target := range node.Lhs {
				change(target, "is assigned here") // what := declares is never global
			}
		case *ast.IncDecStmt:
			change(node.X, "is counted here")
		case *ast.RangeStmt:
			ranged = node.X
			change(node.Key, "is assigned here")
			change(node.Value, "is assigned here")
		case *ast.UnaryExpr:
			if node.Op == token.AND && node != ranged {
				change(node.X, "has its address taken here")
			}
		case *ast.SelectorExpr:
			if pkg.takesAddress(node) {
				change(node.X, "has its pointer method "+node.Sel.Name+" called here")
			}
		case *ast.CallExpr:
			if len(node.Args) > 0 && pkg.writesFirst(node) {
				change(node.Args[0], "is written here")
			}
		}
		return true
	})
}

// global gives the package-level var of ours at the root of an expression such as
// table[i].field, or nil.
func (pkg *sourcePackage) global(expr ast.Expr) *types.Var {
	for {
		switch e := expr.(type) {
		case *ast.Ident:
			return packageLevel(pkg.info.Uses[e])
		case *ast.SelectorExpr:
			if v := packageLevel(pkg.info.Uses[e.Sel]); v != nil {
				return v
			}
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.SliceExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		default:
			return nil
		}
	}
}

func packageLevel(object types.Object) *types.Var {
	if v, ok := object.(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
		return v
	}
	return nil
}

// takesAddress tells a method call that silently takes the address of its operand.
func (pkg *sourcePackage) takesAddress(selector *ast.SelectorExpr) bool {
	selection := pkg.info.Selections[selector]
	if selection == nil || selection.Kind() != types.MethodVal {
		return false
	}
	method, ok := selection.Obj().(*types.Func)
	if !ok || method.Signature().Recv() == nil {
		return false
	}
	_, wants := method.Signature().Recv().Type().(*types.Pointer)
	_, has := selection.Recv().(*types.Pointer)
	return wants && !has
}

// writesFirst tells a call that writes into its first argument.
func (pkg *sourcePackage) writesFirst(call *ast.CallExpr) bool {
	if ident, ok := ast.Unparen(call.Fun).(*ast.Ident); ok {
		if _, builtin := pkg.info.Uses[ident].(*types.Builtin); !builtin {
			return false
		}
		if ident.Name == "append" { // append(table, x) copies; append(table[:0], x) overwrites
			_, sliced := ast.Unparen(call.Args[0]).(*ast.SliceExpr)
			return sliced
		}
		return ident.Name == "copy" || ident.Name == "delete" || ident.Name == "clear"
	}
	callee := pkg.callee(call)
	return slices.Contains(sorters, callee) || strings.HasPrefix(callee, "slices.Sort")
}
