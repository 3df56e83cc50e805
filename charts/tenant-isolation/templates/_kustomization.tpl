{{/*
A kustomization with all that it includes, so that there is no second list of what is installed. It takes
top (the root context), folder and labels (those of the kustomizations that include it). It knows what the
manifests use: resources, components, labels and configMapGenerator. A test compares the outcome with that
of kustomize.
*/}}
{{- define "tenant-isolation.kustomization" -}}
{{- $top := .top -}}
{{- $folder := .folder -}}
{{- $labels := .labels -}}
{{- $kustomization := $top.Files.Get (printf "%s/kustomization.yaml" $folder) | fromYaml -}}
{{- range $kustomization.labels -}}
{{- $labels = merge (dict) $labels .pairs -}}
{{- end -}}
{{- range concat (default list $kustomization.resources) (default list $kustomization.components) -}}
{{- $path := clean (printf "%s/%s" $folder .) -}}
{{- if hasSuffix ".yaml" . -}}
{{- range splitList "\n---\n" (printf "\n%s" ($top.Files.Get $path)) -}}
{{- $object := fromYaml . -}}
{{- if $object.kind -}}
{{- include "tenant-isolation.object" (dict "top" $top "object" $object "labels" $labels) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- include "tenant-isolation.kustomization" (dict "top" $top "folder" $path "labels" $labels) -}}
{{- end -}}
{{- end -}}
{{- range $kustomization.configMapGenerator -}}
{{- if ne .name "tenant-isolation-scheduler-config" }}{{/* which has a file of its own */ -}}
{{- $data := dict -}}
{{- range .files -}}
{{- $named := splitn "=" 2 . -}}
{{- $_ := set $data $named._0 ($top.Files.Get (printf "%s/%s" $folder $named._1)) -}}
{{- end -}}
{{- $metadata := dict "name" .name "namespace" .namespace "labels" (dig "options" "labels" (dict) .) -}}
{{- $object := dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" $metadata "data" $data -}}
{{- include "tenant-isolation.object" (dict "top" $top "object" $object "labels" $labels) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* One object of the manifests, with labels, and a Deployment or an IsolationPolicy with what the values say. */}}
{{- define "tenant-isolation.object" -}}
{{- $object := .object -}}
{{- if .labels -}}
{{- $_ := set $object.metadata "labels" (merge (dict) .labels (default dict $object.metadata.labels)) -}}
{{- end -}}
{{- if eq $object.kind "Deployment" -}}
{{- $template := $object.spec.template -}}
{{- $_ := set $template.metadata "labels" (merge (dict) .labels $template.metadata.labels) -}}
{{- include "tenant-isolation.deployment" (dict "top" .top "spec" $object.spec) -}}
{{- else if eq $object.kind "IsolationPolicy" -}}
{{- $_ := set $object "spec" (include "tenant-isolation.policy" (dict "top" .top "spec" $object.spec) | fromYaml) -}}
{{- end }}
---
{{ toYaml $object }}
{{ end -}}

{{/* Changes the spec of the Deployment by the values. */}}
{{- define "tenant-isolation.deployment" -}}
{{- $values := .top.Values -}}
{{- $pod := .spec.template.spec -}}
{{- $container := first $pod.containers -}}
{{- $shipped := first (.top.Files.Get "manifests/base/kustomization.yaml" | fromYaml).images -}}
{{- $image := default $container.image $values.image.repository -}}
{{- if $values.image.digest -}}
{{- $image = printf "%s@%s" $image $values.image.digest -}}
{{- else -}}
{{- $image = printf "%s:%s" $image (default $shipped.newTag $values.image.tag) -}}
{{- end -}}
{{- $_ := set $container "image" $image -}}
{{- $_ := set .spec "replicas" $values.replicas -}}
{{- if $values.resources -}}
{{- $_ := set $container "resources" $values.resources -}}
{{- end -}}
{{- if $values.image.pullSecrets -}}
{{- $_ := set $pod "imagePullSecrets" $values.image.pullSecrets -}}
{{- end -}}
{{- range $pod.volumes -}}
{{- if .configMap -}}
{{- $_ := set .configMap "name" (include "tenant-isolation.configName" $.top) -}}
{{- end -}}
{{- end -}}
{{- end -}}
