{{/* The prefix of cluster-scoped names; those in the release namespace are fixed. */}}
{{- define "ironkeel.fullname" -}}
{{- if contains "ironkeel" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The manager's name: its Deployment, Service, ServiceAccount and Lease. */}}
{{- define "ironkeel.manager" -}}
ironkeel-controller-manager
{{- end -}}

{{- define "ironkeel.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ironkeel.manager" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ironkeel.labels" -}}
{{ include "ironkeel.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: controller-manager
app.kubernetes.io/part-of: ironkeel
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ironkeel.image" -}}
{{- $image := .Values.image -}}
{{- $repository := ternary $image.repository (printf "%s/%s" $image.registry $image.repository) (empty $image.registry) -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The parts of the mode, as JSON: ["crd"], ["native"] or both. */}}
{{- define "ironkeel.modes" -}}
{{- ternary (list "crd" "native") (list .Values.mode) (eq .Values.mode "both") | toJson -}}
{{- end -}}

{{/* The controllers that run, as JSON. As in kube-controller-manager: `foo` wins over `-foo`, and both over `*`. */}}
{{- define "ironkeel.controllers" -}}
{{- $known := list "deployment-controller" "replicaset-controller" -}}
{{- if has "native" (include "ironkeel.modes" . | fromJsonArray) -}}
{{- $known = append $known "replicationcontroller-controller" -}}
{{- end -}}
{{- $wanted := splitList "," .Values.controllers -}}
{{- $enabled := list -}}
{{- range $name := $known -}}
{{- if or (has $name $wanted) (and (has "*" $wanted) (not (has (printf "-%s" $name) $wanted))) -}}
{{- $enabled = append $enabled $name -}}
{{- end -}}
{{- end -}}
{{- $enabled | toJson -}}
{{- end -}}

{{/*
The identities that write, as JSON: one per controller. The Deployment controller also tries a pod of a new template of
our kind as a dry run, as the identity that will create the real ones, even where somebody else runs that controller.
*/}}
{{- define "ironkeel.identities" -}}
{{- $identities := include "ironkeel.controllers" . | fromJsonArray -}}
{{- $rehearses := and (has "crd" (include "ironkeel.modes" . | fromJsonArray)) (has "deployment-controller" $identities) -}}
{{- if and $rehearses (not (has "replicaset-controller" $identities)) -}}
{{- $identities = append $identities "replicaset-controller" -}}
{{- end -}}
{{- $identities | toJson -}}
{{- end -}}

{{/* The rules of one identity for the chosen mode. Takes the root context and the identity's name. */}}
{{- define "ironkeel.rules" -}}
{{- $root := index . 0 -}}
{{- $identity := index . 1 -}}
{{- $rules := list -}}
{{- range $mode := include "ironkeel.modes" $root | fromJsonArray -}}
{{- $path := printf "files/rbac/%s.%s.yaml" $identity $mode -}}
{{- $text := $root.Files.Get $path -}}
{{- if $text -}}
{{- $rules = concat $rules ($text | fromYamlArray) -}}
{{- end -}}
{{- end -}}
{{- if empty $rules -}}
{{- fail (printf "this chart is incomplete: it holds no files/rbac/%s.*.yaml for mode %s" $identity $root.Values.mode) -}}
{{- end -}}
{{- uniq $rules | toYaml -}}
{{- end -}}

{{/* Whether the cluster knows the Prometheus operator's kinds. */}}
{{- define "ironkeel.hasMonitoring" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}true{{- end -}}
{{- end -}}
