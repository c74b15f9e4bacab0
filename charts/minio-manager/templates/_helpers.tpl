{{/* Names, labels, and what both programs are told. */}}

{{- define "minio-manager.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "minio-manager.home" -}}
{{- default .Release.Namespace .Values.homeNamespace -}}
{{- end }}

{{/* The namespaces beside the home namespace, as a JSON list. */}}
{{- define "minio-manager.beside" -}}
{{- without (keys .Values.config.namespaces | sortAlpha) (include "minio-manager.home" .) | toJson -}}
{{- end }}

{{/* off, deployment or sidecar; YAML reads a bare off as false. */}}
{{- define "minio-manager.restMode" -}}
{{- default "off" .Values.rest.mode -}}
{{- end }}

{{- define "minio-manager.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "minio-manager.labels" -}}
{{ include "minio-manager.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "minio-manager.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "minio-manager.serviceAccount" -}}
{{- default (include "minio-manager.fullname" .) .Values.controller.serviceAccount.name -}}
{{- end }}

{{- define "minio-manager.restServiceAccount" -}}
{{- default (printf "%s-rest" (include "minio-manager.fullname" .)) .Values.rest.serviceAccount.name -}}
{{- end }}

{{/* Arguments of both programs: they must agree on the layout. */}}
{{- define "minio-manager.instanceArgs" -}}
{{- $beside := include "minio-manager.beside" . | fromJsonArray -}}
- --home-namespace={{ include "minio-manager.home" . }}
{{- if $beside }}
- --watch-namespaces={{ prepend $beside (include "minio-manager.home" .) | join "," }}
{{- end }}
- --config=/etc/minio-manager/config/config.yaml
{{- with .Values.instanceId }}
- --instance-id={{ . }}
{{- end }}
- --adopted-extras={{ .Values.converge.adoptedExtras }}
{{- with .Values.berdl.bucket }}
- --cdm-default-bucket={{ . }}
{{- end }}
{{- with .Values.berdl.usersSqlWarehousePrefix }}
- --cdm-default-users-sql-warehouse-prefix={{ . }}
{{- end }}
{{- with .Values.berdl.usersGeneralWarehousePrefix }}
- --cdm-default-users-general-warehouse-prefix={{ . }}
{{- end }}
{{- with .Values.berdl.tenantGeneralWarehousePrefix }}
- --cdm-default-tenant-general-warehouse-prefix={{ . }}
{{- end }}
{{- with .Values.berdl.tenantSqlWarehousePrefix }}
- --cdm-default-tenant-sql-warehouse-prefix={{ . }}
{{- end }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
{{- end }}

{{/* What the name of a pod is in its environment. */}}
{{- define "minio-manager.podName" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}

{{/* Replicas keep off each other's node where they can: call with root, component and the affinity of the values. */}}
{{- define "minio-manager.affinity" -}}
{{- if .affinity }}
{{- toYaml .affinity }}
{{- else -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "minio-manager.selector" .root | nindent 12 }}
            app.kubernetes.io/component: {{ .component }}
{{- end }}
{{- end }}

{{/* Where pods may run: call with root, component and the values of controller or rest. */}}
{{- define "minio-manager.scheduling" -}}
affinity:
  {{- include "minio-manager.affinity" (dict "root" .root "component" .component "affinity" .values.affinity) | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A volume from a ConfigMap or a Secret with certificates: call with name and the values. */}}
{{- define "minio-manager.caVolume" -}}
- name: {{ .name }}
  {{- if .ca.existingConfigMap }}
  configMap:
    name: {{ .ca.existingConfigMap }}
    items:
      - {key: {{ .ca.key | quote }}, path: ca.crt}
  {{- else }}
  secret:
    secretName: {{ .ca.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .ca.key | quote }}, path: ca.crt}
  {{- end }}
{{- end }}
