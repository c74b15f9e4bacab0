{{/* The controller's container. */}}
{{- define "minio-manager.controllerContainer" -}}
- name: controller
  image: {{ include "minio-manager.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - controller
    - --minio-endpoint={{ .Values.minio.endpoint }}
    {{- with .Values.minio.publicEndpoint }}
    - --minio-public-endpoint={{ . }}
    {{- end }}
    - --minio-region={{ .Values.minio.region }}
    {{- if or .Values.minio.ca.existingConfigMap .Values.minio.ca.existingSecret }}
    - --minio-ca-file=/etc/minio-manager/minio-ca/ca.crt
    {{- end }}
    {{- include "minio-manager.instanceArgs" . | nindent 4 }}
    - --lease={{ .Values.lease }}
    {{- if or .Values.redis.ca.existingConfigMap .Values.redis.ca.existingSecret }}
    - --redis-ca-file=/etc/minio-manager/redis-ca/ca.crt
    {{- end }}
    {{- with .Values.converge }}
    - --mode={{ .mode }}
    {{- if .takeOver }}
    - --take-over
    {{- end }}
    - --large-change-limit={{ .largeChangeLimit }}
    - --foreign-keys={{ .foreignKeys }}
    - --audit-interval={{ .auditInterval }}
    {{- with .fullAuditInterval }}
    - --full-audit-interval={{ . }}
    {{- end }}
    - --minio-writes-per-second={{ int .minioWritesPerSecond }}
    {{- end }}
    {{- with .Values.credentials }}
    {{- with .rotationInterval }}
    - --rotation-interval={{ . }}
    {{- end }}
    {{- with .overlap }}
    - --overlap={{ . }}
    {{- end }}
    - --expiry-warning={{ .expiryWarning }}
    - --secret-files={{ default (list "none") .secretFiles | join "," }}
    - --secret-mount-path={{ .secretMountPath }}
    {{- end }}
    {{- with .Values.controller.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    {{- include "minio-manager.podName" . | nindent 4 }}
    - {name: MINIO_ACCESS_KEY_FILE, value: /etc/minio-manager/credentials/access-key}
    - {name: MINIO_SECRET_KEY_FILE, value: /etc/minio-manager/credentials/secret-key}
    {{- with .Values.redis.existingSecret }}
    - name: REDIS_URL
      valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $.Values.redis.key | quote }}}}
    {{- end }}
    {{- with .Values.controller.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: metrics, containerPort: 8080}
  livenessProbe:
    httpGet: {path: /live, port: metrics}
  readinessProbe:
    httpGet: {path: /ready, port: metrics}
    periodSeconds: 5
  resources:
    {{- toYaml .Values.controller.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/minio-manager/config, readOnly: true}
    - {name: credentials, mountPath: /etc/minio-manager/credentials, readOnly: true}
    {{- if or .Values.minio.ca.existingConfigMap .Values.minio.ca.existingSecret }}
    - {name: minio-ca, mountPath: /etc/minio-manager/minio-ca, readOnly: true}
    {{- end }}
    {{- if or .Values.redis.ca.existingConfigMap .Values.redis.ca.existingSecret }}
    - {name: redis-ca, mountPath: /etc/minio-manager/redis-ca, readOnly: true}
    {{- end }}
    {{- if eq (include "minio-manager.restMode" .) "sidecar" }}
    - {name: controller-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
    {{- end }}
{{- end }}

{{- define "minio-manager.controllerVolumes" -}}
# Read again when it changes.
- name: credentials
  secret:
    secretName: {{ .Values.minio.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.minio.secretKeys.accessKey | quote }}, path: access-key}
      - {key: {{ .Values.minio.secretKeys.secretKey | quote }}, path: secret-key}
{{- if or .Values.minio.ca.existingConfigMap .Values.minio.ca.existingSecret }}
{{ include "minio-manager.caVolume" (dict "name" "minio-ca" "ca" .Values.minio.ca) }}
{{- end }}
{{- if or .Values.redis.ca.existingConfigMap .Values.redis.ca.existingSecret }}
{{ include "minio-manager.caVolume" (dict "name" "redis-ca" "ca" .Values.redis.ca) }}
{{- end }}
{{- if eq (include "minio-manager.restMode" .) "sidecar" }}
# Each container has the identity that it needs: what is mounted by default would be the controller's for both.
- name: controller-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
      - downwardAPI:
          items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
- name: rest-token
  secret:
    secretName: {{ include "minio-manager.fullname" . }}-rest-token
    defaultMode: 0440
{{- end }}
{{- end }}
