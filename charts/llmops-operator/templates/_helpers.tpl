{{- define "llmops.labels" -}}
app.kubernetes.io/name: llmops-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "llmops.selector" -}}
app.kubernetes.io/name: llmops-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What the operator may do where it watches; kinds and verbs are those of operator/llmops_operator/cluster/kinds.py. */}}
{{- define "llmops.rules" -}}
- apiGroups: [llmops.dev]
  resources: [llmdeployments, prompttemplates, guardpolicies]
  verbs: [get, list, watch]
- apiGroups: [llmops.dev]
  resources: [llmdeployments/status, prompttemplates/status, guardpolicies/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
{{- end }}
