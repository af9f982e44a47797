"""The first schema: people, exams, rosters, deliveries, events, results and the audit chain.

Documents that are hashed or signed are kept as text, so that they come back byte for byte.
"""

from alembic import op

revision = "0001"
down_revision = None

_PEOPLE = """
CREATE TABLE staff (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username text NOT NULL UNIQUE,
    display_name text NOT NULL,
    password_hash text,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE staff_grants (
    staff_id bigint NOT NULL REFERENCES staff (id),
    role text NOT NULL,
    exam_id text,
    UNIQUE NULLS NOT DISTINCT (staff_id, role, exam_id)
);
CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff (id),
    csrf_token text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE TABLE api_tokens (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff (id),
    label text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE TABLE bootstrap_links (
    token_hash bytea PRIMARY KEY,
    used_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    x text NOT NULL,
    private_ciphertext bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
);
"""

_EXAMS = """
CREATE TABLE exams (
    id text PRIMARY KEY,
    title text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE exam_versions (
    exam_id text NOT NULL REFERENCES exams (id),
    version text NOT NULL,
    content_digest text NOT NULL,
    title text NOT NULL,
    language text NOT NULL,
    item_count integer NOT NULL,
    content text NOT NULL,
    key_ciphertext bytea NOT NULL,
    key_digest text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exam_id, version)
);
CREATE TABLE rosters (
    id text PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE roster_entries (
    roster_id text NOT NULL REFERENCES rosters (id),
    position integer NOT NULL,
    identifier text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    time_multiplier text NOT NULL,
    extra_seconds integer NOT NULL,
    code_verifier text NOT NULL,
    takeover_verifiers text[] NOT NULL,
    PRIMARY KEY (roster_id, identifier)
);
"""

_DELIVERIES = """
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid text NOT NULL UNIQUE,
    name text NOT NULL,
    namespace text NOT NULL,
    exam_id text NOT NULL,
    exam_version text NOT NULL,
    content_digest text NOT NULL,
    roster_id text NOT NULL REFERENCES rosters (id),
    signing_kid text NOT NULL REFERENCES signing_keys (kid),
    secret_ciphertext bytea NOT NULL,
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    grace_seconds integer NOT NULL,
    time_limit_seconds integer NOT NULL,
    max_participants integer NOT NULL,
    generation bigint NOT NULL,
    phase text NOT NULL,
    resume_phase text,
    desired_state text,
    conditions text NOT NULL DEFAULT '[]',
    epoch bigint NOT NULL DEFAULT 0,
    pod_uid text,
    service_key_sha256 text,
    endpoint_internal text,
    endpoint_public text,
    health text,
    bundle_ciphertext bytea,
    confirmed_erased boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    heard_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (exam_id, exam_version) REFERENCES exam_versions (exam_id, version)
);
CREATE TABLE enrolments (
    participant_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES deliveries (id),
    roster_id text NOT NULL,
    identifier text NOT NULL,
    UNIQUE (delivery_id, identifier),
    FOREIGN KEY (roster_id, identifier) REFERENCES roster_entries (roster_id, identifier)
);
CREATE TABLE client_keys (
    delivery_id bigint NOT NULL REFERENCES deliveries (id),
    epoch bigint NOT NULL,
    incarnation bigint NOT NULL,
    kid text NOT NULL,
    x text NOT NULL,
    last_seq bigint NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (delivery_id, epoch, incarnation)
);
CREATE TABLE cursors (
    delivery_id bigint PRIMARY KEY REFERENCES deliveries (id),
    accepted_through bigint NOT NULL DEFAULT 0,
    stream bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    incarnation bigint NOT NULL DEFAULT 0,
    last_event_at timestamptz
);
CREATE TABLE events (
    delivery_id bigint NOT NULL,
    seq bigint NOT NULL,
    stream bigint NOT NULL,
    participant_id bigint,
    event_type text NOT NULL,
    digest text NOT NULL,
    body text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (delivery_id, seq),
    UNIQUE (delivery_id, stream)
);
CREATE TABLE event_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL,
    seq bigint NOT NULL,
    digest text NOT NULL,
    stored_digest text NOT NULL,
    body text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (delivery_id, seq, digest)
);
CREATE TABLE participant_states (
    delivery_id bigint NOT NULL,
    participant_id bigint NOT NULL,
    stream bigint NOT NULL,
    attempt_state text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (delivery_id, participant_id)
);
"""

_RESULTS = """
CREATE TABLE staged_chunks (
    delivery_id bigint NOT NULL REFERENCES deliveries (id),
    digest text NOT NULL,
    data bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (delivery_id, digest)
);
CREATE TABLE transfers (
    delivery_id bigint PRIMARY KEY REFERENCES deliveries (id),
    manifest_payload text NOT NULL,
    manifest_signature text NOT NULL,
    manifest_kid text NOT NULL,
    manifest_digest text NOT NULL,
    receipt_payload text,
    receipt_signature text,
    receipt_kid text,
    committed_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz
);
CREATE TABLE result_participants (
    delivery_id bigint NOT NULL, id bigint NOT NULL,
    identifier text NOT NULL, name text NOT NULL, email text NOT NULL, status text NOT NULL,
    PRIMARY KEY (delivery_id, id)
);
CREATE TABLE result_attempts (
    delivery_id bigint NOT NULL, id bigint NOT NULL,
    participant_id bigint NOT NULL, started_at text NOT NULL, ended_at text,
    current_question bigint NOT NULL, status text NOT NULL, deadline text NOT NULL,
    deadline_version bigint NOT NULL, granted_seconds bigint NOT NULL,
    paused_seconds bigint NOT NULL, item_order text NOT NULL, final_score bigint,
    score_numerator text NOT NULL, score_denominator text NOT NULL, manual_pending bigint NOT NULL,
    PRIMARY KEY (delivery_id, id)
);
CREATE TABLE result_answers (
    delivery_id bigint NOT NULL, id bigint NOT NULL,
    attempt_id bigint NOT NULL, question_id bigint NOT NULL, answer text NOT NULL,
    submitted_at text NOT NULL, score bigint NOT NULL, points text NOT NULL,
    max_points text NOT NULL, scoring text NOT NULL, revision bigint NOT NULL,
    score_check text,
    PRIMARY KEY (delivery_id, id)
);
CREATE TABLE result_progress (
    delivery_id bigint NOT NULL, participant_id bigint NOT NULL,
    questions_answered bigint NOT NULL, total_questions bigint NOT NULL,
    current_score bigint NOT NULL, time_remaining bigint, last_activity text,
    PRIMARY KEY (delivery_id, participant_id)
);
CREATE TABLE result_answer_revisions (
    delivery_id bigint NOT NULL, id bigint NOT NULL,
    attempt_id bigint NOT NULL, question_id bigint NOT NULL, revision bigint NOT NULL,
    command_id text NOT NULL, answer text NOT NULL, submitted_at text NOT NULL,
    seq bigint NOT NULL, counted boolean NOT NULL,
    PRIMARY KEY (delivery_id, id)
);
CREATE TABLE result_client_audit (
    delivery_id bigint NOT NULL, id bigint NOT NULL,
    at text NOT NULL, actor text NOT NULL, action text NOT NULL, detail text NOT NULL,
    prev text NOT NULL, hash text NOT NULL,
    PRIMARY KEY (delivery_id, id)
);
CREATE TABLE final_scores (
    delivery_id bigint NOT NULL, attempt_id bigint NOT NULL,
    participant_id bigint NOT NULL,
    final_score bigint, score_numerator text NOT NULL, score_denominator text NOT NULL,
    manual_pending bigint NOT NULL,
    PRIMARY KEY (delivery_id, attempt_id)
);
CREATE TABLE manual_scores (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL,
    answer_id bigint NOT NULL,
    scorer_id bigint NOT NULL REFERENCES staff (id),
    points text NOT NULL,
    comment text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (delivery_id, answer_id) REFERENCES result_answers (delivery_id, id)
);
CREATE INDEX manual_scores_by_answer ON manual_scores (delivery_id, answer_id, id);
"""

_AUDIT = """
CREATE TABLE audit_log (
    id bigint PRIMARY KEY,
    at text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail text NOT NULL,
    prev text NOT NULL,
    hash text NOT NULL UNIQUE
);
CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only';
END $$;
CREATE TRIGGER audit_log_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
"""


def upgrade() -> None:
    """Create everything."""
    for part in (_PEOPLE, _EXAMS, _DELIVERIES, _RESULTS, _AUDIT):
        op.get_bind().exec_driver_sql(part)


def downgrade() -> None:
    """Results are kept for ever: there is no way back that would not lose them."""
    raise NotImplementedError("restore a backup instead")
