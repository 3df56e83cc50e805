package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// event is one change of one key of etcd.
type event struct {
	revision int64
	key      string
	// value is empty if the key was deleted.
	value []byte
}

// follow gives every change under a prefix since etcd was set up to take, in order and
// none twice, until the test ends. It survives a restart of etcd, and does not depend on
// kube-apiserver.
func follow(t *testing.T, etcd, prefix string, take func(event)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		next := int64(1)
		for ctx.Err() == nil {
			if err := watch(ctx, etcd, prefix, next, func(e event) {
				take(e)
				next = e.revision + 1
			}); err != nil && ctx.Err() == nil {
				t.Logf("etcd's history of %s is interrupted at revision %d: %v", prefix, next, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // it is being started again
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// watch reads one stream of etcd's JSON gateway. Changes of one revision come together, so
// that none is lost between two streams.
func watch(ctx context.Context, etcd, prefix string, from int64, take func(event)) error {
	end := []byte(prefix)
	end[len(end)-1]++
	request, err := json.Marshal(map[string]any{"create_request": map[string]any{
		"key": []byte(prefix), "range_end": end, "start_revision": from,
	}})
	if err != nil {
		return err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, etcd+"/v3/watch", bytes.NewReader(request))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(post)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answers := json.NewDecoder(response.Body)
	for {
		var answer struct {
			Error  json.RawMessage
			Result struct {
				Canceled bool
				Events   []struct {
					Type string
					KV   struct {
						Key      []byte
						Value    []byte
						Revision int64 `json:"mod_revision,string"`
					}
				}
			}
		}
		if err := answers.Decode(&answer); err != nil {
			return err
		}
		if answer.Error != nil || answer.Result.Canceled {
			return fmt.Errorf("etcd ends the stream: %s", answer.Error)
		}
		for _, e := range answer.Result.Events {
			take(event{revision: e.KV.Revision, key: string(e.KV.Key), value: e.KV.Value})
		}
	}
}
