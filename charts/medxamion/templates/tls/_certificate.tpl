{{/*
A Secret with a certificate of the chart's own authority, kept as it is until an upgrade finds other
names, another authority or two of its three years left.
(dict "root" $ "name" "coordinator" "dns" JSON "addresses" JSON "authority" AUTHORITY "bundle" PEM)
*/}}
{{- define "medxamion.certificate" -}}
{{- $issuedFor := printf "%s %s %s" .dns .addresses .bundle | sha256sum }}
{{- $now := now | unixEpoch | int64 }}
{{- $secret := printf "medxamion-%s-tls" .name }}
{{- $held := lookup "v1" "Secret" .root.Release.Namespace $secret | default dict }}
{{- $notes := dig "metadata" "annotations" dict $held | default dict }}
{{- $keep := and (eq (get $notes "medxamion.io/issued-for") $issuedFor) (gt (get $notes "medxamion.io/renew-after" | int64) $now) }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $secret }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "medxamion.labels" . | nindent 4 }}
  annotations:
    medxamion.io/issued-for: {{ $issuedFor }}
    medxamion.io/renew-after: {{ if $keep }}{{ get $notes "medxamion.io/renew-after" | quote }}{{ else }}{{ add $now (mul 365 86400) | quote }}{{ end }}
type: kubernetes.io/tls
data:
  {{- if $keep }}
  tls.crt: {{ index $held.data "tls.crt" }}
  tls.key: {{ index $held.data "tls.key" }}
  {{- else }}
  {{- $made := genSignedCertWithKey (printf "medxamion-%s" .name) (fromJsonArray .addresses) (fromJsonArray .dns) 1095 .authority (genPrivateKey "ecdsa") }}
  tls.crt: {{ $made.Cert | b64enc }}
  tls.key: {{ $made.Key | b64enc }}
  {{- end }}
  ca.crt: {{ .bundle | b64enc }}
{{- end }}
