{{/* Name of every object: the release, with the chart's name unless the release carries it already. */}}
{{- define "tierway.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Labels that never change: a Deployment's selector cannot be edited. */}}
{{- define "tierway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "tierway.labels" -}}
{{ include "tierway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Account of the pods. */}}
{{- define "tierway.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "tierway.name" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{/* "yes" where the state is a file that one process owns. */}}
{{- define "tierway.embedded" -}}
{{- if hasPrefix "sqlite" .Values.settings.state }}yes{{ end -}}
{{- end }}

{{/* Port of the operators' listener (server.admin_listen), empty where there is none. */}}
{{- define "tierway.adminPort" -}}
{{- regexFind "[0-9]+$" (.Values.settings.server.admin_listen | default "") -}}
{{- end }}
