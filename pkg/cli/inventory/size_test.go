package inventory_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"tenantisolation.dev/scheduler/internal/clusterfile"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
)

func BenchmarkRead(b *testing.B) {
	for name, asYAML := range map[string]bool{"json": false, "yaml": true} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "cluster."+name)
			file, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			generator := clusterfile.Generator{Nodes: 500, PodsPerNode: 30, Tenants: 20}
			if err := generator.Write(file, asYAML); err != nil {
				b.Fatal(err)
			}
			info, err := file.Stat()
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				inv, err := inventory.Read(b.Context(), inventory.Files{Names: []string{path}})
				if err != nil {
					b.Fatal(err)
				}
				if want, got := generator.Nodes*generator.PodsPerNode, len(inv.Pods); want != got {
					b.Fatalf("%d pods were read, want %d", got, want)
				}
				runtime.KeepAlive(inv)
			}
		})
	}
}
