{{/* Labels of one part: (dict "root" $ "name" "coordinator"). */}}
{{- define "medxamion.labels" -}}
{{ include "medxamion.selector" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "medxamion.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: medxamion
{{- end }}

{{/* An image's whole name: (dict "root" $ "image" .Values.client.image). */}}
{{- define "medxamion.image" -}}
{{- $tag := .image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- $name := .image.repository -}}
{{- with .root.Values.image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if .image.digest }}{{ $name }}@{{ .image.digest }}{{ else }}{{ $name }}:{{ $tag }}{{ end -}}
{{- end }}

{{- define "medxamion.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Pod Security `restricted`, with our images' user. */}}
{{- define "medxamion.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "medxamion.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "medxamion.coordinatorSecret" -}}
{{ .Values.coordinator.secretName | default "medxamion-coordinator" }}
{{- end }}

{{- define "medxamion.bootstrapSecret" -}}
{{ .Values.bootstrap.tokenSecret | default "medxamion-bootstrap" }}
{{- end }}

{{- define "medxamion.internalUrl" -}}
https://medxamion-coordinator-internal.{{ .Release.Namespace }}.svc:8081
{{- end }}

{{/* How a container of the coordinator's image finds PostgreSQL. */}}
{{- define "medxamion.databaseEnv" -}}
{{- $database := .Values.coordinator.database -}}
- name: MEDXAMION_COORDINATOR_DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- if .Values.postgresql.trial.enabled }}
      name: medxamion-postgresql
      key: database-url
      {{- else }}
      name: {{ $database.existingSecret }}
      key: {{ $database.key }}
      {{- end }}
{{- with $database.sslMode }}
- name: PGSSLMODE
  value: {{ . }}
{{- end }}
{{- if $database.caSecret }}
- name: PGSSLROOTCERT
  value: /etc/medxamion/database/ca.crt
{{- end }}
{{- end }}

{{- define "medxamion.databaseMounts" -}}
{{- if or .Values.coordinator.database.caSecret .Values.postgresql.trial.enabled }}
- name: database-ca
  mountPath: /etc/medxamion/database
  readOnly: true
{{- end }}
{{- end }}

{{- define "medxamion.databaseVolumes" -}}
{{- $database := .Values.coordinator.database -}}
{{- if .Values.postgresql.trial.enabled }}
- name: database-ca
  secret:
    secretName: medxamion-postgresql-tls
    items: [{key: ca.crt, path: ca.crt}]
{{- else if $database.caSecret }}
- name: database-ca
  secret:
    secretName: {{ $database.caSecret }}
    items: [{key: {{ $database.caKey }}, path: ca.crt}]
{{- end }}
{{- end }}

{{/* The names of the coordinator's certificate, as a JSON list, and its addresses. */}}
{{- define "medxamion.coordinatorNames" -}}
{{- $names := list "localhost" -}}
{{- range $service := list "medxamion-coordinator" "medxamion-coordinator-internal" -}}
{{- range $end := list "" (printf ".%s" $.Release.Namespace) (printf ".%s.svc" $.Release.Namespace) (printf ".%s.svc.cluster.local" $.Release.Namespace) -}}
{{- $names = append $names (printf "%s%s" $service $end) -}}
{{- end -}}
{{- end -}}
{{- $host := include "medxamion.publicHost" . -}}
{{- if not (regexMatch "^[0-9.]+$|:" $host) }}{{ $names = append $names $host }}{{ end -}}
{{- uniq $names | toJson -}}
{{- end }}

{{- define "medxamion.coordinatorAddresses" -}}
{{- $host := include "medxamion.publicHost" . -}}
{{- $addresses := list "127.0.0.1" -}}
{{- if regexMatch "^[0-9.]+$|:" $host }}{{ $addresses = append $addresses $host }}{{ end -}}
{{- uniq $addresses | toJson -}}
{{- end }}

{{- define "medxamion.postgresqlNames" -}}
{{- $name := printf "medxamion-postgresql.%s.svc" .Release.Namespace -}}
{{- list $name (printf "%s.cluster.local" $name) | toJson -}}
{{- end }}

{{- define "medxamion.publicHost" -}}
{{- $netloc := (urlParse .Values.coordinator.publicUrl).host -}}
{{- regexReplaceAll ":[0-9]+$" $netloc "" | trimPrefix "[" | trimSuffix "]" -}}
{{- end }}

{{/* Egress to the cluster's name service. */}}
{{- define "medxamion.toDns" -}}
- to:
    {{- toYaml .Values.networkPolicies.dns.to | nindent 4 }}
  ports:
    {{- range .Values.networkPolicies.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{/* Egress to the API server, whose addresses no selector names. */}}
{{- define "medxamion.toApiServer" -}}
{{- $server := .Values.networkPolicies.apiServer -}}
- ports:
    {{- range $server.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with $server.cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  {{- end }}
{{- end }}

{{/* Egress to PostgreSQL: the trial's pod, or what values name. */}}
{{- define "medxamion.toDatabase" -}}
{{- $database := .Values.networkPolicies.database -}}
{{- if .Values.postgresql.trial.enabled -}}
- ports: [{protocol: TCP, port: 5432}]
  to:
    - podSelector:
        matchLabels: {app.kubernetes.io/name: postgresql, app.kubernetes.io/part-of: medxamion}
{{- else -}}
- ports: [{protocol: TCP, port: {{ $database.port }}}]
  {{- with $database.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* One part's pods in a namespace, as a peer: (dict "namespaces" (list "exams") "name" "exam-client"). */}}
{{- define "medxamion.peer" -}}
- namespaceSelector:
    matchExpressions:
      - {key: kubernetes.io/metadata.name, operator: In, values: {{ .namespaces | toJson }}}
  podSelector:
    matchLabels: {app.kubernetes.io/name: {{ .name }}, app.kubernetes.io/part-of: medxamion}
{{- end }}

{{/* Ingress of whoever scrapes: (dict "root" $ "port" 9090). */}}
{{- define "medxamion.fromMonitoring" -}}
{{- with .root.Values.networkPolicies.monitoring.from }}
- from:
    {{- toYaml . | nindent 4 }}
  ports: [{protocol: TCP, port: {{ $.port }}}]
{{- end }}
{{- end }}
