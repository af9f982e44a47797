-- The delivery's file. participants, attempts, answers and progress keep the columns of the original
-- design; what stands after them was added. Times are RFC 3339 text in UTC with microseconds.
CREATE TABLE participants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    identifier TEXT NOT NULL,
    status TEXT DEFAULT 'not_started',
    checked_in_at TEXT,
    granted_seconds INTEGER NOT NULL DEFAULT 0,
    closed_by TEXT,
    deadline_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    participant_id INTEGER NOT NULL UNIQUE,
    started_at TEXT DEFAULT CURRENT_TIMESTAMP,
    ended_at TEXT,
    current_question INTEGER DEFAULT 1,
    status TEXT DEFAULT 'in_progress',
    deadline TEXT NOT NULL,
    deadline_version INTEGER NOT NULL,
    granted_seconds INTEGER NOT NULL,
    paused_seconds INTEGER NOT NULL,
    credited_seconds INTEGER NOT NULL,
    paused_since TEXT,
    item_order TEXT NOT NULL,
    receipt_code TEXT,
    closed_by TEXT,
    FOREIGN KEY (participant_id) REFERENCES participants(id)
) STRICT;

CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    attempt_id INTEGER NOT NULL,
    question_id INTEGER NOT NULL,
    answer TEXT NOT NULL,
    submitted_at TEXT DEFAULT CURRENT_TIMESTAMP,
    score INTEGER DEFAULT 0,
    participant_id INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    points TEXT NOT NULL,
    max_points TEXT NOT NULL,
    scoring TEXT NOT NULL,
    FOREIGN KEY (attempt_id) REFERENCES attempts(id)
) STRICT;

CREATE TABLE progress (
    participant_id INTEGER PRIMARY KEY,
    questions_answered INTEGER DEFAULT 0,
    total_questions INTEGER NOT NULL,
    current_score INTEGER DEFAULT 0,
    time_remaining INTEGER,
    last_activity TEXT DEFAULT CURRENT_TIMESTAMP,
    last_save TEXT,
    current_question INTEGER NOT NULL DEFAULT 1,
    FOREIGN KEY (participant_id) REFERENCES participants(id)
) STRICT;

-- Every acknowledged or quarantined answer command, in the order of commits. Append-only.
CREATE TABLE answer_revisions (
    id INTEGER PRIMARY KEY,
    attempt_id INTEGER NOT NULL,
    participant_id INTEGER NOT NULL,
    question_id INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    base_revision INTEGER NOT NULL,
    command_id TEXT NOT NULL,
    answer TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    seq INTEGER NOT NULL,
    counted INTEGER NOT NULL
) STRICT;

CREATE TRIGGER answer_revisions_are_append_only BEFORE UPDATE ON answer_revisions
BEGIN SELECT RAISE(ABORT, 'answer_revisions is append-only'); END;
CREATE TRIGGER answer_revisions_are_kept BEFORE DELETE ON answer_revisions
BEGIN SELECT RAISE(ABORT, 'answer_revisions is append-only'); END;

-- Reading never deletes; rows stay until the erase, so a coordinator that lost some is refilled.
CREATE TABLE outbox (seq INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;

CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    participant_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;

CREATE TABLE token_bindings (
    jti TEXT PRIMARY KEY,
    participant_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE takeover_codes (
    action_id TEXT PRIMARY KEY,
    participant_id INTEGER NOT NULL,
    verifier TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE used_codes (
    participant_id INTEGER NOT NULL,
    reference TEXT NOT NULL,
    PRIMARY KEY (participant_id, reference)
) STRICT;

CREATE TABLE actions (action_id TEXT PRIMARY KEY, outcome TEXT NOT NULL) STRICT;

CREATE TABLE announcements (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    text TEXT NOT NULL,
    participant_ids TEXT
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;

CREATE TABLE incarnations (
    incarnation INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    opened_at TEXT NOT NULL,
    event_prefix TEXT NOT NULL
) STRICT;

-- One document each: bundle (as it was signed), whole, mark, signing_key, uid, schema_version.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
