{{/* The metadata of an object of a hook. A Job that has failed stays until the next try, for its log. */}}
{{- define "tenant-isolation.hookMetadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  app.kubernetes.io/name: {{ .name }}
  app.kubernetes.io/part-of: tenant-isolation
annotations:
  helm.sh/hook: {{ .events }}
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  helm.sh/hook-output-log-policy: hook-failed
{{- end -}}

{{/*
The spec of a hook's pod: that of the scheduler's, with its image, its security context and its preference for the
nodes of the control plane, but with another command and account.
*/}}
{{- define "tenant-isolation.hookPod" -}}
{{- $spec := (.top.Files.Get "manifests/base/deployment.yaml" | fromYaml).spec -}}
{{- include "tenant-isolation.deployment" (dict "top" .top "spec" $spec) -}}
{{- $pod := omit $spec.template.spec "volumes" "topologySpreadConstraints" "priorityClassName" -}}
{{- $container := pick (first $pod.containers) "image" "command" "securityContext" -}}
{{- $_ := set $container "name" "lifecycle" -}}
{{- $_ := set $container "args" (list "lifecycle" .step) -}}
{{- $_ := set $container "resources" (dict "requests" (dict "cpu" "10m" "memory" "64Mi")) -}}
{{- $_ := set $pod "containers" (list $container) -}}
{{- $_ := set $pod "serviceAccountName" .name -}}
{{- $_ := set $pod "restartPolicy" "Never" -}}
{{- toYaml $pod -}}
{{- end -}}
