{{/* The container of the REST service. */}}
{{- define "minio-manager.restContainer" -}}
{{- $auth := .Values.rest.auth -}}
- name: rest
  image: {{ include "minio-manager.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - rest
    {{- include "minio-manager.instanceArgs" . | nindent 4 }}
    - --auto-create={{ .Values.rest.autoCreate }}
    - --rest-deletes-data={{ .Values.rest.deletesData }}
    - --rest-writes-per-second={{ int .Values.rest.writesPerSecond }}
    - --auth={{ $auth.backends | join "," }}
    - --auth-cache-ttl={{ $auth.cacheTtl }}
    {{- if has "kbase" $auth.backends }}
    - --kbase-auth-url={{ $auth.kbase.url }}
    - --kbase-required-roles={{ $auth.kbase.requiredRoles | join "," }}
    - --kbase-admin-roles={{ $auth.kbase.adminRoles | join "," }}
    {{- end }}
    {{- if has "oidc" $auth.backends }}
    - --oidc-issuer={{ $auth.oidc.issuer }}
    - --oidc-audience={{ $auth.oidc.audience }}
    - --oidc-username-claim={{ $auth.oidc.usernameClaim }}
    - --oidc-groups-claim={{ $auth.oidc.groupsClaim }}
    {{- with $auth.oidc.adminGroup }}
    - --oidc-admin-group={{ . }}
    {{- end }}
    {{- end }}
    {{- if has "jupyterhub" $auth.backends }}
    - --jupyterhub-url={{ $auth.jupyterhub.url }}
    - --jupyterhub-scope={{ $auth.jupyterhub.scope }}
    {{- end }}
    {{- if has "kubernetes" $auth.backends }}
    - --kubernetes-users=/etc/minio-manager/config/kubernetes-users.yaml
    {{- with $auth.kubernetes.audience }}
    - --kubernetes-audience={{ . }}
    {{- end }}
    {{- with $auth.kubernetes.adminGroup }}
    - --kubernetes-admin-group={{ . }}
    {{- end }}
    {{- end }}
    {{- if has "static" $auth.backends }}
    - --static-tokens=/etc/minio-manager/tokens/tokens.yaml
    {{- end }}
    {{- with .Values.rest.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    {{- include "minio-manager.podName" . | nindent 4 }}
    {{- with .Values.rest.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: http, containerPort: 8000}
    - {name: rest-metrics, containerPort: 8081}
  livenessProbe:
    httpGet: {path: /live, port: rest-metrics}
  readinessProbe:
    httpGet: {path: /ready, port: rest-metrics}
    periodSeconds: 5
  resources:
    {{- toYaml .Values.rest.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/minio-manager/config, readOnly: true}
    {{- if has "static" $auth.backends }}
    - {name: tokens, mountPath: /etc/minio-manager/tokens, readOnly: true}
    {{- end }}
    {{- if eq (include "minio-manager.restMode" .) "sidecar" }}
    - {name: rest-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
    {{- end }}
{{- end }}

{{- define "minio-manager.restVolumes" -}}
{{- if has "static" .Values.rest.auth.backends }}
- name: tokens
  secret:
    secretName: {{ .Values.rest.auth.static.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.rest.auth.static.key | quote }}, path: tokens.yaml}
{{- end }}
{{- end }}
