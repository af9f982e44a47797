{{/* The Job's spec: brings the database to the schema of this version and ends. */}}
{{- define "medxamion.migration" -}}
# A trial's PostgreSQL may come minutes later; each try waits for it only some seconds.
backoffLimit: 20
activeDeadlineSeconds: 900
ttlSecondsAfterFinished: 86400
template:
  metadata:
    labels:
      {{- include "medxamion.labels" (dict "root" . "name" "migrations") | nindent 6 }}
  spec:
    restartPolicy: OnFailure
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- include "medxamion.pullSecrets" . | nindent 4 }}
    securityContext:
      {{- include "medxamion.podSecurity" . | nindent 6 }}
    containers:
      - name: migrate
        image: {{ include "medxamion.image" (dict "root" . "image" .Values.coordinator.image) }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        args: [migrate]
        terminationMessagePolicy: FallbackToLogsOnError
        securityContext:
          {{- include "medxamion.containerSecurity" . | nindent 10 }}
        env:
          - {name: MEDXAMION_COORDINATOR_SECRET_FILE, value: /dev/null}
          {{- include "medxamion.databaseEnv" . | nindent 10 }}
        resources:
          requests: {cpu: 100m, memory: 128Mi}
          limits: {memory: 512Mi}
        volumeMounts:
          - {name: tmp, mountPath: /tmp}
          {{- include "medxamion.databaseMounts" . | nindent 10 }}
    volumes:
      - {name: tmp, emptyDir: {}}
      {{- include "medxamion.databaseVolumes" . | nindent 6 }}
{{- end }}
