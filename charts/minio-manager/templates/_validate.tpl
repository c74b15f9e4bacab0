{{/* What the schema cannot say: values that do not go together. Each message names the value. */}}
{{- define "minio-manager.validate" -}}
{{- $_ := required "minio.endpoint: set it to the URL of MinIO, for example https://minio.minio.svc:9000" .Values.minio.endpoint -}}
{{- $_ := required "minio.existingSecret: set it to the name of the Secret with the credentials of the controller" .Values.minio.existingSecret -}}
{{- if and (eq .Values.lease "redis") (not .Values.redis.existingSecret) -}}
{{- fail "redis.existingSecret: set it to the name of a Secret with the URL of Redis, or lease to auto" -}}
{{- end -}}
{{- if and (eq .Values.lease "none") (gt (int .Values.controller.replicas) 1) -}}
{{- fail "controller.replicas: must be 1 where lease is none" -}}
{{- end -}}
{{- range $name, $ca := dict "minio.ca" .Values.minio.ca "redis.ca" .Values.redis.ca -}}
{{- if and $ca.existingConfigMap $ca.existingSecret -}}
{{- fail (printf "%s: set existingConfigMap or existingSecret, not both" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.createHomeNamespace (eq (include "minio-manager.home" .) .Release.Namespace) -}}
{{- fail "createHomeNamespace: set homeNamespace too; the release's namespace exists already" -}}
{{- end -}}
{{- if ne (include "minio-manager.restMode" .) "off" -}}
{{- include "minio-manager.validateRest" . -}}
{{- end -}}
{{- end }}

{{- define "minio-manager.validateRest" -}}
{{- if eq (include "minio-manager.home" .) .Release.Namespace -}}
{{- fail (printf "homeNamespace: set it to another namespace than %s; the REST service may read every Secret of its home namespace, and the Secret %s with the credentials of MinIO is in %s" .Release.Namespace .Values.minio.existingSecret .Release.Namespace) -}}
{{- end -}}
{{- with .Values.rest.auth -}}
{{- if not .backends -}}
{{- fail "rest.auth.backends: say where tokens are looked up: a list of oidc, kubernetes, jupyterhub, kbase, static" -}}
{{- end -}}
{{- if has "oidc" .backends -}}
{{- $_ := required "rest.auth.oidc.issuer: set it to the issuer as its tokens name it" .oidc.issuer -}}
{{- $_ := required "rest.auth.oidc.audience: set it to the audience of the tokens, without which any token of the issuer would do" .oidc.audience -}}
{{- end -}}
{{- if has "jupyterhub" .backends -}}
{{- $_ := required "rest.auth.jupyterhub.url: set it to the URL of the hub's API, for example http://hub:8081/hub/api" .jupyterhub.url -}}
{{- end -}}
{{- if has "static" .backends -}}
{{- $_ := required "rest.auth.static.existingSecret: set it to the name of a Secret with a file of tokens" .static.existingSecret -}}
{{- end -}}
{{- end -}}
{{- if and .Values.rest.ingress.enabled (not .Values.rest.ingress.host) -}}
{{- fail "rest.ingress.host: set it to the host name of the API" -}}
{{- end -}}
{{- end }}
