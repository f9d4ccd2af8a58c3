{{- define "mender-iothub.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "mender-iothub.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "mender-iothub.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mender-iothub.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the workers; never changes. */}}
{{- define "mender-iothub.selector" -}}
app.kubernetes.io/name: {{ include "mender-iothub.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mender-iothub.labels" -}}
{{ include "mender-iothub.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "mender-iothub.image" -}}
{{- $repository := required "image.repository: push the image of deploy/container/Containerfile, and name it here" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "mender-iothub.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mender-iothub.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The configuration as TOML: what the chart knows, and over it what `config` says. JSON's texts, numbers and lists are
TOML's. */}}
{{- define "mender-iothub.config" -}}
{{- $nats := dict "url" (required "nats.url: the servers that hold Mender's stream" .Values.nats.url) "replicas" .Values.nats.replicas -}}
{{- $mender := dict "deviceauth_url" .Values.mender.deviceauthUrl "deviceconfig_url" .Values.mender.deviceconfigUrl -}}
{{- $secrets := dict "key_file" "/run/secrets/sealing/key" -}}
{{- $http := dict "listen" "0.0.0.0:9464" -}}
{{- $log := dict "format" "json" -}}
{{- $config := dict "nats" $nats "mender" $mender "secrets" $secrets "http" $http "log" $log -}}
{{- if .Values.mongodb.existingSecret -}}
{{- $_ := set $config "store" (dict "kind" "mongodb" "uri_file" "/run/secrets/mongodb/uri") -}}
{{- end -}}
{{- range $section, $keys := mergeOverwrite $config (deepCopy .Values.config) }}
[{{ $section }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{ end }}
{{- end -}}

{{/* How a container logs in to NATS. Takes `nats.worker` or `nats.setup`. */}}
{{- define "mender-iothub.login" -}}
{{- if .existingSecret }}
{{- if eq .method "credentials" }}
- name: MENDER_IOTHUB__NATS__CREDENTIALS_FILE
  value: /run/secrets/nats/login
{{- else }}
- name: MENDER_IOTHUB__NATS__USER
  value: {{ .user | quote }}
- name: MENDER_IOTHUB__NATS__PASSWORD_FILE
  value: /run/secrets/nats/login
{{- end }}
{{- end }}
{{- if .inboxPrefix }}
- name: MENDER_IOTHUB__NATS__INBOX_PREFIX
  value: {{ .inboxPrefix | quote }}
{{- end }}
{{- end -}}

{{/* Where the containers find their configuration and secrets. Takes a dict of `root` and `login`. */}}
{{- define "mender-iothub.mounts" -}}
- name: config
  mountPath: /etc/mender-iothub
  readOnly: true
- name: sealing
  mountPath: /run/secrets/sealing
  readOnly: true
{{- if .login.existingSecret }}
- name: nats
  mountPath: /run/secrets/nats
  readOnly: true
{{- end }}
{{- if .root.Values.mongodb.existingSecret }}
- name: mongodb
  mountPath: /run/secrets/mongodb
  readOnly: true
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mender-iothub.volumes" -}}
- name: config
  configMap:
    name: {{ include "mender-iothub.fullname" .root }}
- name: sealing
  secret:
    secretName: {{ required "sealingKey.existingSecret: a Secret with the key that seals the hubs' credentials" .root.Values.sealingKey.existingSecret }}
    defaultMode: 288 # 0440
    items:
      - key: {{ .root.Values.sealingKey.key }}
        path: key
{{- if .login.existingSecret }}
- name: nats
  secret:
    secretName: {{ .login.existingSecret }}
    defaultMode: 288 # 0440
    items:
      - key: {{ .login.key }}
        path: login
{{- end }}
{{- with .root.Values.mongodb }}
{{- if .existingSecret }}
- name: mongodb
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288 # 0440
    items:
      - key: {{ .key }}
        path: uri
{{- end }}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Pod Security Standards: restricted. */}}
{{- define "mender-iothub.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "mender-iothub.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
