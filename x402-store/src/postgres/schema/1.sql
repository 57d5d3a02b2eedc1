-- Orders, as they are. Never deleted: this is the permanent record.
CREATE TABLE orders (
    key         bytea   PRIMARY KEY CHECK (octet_length(key) = 32),
    id          bytea   NOT NULL CONSTRAINT orders_id UNIQUE,
    version     bigint  NOT NULL,
    owner       bytea   NOT NULL,
    document    json    NOT NULL,
    payer       text    NOT NULL,
    payment_id  text,
    route       text    NOT NULL,
    status      text    NOT NULL,
    payment     text    NOT NULL,
    delivery    text    NOT NULL,
    attention   boolean NOT NULL,
    owes        boolean NOT NULL,
    created_at  bigint  NOT NULL,
    due_at      bigint,
    network     text,
    transaction text,
    log_index   bigint,
    settlement  text,
    kept        text,
    CONSTRAINT orders_kept CHECK (owes OR kept IS NULL)
) WITH (fillfactor = 60);

COMMENT ON COLUMN orders.attention IS 'whether an operator may have to look at it, sooner or later';
COMMENT ON COLUMN orders.owes IS 'its response may be out and its money has yet to move';
COMMENT ON COLUMN orders.due_at IS 'when the worker looks at it next';
COMMENT ON COLUMN orders.kept IS 'the payment with its signature, as long as the order owes its settlement';

CREATE UNIQUE INDEX orders_name ON orders (payer, payment_id) WHERE payment_id IS NOT NULL;
CREATE UNIQUE INDEX orders_transfer ON orders (network, transaction, log_index) WHERE log_index IS NOT NULL;
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX orders_owed ON orders (payer) WHERE owes;
CREATE INDEX orders_newest ON orders (created_at, key);
CREATE INDEX orders_payer ON orders (lower(payer), created_at, key);
CREATE INDEX orders_route ON orders (route, created_at, key);
CREATE INDEX orders_open ON orders (status, created_at, key) WHERE status <> 'completed';
CREATE INDEX orders_attention ON orders (created_at, key) WHERE attention;

-- What happened to them: a line for each change, written with it.
CREATE TABLE transitions (
    key      bytea  NOT NULL,
    version  bigint NOT NULL,
    at       bigint NOT NULL,
    event    text   NOT NULL,
    payment  text   NOT NULL,
    delivery text   NOT NULL,
    fence    bigint NOT NULL,
    PRIMARY KEY (key, version)
);

-- Responses, for a retry of the payment that bought them, for a while.
CREATE TABLE responses (
    key        bytea  PRIMARY KEY,
    content    bytea  NOT NULL,
    expires_at bigint NOT NULL
);
ALTER TABLE responses ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX responses_expiry ON responses (expires_at);

-- What is recorded stays as it is, whoever writes.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0];
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transitions
    EXECUTE FUNCTION refuse('transitions are only ever added');
CREATE TRIGGER permanent BEFORE DELETE ON orders FOR EACH ROW
    WHEN (OLD.payment NOT IN ('verifying', 'rejected'))
    EXECUTE FUNCTION refuse('orders are the permanent record');
CREATE TRIGGER permanent_as_a_whole BEFORE TRUNCATE ON orders
    EXECUTE FUNCTION refuse('orders are the permanent record');
CREATE TRIGGER settled_once BEFORE UPDATE ON orders FOR EACH ROW
    WHEN (
        (OLD.payment IN ('settled', 'failed', 'expired') AND NEW.payment IS DISTINCT FROM OLD.payment)
        OR (OLD.delivery = 'delivered' AND NEW.delivery IS DISTINCT FROM OLD.delivery)
        OR (OLD.settlement IS NOT NULL AND (NEW.settlement, NEW.network, NEW.transaction, NEW.log_index)
            IS DISTINCT FROM (OLD.settlement, OLD.network, OLD.transaction, OLD.log_index))
    )
    EXECUTE FUNCTION refuse('what is final does not change');
