{{- define "manager.name" -}}
agent-sandbox-controller{{ .Values.nameSuffix }}
{{- end }}

{{- define "manager.namespace" -}}
{{ default .Release.Namespace .Values.namespace.name }}
{{- end }}

{{- define "manager.serviceName" -}}
{{ .Values.service.name }}{{ .Values.nameSuffix }}
{{- end }}

{{- define "manager.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- /* What the selectors of a Deployment say cannot be changed: these are the Go manager's chart's. */}}
{{- define "manager.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "manager.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app: {{ include "manager.name" . }}
{{ include "manager.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ default .Chart.AppVersion .Values.image.tag | quote }}
{{- end }}

{{- define "manager.priorityClass" -}}
{{ with .Values.priorityClass.name }}{{ . }}{{ if $.Values.priorityClass.create }}{{ $.Values.nameSuffix }}{{ end }}{{ end }}
{{- end }}

{{- /* The controllers that run, sorted, as JSON. */}}
{{- define "manager.controllers" -}}
{{- if .Values.controller.controllers -}}
{{ .Values.controller.controllers | uniq | sortAlpha | toJson }}
{{- else if .Values.controller.extensions -}}
["claim","pool","sandbox","template"]
{{- else -}}
["sandbox"]
{{- end -}}
{{- end }}

{{- /* The Lease of these controllers: those of the Go manager, with and without its extensions, have one. */}}
{{- define "manager.leaseName" -}}
{{- $controllers := include "manager.controllers" . | fromJsonArray -}}
{{- $isAll := and (has "claim" $controllers) (has "pool" $controllers) (has "sandbox" $controllers) -}}
{{- if or $isAll (eq (join "-" $controllers) "sandbox") -}}
a3317529.agent-sandbox.x-k8s.io
{{- else -}}
a3317529.agent-sandbox.x-k8s.io-{{ join "-" $controllers }}
{{- end -}}
{{- end }}

{{- /* A flag for each value that is there. */}}
{{- define "manager.flags" -}}
{{- $flags := dict
  "leaderElect" "leader-elect"
  "leaderElectionNamespace" "leader-election-namespace"
  "clusterDomain" "cluster-domain"
  "enableTracing" "enable-tracing"
  "enablePprof" "enable-pprof"
  "enablePprofDebug" "enable-pprof-debug"
  "pprofBlockProfileRate" "pprof-block-profile-rate"
  "pprofMutexProfileFraction" "pprof-mutex-profile-fraction"
  "kubeApiQps" "kube-api-qps"
  "kubeApiBurst" "kube-api-burst"
  "sandboxConcurrentWorkers" "sandbox-concurrent-workers"
  "sandboxClaimConcurrentWorkers" "sandbox-claim-concurrent-workers"
  "sandboxWarmPoolConcurrentWorkers" "sandbox-warm-pool-concurrent-workers"
  "sandboxTemplateConcurrentWorkers" "sandbox-template-concurrent-workers"
  "sandboxWarmPoolMaxBatchSize" "sandbox-warm-pool-max-batch-size"
  "sandboxWarmPoolReadinessGracePeriod" "sandbox-warm-pool-readiness-grace-period"
  "sandboxWarmPoolUnschedulableRecheckInterval" "sandbox-warm-pool-unschedulable-recheck-interval"
  "sandboxWarmPoolSealSecret" "sandbox-warm-pool-seal-secret"
  "enableWarmPoolEviction" "enable-warm-pool-eviction" -}}
{{- range $key, $flag := $flags }}
{{- if hasKey $.Values.controller $key }}
{{- $value := index $.Values.controller $key }}
{{- if ne ($value | toString) "" }}
- --{{ $flag }}={{ if kindIs "float64" $value }}{{ $value | toJson }}{{ else }}{{ $value }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.controller.controllers }}
- --controllers={{ include "manager.controllers" . | fromJsonArray | join "," }}
{{- else if .Values.controller.extensions }}
- --extensions
{{- end }}
{{- with .Values.controller.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
- --enable-webhook={{ .Values.webhook.enabled }}
- --webhook-service-name={{ .Values.webhookServiceName }}
- --webhook-namespace={{ include "manager.namespace" . }}
- --metrics-secure={{ .Values.metrics.secure }}
{{- if .Values.metrics.certificateSecret }}
- --metrics-cert-path=/etc/metrics-certs
{{- end }}
{{- if .Values.snapshot.enabled }}
- --diagnostics-bind-address=:8082
{{- end }}
{{- with .Values.claimHistory }}
{{- if .enabled }}
- --claim-history-dir=/var/lib/warmclaim
- --claim-history-spool-bytes={{ int64 .spoolBytes }}
- --claim-history-keep-bytes={{ int64 .keepBytes }}
{{- with .target }}
- {{ printf "--claim-history-target=%s" . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.controller.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "manager.subjects" -}}
- kind: ServiceAccount
  name: {{ include "manager.name" . }}
  namespace: {{ include "manager.namespace" . }}
{{- end }}

{{- /* A role and its binding. Takes root, kind, name, namespace ("" for the cluster) and rules. */}}
{{- define "manager.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "manager.labels" .root | nindent 4 }}
rules:
{{- toYaml .rules | nindent 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "manager.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
{{- include "manager.subjects" .root | nindent 0 }}
{{- end }}
