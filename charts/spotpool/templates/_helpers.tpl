{{- define "spotpool.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "spotpool.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "spotpool.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "spotpool.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Cluster-wide objects carry the namespace, so that two releases do not share them. */}}
{{- define "spotpool.clusterName" -}}
{{- if eq (include "spotpool.fullname" .) .Release.Namespace }}
{{- .Release.Namespace }}
{{- else }}
{{- printf "%s-%s" .Release.Namespace (include "spotpool.fullname" .) }}
{{- end }}
{{- end }}

{{- define "spotpool.selectorLabels" -}}
app.kubernetes.io/name: {{ include "spotpool.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Helm adds app.kubernetes.io/managed-by by itself; in deploy/install.yaml it would be untrue. */}}
{{- define "spotpool.labels" -}}
{{ include "spotpool.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: spotpool
{{- end }}

{{- define "spotpool.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "spotpool.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "spotpool.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* What the controller does with the objects that it watches; a Role or a ClusterRole. */}}
{{- define "spotpool.poolRules" -}}
# patch: the finalizer.
- apiGroups: [spotpool.io]
  resources: [spotpools]
  verbs: [get, list, watch, patch]
- apiGroups: [spotpool.io]
  resources: [spotpools/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# What templates take from Secrets and ConfigMaps, read by name: neither listed nor watched.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get]
{{- if .Values.azure.perNamespaceIdentity }}
# As whom pools call Azure. patch: the finalizer.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, patch]
- apiGroups: [""]
  resources: [serviceaccounts/token]
  verbs: [create]
{{- end }}
{{- end }}
