{{/* The scheduler's configuration, as text. */}}
{{- define "tenant-isolation.config" -}}
{{- $text := .Files.Get "manifests/components/dedication/scheduler-config.yaml" -}}
{{- if .Values.remediation -}}
{{- $config := fromYaml $text -}}
{{- range (first $config.profiles).pluginConfig -}}
{{- if eq .name "TenantIsolation" -}}
{{- $_ := set .args "audit" (merge (dict "remediation" "Evict") (default dict .args.audit)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- else -}}
{{- $text -}}
{{- end -}}
{{- end -}}

{{/* New content has a new name, so that the Deployment rolls out. */}}
{{- define "tenant-isolation.configName" -}}
tenant-isolation-scheduler-config-{{ include "tenant-isolation.config" . | sha256sum | trunc 10 }}
{{- end -}}
