{{/* The scheduler's configuration, as text. */}}
{{- define "tenant-isolation.config" -}}
{{- .Files.Get "manifests/components/policy/scheduler-config.yaml" -}}
{{- end -}}

{{/* New content has a new name, so that the Deployment rolls out. */}}
{{- define "tenant-isolation.configName" -}}
tenant-isolation-scheduler-config-{{ include "tenant-isolation.config" . | sha256sum | trunc 10 }}
{{- end -}}

{{/* The spec of the IsolationPolicy: that of the overlay, with what the values say. */}}
{{- define "tenant-isolation.policy" -}}
{{- $values := .top.Values -}}
{{- if dig "audit" "remediation" "" $values.policy -}}
{{- fail "policy.audit.remediation: set the value remediation instead, which also gives the right to evict" -}}
{{- end -}}
{{- $spec := mergeOverwrite .spec (deepCopy $values.policy) -}}
{{- if $values.remediation -}}
{{- $_ := set $spec "audit" (merge (dict "remediation" "Evict") (default dict $spec.audit)) -}}
{{- end -}}
{{- toYaml $spec -}}
{{- end -}}
