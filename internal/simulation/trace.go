package simulation

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// TraceOptions say how the rows of a trace become pods of tenants.
type TraceOptions struct {
	// Tenants is the number of tenants.
	Tenants int
	// Seed decides the tenant and data class of each row.
	Seed uint64
	// Limit is the size of a sample that the seed draws, in the order of the file. 0 takes
	// all rows.
	Limit int
}

// gpuResource is the resource for a trace's GPUs, in thousandths, as a row may request a part
// of one.
const gpuResource = "trace.tenantisolation.dev/gpu-milli"

// dataClassShares are the shares of each tenant's pods, in percent. They are invented, as no
// public trace has data classes, and every report states them.
var dataClassShares = []struct {
	class   string
	percent int
}{{"public", 15}, {"internal", 45}, {"confidential", 30}, {"restricted", 10}}

// ReadTrace reads two CSV files, nodes (sn, cpu_milli, memory_mib, gpu, model) and pods (name,
// cpu_milli, memory_mib, num_gpu, gpu_milli, ...), and assigns the pods to tenants.
func ReadTrace(nodes, pods string, o TraceOptions) (*Cluster, error) {
	nodeRows, err := readTable(nodes, "sn", "cpu_milli", "memory_mib", "gpu", "model")
	if err != nil {
		return nil, err
	}
	podRows, err := readTable(pods, "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	for _, row := range nodeRows {
		node, err := traceNode(row)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, node)
	}
	d := newAssigner(o)
	for _, row := range d.sample(podRows) {
		pod, err := tracePod(row, d)
		if err != nil {
			return nil, err
		}
		c.Pods = append(c.Pods, pod)
	}
	c.Namespaces = d.namespaces()
	c.Mapping = d.describe(len(podRows), len(c.Pods))
	return c, nil
}

func traceNode(r row) (*corev1.Node, error) {
	cpu, err1 := r.number("cpu_milli")
	memory, err2 := r.number("memory_mib")
	gpus, err3 := r.number("gpu")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	name := r.text("sn")
	if name == "" {
		return nil, r.fault("sn", "is empty")
	}
	resources := amounts(cpu, memory, gpus*1000)
	resources[corev1.ResourcePods] = resource.MustParse("110")
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Capacity: resources, Allocatable: resources},
	}, nil
}

func tracePod(r row, d *assigner) (*corev1.Pod, error) {
	cpu, err1 := r.number("cpu_milli")
	memory, err2 := r.number("memory_mib")
	gpus, err3 := r.number("num_gpu")
	part, err4 := r.number("gpu_milli")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	name := r.text("name")
	if name == "" {
		return nil, r.fault("name", "is empty")
	}
	tenant, class := d.next()
	requests := amounts(cpu, memory, gpus*part)
	limits := corev1.ResourceList{}
	if gpu, ok := requests[gpuResource]; ok {
		limits[gpuResource] = gpu
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: traceNamespace(tenant, class), UID: types.UID("uid-" + name)},
		Spec: corev1.PodSpec{
			SchedulerName: schedulerName,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "trace", Image: "example.com/trace:1",
				Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}, nil
}

func amounts(cpuMilli, memoryMiB, gpuMilli int64) corev1.ResourceList {
	list := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(cpuMilli, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memoryMiB<<20, resource.BinarySI),
	}
	if gpuMilli > 0 {
		list[gpuResource] = *resource.NewQuantity(gpuMilli, resource.DecimalSI)
	}
	return list
}

// assigner assigns rows to tenants and data classes independently. The n-th tenant gets a
// share in proportion to 1/n (Zipf): a few large tenants, and many small ones.
type assigner struct {
	TraceOptions
	random *rand.Rand
	shares []float64 // cumulated, the last one is 1
}

func newAssigner(o TraceOptions) *assigner {
	d := &assigner{TraceOptions: o, random: rand.New(rand.NewPCG(o.Seed, 0))} //nolint:gosec // repeatable, not secret
	sum := 0.0
	for n := 1; n <= o.Tenants; n++ {
		sum += 1 / float64(n)
		d.shares = append(d.shares, sum)
	}
	for i := range d.shares {
		d.shares[i] /= sum
	}
	return d
}

// sample draws Limit rows and keeps their order.
func (d *assigner) sample(rows []row) []row {
	if d.Limit <= 0 || d.Limit >= len(rows) {
		return rows
	}
	drawn := d.random.Perm(len(rows))[:d.Limit]
	slices.Sort(drawn)
	var sample []row
	for _, i := range drawn {
		sample = append(sample, rows[i])
	}
	return sample
}

func (d *assigner) next() (tenant, class string) {
	n, _ := slices.BinarySearch(d.shares, d.random.Float64())
	tenant = TenantName(min(n, d.Tenants-1))
	percent := d.random.IntN(100)
	for _, share := range dataClassShares {
		if percent < share.percent {
			return tenant, share.class
		}
		percent -= share.percent
	}
	return tenant, dataClassShares[0].class
}

// TenantName is the name of the n-th generated tenant, from 0.
func TenantName(n int) string { return fmt.Sprintf("tenant-%02d", n+1) }

func traceNamespace(tenant, class string) string { return tenant + "-" + class }

func (d *assigner) namespaces() []*corev1.Namespace {
	var all []*corev1.Namespace
	for n := range d.Tenants {
		for _, share := range dataClassShares {
			all = append(all, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name:   traceNamespace(TenantName(n), share.class),
				Labels: map[string]string{tenantLabel: TenantName(n), dataClassLabel: share.class},
			}})
		}
	}
	return all
}

func (d *assigner) describe(rows, taken int) string {
	var classes []string
	for _, share := range dataClassShares {
		classes = append(classes, fmt.Sprintf("%s %d %%", share.class, share.percent))
	}
	return fmt.Sprintf("%d of %d rows, in the order of the file; %d tenants, the n-th with a share in proportion to 1/n; data classes %s; seed %d",
		taken, rows, d.Tenants, strings.Join(classes, ", "), d.Seed)
}

// row is a row of a CSV file, by the names of its columns.
type row struct {
	file   string
	line   int
	values map[string]string
}

func (r row) text(column string) string { return r.values[column] }

func (r row) number(column string) (int64, error) {
	n, err := strconv.ParseInt(r.values[column], 10, 64)
	if err != nil || n < 0 {
		return 0, r.fault(column, "is %q, want a whole number from 0", r.values[column])
	}
	return n, nil
}

func (r row) fault(column, format string, args ...any) error {
	return fmt.Errorf("%s, line %d, %s: "+format, append([]any{r.file, r.line, column}, args...)...)
}

// readTable reads a CSV file that has at least these columns.
func readTable(file string, columns ...string) ([]row, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reader := csv.NewReader(f)
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: reading the header: %w", file, err)
	}
	for _, column := range columns {
		if !slices.Contains(header, column) {
			return nil, fmt.Errorf("%s, line 1: there is no column %s", file, column)
		}
	}
	var rows []row
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		line, _ := reader.FieldPos(0)
		r := row{file: file, line: line, values: map[string]string{}}
		for i, value := range record {
			r.values[header[i]] = value
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: it has no rows", file)
	}
	return rows, nil
}
